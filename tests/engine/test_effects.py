"""Effects: intent before the call, keyed by what they are about, three outcomes, in order."""

from __future__ import annotations

import asyncio
from typing import Any

from accord.engine import interventions
from accord.engine.outcomes import Absent, Misconfigured, Rejected, Transient, Unknown
from accord.engine.states import EffectState, Priority
from accord.engine.story import Post, effect, process, together
from accord.engine.turning import MAX_ATTEMPTS
from accord.model.events import Fact
from accord.model.money import Money
from tests.engine.scripted import LOST, VANISHED, Scripted, Thing, Workshop, put


@process(starts_on="test.began")
async def three_things(began: Fact) -> str:
    """Three things."""
    for n in range(3):
        await put(f"{began.subject}-{n}")
    return "three"


@process(starts_on="test.began")
async def one_thing(began: Fact) -> Any:
    """One thing."""
    done = await put(began.payload["id"], began.payload.get("name", "thing"), money=Money.of("12.50", "EUR"))
    return {"vendor_id": done.vendor_id, "skipped": done.skipped}


@process(starts_on="test.began")
async def one_after_another(began: Fact) -> str:
    """One after another."""
    await put("y")
    await put("x", "new")
    return "both"


@process(starts_on="test.began")
async def issue_once(began: Fact) -> Any:
    """Issue once."""
    thing = Thing(began.payload["id"], began.payload["name"])
    done = await effect("billing", "issue", "invoice", thing, "Issue", once=True, money=Money.of("7", "USD"))
    return done.vendor_id


async def test_intent_is_written_before_the_call(shop: Workshop) -> None:
    seen = []

    async def look() -> None:
        seen.append(await shop.all("SELECT canonical_id, state, finished_at IS NULL FROM effect"))

    shop.vendors.script["a-0"].append(look)
    id = await shop.start(three_things, "a")
    await shop.work()
    assert await shop.finished(id) == ["three"]
    assert seen == [[("a-0", EffectState.SENDING, True)]]
    assert await shop.effects(id) == [(f"a-{n}", EffectState.COMMITTED) for n in range(3)]


async def test_every_commit_is_told_once_with_its_latency(shop: Workshop) -> None:
    id = await shop.start(three_things, "a")
    await shop.work()
    await shop.finished(id)
    told = await shop.all("SELECT type, subject, payload FROM event ORDER BY seq")
    assert [row[:2] for row in told] == [
        ("process.started", "a"),
        *(("effect.committed", f"a-{n}") for n in range(3)),
        ("process.finished", "a"),
    ]
    assert told[1][2]["ref"] == "V-a-0"
    assert told[1][2]["latency_ms"] >= 0


async def test_several_writes_of_one_object_in_one_turn_go_in_order(shop: Workshop) -> None:
    """The second waits for the first, the third takes the place of the second and its place in line."""
    gate = asyncio.Event()
    shop.vendors.script["x"].append(gate.wait)
    ids = [await shop.start(one_thing, subject, id="x", name=name) for subject, name in zip("abc", "one", strict=True)]
    await shop.work()
    await shop.until(lambda: _truth(shop.vendors.sent), "the first send")
    for id in ids[1:]:
        await shop.state(id, 2)
    assert [write.body["name"] for write in shop.vendors.sent] == ["o"]
    assert await shop.all("SELECT count(*), count(after) FROM waiting_effect") == [(1, 1)]
    gate.set()
    await shop.finished(*ids)
    assert [write.body["name"] for write in shop.vendors.done] == ["o", "e"]
    assert await shop.all("SELECT * FROM waiting_effect") == []


async def test_a_repeat_by_another_story_is_the_same_effect(shop: Workshop) -> None:
    gate = asyncio.Event()
    shop.vendors.script["x"].append(gate.wait)
    await shop.work()
    first = await shop.start(one_thing, "a", id="x")
    await shop.until(lambda: _truth(shop.vendors.sent), "the first send")
    second = await shop.start(one_thing, "b", id="x")
    await shop.state(second, 2)
    gate.set()
    assert await shop.finished(first, second) == [{"vendor_id": "V-x", "skipped": None}] * 2
    third = await shop.start(one_thing, "c", id="x")
    assert await shop.finished(third) == [{"vendor_id": "V-x", "skipped": None}]
    assert len(shop.vendors.sent) == 1


