"""What a vendor shows becomes a record and facts, once, in order, by the field's owner."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from accord.db.pool import Pool, transaction
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
