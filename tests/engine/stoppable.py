"""A worker process that a test can kill or stop, with a vendor whose memory is a table."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from accord.db import documents
from accord.engine import lease
from accord.engine.lease import Lease
from accord.engine.outcomes import Absent, Committed, Outcome, Transient, Write
from accord.engine.story import process
from accord.engine.worker import Pace, Worker
from accord.model.events import Fact
from tests.engine.scripted import Known, Scripted, put

SCHEMA = "CREATE SCHEMA world; CREATE TABLE world.written (n bigint GENERATED ALWAYS AS IDENTITY, key text)"


@process(starts_on="test.began")
async def many_things(began: Fact) -> str:
    """Five things, one after the other."""
    for n in range(5):
        await put(f"{began.subject}-{n}")
    return "five"


class Remembering(Scripted):
    """Takes a moment, and would do a write twice if it were sent twice. Before send number `stop_at` it stops its own
    process: between the decision to send and the last look, where a stop is worst."""

    def __init__(self, url: str, may_send: Callable[[], bool], stop_at: int | None) -> None:
        super().__init__(parallel=4, batch=1)
        self.may_send = may_send
        self._left = stop_at
        self._db = psycopg.connect(url, autocommit=True)

    async def send(self, connection: str, kind: str, verb: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        await asyncio.sleep(0.005)
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
        # As the connector kit's session does: a last look just before the first byte.
        if not self.may_send():
            return [Transient("the lease ran out", outage=True)]
        self._db.execute("INSERT INTO world.written (key) VALUES (%s)", [writes[0].key])
        await asyncio.sleep(0.005)
        return [Committed(f"V-{writes[0].canonical_id}")]

    async def probe(self, connection: str, kind: str, verb: str, write: Write) -> Outcome:
        found = self._db.execute("SELECT 1 FROM world.written WHERE key = %s", [write.key]).fetchone()
        return Absent() if found is None else Committed(f"V-{write.canonical_id}")


def work(url: str, stop_at: int | None = None) -> None:
    """Run a worker, with the watch over the others, until killed or fenced."""
    asyncio.run(_work(url, stop_at))


async def _work(url: str, stop_at: int | None) -> None:
    async def connect() -> Any:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        documents.adopt(connection)
        return connection

    async with await connect() as db:
        held = await Lease.register(db, url)
    pace = Pace(claim=10, in_memory=20, poll_seconds=0.05, timers_seconds=0.02)
    vendors = Remembering(url, held.holds, stop_at)
    worker = Worker(connect, {"many_things": many_things}, vendors, Known(), lease=held, pace=pace)
    watching = asyncio.create_task(lease.watch(connect, lambda: False))
    try:
        await worker.run()
    except (lease.Fenced, psycopg.errors.ObjectNotInPrerequisiteState, psycopg.OperationalError):
        watching.cancel()
    finally:
        held.end()