async def test_other_content_is_a_new_generation(shop: Workshop) -> None:
    await shop.work()
    await shop.finished(await shop.start(one_thing, "a", id="x", name="old"))
    await shop.finished(await shop.start(one_thing, "b", id="x", name="new"))
    assert [write.body["name"] for write in shop.vendors.done] == ["old", "new"]
    assert shop.vendors.sent[1].vendor_id == "V-x"
    assert await shop.all("SELECT generation FROM effect ORDER BY id") == [(1,), (2,)]
    # Going back to what was once written is a write of its own, not a repeat.
    await shop.finished(await shop.start(one_thing, "c", id="x", name="old"))
    assert shop.vendors.objects()["x"]["name"] == "old"


async def test_what_is_done_once_is_refused_with_other_content(shop: Workshop) -> None:
    await shop.work()
    assert await shop.finished(await shop.start(issue_once, "a", id="x", name="one")) == ["V-x"]
    assert await shop.finished(await shop.start(issue_once, "b", id="x", name="one")) == ["V-x"]
    other = await shop.start(issue_once, "c", id="x", name="two")
    case = await shop.parked(other)
    assert case["reason"] == "already_done_differently"
    assert len(shop.vendors.sent) == 1


async def test_an_unsent_older_version_gives_way(shop: Workshop) -> None:
    shop.vendors.paused.add("erp")
    await shop.work()
    old = await shop.start(one_thing, "a", id="x", name="old")
    await shop.state(old, 2)
    new = await shop.start(one_thing, "b", id="x", name="new")
    await shop.state(new, 2)
    shop.vendors.paused.clear()
    assert await shop.finished(old, new) == [{"vendor_id": "V-x", "skipped": None}] * 2
    assert [write.body["name"] for write in shop.vendors.sent] == ["new"]
    assert await shop.effects(old) == [("x", EffectState.SUPERSEDED)]


async def test_what_the_vendor_put_off_gives_way_in_the_same_turn(shop: Workshop) -> None:
    """One call brings the answer of the older write, to wait, and of the write after which the newer one is asked for:
    nothing of the older one may be left in the queue."""
    shop.vendors.script["x"].append(Transient("asked us to wait", retry_after_seconds=0.05, overload=True))
    old = await shop.start(one_thing, "a", id="x", name="old")
    new = await shop.start(one_after_another, "b")
    await shop.work()
    await shop.finished(old, new)
    assert [write.body["name"] for write in shop.vendors.done] == ["thing", "new"]
    assert await shop.effects(old) == [("x", EffectState.SUPERSEDED)]
    assert await shop.all("SELECT * FROM waiting_effect") == []


async def test_writes_of_one_object_go_in_order(shop: Workshop) -> None:
    gate = asyncio.Event()
    shop.vendors.script["x"].append(gate.wait)
    await shop.work()
    ids = [await shop.start(one_thing, "s0", id="x", name="v0")]
    await shop.until(lambda: _truth(shop.vendors.sent), "the first send")
    for n in (1, 2, 3):
        ids.append(await shop.start(one_thing, f"s{n}", id="x", name=f"v{n}"))
        await shop.state(ids[-1], 2)
    assert len(shop.vendors.sent) == 1, "nothing may overtake the write under way"
    gate.set()
    await shop.finished(*ids)
    assert [write.body["name"] for write in shop.vendors.done] == ["v0", "v3"]


async def test_an_unknown_outcome_is_probed_and_found_done(shop: Workshop) -> None:
    shop.vendors.script["a-1"].append(LOST)
    id = await shop.start(three_things, "a")
    await shop.work()
    await shop.finished(id)
    assert [write.canonical_id for write in shop.vendors.sent] == ["a-0", "a-1", "a-2"]
    assert [write.canonical_id for write in shop.vendors.probed] == ["a-1"]
    assert shop.vendors.times("a-1") == 1


