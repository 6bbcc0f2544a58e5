"""A worker: claims ready stories, advances them, writes what they decide in one transaction, sends their effects.

Any number of workers share one database. Each turn is one transaction; what it decided to send is sent after the
commit, and the outcomes are entered by the next turn. A worker that is killed loses nothing: see lease.py. A turn that
the database refuses is done again story by story, so that only the one at fault is parked.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection, errors

from accord.engine import claiming, statements
from accord.engine.claiming import Backlog, Claimed
from accord.engine.dispatcher import Dispatcher, InFlight
from accord.engine.identities import Identities
from accord.engine.intents import Intended, write_intents
from accord.engine.known_ids import KnownIds
from accord.engine.lease import Fenced, Lease
from accord.engine.outcomes import Committed, Rejected
from accord.engine.shell import Changed, Connection, Knowledge, Vendors
from accord.engine.story import Process
from accord.engine.turn import Row, Turn
from accord.engine.turning import Live, Sent, Turning
from accord.engine.writing import Writing, Written

log = structlog.get_logger()
READY_CHANNEL = "accord_ready"
MOST_RACES = 10  # turns a story loses to others, one after the other, before somebody has to look at it


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a worker takes on at once, and how often it looks without being woken."""

    claim: int = 1000
    in_memory: int = 2000
    poll_seconds: float = 0.2
    timers_seconds: float = 0.1
    known_ids: int = 50_000
    collect_seconds: float = 10.0  # between two looks for cyclic garbage


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
        monotonic: Callable[[], float] = time.monotonic,
        seed: int | None = None,
    ) -> None:
        self._connect = connect
        self._processes = processes
        self._vendors = vendors
        self._knowledge = knowledge
        self._lease = lease
        self._pace = pace or Pace()
        self._now = now
        self._monotonic = monotonic
        self._random = random.Random(seed)  # noqa: S311  (spreads retries; not a secret)
        self._live: dict[int, Live] = {}
        self._carry: dict[int, Live] = {}  # stories that got an answer while their turn was being written
        self._postponed: list[Row] = []
        self._races: Counter[int] = Counter()
        self._woken = asyncio.Event()
        self._stopping = False
        self._look = True
        self._ids: Identities
        self._dispatcher = Dispatcher(
            vendors, now=monotonic, may_send=lease.holds, wake=self._woken.set, stories=lambda: len(self._live)
        )
        self._known_ids = KnownIds(self._pace.known_ids)
        self._dispatcher.vendor_ids = self._known_ids
        self._backlog = Backlog(self._dispatcher, lease.worker_id)
        self._writing = Writing(lease.worker_id, knowledge)
        self._last_timers = self._last_look = self._last_waiting = self._last_collected = 0.0
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
        """Work until stopped. Raises Fenced or psycopg's ObjectNotInPrerequisiteState when its work was taken over."""
        # Rows and journals hold no cycles, and there are many of them: looking through them again and again costs a
        # fifth of a worker. What does hold some is looked for now and then instead.
        gc.disable()
        connection: AsyncConnection[Any] = await self._connect()
        async with connection:
            try:
                await self._work(connection)
            except psycopg.Error as error:
                if isinstance(error, psycopg.OperationalError):
                    raise
                if connection.closed or isinstance(error, errors.ReadOnlySqlTransaction):
                    raise psycopg.OperationalError(f"this connection serves no more: {_words(error)}") from error
                raise

    async def _work(self, connection: Connection) -> None:
        self._ids = Identities(connection)
        while not (self._stopping and not self._live and not self._dispatcher.running()):
            await self._tick(connection)
            worked = await self._turn(connection)
            if not self._stopping:  # what is queued when it stops is handed back by the next turn, not sent
                self._dispatcher.pump()
            if not worked:
                await self._rest()
        await self._dispatcher.drain()
        await self._turn(connection)

    async def _rest(self) -> None:
        self._woken.clear()
        if self._dispatcher.done or (self._look and len(self._live) < self._pace.in_memory):
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), min(self._pace.poll_seconds, self._pace.timers_seconds))

    async def _tick(self, connection: Connection) -> None:
        """Timers, and a look at the queue without having been woken."""
        if self._lease.is_lost:
            raise Fenced("the lease ran out and the work was taken over")
        moment = self._monotonic()
        if moment - self._last_collected > self._pace.collect_seconds:
            self._last_collected = moment
            gc.collect()
        if moment - self._last_look > self._pace.poll_seconds:
            self._last_look = moment
            self._look = True
        if moment - self._last_timers > self._pace.timers_seconds:
            self._last_timers = moment
            async with connection.pipeline(), connection.transaction():
                stories = await connection.execute(statements.WAKE_DUE, {"now": self._now()}, prepare=True)
                effects = await connection.execute(statements.EFFECTS_DUE, prepare=True)
            if stories.rowcount or effects.rowcount:
                self._look = True
                self._last_waiting = 0.0

    async def _turn(self, connection: Connection) -> bool:
        """One transaction: outcomes in, stories on, intents out. True when there was anything to do."""
        flights = self._dispatcher.take_done()
        claimed = await self._claim(connection)
        waiting = self._look_at_waiting()
        if not (flights or claimed or waiting or self._carry or self._postponed or self._stopping):
            return False
        involved = [*self._carry, *(row["process_id"] for row in self._postponed)]
        try:
            async with connection.pipeline(), connection.transaction():
                written = await self._write_turn(connection, flights, claimed, waiting=waiting)
        except errors.ObjectNotInPrerequisiteState:
            self._lease.lost()
            raise
        except errors.ReadOnlySqlTransaction:
            raise  # the server was demoted: no story's fault
        except Exception as error:
            if connection.closed or connection.broken:
                raise
            log.warning("a turn was refused and is done story by story", error=_words(error))
            await self._one_by_one(connection, flights, claimed, involved)
            await asyncio.sleep(self._pace.poll_seconds)  # what is at fault may be no story; it must not spin
            return True
        self._after(written)
        return written.worked

    async def _claim(self, connection: Connection) -> list[Claimed]:
        limit = min(self._pace.claim, self._pace.in_memory - len(self._live))
        if not self._look or self._stopping or limit <= 0:
            return []
        self._look = False  # before the look: who wakes us during it is heard
        claimed = await claiming.claim(connection, self._lease.worker_id, self._processes, limit, self._now())
        self._look |= len(claimed) == limit
        return claimed

    def _look_at_waiting(self) -> bool:
        moment = self._monotonic()
        if self._stopping or (moment - self._last_waiting < self._pace.poll_seconds and not self._backlog.pressing()):
            return False
        self._last_waiting = moment
        return True

    async def _write_turn(
        self, connection: Connection, flights: Sequence[InFlight], claimed: Sequence[Claimed], *, waiting: bool
    ) -> Written:
        now = self._now()
        await connection.execute(statements.HOLD_FENCE, {"worker": self._lease.worker_id}, prepare=True)
        await self._ids.ensure(len(flights) * 3 + (len(claimed) + len(self._carry)) * 4 + 100)
        turning = Turning(now=now, new_id=self._take_id, connection_for=self._connection_for)
        turn, written = turning.turn, Written()
        runnable = self._enter_outcomes(turning, flights)
        if self._stopping:
            self._put_back(turning, runnable)
        shared = await self._writing.outcomes(connection, turn, now)
        for live in await claiming.load(connection, self._processes, claimed, turn):
            self._live[live.instance.id] = runnable[live.instance.id] = live
        runnable.update(self._carry)
        self._carry = {}
        await self._advance(connection, turning, runnable)
        await self._intend(connection, turning, runnable, written)
        written.shared = await shared()
        if waiting:
            written.send.extend(await self._backlog.claim(connection, written.send))
        await self._known_ids.learn(connection, [(each.row, each.waiting_row) for each in written.send])
        self._release(turning, runnable, written)
        written.worked = bool(flights or runnable or written.send or turn)
        if turn or written.resolved or written.parked:
            await self._writing.rest(connection, turn, written, now)
        return written

    def _take_id(self) -> int:
        return self._ids.take()

    def _after(self, written: Written) -> None:
        """What follows once the turn is committed."""
        for process_id in written.gone:
            live = self._live.pop(process_id, None)
            if live is not None:
                self.finished += live.instance.ended
                live.instance.close()
        for flight in written.send:
            self._dispatcher.add(flight)
            waiter = self._live.get(flight.row["process_id"]) if flight.waiting_row else None
            if waiter is not None:
                waiter.flights.add(flight.row["id"])
        self._look |= written.look_again
        self.turns += 1

    def _enter_outcomes(self, turning: Turning, flights: Sequence[InFlight]) -> dict[int, Live]:
        runnable: dict[int, Live] = {}
        sent_by_batch: dict[tuple[float, str, str, str, bool], Sent] = {}
        for flight in flights:
            row, outcome = flight.row, flight.outcome
            if outcome is None:
                raise RuntimeError("an effect came back without an outcome")
            live = self._story_of(turning, flight, runnable)
            about = (flight.sent_at, row["connection"], row["kind"], row["verb"], flight.probe)
            sent = sent_by_batch.get(about)
            if sent is None:
                sent = sent_by_batch[about] = self._sent(turning.now, flight)
            if type(outcome) is Committed and outcome.vendor_id is not None:
                self._known_ids.remember((row["connection"], row["kind"], row["canonical_id"]), outcome.vendor_id)
            if type(outcome) is Rejected:
                self._known_ids.unlearn_links(row)
            turning.settle(live, row, outcome, sent)
        queued = {flight.row["id"] for flight in flights if flight.waiting_row}
        turning.turn.left_waiting = [row["id"] for row in turning.turn.finished if row["id"] in queued]
        return runnable

    def _story_of(self, turning: Turning, flight: InFlight, runnable: dict[int, Live]) -> Live | None:
        """The story in memory here that waits for this effect; any other is woken in the database."""
        process_id, effect_id = flight.row["process_id"], flight.row["id"]
        live = self._live.get(process_id)
        if live is None or effect_id not in live.flights:
            turning.turn.woken.append(process_id)
            return None
        live.flights.discard(effect_id)
        runnable[process_id] = live
        if live.broken:
            return None
        return live

    def _sent(self, now: datetime, flight: InFlight) -> Sent:
        row = flight.row
        seconds = self._monotonic() - flight.sent_at if flight.sent_at else None
        return Sent(
            sent_at=None if seconds is None else datetime.fromtimestamp(now.timestamp() - seconds, UTC).isoformat(),
            latency_ms=None if seconds is None else round(seconds * 1000, 1),
            probed=flight.probe,
            jitter=self._random.random(),
            grace_seconds=self._vendors.grace_seconds(row["connection"], row["kind"], row["verb"]),
        )

    async def _advance(self, connection: Connection, turning: Turning, runnable: Mapping[int, Live]) -> None:
        """Run stories on until each waits for something outside; what they read is answered at once."""
        moving = [
            live for live in runnable.values() if not (live.instance.awaiting or live.instance.ended or live.broken)
        ]
        while moving:
            readings = [reading for live in moving for reading in turning.advance(live)]
            if not readings:
                return
            values = await self._knowledge.read(connection, [command for _, _, command in readings])
            for (live, key, _), value in zip(readings, values, strict=True):
                turning.read(live, key, value)
            reading = {live.instance.id: live for live, _, _ in readings}
            moving = [live for live in reading.values() if not live.instance.awaiting and not live.parked]

    async def _intend(
        self, connection: Connection, turning: Turning, runnable: dict[int, Live], written: Written
    ) -> None:
        new, turning.turn.intents = turning.turn.intents, []
        await self._ids.ensure(len(new))
        for row in new:
            row["id"] = self._ids.take()
            self._live[row["process_id"]].pending[row["story_key"]] = (row["id"], row["state"])
        rows = [row for row in self._postponed if self._still_asked(row)] + new
        self._postponed = []
        if not rows:
            return
        intended = await write_intents(connection, rows, self._room)
        for row in rows:
            runnable.setdefault(row["process_id"], self._live[row["process_id"]])
        written.worked = True
        self._enter_intended(turning, intended, written)

    def _still_asked(self, row: Row) -> bool:
        live = self._live.get(row["process_id"])
        if live is None or live.pending.get(row["story_key"], (0, 0))[0] != row["id"]:
            return False
        live.postponed -= 1
        return True

    def _enter_intended(self, turning: Turning, intended: Intended, written: Written) -> None:
        for row in intended.send:
            self._live[row["process_id"]].flights.add(row["id"])
            written.send.append(InFlight(row))
        for row, outcome in intended.known:
            live = self._live[row["process_id"]]
            del live.pending[row["story_key"]]
            live.instance.resolve(row["story_key"], outcome)
            if not live.instance.awaiting:
                self._carry[live.instance.id] = live
        for row, why in intended.refused:
            turning.refuse(self._live[row["process_id"]], row, why)
        for row in intended.postponed:
            self._live[row["process_id"]].postponed += 1
            self._postponed.append(row)

    def _room(self, connection: str, kind: str, verb: str, priority: int) -> int:
        return 0 if self._stopping else self._backlog.room(connection, kind, verb, priority)

    def _put_back(self, turning: Turning, runnable: dict[int, Live]) -> None:
        """A worker that stops leaves what it has not begun to send to the others."""
        for flight in self._dispatcher.take_back():
            row = flight.row
            live = self._live.get(row["process_id"])
            if live is not None:
                live.flights.discard(row["id"])
                runnable[live.instance.id] = live
            turning.put_back(row, probe=flight.probe)

    def _release(self, turning: Turning, runnable: Mapping[int, Live], written: Written) -> None:
        """Let go of what has nothing under way here."""
        turn = turning.turn
        for process_id, live in runnable.items():
            if live.instance.ended:
                self._end(turn, live, written)
                continue
            if process_id in self._carry:
                continue
            if live.has_case and not live.parked and not live.requeued and not live.broken:
                written.resolved.append(process_id)
                live.has_case = False
            if live.flights or live.postponed:
                continue
            written.gone.append(process_id)
            if live.parked and not live.broken:
                written.parked.append(process_id)
                continue
            wake_at = None if live.wake_at is None else live.wake_at.isoformat()
            turn.released.append({"id": process_id, "wake_at": wake_at, "ready": live.again or live.broken})
        ended = {row["id"] for row in turn.ended}
        turn.journal = [row for row in turn.journal if row["process_id"] not in ended or row["value"] is not None]

    def _end(self, turn: Turn, live: Live, written: Written) -> None:
        written.gone.append(live.instance.id)
        written.look_again = True  # another story about the same subject may be next
        if live.has_case:
            written.resolved.append(live.instance.id)
        if live.waits:
            turn.over_with_waits.append(live.instance.id)

    async def _one_by_one(
        self, connection: Connection, flights: Sequence[InFlight], claimed: Sequence[Claimed], others: Sequence[int]
    ) -> None:
        """Do a refused turn again, each story alone: read anew, with its outcomes, in a transaction of its own."""
        postponed: list[Row] = []
        carry: dict[int, Live] = {}
        mine: dict[int, list[InFlight]] = {flight.row["process_id"]: [] for flight in flights}
        for flight in flights:
            mine[flight.row["process_id"]].append(flight)
        for process_id in dict.fromkeys([*mine, *(each.id for each in claimed), *others]):
            self._postponed, self._carry = [], {}
            live = self._live.pop(process_id, None)
            own = mine.get(process_id, [])
            # What the refused turn meant to send was never written, and never sent.
            under_way = set() if live is None else {id for id in live.flights if self._dispatcher.holds(id)}
            if live is not None:
                live.instance.close()
            if live is not None and under_way:
                live.broken, live.flights, live.postponed = True, under_way, 0
                self._live[process_id] = live
            await self._alone(connection, process_id, own, load=not under_way)
            postponed.extend(self._postponed)
            carry.update(self._carry)
        self._postponed, self._carry = postponed, carry

    async def _alone(self, connection: Connection, process_id: int, flights: list[InFlight], *, load: bool) -> None:
        try:
            async with connection.transaction():
                claimed = await self._owned(connection, process_id) if load else []
                written = await self._write_turn(connection, flights, claimed, waiting=False)
            self._after(written)
            self._races.pop(process_id, None)
        except errors.ObjectNotInPrerequisiteState:
            self._lease.lost()
            raise
        except Exception as error:
            if connection.closed or connection.broken:
                raise
            self._forget(process_id)
            passing = isinstance(error, psycopg.OperationalError) or self._may_win(process_id, error)
            await self._set_aside(connection, process_id, flights, error, passing=passing, load=load)

    def _may_win(self, process_id: int, error: Exception) -> bool:
        """Whether the story only lost a race; one that loses all of them has a defect."""
        if not isinstance(error, Changed):
            return False
        self._races[process_id] += 1
        return self._races[process_id] < MOST_RACES

    async def _owned(self, connection: Connection, process_id: int) -> list[Claimed]:
        about = {"ids": [process_id], "worker": self._lease.worker_id}
        cursor = await connection.execute(statements.LOAD_PROCESSES, about)
        return [Claimed(*row) for row in await cursor.fetchall()]

    def _forget(self, process_id: int) -> None:
        self._carry.pop(process_id, None)
        self._postponed = [row for row in self._postponed if row["process_id"] != process_id]
        live = self._live.get(process_id)
        if live is not None and not live.broken:
            live.instance.close()
            del self._live[process_id]

    async def _set_aside(
        self,
        connection: Connection,
        process_id: int,
        flights: list[InFlight],
        error: Exception,
        *,
        passing: bool,
        load: bool,
    ) -> None:
        """The story at fault: its outcomes are recorded, and it is parked with a case, or tried later if it may
        pass.
        """
        tell = log.warning if passing else log.error
        tell("a story was set aside", process=process_id, error=_words(error), passing=passing)
        try:
            await self._record_only(connection, process_id, flights, error, passing=passing, load=load)
        except (psycopg.DataError, psycopg.IntegrityError, TypeError, ValueError) as worse:
            for flight in flights:
                flight.outcome = Rejected("not_recordable", f"the vendor's answer cannot be recorded: {_words(worse)}")
            await self._record_only(connection, process_id, flights, error, passing=True, load=load)

    async def _record_only(
        self,
        connection: Connection,
        process_id: int,
        flights: list[InFlight],
        error: Exception,
        *,
        passing: bool,
        load: bool,
    ) -> None:
        now = self._now()
        async with connection.transaction():
            await connection.execute(statements.HOLD_FENCE, {"worker": self._lease.worker_id})
            if isinstance(error, Changed):
                await connection.execute(statements.FORGET_READINGS, {"process": process_id})
            await self._ids.ensure(100 + len(flights) * 3)
            turning = Turning(now=now, new_id=self._take_id, connection_for=self._connection_for)
            written = Written()
            self._enter_outcomes(turning, flights)
            written.shared = await (await self._writing.outcomes(connection, turning.turn, now))()
            if load:
                for live in await claiming.load(
                    connection, self._processes, await self._owned(connection, process_id), turning.turn
                ):
                    live.instance.close()
                    if passing:
                        turning.turn.released.append({"id": process_id, "wake_at": None, "ready": True})
                    else:
                        turning.park_refused(live, _words(error))
                        written.parked.append(process_id)
            await self._writing.rest(connection, turning.turn, written, now)

    def _connection_for(self, role: str, legal_entity: str) -> str:
        if role.startswith("connection "):
            return role.removeprefix("connection ")
        return self._vendors.connection_for(role, legal_entity, self._now().date())


def _words(error: BaseException) -> str:
    """One line about an error: PostgreSQL's own message, without rows, or the error's class and text."""
    message = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return f"{type(error).__name__}: {message or error}".splitlines()[0][:300]
