"""What is unexplained is found from the sources, and two sides that differ are a break with its age."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accord.db.pool import Pool, transaction
from accord.ledger.rating import rate_waiting
from accord.ledger.terms import declare
from accord.ledger.work import take
from accord.model.money import Money
from accord.model.terms import BillingTerms, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.reconcile import matches
from accord.reconcile.running import attest, breaks, reconcile
from accord.reconcile.unexplained import by_currency, unexplained

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
