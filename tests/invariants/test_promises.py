# ruff: noqa: ISC004, E501  (statements that do damage, each in one piece)
"""Each promise holds over what was played, and its own damage breaks it and no other than is named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accord.invariants import INVARIANTS, Holding, check_always, check_settled, compare_vendors
from accord.invariants.watch import REASON, watch
from tests.engine.scripted import Workshop
from tests.engine.test_effects import one_thing, three_things

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
PARKED = "UPDATE open_process SET state = 3"
DAMAGE = {
    "written_once": (
        "INSERT INTO effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state,"
        " priority, body, label, finished_at) SELECT id + 900, process_id, story_key, connection, kind, canonical_id,"
        " 2, verb, version, 2, priority, body, label, finished_at FROM effect WHERE canonical_id = 'a-0'",
        {"written_once", "facts_tell_all"},
    ),
    "objects_in_order": (
        "INSERT INTO effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state,"
        " priority, body, label) SELECT id + 900, process_id, 'k', connection, kind, canonical_id, 0, verb, 'older', 1,"
        " priority, body, label FROM effect WHERE canonical_id = 'a-0';"
        "INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, due, not_before, probe, reason)"
        " SELECT id, connection, kind, verb, 0, true, now(), false, 'r' FROM effect WHERE generation = 0",
        {"objects_in_order"},
    ),
    "intents_end": (
        "UPDATE effect SET state = 1 WHERE canonical_id = 'a-0'",
        {"intents_end"},
    ),
    "ended_stories": (
        "INSERT INTO open_process (process_id, name, subject, priority, state, wake_at)"
        " SELECT id, name, subject, 0, 2, now() FROM process LIMIT 1",
        {"ended_stories"},
    ),
    "failures_have_cases": (
        "INSERT INTO open_process (process_id, name, subject, priority, state) VALUES (7, 'x', 'y', 0, 3)",
        {"failures_have_cases"},
    ),
    "waits_can_end": (
        "INSERT INTO open_process (process_id, name, subject, priority, state) VALUES (7, 'x', 'y', 0, 2)",
        {"waits_can_end"},
    ),
    "subjects_in_order": (
        "INSERT INTO open_process (process_id, name, subject, priority, state)"
        " VALUES (7, 'x', 'y', 0, 1), (8, 'x', 'y', 0, 1)",
        {"subjects_in_order"},
    ),
    "ledger_balances": (
        "INSERT INTO billable_item VALUES ('i', 'k', 'e', 'US', 'USD', 10, 's', 's', now());"
        "INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, worked_on,"
        " entry, cause, posted_at) VALUES ('i', 1, 'e', 'US', 'USD', 'wip', 9, now(), 'e', 'c', now())",
        {"ledger_balances"},
    ),
    "invoiced_once": (
        "INSERT INTO billable_item VALUES ('i', 'k', 'e', 'US', 'USD', 10, 's', 's', now());"
        "INSERT INTO transfer (entry, item_id, part, out_of, placed_in, amount, cause, posted_at)"
        " VALUES ('e', 'i', 1, 'approved', 'wip', 10, 'c', now()), ('f', 'i', 1, 'wip', 'billed', 10, 'c', now()),"
        " ('f', 'i', 2, 'wip', 'billed', 10, 'c', now()), ('g', 'i', 2, 'billed', 'wip', 10, 'c', now());"
        "INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, worked_on,"
        " entry, cause, posted_at) VALUES ('i', 1, 'e', 'US', 'USD', 'billed', 10, now(), 'f', 'c', now());"
        "INSERT INTO ledger_total VALUES ('e', 'US', 'USD', 'billed', now(), 10, 1, 0)",
        {"invoiced_once"},
    ),
    "links_are_kept": ("DELETE FROM crosswalk WHERE canonical_id = 'a-0'", {"links_are_kept"}),
    "facts_tell_all": ("DELETE FROM event WHERE type = 'effect.committed' AND subject = 'a-0'", {"facts_tell_all"}),
    "refusals_have_cases": (
        "UPDATE effect SET state = 3, process_id = 7 WHERE canonical_id = 'a-0';"
        "INSERT INTO open_process (process_id, name, subject, priority, state, wake_at) VALUES (7, 'x', 'y', 0, 2, now())",
        {"refusals_have_cases"},
    ),
    "pushes_are_settled": (
        "INSERT INTO connection (name, vendor) VALUES ('erp', 'netsuite');"
        "INSERT INTO inbox (connection, vendor_event_id, body_digest, headers, body) VALUES ('erp', 'e', '', '{}', '')",
        {"pushes_are_settled"},
    ),
}


class Asking:
    """Asks as the simulation does: one statement, all rows."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._db = psycopg.connect(url, autocommit=True)

    def __call__(self, query: str, parameters: object) -> list[tuple[object, ...]]:
        return self._db.execute(query, parameters).fetchall()  # type: ignore[arg-type]

    def hurt(self, statements: str) -> None:
        self._db.execute("SET session_replication_role = replica")
        self._db.execute(statements)
        self._db.execute("SET session_replication_role = origin")

    def close(self) -> None:
        self._db.close()


