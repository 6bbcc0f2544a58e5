"""Whatever this machine's clock shows, the time is the database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from accord.app import open_house
from accord.db.clock import DatabaseClock
from accord.db.pool import Pool
from accord.settings import Settings

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Slow:
    """A database that answers after `seconds` of the given monotonic clock."""

    def __init__(self, clock: list[float], seconds: float, answer: datetime) -> None:
        self._clock, self._seconds, self._answer = clock, seconds, answer

    async def execute(self, _: str) -> Any:
        self._clock[0] += self._seconds

        async def fetchone() -> tuple[datetime]:
            return (self._answer,)

        return SimpleNamespace(fetchone=fetchone)


async def test_a_clock_that_is_off_is_set_by_the_database_and_says_so_once(pool: Pool) -> None:
    clock = DatabaseClock(own=lambda: datetime.now(UTC) + timedelta(minutes=10))
    with capture_logs() as said:
        async with pool.connection() as db:
            await clock.set(db)
            await clock.set(db)
            row = await (await db.execute("SELECT clock_timestamp()")).fetchone()
    assert row is not None
    assert abs(clock() - row[0]) < timedelta(seconds=1)
    assert [each["seconds"] for each in said] == [600]


async def test_it_goes_on_by_the_monotonic_clock() -> None:
    moments = [100.0]
    clock = DatabaseClock(monotonic=lambda: moments[0], own=lambda: NOON)
    database: Any = Slow(moments, 0.2, NOON + timedelta(hours=1))
    await clock.set(database)
    moments[0] += 60
    assert clock() == NOON + timedelta(hours=1, seconds=60.1)


async def test_an_answer_that_was_long_on_its_way_changes_nothing() -> None:
    """But the first is taken, however slow: there is nothing better."""
    moments = [100.0]
    clock = DatabaseClock(monotonic=lambda: moments[0], own=lambda: NOON)
    late: Any = Slow(moments, 30, NOON + timedelta(hours=1))
    await clock.set(late)
    first = clock()
    assert first == NOON + timedelta(hours=1, seconds=15)
    later: Any = Slow(moments, 30, NOON + timedelta(hours=5))
    await clock.set(later)
    assert clock() == first + timedelta(seconds=30)


async def test_a_house_lives_by_the_databases_time(database_url: str, tmp_path: Path) -> None:
    async with open_house(Settings(home=tmp_path, database_url=database_url)) as house:
        assert isinstance(house.now, DatabaseClock)
        async with house.pool.connection() as db:
            row = await (await db.execute("SELECT clock_timestamp()")).fetchone()
        assert row is not None
        assert abs(house.now() - row[0]) < timedelta(seconds=1)
