"""A worker's lease on its work: a heartbeat from a thread of its own, a deadline it knows without asking, and the
take-over of workers that fell silent.

Take-over fences first (the fence row is locked by every transaction that writes; one that stands still is ended), and
only then, in a second statement, marks what was being sent as unknown and frees the stories.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Self

import psycopg
import structlog

from accord.engine import statements
from accord.engine.shell import Connection

log = structlog.get_logger()

LEASE_SECONDS = 1.5
BEAT_SECONDS = 0.3
LOOK_SECONDS = 0.25
GRACE_SECONDS = 1.0  # an answer may still be on its way when its worker died: the probe waits


class Fenced(Exception):
    """This worker was silent for longer than its lease and its work was taken over; it ends and is started anew."""


class Lease:
    """The lease of one worker. `holds()` is local and cheap: ask it just before anything leaves the house."""

    def __init__(self, url: str, worker_id: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.worker_id = worker_id
        self._url = url
        self._clock = clock
        self._deadline = clock() + LEASE_SECONDS
        self._ended = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @classmethod
    async def register(cls, connection: Connection, url: str, clock: Callable[[], float] = time.monotonic) -> Self:
        """Enter a new worker and start its heart."""
        async with connection.transaction():
            cursor = await connection.execute("SELECT nextval('identity_block')")
            row = await cursor.fetchone()
            worker_id = int(row[0]) if row else 0
            started = clock()
            about = {"id": worker_id, "host": socket.gethostname(), "pid": os.getpid(), "version": version("accord")}
            await connection.execute(statements.REGISTER_WORKER, about)
        lease = cls(url, worker_id, clock)
        lease._deadline = started + LEASE_SECONDS
        lease._start()
        return lease

    def _start(self) -> None:
        self._thread.start()

    def beaten(self, started: float, rows: int) -> bool:
        """Enter the outcome of one heartbeat that began at `started`; False when the work was taken over."""
        if rows != 1:
            self._lost = True
        else:
            self._deadline = started + LEASE_SECONDS
        return rows == 1

    def holds(self) -> bool:
        return not self._lost and self._clock() < self._deadline

    @property
    def is_lost(self) -> bool:
        """Whether somebody has taken this worker's work over; it never gets it back."""
        return self._lost

    def lost(self) -> None:
        self._lost = True

    def end(self) -> None:
        """Stop the heart; the worker's row is removed by `leave`."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def _beat(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        try:
            while not self._ended.wait(BEAT_SECONDS):
                started = self._clock()
                try:
                    if connection is None or connection.closed:
                        # Nothing prepared: behind a pooler each beat may be another session's.
                        connection = psycopg.connect(
                            self._url, autocommit=True, connect_timeout=2, prepare_threshold=None
                        )
                    if not self.beaten(
                        started, connection.execute(statements.BEAT, {"worker": self.worker_id}).rowcount
                    ):
                        return
                except psycopg.Error as error:
                    log.warning("heartbeat failed", error=type(error).__name__)
                    if connection is not None:
                        connection.close()
        finally:
            if connection is not None:
                connection.close()


async def take_over(connection: Connection, *, lease_seconds: float = LEASE_SECONDS) -> int:
    """Fence every silent worker and free its work; the number of stories freed.

    A transaction that a silent worker left open is ended first: it holds the fence, and a stopped process would hold
    it for ever. What it was writing is rolled back, so that its calls under way become unknown and are probed.
    """
    cursor = await connection.execute(statements.SILENT_WORKERS, {"lease": lease_seconds})
    silent = [row[0] for row in await cursor.fetchall()]
    if not silent:
        return 0
    await connection.execute(statements.END_TRANSACTIONS, {"workers": silent})
    async with connection.transaction():
        cursor = await connection.execute(statements.FENCE_DEAD, {"lease": lease_seconds})
        workers = [row[0] for row in await cursor.fetchall()]
        if not workers:
            return 0
        return await _free(connection, workers)


async def leave(connection: Connection, worker_id: int) -> int:
    """Hand back a worker's work in good order when it ends."""
    async with connection.transaction():
        await connection.execute(statements.FENCE_ONE, {"worker": worker_id})
        return await _free(connection, [worker_id])


async def _free(connection: Connection, workers: list[int]) -> int:
    cursor = await connection.execute(statements.TAKE_OVER, {"workers": workers, "grace": GRACE_SECONDS})
    row = await cursor.fetchone()
    unknown, freed = (row[0], row[1]) if row else (0, 0)
    if unknown or freed:
        await connection.execute("SELECT pg_notify('accord_ready', '')")
        log.warning("work taken over", workers=workers, processes=freed, unknown_effects=unknown)
    return int(freed)


async def watch(connect: Callable[[], Any], stopping: Callable[[], bool], seconds: float = LOOK_SECONDS) -> None:
    """Look for silent workers until told to stop."""
    connection = await connect()
    async with connection:
        while not stopping():
            await take_over(connection)
            await asyncio.sleep(seconds)