async def played(shop: Workshop) -> None:
    await shop.work()
    await shop.finished(await shop.start(three_things, "a"), await shop.start(one_thing, "b", id="x"))
    for each in list(shop.running):
        await each.end()
    shop.running.clear()


def test_each_promise_has_its_damage() -> None:
    assert set(DAMAGE) == {each.name for each in INVARIANTS}


@pytest.mark.parametrize("name", sorted(DAMAGE))
async def test_a_promise_holds_and_its_damage_breaks_it(shop: Workshop, name: str) -> None:
    await played(shop)
    ask = Asking(shop.url)
    try:
        assert [*check_always(ask), *check_settled(ask)] == []
        statements, broken = DAMAGE[name]
        ask.hurt(statements)
        assert {each.invariant for each in [*check_always(ask), *check_settled(ask)]} == broken
    finally:
        ask.close()


async def test_what_the_vendor_holds_is_compared_both_ways(shop: Workshop) -> None:
    await shop.db.execute(
        "INSERT INTO effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state,"
        " priority, body, label, vendor_id, amount, currency) VALUES"
        " (1, 1, 'k', 'stripe', 'invoice', 'INV-1', 1, 'issue', 'once', 2, 0, '{}', 'l', 'in_1', 10.00, 'EUR')"
    )
    await shop.db.execute("INSERT INTO crosswalk VALUES ('stripe', 'invoice', 'INV-1', 'in_1')")
    ask = Asking(shop.url)
    there = Holding("stripe", "invoice", "in_1", "INV-1", "10.00", "EUR")
    try:
        assert compare_vendors(ask, [there]) == []
        (missing,) = compare_vendors(ask, [])
        assert "is not at the vendor" in missing.what
        twice = compare_vendors(ask, [there, Holding("stripe", "invoice", "in_2", "INV-1")])
        assert [each.what for each in twice] == [
            "is at the vendor as in_2 and not known here",
            "is at the vendor 2 times",
        ]
        (other,) = compare_vendors(ask, [Holding("stripe", "invoice", "in_1", "INV-1", "11.00", "EUR")])
        assert other.what == "is for 11.00 at the vendor, we wrote 10.00"
        assert str(other.amount) == "1.00"
    finally:
        ask.close()


async def test_a_broken_promise_is_one_case_until_it_holds_again(shop: Workshop) -> None:
    await played(shop)
    ask = Asking(shop.url)
    try:
        ask.hurt("CREATE TABLE kept AS SELECT * FROM crosswalk; DELETE FROM crosswalk WHERE canonical_id = 'a-0'")
        for _ in range(2):
            async with shop.db.transaction():
                assert [each.subject for each in await watch(shop.db, LONG_AGO) or ()] == ["erp thing a-0"]
        cases = "SELECT subject, state, owner FROM business_case WHERE reason = %s"
        assert await shop.all(cases, REASON) == [("links_are_kept", "open", "integration engineer")]
        ask.hurt("INSERT INTO crosswalk SELECT * FROM kept ON CONFLICT DO NOTHING")
        async with shop.db.transaction():
            assert await watch(shop.db, LONG_AGO) == []
        assert await shop.all(cases, REASON) == [("links_are_kept", "resolved", "integration engineer")]
    finally:
        ask.close()
