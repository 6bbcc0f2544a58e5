"""What a vendor shows becomes a record and facts, once, in order, by the field's owner."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from accord.db.pool import Connection, Pool, transaction
from accord.engine.shell import Changed, Kept
from accord.records.knowledge import Records
from accord.records.observe import Applied, Seen, apply

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CRM = frozenset({"crm"})
WON = Seen(
    kind="deal",
    vendor_id="006A",
    version="2026-11-23T10:00:00+00:00",
    body={"number": "1", "name": "Deal", "stage": "Closed Won", "is_won": True, "is_closed": True},
    links={"customer_id": ("customer", "001A")},
)


async def see(pool: Pool, *seen: Seen, connection: str = "salesforce", roles: frozenset[str] = CRM) -> Applied:
    async with transaction(pool) as db:
        return await apply(db, connection, roles, seen, NOW)


async def rows(pool: Pool, query: str) -> list[Any]:
    async with pool.connection() as db:
        return await (await db.execute(query)).fetchall()


async def test_the_second_to_see_a_change_changes_nothing(pool: Pool) -> None:
    """Webhook and poll both bring it; one fact comes of it."""
    first, second = await see(pool, WON), await see(pool, replace(WON, version="2026-11-23T10:00:05+00:00"))
    assert (first.changed, first.facts, second.changed, second.facts) == (1, 1, 0, 0)
    assert await rows(pool, "SELECT type, correlation = subject FROM event") == [("deal.won", True)]


async def test_an_older_state_does_not_overwrite_a_newer(pool: Pool) -> None:
    await see(pool, WON)
    older = replace(WON, version="2026-11-23T09:00:00+00:00", body={**WON.body, "is_won": False})
    assert (await see(pool, older)).stale == 1
    assert await rows(pool, "SELECT body ->> 'is_won' FROM record WHERE kind = 'deal'") == [("true",)]


async def test_a_batch_with_both_states_keeps_the_newer(pool: Pool) -> None:
    older = replace(WON, version="2026-11-23T09:00:00+00:00", body={**WON.body, "is_won": False})
    await see(pool, WON, older)
    assert await rows(pool, "SELECT body ->> 'is_won' FROM record WHERE kind = 'deal'") == [("true",)]


async def test_a_link_and_its_object_meet_in_one_identity(pool: Pool) -> None:
    """The deal names a customer that is seen only later."""
    await see(pool, WON)
    await see(pool, Seen("customer", "001A", "2026-11-23T10:00:00+00:00", {"legal_name": "Northwind"}))
    assert await rows(pool, "SELECT d.body ->> 'customer_id' = c.id FROM record d, record c "
                            "WHERE d.kind = 'deal' AND c.kind = 'customer'") == [(True,)]  # fmt: skip


async def test_a_field_that_is_gone_at_its_source_is_gone(pool: Pool) -> None:
    await see(pool, replace(WON, body={**WON.body, "owner": "Ann"}))
    await see(pool, replace(WON, version="2026-11-23T11:00:00+00:00"))
    assert await rows(pool, "SELECT body ? 'owner', version FROM record WHERE kind = 'deal'") == [(False, 2)]
    assert await rows(pool, "SELECT count(*) FROM record_version WHERE kind = 'deal'") == [(2,)]


async def test_a_system_that_does_not_own_a_field_opens_a_conflict(pool: Pool) -> None:
    """The owner's value stays; the other is kept beside it, not applied and not dropped."""
    await see(pool, WON)
    (id,) = (await rows(pool, "SELECT id FROM record WHERE kind = 'deal'"))[0]
    foreign = Seen("deal", "X1", "2026-11-24T00:00:00+00:00", {"name": "Other"}, canonical_id=id)
    await see(pool, foreign, connection="netsuite", roles=frozenset({"erp"}))
    assert await rows(pool, "SELECT body ->> 'name' FROM record WHERE kind = 'deal'") == [("Deal",)]
    assert await rows(pool, "SELECT field, kept, offered FROM ownership_conflict") == [("name", "Deal", "Other")]


