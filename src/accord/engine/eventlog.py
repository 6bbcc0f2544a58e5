"""The event log: facts in one order for everybody, durable cursors, and blocks sealed into a hash chain.

Order is (transaction, sequence). A consumer reads only below the oldest transaction still running, so a fact that
commits late can never appear behind a cursor. After a dump is restored into another cluster, transaction numbers start
anew: `accord doctor` says so and `restart_order` lifts the new cluster's numbers above the old.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from accord.engine import statements
from accord.engine.shell import Connection

READ_AFTER = """
SELECT e.xid::text, e.seq, e.type, e.subject, e.schema_version, e.occurred_at, e.actor, e.correlation, e.causation,
    e.payload
FROM event e
WHERE (e.xid, e.seq) > (%(xid)s::xid8, %(seq)s) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.xid, e.seq LIMIT %(limit)s
"""
TAKE_CURSOR = "SELECT xid::text, seq FROM event_cursor WHERE consumer = %(consumer)s FOR UPDATE SKIP LOCKED"
NEW_CURSOR = "INSERT INTO event_cursor (consumer) VALUES (%(consumer)s) ON CONFLICT DO NOTHING"
MOVE_CURSOR = """
UPDATE event_cursor SET xid = %(xid)s::xid8, seq = %(seq)s, moved_at = now() WHERE consumer = %(consumer)s
"""
LAST_BLOCK = "SELECT number, to_xid::text, digest FROM event_block ORDER BY number DESC LIMIT 1"
FINAL_BELOW = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
EVENTS_BETWEEN = """
SELECT e.seq, e.type, e.subject, e.schema_version, e.occurred_at, e.actor, e.correlation, e.causation, e.payload
FROM event e WHERE e.xid >= %(from_xid)s::xid8 AND e.xid < %(to_xid)s::xid8 ORDER BY e.xid, e.seq
"""
WRITE_BLOCK = """
INSERT INTO event_block (number, from_xid, to_xid, events, previous, digest)
VALUES (%(number)s, %(from_xid)s::xid8, %(to_xid)s::xid8, %(events)s, %(previous)s, %(digest)s)
"""
GENESIS = b"\0" * 32


@dataclass(frozen=True, slots=True)
class Logged:
    """One fact as the log holds it, with its place (`xid`, `seq`)."""

    xid: str
    seq: int
    type: str
    subject: str
    schema_version: int
    occurred_at: Any
    actor: str
    correlation: str | None
    causation: str | None
    payload: dict[str, Any]


async def append(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Append facts (rows of `turning.fact_row`) inside the caller's transaction."""
    if rows:
        await connection.execute(statements.APPEND_FACTS, statements.FACTS.of(rows), prepare=True)


async def read_on(connection: Connection, consumer: str, limit: int = 2000) -> list[Logged]:
    """The next facts of a durable consumer, in order; empty when another process holds its cursor. Inside the caller's
    transaction, which should then `move` the cursor."""
    cursor = await connection.execute(TAKE_CURSOR, {"consumer": consumer}, prepare=True)
    place = await cursor.fetchone()
    if place is None:
        await connection.execute(NEW_CURSOR, {"consumer": consumer})
        cursor = await connection.execute(TAKE_CURSOR, {"consumer": consumer}, prepare=True)
        place = await cursor.fetchone()
    if place is None:
        return []
    cursor = await connection.execute(READ_AFTER, {"xid": place[0], "seq": place[1], "limit": limit}, prepare=True)
    return [Logged(*row) for row in await cursor.fetchall()]


async def move(connection: Connection, consumer: str, last: Logged) -> None:
    """Remember that a consumer has dealt with everything up to `last`."""
    await connection.execute(MOVE_CURSOR, {"consumer": consumer, "xid": last.xid, "seq": last.seq}, prepare=True)


async def seal(connection: Connection) -> int:
    """Seal every final fact that no block holds yet into one more block; how many. Inside the caller's transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('accord seal'))")
    cursor = await connection.execute(LAST_BLOCK)
    last = await cursor.fetchone()
    number, from_xid, previous = (last[0] + 1, last[1], bytes(last[2])) if last else (1, "0", GENESIS)
    cursor = await connection.execute(FINAL_BELOW)
    row = await cursor.fetchone()
    to_xid = row[0] if row else from_xid
    digest, events = await _digest(connection, number, from_xid, to_xid, previous)
    if events:
        block = {"number": number, "from_xid": from_xid, "to_xid": to_xid, "events": events}
        await connection.execute(WRITE_BLOCK, {**block, "previous": previous, "digest": digest})
    return events


@dataclass(frozen=True, slots=True)
class Broken:
    """A block that does not hold: its number and why."""

    block: int
    why: str


async def verify(connection: Connection) -> list[Broken]:
    """Recompute every block of the chain; the blocks that do not hold. Empty means that nothing was altered."""
    cursor = await connection.execute(
        "SELECT number, from_xid::text, to_xid::text, events, previous, digest FROM event_block ORDER BY number"
    )
    broken = []
    expected = GENESIS
    for number, from_xid, to_xid, events, previous, digest in await cursor.fetchall():
        if bytes(previous) != expected:
            broken.append(Broken(number, "does not follow the block before it"))
        found, count = await _digest(connection, number, from_xid, to_xid, bytes(previous))
        if count != events:
            broken.append(Broken(number, f"holds {count} facts, sealed with {events}"))
        elif found != bytes(digest):
            broken.append(Broken(number, "a fact in it was altered"))
        expected = bytes(digest)
    return broken


async def _digest(
    connection: Connection, number: int, from_xid: str, to_xid: str, previous: bytes
) -> tuple[bytes, int]:
    chain = hashlib.sha256(previous + number.to_bytes(8, "big"))
    events = 0
    async for row in _between(connection, from_xid, to_xid):
        chain.update(json.dumps(row, default=str, sort_keys=True, separators=(",", ":")).encode())
        events += 1
    return chain.digest(), events


async def _between(connection: Connection, from_xid: str, to_xid: str) -> AsyncIterator[list[Any]]:
    """Stream, so that a large block is never in memory."""
    async with connection.cursor(name="sealing") as cursor:
        cursor.itersize = 5000
        await cursor.execute(EVENTS_BETWEEN, {"from_xid": from_xid, "to_xid": to_xid})
        async for row in cursor:
            values = list(row)
            values[4] = values[4].isoformat()
            yield values
