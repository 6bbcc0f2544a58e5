"""The safety net: reads what changed at each vendor from a watermark, page by page, each page in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import structlog

from accord.connect.connector import Watermark
from accord.connect.failures import CallFailed, outcome_of
from accord.connect.observing import NO_TAKERS, Takers, observe
from accord.connect.switchboard import Switchboard
from accord.engine import statements
from accord.engine.casework import case_row
from accord.engine.identities import Identities
from accord.engine.intents import as_json
from accord.engine.outcomes import Committed, Misconfigured, Rejected
from accord.engine.shell import Connection
from accord.model.problem import Problem

log = structlog.get_logger()

# A poll belongs to one worker at a time; a worker that dies gives it back when it is fenced. What it took in the moment
# in which it was fenced, or when it woke up afterwards, belongs to nobody.
TAKE_POLL = """
UPDATE poll SET owner = %(worker)s WHERE (connection, kind) = (
    SELECT p.connection, p.kind FROM poll p JOIN connection c ON c.name = p.connection AND c.state <> 'paused'
    WHERE p.next_at <= clock_timestamp()
      AND (p.owner IS NULL OR NOT EXISTS (SELECT FROM worker_heartbeat h WHERE h.worker_id = p.owner))
    ORDER BY p.next_at LIMIT 1 FOR UPDATE OF p SKIP LOCKED)
RETURNING connection, kind, watermark_at, watermark_id, failures
"""
MOVE_WATERMARK = """
UPDATE poll SET watermark_at = %(at)s, watermark_id = %(id)s, last_seen = last_seen + %(seen)s
WHERE connection = %(connection)s AND kind = %(kind)s AND owner = %(worker)s
"""
GIVE_BACK = """
UPDATE poll SET owner = NULL, last_at = clock_timestamp(), failures = %(failures)s, last_error = %(error)s,
    next_at = clock_timestamp() + make_interval(secs => CASE WHEN %(failures)s = 0 THEN every_seconds
        ELSE least(300, 2 ^ least(%(failures)s, 10)) END)
WHERE connection = %(connection)s AND kind = %(kind)s AND owner = %(worker)s
"""
ENTER_POLLS = """
INSERT INTO poll (connection, kind, every_seconds)
SELECT * FROM unnest(%(connections)s::text[], %(kinds)s::text[], %(every)s::float[])
ON CONFLICT (connection, kind) DO UPDATE SET every_seconds = excluded.every_seconds,
    next_at = least(poll.next_at, clock_timestamp() + make_interval(secs => excluded.every_seconds))
WHERE poll.every_seconds <> excluded.every_seconds
"""


# It reads again, whoever mended it.
SETTLE_CASE = """
UPDATE business_case SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = 'accord',
    resolution = 'it can be read again'
WHERE state = 'open' AND process_id IS NULL AND subject = %(subject)s
"""
UNREADABLE = "cannot_be_read"


class WatermarkWentBack(Exception):
    """A page's watermark lies before the one stored: the connector is wrong, and nothing is skipped."""


@dataclass(frozen=True, slots=True)
class Due:
    """One poll taken by this worker."""

    connection: str
    kind: str
    watermark: Watermark | None
    failures: int


