"""What a worker process leaves behind when its database goes away under it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import psycopg
import pytest

from accord.app import Outside, WorkerProcess


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
