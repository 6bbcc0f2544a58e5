"""Edge case 4: entry approved after period close. Three policies, three documented outcomes, never another date."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from accord.db.pool import Pool, transaction
from accord.model.work import WorkStatus
from accord.reconcile import closing, late
from accord.reconcile.calendar import LateWork, declare_calendar
from accord.reconcile.late import Late, decide_late
from accord.rules.periods import months
from tests.ledger.worked import agree, entry, lies, rows, work

NOW = datetime.now(UTC)
LATE_ENTRY = entry(20, status=WorkStatus.SUBMITTED)


async def closed(pool: Pool, policy: LateWork) -> None:
    """November is closed with one entry in the books and one that is told and not approved."""
    await agree(pool)
    async with transaction(pool) as db:
        await declare_calendar(db, "US", months(date(2026, 11, 1), 2), policy, by="fatima")
    await work(pool, entry(2), LATE_ENTRY)
    await close(pool)


async def close(pool: Pool) -> None:
    async with transaction(pool) as db:
        await db.execute(
            "INSERT INTO close_consent (legal_entity, period, what, reason, asked_by, asked_at, agreed_by)"
            " VALUES ('US', '2026-11', 'not_reconciled', 'the test has no other systems', 'a', now(), 'b')"
        )
        assert closing.stopped_by(await closing.close(db, "US", "2026-11", by="fatima", now=NOW)) is None


async def approve_late(pool: Pool) -> Late:
    await work(pool, entry(20))
    async with transaction(pool) as db:
        assert await decide_late(db, NOW) == 1
        assert await decide_late(db, NOW) == 0
        [found] = await late.list_late(db, "US")
    assert (found.item_id, found.period, found.amount) == ("BIL-20-2", "2026-11", Decimal("800.00"))
    assert await rows(pool, "SELECT DISTINCT worked_on FROM item_part WHERE item_id = 'BIL-20-2'") == [
        (date(2026, 11, 20),)
    ]
    assert await lies(pool) == {"wip": "1600.00"}
    return found


async def test_next_period(pool: Pool) -> None:
    await closed(pool, LateWork.NEXT_PERIOD)
    found = await approve_late(pool)
    assert (found.outcome, found.booked_in, found.accrued) == ("booked in 2026-12", "2026-12", None)
    [(detail,)] = await rows(pool, "SELECT detail FROM audit_entry WHERE action = 'late work decided'")
    assert detail == {"policy": "next_period", "items": 1, "amount": "800.00", "currency": "USD"}


async def test_accrue_and_reverse(pool: Pool) -> None:
    await closed(pool, LateWork.ACCRUE_AND_REVERSE)
    assert await rows(pool, "SELECT period, entry_id, amount, reversed_in FROM period_accrual") == [
        ("2026-11", "WRK-20", Decimal("800.00"), "2026-12")
    ]
    found = await approve_late(pool)
    assert found.outcome == "accrued in 2026-11, reversed and booked in 2026-12"
    assert (found.booked_in, found.accrued) == ("2026-12", Decimal("800.00"))


async def test_accrue_and_reverse_says_what_nobody_knew_of(pool: Pool) -> None:
    await closed(pool, LateWork.ACCRUE_AND_REVERSE)
    await work(pool, entry(21))
    async with transaction(pool) as db:
        await decide_late(db, NOW)
        [found] = await late.list_late(db, "US")
    assert found.outcome == "not known when 2026-11 was closed: booked in 2026-12"
    assert found.accrued is None


async def test_reopen_is_asked_for_and_done_by_two(pool: Pool) -> None:
    await closed(pool, LateWork.REOPEN)
    found = await approve_late(pool)
    assert (found.outcome, found.booked_in) == ("asked to reopen 2026-11", None)
    cases = "SELECT subject, owner, amount, currency, state FROM business_case WHERE reason = 'late_work'"
    assert await rows(pool, cases) == [
        ("late work of 2026-11 in US in USD", "finance", Decimal("800.00"), "USD", "open")
    ]
    async with transaction(pool) as db:
        await closing.reopen(db, "US", "2026-11", reason="a timesheet came late", by="fatima", now=NOW)
    async with transaction(pool) as db:
        await closing.agree(db, "US", "2026-11", "reopen", by="carla", now=NOW)
        [found] = await late.list_late(db, "US")
    assert (found.outcome, found.booked_in) == ("period 2026-11 was opened again, booked in it", "2026-11")
    assert [row[4] for row in await rows(pool, cases)] == ["resolved"]
    await close(pool)
    async with transaction(pool) as db:
        assert await decide_late(db, NOW) == 0


@pytest.mark.parametrize("policy", list(LateWork))
async def test_a_correction_of_closed_work_is_late_too(pool: Pool, policy: LateWork) -> None:
    await closed(pool, policy)
    await work(pool, entry(2, status=WorkStatus.RECALLED))
    async with transaction(pool) as db:
        await decide_late(db, NOW)
        [found] = await late.list_late(db, "US")
    assert (found.item_id, found.amount, found.period) == ("BIL-2-1-R", Decimal("-800.00"), "2026-11")
    assert await lies(pool) == {}