async def test_what_cannot_be_read_travels_with_the_deal(pool: Pool) -> None:
    await see(pool, replace(WON, problems=("amount: 'ten' is not a number",)))
    assert await rows(pool, "SELECT body -> 'unreadable' FROM record") == [(["amount: 'ten' is not a number"],)]


async def test_two_changes_in_one_second_are_two_facts(pool: Pool) -> None:
    """A process is started for each: vendors date to the second."""
    await see(pool, WON)
    await see(pool, replace(WON, body={**WON.body, "name": "Renamed"}))
    await see(pool, replace(WON, body={**WON.body, "name": "Renamed again"}))
    found = await rows(pool, "SELECT payload -> 'record_version' FROM event WHERE type = 'deal.changed' ORDER BY seq")
    assert found == [(2,), (3,)]


async def test_a_conflict_names_the_owner(pool: Pool) -> None:
    await see(pool, WON)
    (id,) = (await rows(pool, "SELECT id FROM record WHERE kind = 'deal'"))[0]
    foreign = Seen("deal", "X1", "2026-11-24T00:00:00+00:00", {"name": "Other"}, canonical_id=id)
    await see(pool, foreign, connection="netsuite", roles=frozenset({"erp"}))
    assert await rows(pool, "SELECT owner_role FROM ownership_conflict") == [("crm",)]


async def test_an_object_seen_before_and_after_it_bore_our_id_is_one(pool: Pool) -> None:
    """Both states in one batch: the vendor's object is the same, and one record comes of it."""
    nameless = Seen("customer", "cus_1", "1", {"legal_name": "Northwind"})
    ours = replace(nameless, version="2", canonical_id="CUS-1")
    await see(pool, nameless, ours, connection="stripe", roles=frozenset({"billing"}))
    assert await rows(pool, "SELECT id, source_version FROM record") == [("CUS-1", "2")]


async def test_two_objects_that_bear_one_id_are_one(pool: Pool) -> None:
    twins = [Seen("customer", f"cus_{n}", str(n), {"legal_name": f"N{n}"}, canonical_id="CUS-1") for n in (1, 2)]
    await see(pool, *twins, connection="stripe", roles=frozenset({"billing"}))
    assert await rows(pool, "SELECT body ->> 'legal_name' FROM record") == [("N2",)]


async def nothing_posted(*_: Any) -> None:
    """A ledger for tests that post nothing."""


async def test_what_is_older_than_the_vendor_last_told_stays_old_after_a_story_kept_something(pool: Pool) -> None:
    """Stripe says paid, a story keeps a flag of its own, and the push of the open invoice comes in late."""
    paid = Seen("invoice", "in_1", "2", {"status": "paid", "origin": "milestone"}, canonical_id="INV-1")
    billing = frozenset({"billing"})
    await see(pool, paid, connection="stripe", roles=billing)
    async with transaction(pool) as db:
        kept = Kept("invoice", "INV-1", {"id": "INV-1", "disputed": True}, None)
        await Records(nothing_posted).keep(db, [kept], NOW)
    late = replace(paid, version="1", body={**paid.body, "status": "open"})
    assert (await see(pool, late, connection="stripe", roles=billing)).stale == 1
    assert await rows(pool, "SELECT body ->> 'status', body ->> 'disputed', provenance ->> 'disputed' FROM record") == [
        ("paid", "true", "accord")
    ]


async def test_two_stories_keep_their_parts_of_one_object_at_once(pool: Pool) -> None:
    parts = [
        Kept("invoice", "INV-1", {"id": "INV-1", "paid": 1}, "DEA-1"),
        Kept("invoice", "INV-1", {"id": "INV-1", "disputed": True}),
    ]
    async with transaction(pool) as db:
        await Records(nothing_posted).keep(db, parts, NOW)
    assert await rows(pool, "SELECT body, correlation FROM record") == [
        ({"id": "INV-1", "paid": 1, "disputed": True}, "DEA-1")
    ]