async def test_an_unknown_outcome_found_absent_is_sent_again_under_the_same_key(shop: Workshop) -> None:
    shop.vendors.script["a-1"].append(VANISHED)
    id = await shop.start(three_things, "a")
    await shop.work()
    await shop.finished(id)
    assert [write.canonical_id for write in shop.vendors.sent] == ["a-0", "a-1", "a-1", "a-2"]
    assert shop.vendors.sent[1].key == shop.vendors.sent[2].key
    assert shop.vendors.times("a-1") == 1


async def test_absence_counts_only_after_the_grace_period(shop: Workshop) -> None:
    shop.vendors.grace = 0.5
    shop.vendors.script["a-0"].append(VANISHED)
    id = await shop.start(three_things, "a")
    await shop.work()
    await shop.until(lambda: _truth(shop.vendors.sent), "the first send")
    began = asyncio.get_running_loop().time()
    await shop.until(lambda: _truth(shop.vendors.probed), "the probe")
    assert asyncio.get_running_loop().time() - began >= 0.45
    await shop.finished(id)


async def test_a_transient_refusal_is_retried_when_the_vendor_says(shop: Workshop) -> None:
    shop.vendors.script["a-0"].extend([Transient("busy", retry_after_seconds=0.4), None])
    id = await shop.start(three_things, "a")
    began = asyncio.get_running_loop().time()
    await shop.work()
    await shop.finished(id)
    assert asyncio.get_running_loop().time() - began >= 0.4
    assert [write.attempt for write in shop.vendors.sent[:2]] == [1, 2]
    assert await shop.one("SELECT count(*) FROM business_case") == 0


async def test_too_many_attempts_become_a_dead_letter_and_a_retry_brings_it_back(shop: Workshop) -> None:
    shop.vendors.script["a-0"].extend([Transient("busy", retry_after_seconds=0.0)] * MAX_ATTEMPTS)
    id = await shop.start(three_things, "a")
    await shop.work()
    case = await shop.parked(id)
    assert case["reason"] == "dead_letter"
    assert len(shop.vendors.sent) == MAX_ATTEMPTS
    async with shop.db.transaction():
        await interventions.retry(shop.db, id)
    assert await shop.finished(id) == ["three"]
    assert await shop.one("SELECT state FROM business_case") == "resolved"


async def test_an_outage_never_makes_a_dead_letter(shop: Workshop) -> None:
    outage = Transient("no route", retry_after_seconds=0.0, outage=True)
    shop.vendors.script["a-0"].extend([outage] * (MAX_ATTEMPTS + 5))
    id = await shop.start(three_things, "a")
    await shop.work()
    assert await shop.finished(id) == ["three"]
    assert len(shop.vendors.sent) == MAX_ATTEMPTS + 5 + 3


async def test_a_dead_probe_is_retried_by_a_probe_never_by_a_send(shop: Workshop) -> None:
    shop.vendors.script["a-0"].append(LOST)
    shop.vendors.probes["a-0"].extend([Transient("busy", retry_after_seconds=0.0)] * MAX_ATTEMPTS)
    id = await shop.start(three_things, "a")
    await shop.work()
    await shop.parked(id)
    async with shop.db.transaction():
        await interventions.retry(shop.db, id)
    await shop.finished(id)
    assert shop.vendors.times("a-0") == 1


async def test_a_probe_that_was_not_answered_for_long_asks_again_within_two_minutes(shop: Workshop) -> None:
    """However often it was asked in vain: once the vendor is back, money waits no longer than that for an answer."""
    shop.vendors.script["a-0"].append(LOST)
    shop.vendors.probes["a-0"].extend([Unknown("no answer")] * 100)
    await shop.start(three_things, "a")
    await shop.work()
    asked = "SELECT count(*) FROM waiting_effect w JOIN effect e ON e.id = w.effect_id WHERE e.attempts >= %s"
    left = "SELECT extract(epoch FROM not_before - clock_timestamp())::float FROM waiting_effect WHERE not due"

    async def asked_often() -> Any:
        if not await shop.one(asked, 12):
            await shop.db.execute("UPDATE waiting_effect SET not_before = clock_timestamp()")
            return None
        return await shop.one(left)

    assert 20 < await shop.until(asked_often, "many probes in vain") <= 90


