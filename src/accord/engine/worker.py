"""A worker: claims ready stories, advances them, writes what they decide in one transaction, sends their effects.

Any number of workers share one database. Each turn is one transaction; what it decided to send is sent after the
commit, and the outcomes are entered by the next turn. A worker that is killed loses nothing: see lease.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from psycopg import AsyncConnection, errors

from accord.engine import statements
from accord.engine.dispatcher import Dispatcher, InFlight
from accord.engine.identities import Identities
from accord.engine.instance import Instance
from accord.engine.intents import Intended, as_json, write_intents
from accord.engine.lease import Lease
from accord.engine.outcomes import Committed
from accord.engine.shell import Connection, Knowledge, Vendors
from accord.engine.states import ProcessState
from accord.engine.story import Process
from accord.engine.turn import Turn
from accord.engine.turning import Live, Sent, Turning, fact_row
from accord.engine.undo import undo_process
from accord.model.events import Fact

log = structlog.get_logger()
READY_CHANNEL = "accord_ready"


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a worker takes on at once, and how often it looks without being woken."""

    claim: int = 500
    in_memory: int = 2000
    poll_seconds: float = 0.2
    timers_seconds: float = 0.5
    known_ids: int = 50_000


class Worker:
    """Runs stories until `stop()`. `knowledge` and `vendors` are the rooms above; `now` is the aware clock."""

    def __init__(
        self,
        connect: Callable[[], Any],
        processes: Mapping[str, Process],
        vendors: Vendors,
        knowledge: Knowledge,
        *,
        lease: Lease,
        pace: Pace | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        seed: int | None = None,
    ) -> None:
        self._connect = connect
        self._processes = processes
        self._vendors = vendors
        self._knowledge = knowledge
        self._lease = lease
        self._pace = pace or Pace()
        self._now = now
        self._random = random.Random(seed)  # noqa: S311  (spreads retries; not a secret)
        self._live: dict[int, Live] = {}
        self._woken = asyncio.Event()
        self._stopping = False
        self._look = True
        self._ids: Identities
        self._dispatcher = Dispatcher(vendors, now=time.monotonic, may_send=lease.holds, wake=self._woken.set)
        self._known_ids: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        self._dispatcher.vendor_ids = self._known_ids
        self.turns = 0
        self.finished = 0

    def wake(self) -> None:
        """Say that something may be ready."""
        self._look = True
        self._woken.set()

    def stop(self) -> None:
        """End after the calls under way have their outcomes; what was not started is left for others."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Work until stopped. Raises Fenced when this worker's work was taken over."""
        connection: AsyncConnection[Any] = await self._connect()
        async with connection:
            self._ids = Identities(connection)
            last_look = last_timers = 0.0
            while not (self._stopping and not self._live and not self._dispatcher.running()):
                moment = time.monotonic()
                if moment - last_timers > self._pace.timers_seconds:
                    last_timers = moment
                    await self._wake_due(connection)
                if self._look or moment - last_look > self._pace.poll_seconds:
                    last_look = moment
                    self._look = True
                worked = await self._turn(connection)
                self._dispatcher.pump()
                if not worked:
                    await self._rest()
            await self._dispatcher.drain()
            await self._turn(connection)

    async def _rest(self) -> None:
        if self._dispatcher.done:
            return
        self._woken.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), self._pace.poll_seconds)

    async def _wake_due(self, connection: Connection) -> None:
        async with connection.transaction():
            cursor = await connection.execute(statements.WAKE_DUE)
            if cursor.rowcount:
                self._look = True

    async def _turn(self, connection: Connection) -> bool:
        """One transaction: outcomes in, stories on, intents out. True when there was anything to do."""
        flights = self._dispatcher.take_done()
        if not flights and not self._look and not self._stopping:
            return False
        try:
            async with connection.transaction():
                turn = await self._write_turn(connection, flights)
        except errors.ObjectNotInPrerequisiteState:
            self._lease.lost()
            raise
        if not turn.worked:
            return False
        for flight in turn.send:
            self._dispatcher.add(flight)
        for process_id in turn.gone:
            live = self._live.pop(process_id, None)
            if live is not None:
                live.instance.close()
        self.turns += 1
        return True

    async def _write_turn(self, connection: Connection, flights: Sequence[InFlight]) -> _Written:
        await connection.execute(statements.HOLD_FENCE, {"worker": self._lease.worker_id}, prepare=True)
        await self._ids.ensure(len(flights) * 3 + self._pace.claim * 4)
        turning = Turning(now=self._now(), new_id=self._ids.take, connection_for=self._connection_for)
        written = _Written()
        runnable = self._enter_outcomes(turning, flights)
        if self._look and not self._stopping:
            claimed = await self._claim(connection)
            turning.turn.facts.extend(_began(live, turning.now) for live in claimed if not live.resumed)
            runnable.update({live.instance.id: live for live in claimed})
        await self._advance(connection, turning, runnable, written)
        await self._claim_waiting(connection, written)
        await self._learn_ids(connection, written.send)
        self._release(turning, runnable, written)
        await self._write(connection, turning.turn, written)
        written.worked = bool(flights or runnable or written.send or turning.turn)
        return written

    def _enter_outcomes(self, turning: Turning, flights: Sequence[InFlight]) -> dict[int, Live]:
        runnable: dict[int, Live] = {}
        moment, clock = time.monotonic(), turning.now.timestamp()
        for flight in flights:
            row, outcome = flight.row, flight.outcome
            live = self._live.get(row["process_id"])
            if live is not None and row["id"] not in live.flights:
                live = None
            if live is not None:
                live.flights.discard(row["id"])
                runnable[live.instance.id] = live
            else:
                turning.turn.woken.append(row["process_id"])
            if outcome is None:
                raise RuntimeError("an effect came back without an outcome")
            seconds = moment - flight.sent_at if flight.sent_at else None
            sent = Sent(
                sent_at=None if seconds is None else datetime.fromtimestamp(clock - seconds, UTC).isoformat(),
                latency_ms=None if seconds is None else round(seconds * 1000, 1),
                probed=flight.probe,
                jitter=self._random.random(),
                grace_seconds=self._vendors.grace_seconds(row["connection"], row["kind"], row["verb"]),
            )
            if isinstance(outcome, Committed) and outcome.vendor_id is not None:
                self._remember((row["connection"], row["kind"], row["canonical_id"]), outcome.vendor_id)
            turning.settle(live, row, outcome, sent)
        return runnable

    async def _claim(self, connection: Connection) -> list[Live]:
        limit = min(self._pace.claim, self._pace.in_memory - len(self._live))
        if limit <= 0:
            return []
        cursor = await connection.execute(
            statements.CLAIM_PROCESSES, {"worker": self._lease.worker_id, "limit": limit}, prepare=True
        )
        rows = await cursor.fetchall()
        self._look = len(rows) == limit
        if not rows:
            return []
        ids = [row[0] for row in rows]
        journals: dict[int, dict[str, Any]] = {id: {} for id in ids}
        pending: dict[int, dict[str, tuple[int, int]]] = {id: {} for id in ids}
        for process_id, key, value in await _all(connection, statements.LOAD_JOURNALS, ids):
            journals[process_id][key] = value
        for process_id, key, effect_id, state in await _all(connection, statements.LOAD_PENDING, ids):
            pending[process_id][key] = (effect_id, state)
        cancelled = [id for id in ids if "cancel" in journals[id]]
        undo: dict[int, list[dict[str, Any]]] = {id: [] for id in cancelled}
        if cancelled:
            names = ("connection", "kind", "canonical_id", "undo", "label", "id", "correlation")
            for process_id, *rest in await _all(connection, statements.LOAD_UNDO, cancelled):
                undo[process_id].append(dict(zip(names, rest, strict=True)))
        lives = []
        for process_id, name, correlation, trigger, _started_at, has_case in rows:
            process = self._processes[name]
            if process_id in undo:
                process = undo_process(process, undo[process_id])
            instance = Instance(process_id, process, Fact(**trigger), journals[process_id])
            live = Live(instance, correlation, pending[process_id], has_case=has_case)
            live.resumed = bool(journals[process_id] or pending[process_id])
            live.cancelled = process_id in undo
            self._live[process_id] = live
            lives.append(live)
        return lives

    async def _advance(
        self, connection: Connection, turning: Turning, runnable: Mapping[int, Live], written: _Written
    ) -> None:
        """Run stories on until each waits for something outside; answers that are known already are given at once."""
        moving = [live for live in runnable.values() if not live.instance.awaiting and not live.instance.ended]
        while moving:
            readings = [reading for live in moving for reading in turning.advance(live)]
            if readings:
                values = await self._knowledge.read(connection, [command for _, _, command in readings])
                for (live, key, _), value in zip(readings, values, strict=True):
                    turning.read(live, key, value)
            intents, turning.turn.intents = turning.turn.intents, []
            intended = await write_intents(connection, intents, self._dispatcher.room) if intents else Intended()
            self._enter_intended(turning, intended, written)
            moving = [live for live in moving if not live.instance.awaiting and not live.instance.ended]

    def _enter_intended(self, turning: Turning, intended: Intended, written: _Written) -> None:
        for row in intended.send:
            live = self._live[row["process_id"]]
            live.flights.add(row["id"])
            written.send.append(InFlight(row))
        for row, outcome in intended.known:
            live = self._live[row["process_id"]]
            live.pending.pop(row["story_key"], None)
            live.instance.resolve(row["story_key"], outcome)
        for row, why in intended.refused:
            turning.refuse(self._live[row["process_id"]], row, why)

    async def _claim_waiting(self, connection: Connection, written: _Written) -> None:
        """Take effects from the waiting list where a connection has budget to spare."""
        if not self._look and not self._tick_waiting():
            return
        cursor = await connection.execute(statements.WAITING_CONNECTIONS, prepare=True)
        for name, _due in await cursor.fetchall():
            free = self._vendors.parallel(name) - self._dispatcher.queued(name)
            while free > 0 and not self._stopping:
                taken = await self._take_waiting(connection, name)
                written.send.extend(taken)
                free -= 1
                if not taken:
                    break

    async def _take_waiting(self, connection: Connection, name: str) -> list[InFlight]:
        cursor = await connection.execute(
            statements.CLAIM_WAITING, {"connection": name, "worker": self._lease.worker_id, "limit": 100}, prepare=True
        )
        columns = [column.name for column in cursor.description or ()]
        rows = [dict(zip(columns, row, strict=True)) for row in await cursor.fetchall()]
        return [InFlight(row, probe=row.pop("probe"), waiting_row=True) for row in rows]

    def _tick_waiting(self) -> bool:
        moment = time.monotonic()
        if moment - getattr(self, "_last_waiting", 0.0) < self._pace.poll_seconds:
            return False
        self._last_waiting = moment
        return True

    async def _learn_ids(self, connection: Connection, flights: Sequence[InFlight]) -> None:
        """What the vendors call the objects these effects are about or refer to, in one query."""
        wanted: set[tuple[str, str, str]] = set()
        for flight in flights:
            row = flight.row
            name = row["connection"]
            if row["generation"] > 1 or flight.waiting_row:
                wanted.add((name, row["kind"], row["canonical_id"]))
            for link in row.get("links") or ():
                kind, about = link.split(" ", 1)
                wanted.add((name, kind, about))
        missing = [each for each in wanted if each not in self._known_ids]
        if not missing:
            return
        rows = [{"connection": name, "kind": kind, "canonical_id": about} for name, kind, about in missing]
        cursor = await connection.execute(statements.VENDOR_IDS, {"rows": as_json(rows)}, prepare=True)
        for name, about, kind, vendor_id in await cursor.fetchall():
            self._remember((name, kind, about), vendor_id)

    def _remember(self, about: tuple[str, str, str], vendor_id: str) -> None:
        self._known_ids[about] = vendor_id
        self._known_ids.move_to_end(about)
        while len(self._known_ids) > self._pace.known_ids:
            self._known_ids.popitem(last=False)

    def _release(self, turning: Turning, runnable: Mapping[int, Live], written: _Written) -> None:
        """Let go of what has nothing under way here, and note what ended."""
        turn = turning.turn
        for process_id, live in runnable.items():
            if live.instance.ended:
                written.gone.append(process_id)
                self.finished += 1
                if live.has_case:
                    written.resolved.append(process_id)
                turn.facts.append(_ended(live, turning.now))
                if live.cancelled:
                    turn.ended[-1]["state"] = ProcessState.CANCELLED
                continue
            if live.has_case and not live.parked and not live.requeued:
                written.resolved.append(process_id)
                live.has_case = False
            if live.flights:
                continue
            written.gone.append(process_id)
            if live.parked:
                written.parked.append(process_id)
                continue
            wake_at = None if live.wake_at is None else live.wake_at.isoformat()
            turn.released.append({"id": process_id, "wake_at": wake_at, "ready": False})
        ended = {row["id"] for row in turn.ended}
        turn.journal = [row for row in turn.journal if row["process_id"] not in ended or row["value"] is not None]

    async def _write(self, connection: Connection, turn: Turn, written: _Written) -> None:
        # Crosswalk before records, each in the order of ids: as `records.observe` does, or the two would deadlock.
        links = [row for row in turn.finished if row["vendor_id"] is not None]
        if links:
            links.sort(key=lambda row: (row["canonical_id"], row["kind"], row["connection"]))
            await connection.execute(statements.LINK, {"rows": as_json(links)}, prepare=True)
        if turn.kept:
            await self._knowledge.keep(connection, turn.kept, self._now())
        if turn.posts:
            await self._knowledge.post(connection, turn.posts, self._now())
        shared: list[int] = []
        if turn.finished:
            cursor = await connection.execute(statements.FINISH_EFFECTS, {"rows": as_json(turn.finished)}, prepare=True)
            shared = [id for id, _, is_shared in await cursor.fetchall() if is_shared]
        if turn.waits:
            turn.journal.extend(await self._await_facts(connection, turn))
        async with connection.pipeline():
            await self._write_rest(connection, turn, written, shared)

    async def _write_rest(self, connection: Connection, turn: Turn, written: _Written, shared: list[int]) -> None:
        async def rows(statement: str, values: list[Any]) -> None:
            if values:
                await connection.execute(statement, {"rows": as_json(values)}, prepare=True)

        async def ids(statement: str, values: list[int]) -> None:
            if values:
                await connection.execute(statement, {"ids": values, "worker": self._lease.worker_id}, prepare=True)

        await rows(statements.DEFER_EFFECTS, turn.deferred)
        await rows(statements.ENTER_WAITING, turn.deferred)
        await rows(statements.RECORD_ATTEMPTS, turn.attempts)
        await ids(statements.LEAVE_WAITING, written.leave_waiting(turn))
        await ids(statements.REQUEUE, turn.requeued)
        await rows(statements.WRITE_JOURNAL, turn.journal)
        await rows(statements.APPEND_FACTS, turn.facts)
        await rows(statements.REFRESH_CASES, [row for row in turn.cases if row["process_id"] is not None])
        await rows(statements.OPEN_CASES, turn.cases)
        await rows(statements.PAUSE_CONNECTIONS, turn.paused)
        if written.resolved:
            resolution = {"ids": written.resolved, "resolution": "passed after correction", "by": "accord"}
            await connection.execute(statements.CLOSE_CASES, resolution)
        await rows(statements.END_PROCESSES, turn.ended)
        await ids(statements.PARK, written.parked + [row["process_id"] for row in turn.cases if row["process_id"]])
        await rows_with_worker(connection, statements.RELEASE_PROCESSES, turn.released, self._lease.worker_id)
        await ids(statements.WAKE_PROCESSES, turn.woken)
        await ids(statements.FREE_FOLLOWERS, shared)
        await ids(statements.WAKE_ADOPTERS, shared)
        if shared or turn.woken or any(row["ready"] for row in turn.released):
            await connection.execute("SELECT pg_notify('accord_ready', '')")
            self._look = True

    async def _await_facts(self, connection: Connection, turn: Turn) -> list[dict[str, Any]]:
        """Register waits under the router's lock, and find the facts that overtook them."""
        await connection.execute(statements.HOLD_ROUTER)
        await connection.execute(statements.AWAIT_FACTS, {"rows": as_json(turn.waits)}, prepare=True)
        found = await _all(connection, statements.OVERTAKEN_FACTS, [row["process_id"] for row in turn.waits])
        overtaken = {process_id for process_id, _, _ in found}
        for row in turn.released:
            row["ready"] = row["ready"] or row["id"] in overtaken
        return [{"process_id": process_id, "key": key, "value": value} for process_id, key, value in found]

    def _connection_for(self, role: str, legal_entity: str) -> str:
        if role.startswith("connection "):
            return role.removeprefix("connection ")
        return self._vendors.connection_for(role, legal_entity, self._now().date())


