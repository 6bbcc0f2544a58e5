"""What a worker process leaves behind when its database goes away under it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from accord import app, worker_process
from accord.app import Outside, open_house
from accord.db.pool import DatabaseUnreachable
from accord.settings import Settings
from accord.worker_process import WorkerProcess


class GoneAfterFirst:
    """A pool whose database answers once."""

    asked = 0

    @asynccontextmanager
    async def connection(self):
        self.asked += 1
        if self.asked > 1:
            raise psycopg.OperationalError("the database is gone")
        yield None


async def test_the_heart_stops_when_the_database_goes_away() -> None:
    """A heart that beat on for a worker that gave up would keep its work from everybody, for ever."""
    hearts: list[str] = []

    class OneHeart(Outside):
        async def register(self, db):
            return SimpleNamespace(worker_id=7, holds=lambda: True, end=lambda: hearts.append("stopped"))

    house = SimpleNamespace(pool=GoneAfterFirst())
    with pytest.raises(psycopg.OperationalError):
        await WorkerProcess(house, outside=OneHeart(house))._live()
    assert hearts == ["stopped"]


async def test_a_database_that_does_not_answer_does_not_keep_a_worker_from_its_next_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says good-bye for a moment only, and the reason it ended for is still what is raised."""
    monkeypatch.setattr(worker_process, "LAST_WORDS_SECONDS", 0.05)

    class SilentAfterFirst(GoneAfterFirst):
        @asynccontextmanager
        async def connection(self):
            self.asked += 1
            if self.asked == 2:
                raise psycopg.OperationalError("the database is gone")
            if self.asked > 2:
                await asyncio.sleep(30)
            yield None

    class OneHeart(Outside):
        async def register(self, db):
            return SimpleNamespace(worker_id=7, holds=lambda: True, end=lambda: None)

    house = SimpleNamespace(pool=SilentAfterFirst())
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="is gone"):
        await WorkerProcess(house, outside=OneHeart(house))._live()
    assert time.monotonic() - began < 5


async def test_a_process_that_starts_during_a_restart_waits_for_its_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as it was told to; a command that a person typed says at once that nobody answers."""
    refused = []

    def upgrade(url: str) -> None:
        refused.append(url)
        if len(refused) < 3:
            raise DatabaseUnreachable("The database does not answer: the database system is starting up.")

    monkeypatch.setattr(app, "upgrade", upgrade)
    settings = Settings(home=tmp_path, database_url=database_url)
    with pytest.raises(DatabaseUnreachable):
        async with open_house(settings):
            pytest.fail("nobody answered")
    async with open_house(settings, patience=30) as house, house.pool.connection() as db:
        await db.execute("SELECT 1")
    assert len(refused) == 3
