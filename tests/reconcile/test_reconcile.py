"""What is unexplained is found from the sources, and two sides that differ are a break with its age."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accord.db.pool import Pool, transaction
from accord.engine.shell import Connection, Kept
from accord.ledger.postings import write
from accord.ledger.rating import rate_waiting
from accord.ledger.terms import declare
from accord.ledger.work import take
from accord.model.money import Money
from accord.model.terms import BillingTerms, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.reconcile import matches
from accord.reconcile.running import attest, breaks, reconcile, reconcile_if_due
from accord.reconcile.unexplained import by_currency, unexplained
from accord.records.knowledge import Records

LATER = datetime.now(UTC) + timedelta(hours=1)
TERMS = BillingTerms("DEA-1", "US", 1, "USD", "CUS-1", rates=(RateRow("R", Money.of("200.00", "USD")),))


def entry(n: int, **changes: Any) -> WorkEntry:
    base = WorkEntry(
        id=f"WRK-{n}", revision=1, kind=WorkKind.TIME, source="time", source_key=str(n), status=WorkStatus.APPROVED,
        worked_on=date(2026, 11, n), quantity=Decimal(4), engagement_id="DEA-1", legal_entity="US", worker="anna",
    )  # fmt: skip
    return replace(base, **changes)


@pytest.fixture
async def worked(pool: Pool) -> Pool:
    async with transaction(pool) as db:
        await declare(db, [TERMS], by="t")
        await take(db, [entry(2), entry(3)], (), source="time")
    await rate_waiting(pool, LATER)
    return pool


async def damage(pool: Pool, *statements: str) -> None:
    async with transaction(pool) as db:
        await db.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            await db.execute(statement)


async def kept_invoice(db: Connection, at: datetime, paid: str = "0.00") -> None:
    """An invoice of the two entries, as billing told it."""
    amount = {"amount": "1600.00", "currency": "USD"}
    body = {
        "id": "INV-1", "status": "open", "engagement_id": "DEA-1", "legal_entity": "US", "currency": "USD",
        "net": amount, "gross": amount, "paid": {"amount": paid, "currency": "USD"},
    }  # fmt: skip
    await Records(write).keep(db, [Kept("invoice", "INV-1", body, "DEA-1")], at)


async def open_amounts(pool: Pool) -> list[tuple[str, Decimal | None]]:
    async with pool.connection() as db:
        return [(each.subject, each.amount) for each in await unexplained(db)]


async def test_a_firm_in_order_has_nothing_unexplained_and_no_breaks(worked: Pool) -> None:
    async with transaction(worked) as db:
        assert await unexplained(db) == []
        found = await reconcile(db, LATER)
    assert [(each.match, each.breaks, each.sees) for each in found] == [
        (each.name, 0, True) for each in matches.MATCHES
    ]
    assert (found[0].ours, found[0].theirs, found[0].matched) == (2, 2, 2)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (
            ("DELETE FROM billable_item WHERE id = 'BIL-2-1'", "DELETE FROM item_part WHERE item_id = 'BIL-2-1'"),
            [("WRK-2", Decimal("800.00"))],
        ),
        (("DELETE FROM item_part WHERE item_id = 'BIL-2-1'",), [("BIL-2-1", Decimal("800.00"))]),
        (("UPDATE item_part SET amount = 700 WHERE item_id = 'BIL-2-1'",), [("BIL-2-1", Decimal("100.00"))]),
        (("UPDATE work_entry SET status = 'recalled' WHERE id = 'WRK-2'",), [("BIL-2-1", Decimal("-800.00"))]),
        (("DELETE FROM work_entry WHERE id = 'WRK-2'",), [("BIL-2-1", Decimal("-800.00"))]),
    ],
)
async def test_whatever_is_dropped_is_reported_with_its_amount(
    worked: Pool, statements: tuple[str, ...], expected: list[tuple[str, Decimal]]
) -> None:
    await damage(worked, *statements)
    assert await open_amounts(worked) == expected


async def test_an_item_whose_reversal_was_skipped_is_unexplained(worked: Pool) -> None:
    """Its source has been revised, nothing waits, and it stands."""
    async with transaction(worked) as db:
        await take(db, [entry(2, quantity=Decimal(3))], (), source="time")
    await damage(worked, "DELETE FROM work_to_rate")
    assert await open_amounts(worked) == [("BIL-2-1", Decimal("-800.00")), ("WRK-2", Decimal("600.00"))]


async def test_a_second_item_of_one_record_is_unexplained(worked: Pool) -> None:
    await damage(
        worked,
        'INSERT INTO billable_item SELECT (json_populate_record(i, \'{"id": "BIL-2-1-again"}\')).*'
        " FROM billable_item i WHERE id = 'BIL-2-1'",
        'INSERT INTO item_part SELECT (json_populate_record(p, \'{"item_id": "BIL-2-1-again"}\')).*'
        " FROM item_part p WHERE item_id = 'BIL-2-1'",
    )
    assert [amount for _, amount in await open_amounts(worked)] == [Decimal("-800.00")]


async def test_work_that_moved_to_another_legal_entity_and_was_lost_on_the_way_is_unexplained(worked: Pool) -> None:
    async with transaction(worked) as db:
        await declare(db, [replace(TERMS, legal_entity="DE")], by="t")
        await take(db, [entry(2, legal_entity="DE")], (), source="time")
    await damage(worked, "DELETE FROM work_to_rate")
    assert await open_amounts(worked) == [("BIL-2-1", Decimal("-800.00")), ("WRK-2", Decimal("800.00"))]


@pytest.mark.parametrize(
    ("lost", "expected"),
    [("BIL-5-1", [("WRK-5", Decimal("800.00"))]), ("BIL-5-1-IC", [("WRK-5", Decimal("640.00"))])],
)
async def test_the_work_and_its_charge_between_entities_do_not_stand_for_each_other(
    worked: Pool, lost: str, expected: list[tuple[str, Decimal]]
) -> None:
    async with transaction(worked) as db:
        await declare(db, [replace(TERMS, intercompany_percentage=Decimal(80))], by="t")
        await take(db, [entry(5, worker_entity="DE")], (), source="time")
    await rate_waiting(worked, LATER)
    assert await open_amounts(worked) == []
    await damage(
        worked, f"DELETE FROM billable_item WHERE id = '{lost}'", f"DELETE FROM item_part WHERE item_id = '{lost}'"
    )
    assert await open_amounts(worked) == expected


async def test_a_surplus_does_not_hide_a_loss(worked: Pool) -> None:
    await damage(
        worked, "UPDATE item_part SET amount = 700 WHERE item_id = 'BIL-2-1'",
        "UPDATE item_part SET amount = 900 WHERE item_id = 'BIL-3-1'",
    )  # fmt: skip
    async with worked.connection() as db:
        assert by_currency(await unexplained(db)) == {"USD": Decimal("200.00")}


async def test_work_that_waits_is_late_and_not_unexplained(worked: Pool) -> None:
    async with transaction(worked) as db:
        await take(db, [entry(4), entry(5, engagement_id="DEA-9")], (), source="time")
    assert await open_amounts(worked) == []


async def test_a_break_keeps_its_age_is_attested_and_heals(worked: Pool) -> None:
    only = [matches.TIME_TO_LEDGER]
    await damage(worked, "UPDATE billable_item SET quantity = 3 WHERE id = 'BIL-2-1'")
    async with transaction(worked) as db:
        await reconcile(db, LATER, only)
        await reconcile(db, LATER + timedelta(days=1), only)
        (found,) = await breaks(db)
        assert (found.key, found.ours, found.theirs, found.difference) == ("WRK-2", 3, 4, -1)
        assert found.first_seen == LATER
        assert await attest(db, found.match, found.key, Decimal(-1), by="fatima", text="known")
        await reconcile(db, LATER + timedelta(days=2), only)
        assert (await breaks(db))[0].attested_by == "fatima"
    await damage(worked, "UPDATE billable_item SET quantity = 2 WHERE id = 'BIL-2-1'")
    async with transaction(worked) as db:
        await reconcile(db, LATER + timedelta(days=3), only)
        assert (await breaks(db))[0].attested_by is None
    await damage(worked, "UPDATE billable_item SET quantity = 4 WHERE id = 'BIL-2-1'")
    async with transaction(worked) as db:
        assert (await reconcile(db, LATER, only))[0].agrees
        assert await breaks(db) == []


async def test_a_match_that_is_blind_says_so(worked: Pool) -> None:
    """A tolerance that takes everything for equal sees no canary either."""
    blind = replace(matches.TIME_TO_LEDGER, tolerance=Decimal("Infinity"))
    async with transaction(worked) as db:
        (found,) = await reconcile(db, LATER, [blind])
    assert (found.breaks, found.sees, found.agrees) == (0, False, False)


async def test_what_changed_a_moment_ago_is_no_break_yet_and_at_rest_all_counts(worked: Pool) -> None:
    """The invoice is known and its work is not in the ledger: a break, once its minute to settle is over."""
    at = datetime.now(UTC)
    async with transaction(worked) as db:
        await kept_invoice(db, at)
        (found,) = await reconcile(db, at + timedelta(seconds=30), [matches.LEDGER_TO_BILLING])
        assert (found.ours, found.theirs, found.breaks, found.sees) == (0, 0, 0, True)
        (found,) = await reconcile(db, at, [matches.LEDGER_TO_BILLING], at_rest=True)
        assert (found.theirs, found.breaks) == (1, 1)
        (found,) = await reconcile(db, at + timedelta(seconds=61), [matches.LEDGER_TO_BILLING])
        assert (found.theirs, found.breaks) == (1, 1)


async def test_a_late_side_makes_no_break_of_the_other(worked: Pool) -> None:
    """A record told anew is in the ledger with both of its revisions a moment later: neither run calls it a break."""
    at = datetime.now(UTC)
    await damage(worked, "UPDATE work_entry SET recorded_at = recorded_at - interval '1 hour'")
    await damage(worked, "UPDATE billable_item SET recorded_at = recorded_at - interval '1 hour', quantity = 3")
    async with transaction(worked) as db:
        (found,) = await reconcile(db, at, [matches.TIME_TO_LEDGER])
    assert found.breaks == 2
    await damage(worked, "UPDATE billable_item SET recorded_at = clock_timestamp() WHERE id = 'BIL-2-1'")
    async with transaction(worked) as db:
        (found,) = await reconcile(db, at, [matches.TIME_TO_LEDGER])
        assert [each.key for each in await breaks(db)] == ["WRK-3"]
    assert found.breaks == 1


@pytest.mark.parametrize(
    ("moves", "broken"),
    [
        (("billed", "collected"), 0),
        (("billed", "collected", "disputed"), 0),
        (("billed", "collected", "disputed", "collected"), 0),
        (("billed", "disputed", "collected"), 0),  # paid while it was disputed
        (("billed",), 1),  # paid, and the ledger has no cash
    ],
)
async def test_cash_is_followed_through_disputes(worked: Pool, moves: tuple[str, ...], broken: int) -> None:
    at = datetime.now(UTC)
    async with transaction(worked) as db:
        await kept_invoice(db, at, paid="1600.00")
        await db.execute("UPDATE item_part SET disposition = 'draft', document = 'INV-1', line = 1, entry = 'd'")
        for disposition in moves:
            await db.execute("UPDATE item_part SET disposition = %s, entry = entry || %s", (disposition, disposition))
        found = await reconcile(db, at, [matches.LEDGER_TO_BILLING, matches.LEDGER_TO_CASH], at_rest=True)
    assert [each.breaks for each in found] == [0, broken]
    assert found[0].matched == 1


async def test_the_matches_are_run_once_a_day_by_whoever_looks_first(worked: Pool) -> None:
    async with transaction(worked) as db:
        assert await reconcile_if_due(db, LATER) is not None
        async with transaction(worked) as other:
            assert await reconcile_if_due(other, LATER) is None, "another is at it"
    for after, runs in ((timedelta(hours=23), False), (timedelta(hours=25), True)):
        async with transaction(worked) as db:
            found = await reconcile_if_due(db, LATER + after)
        assert (found is not None) == runs
