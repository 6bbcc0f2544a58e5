"""Stories: driven to their end whatever stops them, in order, one world each."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accord.engine import claiming, interventions
from accord.engine.outcomes import Rejected
from accord.engine.states import EffectState, ProcessState
from accord.engine.story import (
    Decide,
    Now,
    Read,
    Require,
    SleepUntil,
    Tell,
    WaitFor,
    effect,
    keep,
    process,
    together,
)
from accord.errors import Conflict, NotFound
from accord.model.events import Fact
from accord.model.money import Money
from accord.model.problem import Problem
from tests.engine.scripted import Thing, Workshop, put


@process(starts_on="test.began")
async def guarded(began: Fact) -> str:
    """Goes on once what it read is right."""
    thing = await Read("thing", began.subject, Thing)
    found = ("no such thing",) if thing is None else (("wrong name", "too short") if thing.name == "bad" else ())
    await Require(
        reason="thing_wrong",
        title="The thing is wrong",
        problems=tuple(Problem("wrong", each, "name", "Correct it.") for each in found),
        owner="PMO",
        money=Money.of("99.90", "EUR"),
        watch=(began.subject,),
    )
    await put(began.subject, thing.name)
    return thing.name


@process(starts_on="test.began")
async def asking(began: Fact) -> str:
    """Asks a person."""
    await put(f"{began.subject}-before")
    choice = await Decide(name="colour", question="Which colour?", options=("red", "blue"), owner="finance")
    await put(f"{began.subject}-{choice}")
    return choice


@process(starts_on="test.began")
async def undoable(began: Fact) -> str:
    """Three things that can be taken back."""
    for n in range(3):
        thing = Thing(f"{began.subject}-{n}")
        await effect("erp", "put", "thing", thing, f"Put {n}", undo=("put", Thing(thing.id, "taken back")))
    return "done"


@process(starts_on="test.began")
async def waiting(began: Fact) -> Any:
    """Waits for two facts of one kind."""
    first = await WaitFor("money.came", began.subject)
    await put(f"{began.subject}-between")
    second = await WaitFor("money.came", began.subject)
    return [first, second]


async def test_a_requirement_parks_with_all_problems_and_money_and_resumes_when_what_it_watches_changes(
    shop: Workshop,
) -> None:
    shop.knowledge.records["thing", "a"] = {"id": "a", "name": "bad"}
    await shop.work()
    id = await shop.start(guarded, "a")
    case = await shop.parked(id)
    assert [each["message"] for each in case["problems"]] == ["wrong name", "too short"]
    assert (case["owner"], str(case["amount"]), case["currency"]) == ("PMO", "99.90", "EUR")
    await shop.tell("thing.changed", "unrelated")
    await shop.route()
    await shop.state(id, ProcessState.PARKED)
    shop.knowledge.records["thing", "a"] = {"id": "a", "name": "good"}
    await shop.tell("thing.changed", "a")
    await shop.route()
    assert await shop.finished(id) == ["good"]
    assert await shop.one("SELECT state FROM business_case") == "resolved"


async def test_a_case_that_stays_is_brought_up_to_date_and_keeps_its_age(shop: Workshop) -> None:
    await shop.work()
    id = await shop.start(guarded, "a")
    before = await shop.parked(id)
    shop.knowledge.records["thing", "a"] = {"id": "a", "name": "bad"}
    async with shop.db.transaction():
        await interventions.retry(shop.db, id)

    async def newer() -> Any:
        return await shop.one("SELECT jsonb_array_length(problems) = 2 FROM business_case")

    await shop.until(newer, "the newer problems")
    after = await shop.parked(id)
    assert (after["id"], after["opened_at"]) == (before["id"], before["opened_at"])


async def test_a_decision_waits_for_its_answer_which_counts_once(shop: Workshop) -> None:
    await shop.work()
    id = await shop.start(asking, "a")
    case = await shop.parked(id)
    assert case["question"]["options"] == ["red", "blue"]
    async with shop.db.transaction():
        await interventions.answer(shop.db, id, case["question"]["key"], "blue", "ann")
    with pytest.raises(Conflict):
        async with shop.db.transaction():
            await interventions.answer(shop.db, id, case["question"]["key"], "red", "bob")
    assert await shop.finished(id) == ["blue"]
    assert sorted(shop.vendors.objects()) == ["a-before", "a-blue"]


async def test_a_waived_requirement_goes_on(shop: Workshop) -> None:
    shop.knowledge.records["thing", "a"] = {"id": "a", "name": "bad"}
    await shop.work()
    id = await shop.start(guarded, "a")
    case = await shop.parked(id)
    async with shop.db.transaction():
        await interventions.answer(shop.db, id, case["question"]["key"], None, "ann")
    assert await shop.finished(id) == ["bad"]


@pytest.fixture
async def refused(shop: Workshop) -> int:
    """A story parked because its second of three writes was refused."""
    shop.vendors.script["a-1"].append(Rejected("INVALID_FIELD", "the name is taken", ("name",)))
    await shop.work()
    id = await shop.start(undoable, "a")
    await shop.parked(id)
    return id


async def test_a_refusal_is_one_case_and_a_retry_sends_it_again(shop: Workshop, refused: int) -> None:
    case = await shop.parked(refused)
    assert (case["reason"], case["connection"], case["subject"]) == ("rejected", "erp", "a-1")
    assert case["problems"][0]["field"] == "name"
    async with shop.db.transaction():
        await interventions.retry(shop.db, refused)
    assert await shop.finished(refused) == ["done"]
    assert [write.canonical_id for write in shop.vendors.sent] == ["a-0", "a-1", "a-1", "a-2"]


async def test_a_skipped_write_says_so_to_its_story(shop: Workshop, refused: int) -> None:
    effect_id = (await shop.parked(refused))["effect_id"]
    async with shop.db.transaction():
        await interventions.skip(shop.db, effect_id, "exists already", "ann")
    assert await shop.finished(refused) == ["done"]
    assert await shop.effects(refused) == [("a-0", 2), ("a-1", EffectState.SKIPPED), ("a-2", 2)]
    with pytest.raises(Conflict):
        await interventions.skip(shop.db, effect_id, "again", "ann")
    with pytest.raises(NotFound):
        await interventions.skip(shop.db, 1, "nothing", "ann")


async def test_a_supplied_result_is_linked(shop: Workshop, refused: int) -> None:
    effect_id = (await shop.parked(refused))["effect_id"]
    async with shop.db.transaction():
        await interventions.supply(shop.db, effect_id, "by-hand-7", {"number": "7"}, "ann")
    assert await shop.finished(refused) == ["done"]
    assert await shop.one("SELECT vendor_id FROM crosswalk WHERE canonical_id = 'a-1'") == "by-hand-7"


async def test_cancelling_takes_back_what_was_done_the_last_first(shop: Workshop) -> None:
    shop.vendors.script["a-2"].append(Rejected("NO", "no"))
    await shop.work()
    id = await shop.start(undoable, "a")
    await shop.parked(id)
    async with shop.db.transaction():
        await interventions.cancel(shop.db, id, "sold by mistake", "ann")
    await shop.finished(id)
    undone = [(write.canonical_id, write.body["name"]) for write in shop.vendors.done[2:]]
    assert undone == [("a-1", "taken back"), ("a-0", "taken back")]
    assert await shop.one("SELECT end_state FROM process") == ProcessState.CANCELLED
    assert await shop.one("SELECT count(*) FROM business_case WHERE state = 'open'") == 0


async def test_cancelling_waits_for_what_is_under_way_and_takes_it_back_too(shop: Workshop) -> None:
    gate = asyncio.Event()
    shop.vendors.script["a-1"].append(gate.wait)
    await shop.work()
    id = await shop.start(undoable, "a")
    await shop.until(lambda: _truth(len(shop.vendors.sent) == 2), "the second send")
    async with shop.db.transaction():
        await interventions.cancel(shop.db, id, "sold by mistake", "ann")
    gate.set()
    await shop.finished(id)
    names = {id: body["name"] for id, body in shop.vendors.objects().items()}
    assert {names["a-0"], names["a-1"]} == {"taken back"}
    assert names.get("a-2", "taken back") == "taken back"


async def test_the_write_of_a_cancelled_story_goes_on_for_the_other_that_waits_for_it(shop: Workshop) -> None:
    shop.vendors.script["x"].append(Rejected("NO", "no"))
    await shop.work()
    first = await shop.start(shared, "a")
    await shop.parked(first)
    second = await shop.start(shared, "b")
    await shop.state(second, ProcessState.WAITING)
    async with shop.db.transaction():
        await interventions.cancel(shop.db, first, "not wanted", "ann")
    await shop.finished(first)
    assert await shop.all("SELECT process_id FROM business_case WHERE state = 'open'") == [(second,)]
    async with shop.db.transaction():
        await interventions.retry(shop.db, second)
    await shop.finished(second)
    assert shop.vendors.times("x") == 1


@process(starts_on="test.began")
async def shared(began: Fact) -> None:
    """Writes what others write too."""
    await put("x")


async def test_a_retried_write_gives_way_to_a_newer_version_written_meanwhile(shop: Workshop) -> None:
    shop.vendors.script["x"].append(Rejected("NO", "no"))
    await shop.work()
    old = await shop.start(named, "a", name="old")
    await shop.parked(old)
    await shop.finished(await shop.start(named, "b", name="new"))
    async with shop.db.transaction():
        await interventions.retry(shop.db, old)
    await shop.finished(old)
    assert [write.body["name"] for write in shop.vendors.done] == ["new"]


@process(starts_on="test.began")
async def named(began: Fact) -> None:
    """Writes x under a name."""
    await put("x", began.payload["name"])


async def test_facts_wake_their_waiter_each_once(shop: Workshop) -> None:
    await shop.work()
    id = await shop.start(waiting, "a")
    await shop.state(id, ProcessState.WAITING)
    await shop.tell("money.came", "a", amount=1)
    await shop.route()

    async def between() -> Any:
        return shop.vendors.times("a-between") and await shop.one("SELECT state = 2 FROM open_process")

    await shop.until(between, "the first fact")
    await shop.tell("money.came", "other", amount=9)
    await shop.tell("money.came", "a", amount=2)
    await shop.route()
    assert await shop.finished(id) == [[{"amount": 1}, {"amount": 2}]]
    assert await shop.one("SELECT count(*) FROM awaited_fact") == 0


async def test_a_fact_that_overtook_its_waiter_counts(shop: Workshop) -> None:
    gate = asyncio.Event()
    shop.vendors.script["a-slow"].append(gate.wait)
    await shop.work()
    id = await shop.start(slow_then_waiting, "a")
    await shop.until(lambda: _truth(shop.vendors.sent), "the send")
    await shop.tell("money.came", "a", amount=1)
    await shop.route()
    gate.set()
    assert await shop.finished(id) == [{"amount": 1}]


@process(starts_on="test.began")
async def slow_then_waiting(began: Fact) -> Any:
    """Is busy when the fact comes."""
    await put(f"{began.subject}-slow")
    return await WaitFor("money.came", began.subject)


async def test_a_wait_with_an_end_ends_by_the_business_clock(shop: Workshop) -> None:
    clock = [datetime(2030, 1, 1, tzinfo=UTC)]
    shop.now = lambda: clock[0]
    await shop.work()
    id = await shop.start(patient, "a")
    await shop.state(id, ProcessState.WAITING)
    await asyncio.sleep(0.2)
    assert await shop.one("SELECT state FROM open_process") == ProcessState.WAITING
    clock[0] += timedelta(days=31)
    assert await shop.finished(id) == [None]


@process(starts_on="test.began")
async def patient(began: Fact) -> Any:
    """Waits a month, and sleeps a day first."""
    now = await Now()
    await SleepUntil(now + timedelta(days=1))
    return await WaitFor("money.came", began.subject, until=now + timedelta(days=30))


async def test_together_goes_on_only_when_all_are_there(shop: Workshop) -> None:
    gate = asyncio.Event()
    shop.vendors.batch = 1
    shop.vendors.script["a-1"].append(gate.wait)
    await shop.work()
    id = await shop.start(all_at_once, "a")
    await shop.until(lambda: _truth(len(shop.vendors.done) == 2), "the other two")
    assert len(shop.vendors.sent) == 3
    gate.set()
    assert await shop.finished(id) == [["V-a-0", "V-a-1", "V-a-2", "thing"]]


@process(starts_on="test.began")
async def all_at_once(began: Fact) -> list[str | None]:
    """All at once."""
    writes = [put(f"{began.subject}-{n}") for n in range(3)]
    *done, read, _ = await together(*writes, Read("thing", "none", Thing), Tell((Fact("a.b", "c", NOON, "test", {}),)))
    assert read is None
    return [*(each.vendor_id for each in done), "thing"]


NOON = "2026-01-01T12:00:00+00:00"


async def test_a_refusal_among_others_parks_once_the_others_are_done(shop: Workshop) -> None:
    shop.vendors.batch = 1
    gate = asyncio.Event()
    shop.vendors.script["a-0"].append(Rejected("NO", "no"))
    shop.vendors.script["a-1"].append(gate.wait)
    await shop.work()
    id = await shop.start(all_at_once, "a")

    async def open_case() -> Any:
        return await shop.one("SELECT id FROM business_case WHERE state = 'open'")

    await shop.until(open_case, "the case")
    assert await shop.one("SELECT state FROM open_process") == ProcessState.RUNNING, "it still waits for a write here"
    async with shop.db.transaction():
        await interventions.retry(shop.db, id)
    gate.set()
    await shop.finished(id)
    assert all(shop.vendors.times(f"a-{n}") == 1 for n in range(3))


async def test_a_story_that_raises_parks_loudly_and_goes_on_when_its_code_is_right(shop: Workshop) -> None:
    await shop.work()
    id = await shop.start(broken, "a")
    case = await shop.parked(id)
    assert case["reason"] == "story_broken"
    assert "ZeroDivisionError" in case["problems"][0]["message"]
    await shop.running[0].end()
    shop.running.clear()
    await shop.work(processes={"broken": mended})
    async with shop.db.transaction():
        await interventions.retry(shop.db, id)
    assert await shop.finished(id) == ["mended"]
    assert shop.vendors.times("a-first") == 1


@process(starts_on="test.began")
async def broken(began: Fact) -> str:
    """Breaks."""
    await put(f"{began.subject}-first")
    return str(1 / 0)


@process(starts_on="test.began")
async def mended(began: Fact) -> str:
    """A line more at the start than the story in flight had."""
    await put(f"{began.subject}-new")
    await put(f"{began.subject}-first")
    return "mended"


async def test_a_command_that_cannot_be_carried_out_parks_its_story_alone(shop: Workshop) -> None:
    good = await shop.start(shared, "a")
    bad = await shop.start(nonsense, "b")
    await shop.work()
    await shop.finished(good)
    assert (await shop.parked(bad))["reason"] in {"story_broken", "not_recordable"}


@process(starts_on="test.began")
async def nonsense(began: Fact) -> None:
    """Asks for what is no command."""
    await Tell((Fact("a.b", "c", "not a time", "test", {}),))


async def test_stories_of_a_later_version_are_left_to_workers_that_know_them(shop: Workshop) -> None:
    await shop.work(processes={"shared": shared})
    unknown = await shop.start(asking, "a")
    known = await shop.start(shared, "b")
    await shop.finished(known)
    assert await shop.one("SELECT state FROM open_process WHERE process_id = %s", unknown) == ProcessState.READY


@process(starts_on="test.began")
async def growing(began: Fact) -> str:
    """Its first version."""
    await put(f"{began.subject}-first")
    return "first"


@process(starts_on="test.began", version="2", earlier=[growing])
async def grown(began: Fact) -> str:
    """Its second version."""
    await put(f"{began.subject}-second")
    return "second"


async def test_a_story_ends_in_the_version_it_began_in(shop: Workshop) -> None:
    """Whoever does not know that version leaves it alone, in flight or not begun; whoever knows both runs each as its
    own."""
    second = replace(grown, name="growing")
    shop.vendors.paused.add("erp")
    await shop.work(processes={"growing": growing})
    in_flight = await shop.start(growing, "a")
    await shop.state(in_flight, ProcessState.WAITING)
    old = shop.running[0]
    newer = await shop.start(second, "b")
    await shop.work(processes={"growing": replace(second, earlier=())})
    shop.vendors.paused.clear()
    assert await shop.finished(newer) == ["second"]
    assert await shop.finished(in_flight) == ["first"]
    await old.end()
    shop.running.remove(old)
    not_begun, last = await shop.start(growing, "c"), await shop.start(second, "d")
    await shop.finished(last)
    assert await shop.one("SELECT state FROM open_process WHERE process_id = %s", not_begun) == ProcessState.READY
    assert await claiming.left_to_others(shop.db, {"growing": second}) == []
    assert await claiming.left_to_others(shop.db, {"growing": replace(second, earlier=())}) == [("growing", "1", 1)]
    await shop.work(processes={"growing": second})
    assert await shop.finished(not_begun) == ["first"]
    assert [shop.vendors.times(f"{each}") for each in ("a-first", "b-second", "c-first", "d-second")] == [1] * 4


async def test_stories_about_one_subject_go_in_order_across_workers(shop: Workshop) -> None:
    await shop.work()
    await shop.work()
    ids = [await shop.start(numbered, "one", number=n) for n in range(12)]
    others = [await shop.start(numbered, f"other{n}", number=100 + n) for n in range(12)]
    await shop.finished(*ids, *others)
    mine = [write.body["name"] for write in shop.vendors.done if write.canonical_id == "one"]
    assert mine == [f"{n}{part}" for n in range(12) for part in "ab"]
    owners = await shop.one("SELECT count(DISTINCT causation) FROM event WHERE type = 'process.finished'")
    assert owners == 24


@process(starts_on="test.began")
async def numbered(began: Fact) -> None:
    """Two writes of one object."""
    for part in "ab":
        await put(began.subject, f"{began.payload['number']}{part}")


async def test_a_second_start_of_the_same_is_no_start(shop: Workshop) -> None:
    first = await shop.start(shared, "a", one_per="only")
    with pytest.raises(IndexError):
        await shop.start(shared, "a", one_per="only")
    await shop.work()
    await shop.finished(first)


async def test_a_story_sees_one_world(shop: Workshop) -> None:
    shop.knowledge.records["thing", "a"] = {"id": "a", "name": "then"}
    gate = asyncio.Event()
    shop.vendors.script["a"].append(gate.wait)
    first = await shop.work()
    id = await shop.start(reads_twice, "a")
    await shop.until(lambda: _truth(shop.vendors.sent), "the send")
    shop.knowledge.records["thing", "a"] = {"id": "a", "name": "now"}
    gate.set()
    await first.end()
    shop.running.clear()
    await shop.work()
    assert await shop.finished(id) == [["then", "then"]]


@process(starts_on="test.began")
async def reads_twice(began: Fact) -> list[str]:
    """Reads twice."""
    first = await Read("thing", began.subject, Thing)
    await put(began.subject, first.name)
    await put(began.subject, "after")
    return [first.name, (await Read("thing", began.subject, Thing)).name]


async def test_two_workers_share_objects_without_waiting_for_each_other(shop: Workshop) -> None:
    """Many stories write the same few objects: each once, and no turn is refused for a deadlock."""
    shop.vendors.batch = 20
    await shop.work()
    await shop.work()
    ids = [await shop.start(common, f"s{n}", n=n) for n in range(120)]
    began = time.monotonic()
    await shop.finished(*ids)
    assert time.monotonic() - began < 12
    assert {id for id, body in shop.vendors.objects().items() if id.startswith("c")} == {f"c{n}" for n in range(7)}
    assert all(shop.vendors.times(f"c{n}") == 1 for n in range(7))
    assert await shop.one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


@process(starts_on="test.began")
async def common(began: Fact) -> None:
    """Objects that others write too, in another order."""
    n = int(began.payload["n"])
    await together(*(put(f"c{(n * k) % 7}") for k in (1, 2, 3) if n % 7), put("c0"))
    await put(f"own-{n}")
    await together(put(f"c{(n + 1) % 7}"), put(f"c{(n + 5) % 7}"))


async def _truth(value: Any) -> Any:
    return bool(value)


@process(starts_on="test.began")
async def one_more(began: Fact) -> str:
    """One more letter."""
    read = await Read("thing", "a", Thing)
    if began.payload.get("wait"):
        await put(began.subject)
    more = Thing("a", read.name + began.subject)
    await keep("thing", more, instead_of=(read,))
    return more.name


@pytest.mark.parametrize("wait", ["", "wait"])
async def test_what_is_kept_in_the_place_of_what_was_read_is_lost_to_nobody(shop: Workshop, wait: str) -> None:
    """Three decide by the same object at the same moment, in one turn, or with a write in between: each reads anew what
    the one before it has kept."""
    shop.knowledge.records["thing", "a"] = {"id": "a", "name": ""}
    ids = [await shop.start(one_more, letter, wait=wait) for letter in "xyz"]
    await shop.work()
    results = await shop.finished(*ids)
    assert sorted(map(len, results)) == [1, 2, 3]
    assert sorted(shop.knowledge.records["thing", "a"]["name"]) == ["x", "y", "z"]
    assert await shop.all("SELECT * FROM business_case") == []


@process(starts_on="test.began")
async def never_right(began: Fact) -> None:
    """Says of something that it is not that it was."""
    read = await Read("thing", began.subject, Thing)
    await keep("thing", read, instead_of=(replace(read, name="another"),))


async def test_a_story_that_loses_every_race_is_parked(shop: Workshop) -> None:
    shop.knowledge.records["thing", "a"] = {"id": "a", "name": "one"}
    await shop.work()
    case = await shop.parked(await shop.start(never_right, "a"))
    assert case["reason"] == "not_recordable"
    assert "a was changed meanwhile" in case["title"]