class _Written:
    """What a turn leads to once it is committed."""

    __slots__ = ("gone", "parked", "resolved", "send", "worked")

    def __init__(self) -> None:
        self.send: list[InFlight] = []
        self.gone: list[int] = []
        self.parked: list[int] = []
        self.resolved: list[int] = []
        self.worked = False

    @staticmethod
    def leave_waiting(turn: Turn) -> list[int]:
        return [row["id"] for row in turn.finished]


async def rows_with_worker(connection: Connection, statement: str, values: list[Any], worker: int) -> None:
    if values:
        await connection.execute(statement, {"rows": as_json(values), "worker": worker}, prepare=True)


async def _all(connection: Connection, statement: str, ids: Sequence[int]) -> list[Any]:
    cursor = await connection.execute(statement, {"ids": list(ids)}, prepare=True)
    return await cursor.fetchall()


def _began(live: Live, now: datetime) -> dict[str, Any]:
    return _process_fact("process.started", live, now, {})


def _ended(live: Live, now: datetime) -> dict[str, Any]:
    return _process_fact("process.finished", live, now, {"result": live.instance.result, "cancelled": live.cancelled})


def _process_fact(type: str, live: Live, now: datetime, more: dict[str, Any]) -> dict[str, Any]:
    process = live.instance.process
    payload = {"process": process.name, "what": process.title, **more}
    fact = Fact(type, live.instance.trigger.subject, now.isoformat(), "accord", payload)
    return fact_row(fact, live.correlation, f"process {live.instance.id}")