async def test_a_misconfigured_connection_pauses_with_one_incident_and_goes_on_when_resumed(shop: Workshop) -> None:
    await shop.db.execute("INSERT INTO connection (name, vendor) VALUES ('erp', 'test')")
    shop.vendors.batch = 1
    for n in range(10):
        shop.vendors.script[f"x{n}"].append(Misconfigured("INVALID_LOGIN", "the key was revoked"))
    ids = [await shop.start(one_thing, f"s{n}", id=f"x{n}") for n in range(10)]
    await shop.work()

    async def is_paused() -> Any:
        return await shop.one("SELECT state = 'paused' FROM connection")

    await shop.until(is_paused, "the pause")
    shop.vendors.paused.add("erp")
    assert await shop.all("SELECT reason, owner, connection, process_id FROM business_case") == [
        ("connection_paused", "integration engineer", "erp", None)
    ]
    for script in shop.vendors.script.values():
        script.clear()
    await shop.db.execute("UPDATE connection SET state = 'active'")
    shop.vendors.paused.clear()
    assert len(await shop.finished(*ids)) == 10
    assert all(shop.vendors.times(f"x{n}") == 1 for n in range(10))


async def test_a_probe_on_a_misconfigured_connection_leaves_the_effect_unknown(shop: Workshop) -> None:
    shop.vendors.script["x"].append(LOST)
    shop.vendors.probes["x"].append(Misconfigured("INVALID_LOGIN", "the key was revoked"))
    id = await shop.start(one_thing, "a", id="x")
    await shop.work()
    await shop.finished(id)
    assert shop.vendors.times("x") == 1, "sent a second time though it was never known to be absent"


async def test_a_priority_effect_overtakes_the_backlog_and_others_get_in_line(shop: Workshop) -> None:
    shop.vendors.limit, shop.vendors.batch = 1, 1
    gate = asyncio.Event()
    shop.vendors.script["x0"].append(gate.wait)
    await shop.work()
    ids = [await shop.start(prioritised, f"s{n}", id=f"x{n}", urgency=2) for n in range(8)]

    async def queued() -> Any:
        return await shop.one("SELECT count(*) >= 5 FROM waiting_effect")

    await shop.until(queued, "a backlog")
    ids.append(await shop.start(prioritised, "urgent", id="urgent", urgency=0))

    async def went_out() -> Any:
        return any(write.canonical_id == "urgent" for write in shop.vendors.sent)

    await shop.until(went_out, "the urgent one beside the one that hangs: calls get their slots by urgency (budget.py)")
    ids.append(await shop.start(prioritised, "late", id="late", urgency=2))
    await shop.state(ids[-1], 2)
    gate.set()
    await shop.finished(*ids)
    order = [write.canonical_id for write in shop.vendors.sent]
    assert order.index("urgent") <= 3, order
    assert order[-1] == "late", order


@process(starts_on="test.began")
async def prioritised(began: Fact) -> None:
    """Prioritised."""
    await effect("erp", "put", "thing", Thing(began.payload["id"]), "Put", priority=Priority(began.payload["urgency"]))


async def test_links_and_known_ids_reach_the_vendor(shop: Workshop) -> None:
    id = await shop.start(linked, "a")
    await shop.work()
    await shop.finished(id)
    assert shop.vendors.sent[1].vendor_ids == {"parent": "V-parent"}


@process(starts_on="test.began")
async def linked(began: Fact) -> None:
    """Linked."""
    await put("parent")
    await put("child", links=(("thing", "parent"),))


async def test_an_id_that_was_only_derived_gives_way_to_ours(shop: Workshop) -> None:
    await shop.db.execute("INSERT INTO crosswalk VALUES ('erp', 'thing', 'derived', 'V-x')")
    id = await shop.start(one_thing, "a", id="x")
    await shop.work()
    await shop.finished(id)
    assert await shop.all("SELECT canonical_id, vendor_id FROM crosswalk") == [("x", "V-x")]


