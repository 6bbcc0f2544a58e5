"""Tells open pages that something happened: one look at the event log a second for all of them, however many there are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import psycopg
import structlog

from accord.db.pool import Pool

log = structlog.get_logger()

LOOK_SECONDS = 1.0
QUIET_SECONDS = 15.0  # a comment this often keeps proxies from cutting a quiet stream
MOST_STREAMS = 500
LAST = "SELECT xid::text, seq FROM event ORDER BY xid DESC, seq DESC LIMIT 1"
# Where the log ends, which engagements were touched since, and how many cases are open: enough to know what to read anew.
SINCE = """
WITH fresh AS (
    SELECT xid, seq, correlation FROM event WHERE (xid, seq) > (%(xid)s::xid8, %(seq)s) ORDER BY xid, seq LIMIT 2000
)
SELECT (SELECT xid::text FROM fresh ORDER BY xid DESC, seq DESC LIMIT 1),
       (SELECT seq FROM fresh ORDER BY xid DESC, seq DESC LIMIT 1),
       (SELECT array_agg(DISTINCT correlation) FILTER (WHERE correlation IS NOT NULL) FROM fresh),
       (SELECT count(*) FROM business_case WHERE state = 'open'), (SELECT count(*) FROM waiting_effect)
"""


class Feed:
    """The stream behind `/events`. Looks only while somebody listens."""

    def __init__(self, pool: Pool, stopping: Callable[[], bool]) -> None:
        self._pool = pool
        self._stopping = stopping
        self._listeners: set[asyncio.Queue[bytes]] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        return len(self._listeners) >= MOST_STREAMS

    async def stream(self) -> AsyncIterator[bytes]:
        """Server-sent events for one page: `change` with the engagements touched, until the server stops."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=100)
        self._listeners.add(queue)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        quiet = 0.0
        try:
            yield b"retry: 3000\n: connected\n\n"
            while not self._stopping():
                try:
                    yield await asyncio.wait_for(queue.get(), LOOK_SECONDS)
                    quiet = 0.0
                except TimeoutError:
                    quiet += LOOK_SECONDS
                    if quiet >= QUIET_SECONDS:
                        quiet = 0.0
                        yield b": still here\n\n"
        finally:
            self._listeners.discard(queue)

    async def _look(self) -> None:
        place: tuple[str, int] | None = None
        counts: Any = None
        while self._listeners and not self._stopping():
            try:
                async with self._pool.connection() as db:
                    if place is None:
                        row = await (await db.execute(LAST)).fetchone()
                        place = (row[0], row[1]) if row else ("0", 0)
                    found = await (await db.execute(SINCE, {"xid": place[0], "seq": place[1]})).fetchone()
            except psycopg.Error as error:
                log.warning("the live feed could not look", reason=type(error).__name__)
                found = None
            if found is not None:
                if counts is not None and (found[0] is not None or found[3:] != counts):
                    self._tell(found[2] or [])
                counts = found[3:]
                if found[0] is not None:
                    place = (found[0], found[1])
            await asyncio.sleep(LOOK_SECONDS)

    def _tell(self, engagements: list[str]) -> None:
        data = orjson.dumps({"engagements": engagements}).decode()
        for queue in self._listeners:
            # A page that does not keep up needs only to know that there is more.
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(f"event: change\ndata: {data}\n\n".encode())
