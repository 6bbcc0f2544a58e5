"""Translates the inbox: pushes stored raw become observations; what only points at an object is read in batches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from accord.connect.connector import Observed, Pointer, Webhook
from accord.connect.failures import CallFailed
from accord.connect.observing import observe
from accord.connect.switchboard import Switchboard
from accord.engine import statements
from accord.engine.casework import case_row
from accord.engine.identities import Identities
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.engine.states import InboxState
from accord.model.problem import Problem

log = structlog.get_logger()

BATCH = 500
PAUSE_SECONDS = 2.0  # a connection that could not be read is left alone this long

# One translator at a time keeps the order of arrival; the lock goes with the transaction.
HOLD_TRANSLATOR = "SELECT pg_try_advisory_xact_lock(hashtext('accord translator'))"
ARRIVED = """
SELECT id, connection, headers, body FROM inbox
WHERE state = 0 AND NOT (connection = ANY(%(resting)s)) ORDER BY id LIMIT %(limit)s
"""
SETTLE = """
UPDATE inbox i SET state = x.state, reason = x.reason, settled_at = clock_timestamp()
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, state smallint, reason text) WHERE i.id = x.id
"""


@dataclass(slots=True)
class _Reading:
    """What the pushes of one connection come to."""

    observed: list[Observed] = field(default_factory=list)
    pointers: dict[str, list[str]] = field(default_factory=dict)
    settled: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)


class Translation:
    """Translates what has arrived, until stopped."""

    def __init__(self, pool: Any, switchboard: Switchboard, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._switchboard = switchboard
        self._now = now
        self._resting: dict[str, float] = {}
        self.woken = asyncio.Event()

    async def run(self, stopping: asyncio.Event, idle_seconds: float = 0.25) -> None:
        while not stopping.is_set():
            if not await self.once():
                self.woken.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.woken.wait(), idle_seconds)

    async def once(self) -> int:
        """Translate the next batch; how many pushes were settled."""
        resting = [name for name, until in self._resting.items() if until > time.monotonic()]
        async with self._pool.connection() as db, db.transaction():
            cursor = await db.execute(HOLD_TRANSLATOR)
            held = await cursor.fetchone()
            if held is None or not held[0]:
                return 0
            cursor = await db.execute(ARRIVED, {"limit": BATCH, "resting": resting}, prepare=True)
            by_connection: dict[str, list[tuple[int, Any, bytes]]] = {}
            for id, connection, headers, body in await cursor.fetchall():
                by_connection.setdefault(connection, []).append((id, headers, bytes(body)))
            count = 0
            for connection, pushes in by_connection.items():
                count += await self._settle(db, connection, pushes)
        return count

    async def _settle(self, db: Connection, connection: str, pushes: Sequence[tuple[int, Any, bytes]]) -> int:
        webhook = self._switchboard.webhook(connection)
        reading = _Reading()
        for id, headers, body in pushes:
            _read(reading, webhook, id, headers, body)
        try:
            observed = [*reading.observed, *await self._read_again(connection, reading.pointers)]
        except CallFailed as error:
            self._resting[connection] = time.monotonic() + PAUSE_SECONDS
            log.info("pushes wait for their vendor", connection=connection, pushes=len(pushes), reason=str(error))
            return 0
        await observe(db, connection, self._switchboard.roles_of(connection), observed, self._now())
        if reading.unreadable:
            await self._open_cases(db, connection, reading.unreadable)
        await db.execute(SETTLE, {"rows": as_json(reading.settled)}, prepare=True)
        return len(pushes)

    async def _read_again(self, connection: str, pointers: dict[str, list[str]]) -> list[Observed]:
        found: list[Observed] = []
        for kind, vendor_ids in pointers.items():
            get = self._switchboard.resource(connection, kind).get
            if get is not None:
                session = self._switchboard.session(connection)
                found.extend(await get(session, list(dict.fromkeys(vendor_ids))))
        return found

    async def _open_cases(self, db: Connection, connection: str, unreadable: Sequence[tuple[int, str]]) -> None:
        identities = Identities(db)
        await identities.ensure(len(unreadable))
        cure = "Compare the push with the vendor's documentation; correct the connector, then replay the inbox row."
        rows = [
            case_row(
                id=identities.take(),
                reason="push_unreadable",
                title=f"A push from {connection} cannot be read: {why}",
                problems=(Problem("push_unreadable", why, cure=cure),),
                owner="integration engineer",
                inbox_id=id,
                connection=connection,
            )
            for id, why in unreadable
        ]
        await db.execute(statements.OPEN_CASES, {"rows": as_json(rows)})


def _read(reading: _Reading, webhook: Webhook | None, id: int, headers: Any, body: bytes) -> None:
    """Translate one push; a push that cannot be read harms no other."""
    if webhook is None:
        reading.settled.append({"id": id, "state": InboxState.REJECTED, "reason": "the connection takes no pushes"})
        return
    try:
        arrivals = webhook.translate(headers, body)
    except Exception as error:  # noqa: BLE001  (outside bytes: whatever a translator trips over becomes a case)
        why = f"{type(error).__name__}: {error}"[:300]
        reading.unreadable.append((id, why))
        reading.settled.append({"id": id, "state": InboxState.PARKED, "reason": why})
        return
    ignored = [arrival.ignored for arrival in arrivals if arrival.ignored is not None]
    for arrival in arrivals:
        for item in arrival.items:
            if isinstance(item, Pointer):
                reading.pointers.setdefault(item.kind, []).append(item.vendor_id)
            else:
                reading.observed.append(item)
    state = InboxState.IGNORED if ignored and len(ignored) == len(arrivals) else InboxState.TRANSLATED
    reading.settled.append({"id": id, "state": state, "reason": "; ".join(ignored)[:300] or None})