async def test_many_at_once_fill_the_vendors_batches(shop: Workshop) -> None:
    await shop.work()
    id = await shop.start(many, "a")
    await shop.finished(id)
    assert len(shop.vendors.done) == 2500


@process(starts_on="test.began")
async def many(began: Fact) -> None:
    """More effects at once than a block of ids holds."""
    await together(*(put(f"m{n}") for n in range(2500)))


async def test_a_ledger_that_refuses_parks_that_story_alone(shop: Workshop) -> None:
    good = [await shop.start(one_thing, f"g{n}", id=f"g{n}") for n in range(3)]
    bad = await shop.start(posting, "bad")
    await shop.work()
    assert len(await shop.finished(*good)) == 3
    case = await shop.parked(bad)
    assert case["reason"] == "not_recordable"
    assert "does not balance" in case["problems"][0]["message"]
    assert await shop.effects(bad) == [("bad-before", EffectState.COMMITTED)]
    assert shop.vendors.times("bad-before") == 1


@process(starts_on="test.began")
async def posting(began: Fact) -> None:
    """Posting."""
    await put(f"{began.subject}-before")
    await Post("unbalanced", (), ())
    await put(f"{began.subject}-after")


async def test_an_answer_that_cannot_be_recorded_is_a_case_not_a_loop(shop: Workshop) -> None:
    from accord.engine.outcomes import Committed

    shop.vendors.script["x"].append(Committed("V-x", {"text": "nul \x00"}))
    bad = await shop.start(one_thing, "a", id="x")
    good = await shop.start(one_thing, "b", id="y")
    await shop.work()
    await shop.finished(good)
    case = await shop.parked(bad)
    assert case["reason"] == "rejected"
    assert case["problems"][0]["code"] == "not_recordable"


async def test_a_connector_that_raises_makes_unknown_not_lost(shop: Workshop) -> None:
    async def explode() -> None:
        raise RuntimeError("a defect")

    shop.vendors.script["x"].append(explode)
    id = await shop.start(one_thing, "a", id="x")
    await shop.work()
    await shop.finished(id)
    assert [write.canonical_id for write in shop.vendors.probed] == ["x"]
    assert shop.vendors.times("x") == 1


async def test_no_binding_parks_with_the_cure(shop: Workshop) -> None:
    id = await shop.start(unbound, "a")
    await shop.work()
    case = await shop.parked(id)
    assert case["reason"] == "not_bound"
    assert "accord connect" in case["problems"][0]["cure"]


@process(starts_on="test.began")
async def unbound(began: Fact) -> None:
    """Unbound."""
    await effect("nobody", "put", "thing", Thing("x"), "Put")


async def test_rejected_probe_answers_and_refusals_of_absent_are_understood(shop: Workshop) -> None:
    shop.vendors.script["x"].append(VANISHED)
    shop.vendors.probes["x"].append(Absent("searched"))
    shop.vendors.script["x"].append(Rejected("BAD", "no"))
    id = await shop.start(one_thing, "a", id="x")
    await shop.work()
    case = await shop.parked(id)
    assert case["reason"] == "rejected"


async def test_a_stopping_worker_leaves_its_queue_to_the_next(shop: Workshop) -> None:
    shop.vendors.limit, shop.vendors.batch = 1, 1
    gate = asyncio.Event()
    shop.vendors.script["x0"].append(gate.wait)
    first = await shop.work()
    ids = [await shop.start(one_thing, f"s{n}", id=f"x{n}") for n in range(6)]
    await shop.until(lambda: _truth(shop.vendors.sent), "the first send")
    first.worker.stop()
    gate.set()
    await first.end()
    assert len(shop.vendors.sent) == 1
    other = Scripted()
    await shop.work(vendors=other)
    await shop.finished(*ids)
    assert not other.probed, "what was never sent needs no probe"
    assert sorted(write.canonical_id for write in other.done) == [f"x{n}" for n in range(1, 6)]


async def _truth(value: Any) -> Any:
    return bool(value)
