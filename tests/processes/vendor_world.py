"""A vendor that outlives its callers, in tables of the test's database, and a worker that dies on the spot.

`work` is the whole of a worker process. It kills itself by SIGKILL just before or after a write reached the vendor.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from accord.db import documents
from accord.engine import lease, router
from accord.engine.lease import Lease
from accord.engine.outcomes import Absent, Committed, Outcome, Write
from accord.engine.worker import Pace, Worker
from accord.ledger import postings
from accord.processes import PROCESSES
from accord.records.knowledge import Records

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SCHEMA = """
CREATE SCHEMA world;
CREATE TABLE world.written (n bigint GENERATED ALWAYS AS IDENTITY, connection text, key text, kind text, verb text,
    canonical_id text, body jsonb, vendor_id text, vendor_ids jsonb);
CREATE TABLE world.died (point text PRIMARY KEY);
"""


class World:
    """The engine's `Vendors`, one write a call. It would do a write twice if it were sent twice: that must show."""

    def __init__(self, url: str, die_at: int | None) -> None:
        self._db = psycopg.connect(url, autocommit=True)
        self._die_at = die_at
        self._points = 0

    def connection_for(self, role: str, legal_entity: str, on: date) -> str:
        return role

    def batch_size(self, connection: str, kind: str, verb: str) -> int:
        return 1

    def grace_seconds(self, connection: str, kind: str, verb: str) -> float:
        return 0.05

    def parallel(self, connection: str) -> int:
        return 1

    async def send(self, connection: str, kind: str, verb: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        (write,) = writes
        self._maybe_die(f"before {write.key}")
        row = [connection, write.key, kind, verb, write.canonical_id, Jsonb(dict(write.body))]
        vendor_id = write.vendor_id or f"{connection} {kind} {write.canonical_id}"
        self._db.execute(
            "INSERT INTO world.written (connection, key, kind, verb, canonical_id, body, vendor_id, vendor_ids)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [*row, vendor_id, Jsonb(dict(write.vendor_ids))],
        )
        self._maybe_die(f"after {write.key}")
        return [self._answer(vendor_id, kind, verb, write)]

    async def probe(self, connection: str, kind: str, verb: str, write: Write) -> Outcome:
        found = self._db.execute("SELECT vendor_id FROM world.written WHERE key = %s", [write.key]).fetchone()
        return Absent() if found is None else self._answer(found[0], kind, verb, write)

    def _answer(self, vendor_id: str, kind: str, verb: str, write: Write) -> Committed:
        if (kind, verb) != ("invoice", "issue"):
            return Committed(vendor_id)
        issued = {"number": f"N-{write.canonical_id}", "issued_on": "2026-11-23", "due_on": "2026-12-23"}
        return Committed(vendor_id, {**issued, "gross": write.body["gross"]})

    def _maybe_die(self, point: str) -> None:
        if self._die_at is None or self._db.execute("SELECT 1 FROM world.died WHERE point = %s", [point]).fetchone():
            return
        self._points += 1
        if self._points == self._die_at:
            self._db.execute("INSERT INTO world.died VALUES (%s)", [point])
            os.kill(os.getpid(), signal.SIGKILL)


def work(url: str, die_at: int | None, *, take_over: bool) -> None:
    """Run a worker and a router until SIGTERM. `die_at` is the how-many-th point, not died at before, to die at."""
    asyncio.run(_work(url, die_at, take_over=take_over))


async def _work(url: str, die_at: int | None, *, take_over: bool) -> None:
    async def connect() -> Any:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        documents.adopt(connection)
        return connection

    async with await connect() as db:
        held = await Lease.register(db, url)
        pace = Pace(poll_seconds=0.05, timers_seconds=0.02)
        knowledge = Records(postings.write)
        worker = Worker(connect, PROCESSES, World(url, die_at), knowledge, lease=held, pace=pace, now=lambda: NOON)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        routing = asyncio.create_task(_route(db))
        watching = asyncio.create_task(lease.watch(connect, lambda: not take_over))
        await worker.run()
        routing.cancel()
        watching.cancel()
        await asyncio.gather(routing, watching, return_exceptions=True)
        held.end()
    async with await connect() as db:
        await lease.leave(db, held.worker_id)


async def _route(db: Any) -> None:
    while True:
        if not await router.route(db, PROCESSES):
            await asyncio.sleep(0.02)
