"""Writes a turn: outcomes first, then what follows from them, stories last. The order is that of statements.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accord.engine import statements
from accord.engine.columns import Columns
from accord.engine.dispatcher import InFlight
from accord.engine.intents import as_json
from accord.engine.shell import Connection, Knowledge
from accord.engine.turn import Row, Turn


@dataclass(slots=True)
class Written:
    """What a turn leads to once it is committed."""

    send: list[InFlight] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)  # stories to let go of
    parked: list[int] = field(default_factory=list)
    resolved: list[int] = field(default_factory=list)  # stories whose cases are settled
    shared: list[int] = field(default_factory=list)  # finished effects that somebody else waits for
    wake: list[int] = field(default_factory=list)
    worked: bool = False
    look_again: bool = False


class Writing:
    """Writes turns of one worker inside the transactions it is given."""

    def __init__(self, worker_id: int, knowledge: Knowledge) -> None:
        self._worker_id = worker_id
        self._knowledge = knowledge

    async def outcomes(self, connection: Connection, turn: Turn, now: datetime) -> Callable[[], Awaitable[list[int]]]:
        """The outcomes of effects, with their facts. Ask later which of the effects somebody else waits for: in a
        pipeline PostgreSQL is at work meanwhile."""
        if turn.deferred:
            turn.deferred.sort(key=_id)
            await _rows(connection, statements.DEFER_EFFECTS, turn.deferred)
            # Before the intents: one of them may take the place of what waits again, and then it waits no more.
            await _columns(connection, statements.ENTER_WAITING, statements.WAITING, turn.deferred)
        if not turn.finished:
            return _nobody
        turn.finished.sort(key=_id)
        parameters = {**statements.FINISHED.of(turn.finished), "now": now}
        cursor = await connection.execute(statements.FINISH_EFFECTS, parameters, prepare=True)

        async def shared() -> list[int]:
            return [row[0] for row in await cursor.fetchall()]

        return shared

    async def rest(self, connection: Connection, turn: Turn, written: Written, now: datetime) -> None:
        """Everything after the intents."""
        await self._link(connection, turn.finished)
        if turn.kept:
            await self._knowledge.keep(connection, turn.kept, now)
        if turn.posts:
            await self._knowledge.post(connection, turn.posts, now)
        await self._waiting(connection, turn, written)
        await self._told(connection, turn, written)
        await self._stories(connection, turn, written, now)

    async def _link(self, connection: Connection, finished: Sequence[Row]) -> None:
        """Crosswalk before records, each in the order of ids: as `records.observe` does, or the two would deadlock."""
        known = [row for row in finished if row["vendor_id"] is not None]
        if not known:
            return
        by_vendor_id = {(row["connection"], row["kind"], row["vendor_id"]): row for row in known}
        by_object = {(row["canonical_id"], row["kind"], row["connection"]): row for row in by_vendor_id.values()}
        links = statements.LINKED.of([by_object[about] for about in sorted(by_object)])
        await connection.execute(statements.UNLINK, links, prepare=True)
        await connection.execute(statements.LINK, links, prepare=True)

    async def _waiting(self, connection: Connection, turn: Turn, written: Written) -> None:
        if turn.attempts:
            await _rows(connection, statements.RECORD_ATTEMPTS, turn.attempts)
        if turn.left_waiting:
            await self._ids(connection, statements.LEAVE_WAITING, turn.left_waiting)
        if turn.requeued:
            await self._requeue(connection, turn, written)
        if written.shared:
            await self._ids(connection, statements.FREE_FOLLOWERS, written.shared)
            cursor = await connection.execute(statements.ADOPTERS, {"ids": written.shared})
            written.wake.extend(row[0] for row in await cursor.fetchall())

    async def _requeue(self, connection: Connection, turn: Turn, written: Written) -> None:
        """An effect asked for again gives way to a newer version of its object that was written meanwhile."""
        cursor = await connection.execute(statements.NEWER_GENERATIONS, {"ids": turn.requeued})
        found = await cursor.fetchall()
        newer = {old: new for old, new, _ in found}
        if newer:
            written.wake.extend(process_id for _, _, process_id in found)
            pairs = [{"old": old, "new": new} for old, new in newer.items()]
            await _rows(connection, statements.SUPERSEDE, pairs)
            await self._ids(connection, statements.SHARE_EFFECTS, sorted(newer.values()))
        await self._ids(connection, statements.REQUEUE, [id for id in turn.requeued if id not in newer])

    async def _told(self, connection: Connection, turn: Turn, written: Written) -> None:
        if turn.journal:
            await _rows(connection, statements.WRITE_JOURNAL, turn.journal)
        if turn.met:
            await _rows(connection, statements.END_WAITS, turn.met)
        if turn.waits:
            await _rows(connection, statements.AWAIT_FACTS, turn.waits)
        if turn.facts:
            await _columns(connection, statements.APPEND_FACTS, statements.FACTS, turn.facts)
        if turn.cases:
            await _rows(
                connection, statements.REFRESH_CASES, [row for row in turn.cases if row["process_id"] is not None]
            )
            await _rows(connection, statements.OPEN_CASES, turn.cases)
        if turn.paused:
            await _rows(connection, statements.PAUSE_CONNECTIONS, turn.paused)
        if written.resolved:
            resolution = {"ids": written.resolved, "resolution": "passed after correction", "by": "accord"}
            await connection.execute(statements.CLOSE_CASES, resolution)

    async def _stories(self, connection: Connection, turn: Turn, written: Written, now: datetime) -> None:
        """Stories last, locked in one order: what this worker lets go of, and what it wakes that others hold."""
        ended = [row["id"] for row in turn.ended]
        released = [row["id"] for row in turn.released]
        written.wake.extend(turn.woken)
        touched = {*ended, *released, *written.parked, *turn.refused, *written.wake}
        if len(touched) not in (len(ended), len(released)):
            await self._ids(connection, statements.LOCK_PROCESSES, sorted(touched))
        if turn.ended:
            turn.ended.sort(key=_id)
            parameters = {**statements.ENDED.of(turn.ended), "worker": self._worker_id, "now": now}
            await connection.execute(statements.END_PROCESSES, parameters, prepare=True)
            await self._ids(connection, statements.NOT_ENDED, ended)
        if turn.over_with_waits:
            await self._ids(connection, statements.FORGET_WAITS, turn.over_with_waits)
        parked = [*written.parked, *turn.refused]
        if parked:
            await self._ids(connection, statements.PARK, parked)
        if turn.released:
            turn.released.sort(key=_id)
            parameters = {"rows": as_json(turn.released), "worker": self._worker_id}
            await connection.execute(statements.RELEASE_PROCESSES, parameters, prepare=True)
            written.look_again |= any(row["ready"] for row in turn.released)
        if written.wake:
            await self._ids(connection, statements.WAKE_PROCESSES, sorted(set(written.wake)))
            await connection.execute("SELECT pg_notify('accord_ready', '')", prepare=True)
            written.look_again = True

    async def _ids(self, connection: Connection, statement: str, ids: Sequence[int]) -> None:
        await connection.execute(statement, {"ids": list(ids), "worker": self._worker_id}, prepare=True)


async def _nobody() -> list[int]:
    return []


def _id(row: Row) -> Any:
    return row["id"]


async def _rows(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    await connection.execute(statement, {"rows": as_json(rows)}, prepare=True)


async def _columns(connection: Connection, statement: str, columns: Columns, rows: Sequence[Row]) -> None:
    await connection.execute(statement, columns.of(rows), prepare=True)
