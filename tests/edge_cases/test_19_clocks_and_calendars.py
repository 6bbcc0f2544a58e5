"""Edge case 19: clock skew; DST; fiscal calendars 4-4-5."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from accord.db.pool import Pool, transaction
from accord.model.work import WorkEntry
from accord.reconcile.calendar import LateWork, declare_calendar
from accord.rules.periods import weeks_445
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play
from tests.ledger.worked import agree, entry, lies, rows, work

EVENTS = "SELECT recorded_at FROM event ORDER BY seq"


# A machine's clock may be off by more: processes live by the database's time (tests/db/test_clock.py). What is left of
# it are minutes, beyond which vendors rightly refuse what is signed.
@pytest.mark.parametrize("minutes", [-2, 2])
def test_a_worker_whose_clock_is_off_writes_history_in_order_and_everything_once(place: Database, minutes: int) -> None:
    async def script(scene: Scene) -> None:
        scene.platform.workers[1].skew = timedelta(minutes=minutes)
        (invoice,) = await scene.invoiced("1000.00")
        scene.pays(invoice)
        await scene.rest()
        times = [row[0] for row in scene.server.ask(EVENTS)]
        assert times == sorted(times)
        assert times[-1] <= scene.at
        assert await scene.lies() == {"collected": "1000.00"}
        await scene.agrees()

    play(place, script)


def _approved(n: int, day: date, at: str) -> WorkEntry:
    return entry(n, worked_on=day, approved_at=at)


async def test_the_hour_that_comes_twice_is_two_moments_and_the_day_of_work_stays(pool: Pool) -> None:
    """2026-10-25 02:30 is twice in Berlin; in New York it is still the 24th when the first of them was approved."""
    first, second = "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"
    evening = "2026-10-24T20:15:00-04:00"
    await agree(pool)
    day = date(2026, 10, 24)
    await work(pool, _approved(2, day, first), _approved(3, day, second), _approved(4, day, evening))
    found = await rows(pool, "SELECT source_id, approved_at, worked_on FROM billable_item ORDER BY approved_at")
    assert [(id, at.astimezone(UTC)) for id, at, _ in found] == [
        ("WRK-4", datetime(2026, 10, 25, 0, 15, tzinfo=UTC)),
        ("WRK-2", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("WRK-3", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ]
    assert {worked for _, _, worked in found} == {day}
    # The same moment told in another zone is no change.
    await work(pool, _approved(2, day, "2026-10-25T00:30:00+00:00"))
    assert await rows(pool, "SELECT max(revision) FROM work_entry") == [(1,)]
    assert await lies(pool) == {"wip": "2400.00"}


async def test_periods_of_four_four_and_five_weeks_have_every_day_once(pool: Pool) -> None:
    """A year of 53 weeks, with both changes of the clock in it: days are days, not 24 hours."""
    year = weeks_445(date(2026, 2, 1), "FY26", long_year=True)
    assert [each.days for each in year] == [28, 28, 35, 28, 28, 35, 28, 28, 35, 28, 28, 42]
    days = [year[0].starts_on + timedelta(days=n) for n in range(371)]
    assert all(sum(day in each for each in year) == 1 for day in days)
    async with transaction(pool) as db:
        assert await declare_calendar(db, "US", year, LateWork.NEXT_PERIOD, by="fatima") == 12
    found = await rows(
        pool, "SELECT period FROM accounting_period WHERE '2026-11-01' BETWEEN starts_on AND ends_on ORDER BY 1"
    )
    assert found == [("FY26-P10",)]
    assert Decimal(sum(each.days for each in year)) / 7 == 53