class Polling:
    """Polls whatever is due, until stopped."""

    def __init__(
        self,
        pool: Any,
        switchboard: Switchboard,
        worker_id: int,
        now: Callable[[], datetime],
        *,
        idle_seconds: float = 0.25,
        takers: Takers = NO_TAKERS,
    ) -> None:
        self._pool = pool
        self._switchboard = switchboard
        self._worker = worker_id
        self._now = now
        self._idle = idle_seconds
        self._takers = takers

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            if not await self.once():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), self._idle)

    async def once(self) -> bool:
        """Poll one thing that is due; False when nothing was."""
        async with self._pool.connection() as db:
            cursor = await db.execute(TAKE_POLL, {"worker": self._worker})
            row = await cursor.fetchone()
        if row is None:
            return False
        due = Due(row[0], row[1], None if row[2] is None else Watermark(row[2], row[3]), row[4])
        failures, error, refused = 0, None, None
        budget = self._switchboard.line(due.connection).budget
        try:
            await self._read(due)
            budget.outcome(Committed())
        except CallFailed as failed:
            outcome = outcome_of(failed)
            budget.outcome(outcome)
            failures, error = due.failures + 1, str(failed)
            refused = outcome if isinstance(outcome, Misconfigured | Rejected) else None
        except psycopg.OperationalError as lost:
            # Not the vendor's failure: nobody waits longer for it. Where the database is gone, the next line says so.
            failures, error = due.failures, f"{type(lost).__name__}: {lost}"
        except Exception as failed:  # noqa: BLE001  (one vendor's odd answer must not stop the others' polls)
            failures, error = due.failures + 1, f"{type(failed).__name__}: {failed}"
            log.warning("poll failed", connection=due.connection, kind=due.kind, error=error)
        about = {"connection": due.connection, "kind": due.kind, "worker": self._worker}
        async with self._pool.connection() as db:
            await db.execute(GIVE_BACK, {**about, "failures": failures, "error": error})
            if refused is not None:
                await _open_case(db, due, refused)
            elif not failures and due.failures:
                await db.execute(SETTLE_CASE, {"subject": _subject(due)})
        return True

    async def _read(self, due: Due) -> None:
        changed = self._switchboard.resource(due.connection, due.kind).changed
        if changed is None:
            return
        roles = self._switchboard.roles_of(due.connection)
        session = self._switchboard.session(due.connection)
        last = due.watermark
        async for page in changed(session, due.watermark):
            if page.watermark is not None and last is not None and page.watermark.at < last.at:
                raise WatermarkWentBack(f"{due.connection} {due.kind}: {page.watermark.at} after {last.at}")
            last = page.watermark or last
            async with self._pool.connection() as db, db.transaction():
                await observe(db, due.connection, roles, page.observed, self._now(), self._takers)
                if page.watermark is not None:
                    await self._move(db, due, page.watermark, len(page.observed))

    async def _move(self, db: Connection, due: Due, watermark: Watermark, seen: int) -> None:
        about = {"connection": due.connection, "kind": due.kind, "worker": self._worker}
        cursor = await db.execute(MOVE_WATERMARK, {**about, "at": watermark.at, "id": watermark.id, "seen": seen})
        if cursor.rowcount != 1:
            raise WatermarkWentBack(f"{due.connection} {due.kind} was taken over by another worker")


def _subject(due: Due) -> str:
    return f"poll of {due.kind} at {due.connection}"


async def _open_case(db: Connection, due: Due, refused: Misconfigured | Rejected) -> None:
    """What a vendor refuses to show does not pass by itself: a field is gone, or a permission. Nothing is lost by it:
    the poll is tried again, and goes on from its watermark."""
    cure = "Mend it there, or name the field anew in the connection's settings; it is tried again every five minutes."
    case = case_row(
        id=0,
        reason=UNREADABLE,
        title=f"{due.kind} cannot be read at {due.connection}: {refused.message}",
        problems=(Problem(refused.code, refused.message, cure=cure),),
        owner="integration engineer",
        connection=due.connection,
        subject=_subject(due),
    )
    identities = Identities(db)
    await identities.ensure(1)
    await db.execute(statements.OPEN_CASES, {"rows": as_json([{**case, "id": identities.take()}])})


async def enter_polls(db: Connection, switchboard: Switchboard, every_seconds: float | None = None) -> None:
    """Make sure that everything that can be polled is, as often as is set now; inside the caller's transaction."""
    polls = list(switchboard.pollable())
    about = {
        "connections": [connection for connection, _, _ in polls],
        "kinds": [kind for _, kind, _ in polls],
        "every": [every_seconds or seconds for _, _, seconds in polls],
    }
    await db.execute(ENTER_POLLS, about)
