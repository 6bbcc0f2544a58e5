"""Tells open pages that something happened: one look at the event log a second for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import re
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
# What was recorded by transactions that were not all over at `after`, which engagements it touched, and how many cases
# and waiting writes there are. A transaction that commits late has an old number: reading on from the newest misses it.
SINCE = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text, array_agg(f.seq), array_agg(f.correlation),
       (SELECT count(*) FROM business_case WHERE state = 'open'), (SELECT count(*) FROM waiting_effect)
FROM (SELECT seq, correlation FROM event WHERE xid >= %(after)s::xid8 ORDER BY xid DESC, seq DESC LIMIT 5000) f
"""
PLACE = re.compile(r"\d{1,19}")


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

    async def stream(self, after: str) -> AsyncIterator[bytes]:
        """Server-sent events for one page, until the server stops: `change` with the engagements touched, at once when
        there was anything since `after`, the place in the log at which the page was read."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=100)
        self._listeners.add(queue)
        quiet = 0.0
        try:
            yield b"retry: 3000\n: connected\n\n"
            place, fresh, _ = await self._since(after if PLACE.fullmatch(after) else "0", set())
            if fresh:
                yield _change(place, set(fresh.values()))
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(place, set(fresh)))
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

    async def _since(self, after: str, seen: set[int]) -> tuple[str, dict[int, str | None], Any]:
        """The new place, the facts not seen yet with their engagements, and the counts."""
        async with self._pool.connection() as db:
            row = await (await db.execute(SINCE, {"after": after})).fetchone()
        assert row is not None
        found = dict(zip(row[1] or (), row[2] or (), strict=True))
        return row[0], {seq: about for seq, about in found.items() if seq not in seen}, row[3:]

    async def _look(self, place: str, seen: set[int]) -> None:
        before: Any = None
        older: set[int] = set()
        while self._listeners and not self._stopping():
            try:
                moved, fresh, counts = await self._since(place, seen)
            except psycopg.Error as error:
                log.warning("the live feed could not look", reason=type(error).__name__)
            else:
                if fresh or counts != (before or counts):
                    self._tell(_change(moved, set(fresh.values())))
                before = counts
                # What was seen may be seen again from the new place; what lies two places back cannot.
                seen, older = (seen | set(fresh), older) if moved == place else (set(fresh) | (seen - older), seen)
                place = moved
            await asyncio.sleep(LOOK_SECONDS)

    def _tell(self, message: bytes) -> None:
        for queue in self._listeners:
            # A page that does not keep up needs only to know that there is more.
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(message)


def _change(place: str, engagements: set[str | None]) -> bytes:
    data = orjson.dumps({"engagements": sorted(each for each in engagements if each is not None)}).decode()
    return f"id: {place}\nevent: change\ndata: {data}\n\n".encode()