async def test_what_was_decided_by_something_else_than_is_there_is_not_kept(pool: Pool) -> None:
    first = Kept("invoice", "INV-1", {"id": "INV-1", "status": "draft", "note": "ours"})
    async with transaction(pool) as db:
        await Records(nothing_posted).keep(db, [first], NOW)
    read = {"id": "INV-1", "status": "draft"}
    step = Kept("invoice", "INV-1", {"id": "INV-1", "status": "billing"}, instead_of=read)
    async with transaction(pool) as db:
        await Records(nothing_posted).keep(db, [step], NOW)
    for late in ([step], [Kept("invoice", "INV-1", {"id": "INV-1", "status": "draft"}), step, step]):
        with pytest.raises(Changed, match="invoice INV-1 was changed meanwhile"):
            async with transaction(pool) as db:
                await Records(nothing_posted).keep(db, late, NOW)
    assert await rows(pool, "SELECT body ->> 'status', body ->> 'note' FROM record") == [("billing", "ours")]


SEEN = Seen("invoice", "in_1", "2", {"status": "open", "origin": "milestone"}, canonical_id="INV-1")
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def until_it_waits(pool: Pool, task: asyncio.Task[Any]) -> None:
    """Until a transaction waits for another; or until the task has ended, because it did not wait."""
    for _ in range(2000):
        if task.done() or (await rows(pool, WAITING))[0][0]:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the second transaction neither waited nor ended")


async def both_at_once(pool: Pool, first: Callable[[Connection], Awaitable[object]]) -> Applied:
    """See the invoice while another transaction that has written it is still open; the crosswalk knows it already."""
    async with transaction(pool) as db:
        await db.execute(
            "INSERT INTO crosswalk (connection, kind, canonical_id, vendor_id) "
            "VALUES ('stripe', 'invoice', 'INV-1', 'in_1')"
        )
    async with transaction(pool) as db:
        await first(db)
        second = asyncio.create_task(see(pool, SEEN, connection="stripe", roles=frozenset({"billing"})))
        await until_it_waits(pool, second)
    return await second


async def test_two_that_see_an_object_first_at_the_same_moment_tell_one_fact(pool: Pool) -> None:
    """Webhook and poll, to the millisecond; neither could see the other's record."""
    found = await both_at_once(pool, lambda db: apply(db, "stripe", frozenset({"billing"}), [SEEN], NOW))
    assert (found.changed, found.unchanged, found.facts) == (0, 1, 0)
    assert await rows(pool, "SELECT type FROM event") == [("invoice.issued",)]


async def test_a_push_does_not_undo_what_a_story_keeps_at_the_same_moment(pool: Pool) -> None:
    """The invoice is issued and kept; its own push is here before the story has said so."""
    kept = [Kept("invoice", "INV-1", {"id": "INV-1", "deal_id": "DEA-1"}, "DEA-1")]
    await both_at_once(pool, lambda db: Records(nothing_posted).keep(db, kept, NOW))
    assert await rows(pool, "SELECT body ->> 'deal_id', body ->> 'status', correlation, version FROM record") == [
        ("DEA-1", "open", "DEA-1", 2)
    ]


async def test_a_story_does_not_undo_what_a_push_brings_at_the_same_moment(pool: Pool) -> None:
    async with transaction(pool) as db:
        await apply(db, "stripe", frozenset({"billing"}), [SEEN], NOW)
        kept = [Kept("invoice", "INV-1", {"id": "INV-1", "deal_id": "DEA-1"}, "DEA-1")]

        async def keep() -> None:
            async with transaction(pool) as other:
                await Records(nothing_posted).keep(other, kept, NOW)

        second = asyncio.create_task(keep())
        await until_it_waits(pool, second)
    await second
    assert await rows(pool, "SELECT body ->> 'deal_id', body ->> 'status', version FROM record") == [
        ("DEA-1", "open", 2)
    ]
