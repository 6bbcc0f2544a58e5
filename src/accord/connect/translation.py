"""Translates the inbox: pushes stored raw become observations; what only points at an object is read in batches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import structlog
from psycopg import errors

from accord.connect.connector import Observed, Pointer, Webhook
from accord.connect.failures import CallFailed, outcome_of
from accord.connect.observing import NO_TAKERS, Takers, observe
from accord.connect.switchboard import Switchboard
from accord.engine import statements
from accord.engine.casework import case_row
from accord.engine.identities import Identities
from accord.engine.intents import as_json
from accord.engine.outcomes import Absent, Rejected
from accord.engine.shell import Connection
from accord.engine.states import InboxState
from accord.model.problem import Problem

log = structlog.get_logger()

BATCH = 500
# PostgreSQL's word for a text too long for its index or a value too deep: by its class it looks like a lost database.
TOO_BIG = (errors.ProgramLimitExceeded, errors.StatementTooComplex)
PAUSE_SECONDS = 2.0  # a connection that could not be read is left alone this long

# One translator at a time keeps the order of arrival; the lock goes with the transaction.
HOLD_TRANSLATOR = "SELECT pg_try_advisory_xact_lock(hashtext('accord translator'))"
ARRIVED = """
SELECT id, connection, headers, body FROM inbox
WHERE state = 0 AND connection = ANY(%(ready)s) ORDER BY id LIMIT %(limit)s
"""
SETTLE = """
UPDATE inbox i SET state = x.state, reason = x.reason, settled_at = clock_timestamp()
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, state smallint, reason text) WHERE i.id = x.id
"""


Push = tuple[int, Any, bytes]  # inbox id, headers, body


@dataclass(slots=True)
class _Reading:
    """What the pushes of one connection come to."""

    observed: list[Observed] = field(default_factory=list)
    pointers: dict[str, list[str]] = field(default_factory=dict)
    settled: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)


class Translation:
    """Translates what has arrived, until stopped."""

    def __init__(
        self,
        pool: Any,
        switchboard: Switchboard,
        now: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        takers: Takers = NO_TAKERS,
    ) -> None:
        self._pool = pool
        self._switchboard = switchboard
        self._now = now
        self._monotonic = monotonic
        self._takers = takers
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
        async with self._pool.connection() as db, db.transaction():
            cursor = await db.execute(HOLD_TRANSLATOR)
            held = await cursor.fetchone()
            if held is None or not held[0]:
                return 0
            cursor = await db.execute(ARRIVED, {"limit": BATCH, "ready": self._ready()}, prepare=True)
            by_connection: dict[str, list[Push]] = {}
            for id, connection, headers, body in await cursor.fetchall():
                by_connection.setdefault(connection, []).append((id, headers, bytes(body)))
            count = 0
            for connection, pushes in by_connection.items():
                count += await self._settle(db, connection, pushes)
        return count

    def _ready(self) -> list[str]:
        """The connections whose pushes can be read now; those of one that is not open here wait until it is."""
        now = self._monotonic()
        return [line.name for line in self._switchboard.lines() if self._resting.get(line.name, 0.0) <= now]

    async def _settle(self, db: Connection, connection: str, pushes: Sequence[Push]) -> int:
        """Settle pushes of one connection together, or each alone where they cannot be, so that none harms another."""
        try:
            async with db.transaction():
                return await self._apply(db, connection, pushes)
        except Exception as error:
            # Whatever an outside object trips over becomes a case, but not the loss of the database.
            if isinstance(error, psycopg.OperationalError) and not isinstance(error, TOO_BIG):
                raise
            if isinstance(error, CallFailed) and not isinstance(outcome_of(error), Rejected | Absent):
                self._resting[connection] = self._monotonic() + PAUSE_SECONDS
                log.info("pushes wait for their vendor", connection=connection, pushes=len(pushes), reason=str(error))
                return 0
            if len(pushes) == 1:
                await self._set_aside(db, connection, pushes[0][0], f"{type(error).__name__}: {error}"[:300])
                return 1
        count = 0
        for push in pushes:
            if not await self._settle(db, connection, [push]):
                break  # what came later does not overtake it
            count += 1
        return count

    async def _set_aside(self, db: Connection, connection: str, id: int, why: str) -> None:
        await self._open_cases(db, connection, [(id, why)])
        await db.execute(SETTLE, {"rows": as_json([{"id": id, "state": InboxState.PARKED, "reason": why}])})

    async def _apply(self, db: Connection, connection: str, pushes: Sequence[Push]) -> int:
        webhook = self._switchboard.webhook(connection)
        reading = _Reading()
        config = self._switchboard.session(connection).config
        for id, headers, body in pushes:
            _read(reading, webhook, config, id, headers, body)
        found = await self._read_again(connection, reading.pointers)
        roles = self._switchboard.roles_of(connection)
        await observe(db, connection, roles, [*reading.observed, *found], self._now(), self._takers)
        for kind, taker in self._takers.items():
            # A push may be of what is deleted by now, and then the vendor says so; or of what nobody finds.
            lost = set(reading.pointers.get(kind, ())) - {each.vendor_id for each in found if each.kind == kind}
            if lost:
                await taker.missed(db, connection, kind, sorted(lost))
        if reading.unreadable:
            await self._open_cases(db, connection, reading.unreadable)
        await db.execute(SETTLE, {"rows": as_json(reading.settled)}, prepare=True)
        return len(pushes)

    async def _read_again(self, connection: str, pointers: dict[str, list[str]]) -> list[Observed]:
        found: list[Observed] = []
        for kind, vendor_ids in pointers.items():
            get = self._switchboard.resource(connection, kind).get
            if get is not None and self._switchboard.is_read(connection, kind):
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


def _read(reading: _Reading, webhook: Webhook | None, config: Any, id: int, headers: Any, body: bytes) -> None:
    """Translate one push; a push that cannot be read harms no other."""
    if webhook is None:
        reading.settled.append({"id": id, "state": InboxState.REJECTED, "reason": "the connection takes no pushes"})
        return
    try:
        arrivals = webhook.reader(config)(headers, body)
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
