"""Edge case 19, its calendars: clock skew; DST; fiscal calendars 4-4-5. Periods of weeks close and take late work."""

from __future__ import annotations

from datetime import UTC, date, datetime

from accord.db.pool import Pool, transaction
from accord.reconcile import closing, late
from accord.reconcile.calendar import LateWork, declare_calendar
from accord.reconcile.late import decide_late
from accord.rules.periods import weeks_445
from tests.ledger.worked import agree, entry, lies, work

NOW = datetime.now(UTC)
# Four weeks to 1 November, four to the 29th, five to 3 January.
QUARTER = weeks_445(date(2026, 10, 5), "Q4")[:3]


async def test_a_day_belongs_to_its_week_and_not_to_its_month(pool: Pool) -> None:
    """Saturday the 31st of October is in the first period with Sunday the 1st of November; the 30th in the third."""
    await agree(pool)
    async with transaction(pool) as db:
        await declare_calendar(db, "US", QUARTER, LateWork.NEXT_PERIOD, by="fatima")
        for period in ("Q4-P01", "Q4-P02"):
            await db.execute(
                "INSERT INTO close_consent (legal_entity, period, what, reason, asked_by, asked_at, agreed_by)"
                " VALUES ('US', %s, 'not_reconciled', 'the test has no other systems', 'a', now(), 'b')",
                [period],
            )
            assert closing.stopped_by(await closing.close(db, "US", period, by="fatima", now=NOW)) is None
    days = {
        1: date(2026, 10, 31),
        2: date(2026, 11, 1),
        3: date(2026, 11, 2),
        4: date(2026, 11, 29),
        5: date(2026, 11, 30),
    }
    await work(pool, *(entry(n, worked_on=day) for n, day in days.items()))
    async with transaction(pool) as db:
        await decide_late(db, NOW)
        found = {each.item_id: (each.period, each.booked_in) for each in await late.list_late(db, "US")}
    assert found == {
        "BIL-1-1": ("Q4-P01", "Q4-P03"), "BIL-2-1": ("Q4-P01", "Q4-P03"),
        "BIL-3-1": ("Q4-P02", "Q4-P03"), "BIL-4-1": ("Q4-P02", "Q4-P03"),
    }  # fmt: skip
    assert await lies(pool) == {"wip": "4000.00"}
