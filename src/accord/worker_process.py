"""One `accord worker`: a worker of the engine, and all that runs beside it while it holds its lease."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg
import structlog

from accord.app import CallCounter, House, Outside, open_switchboard
from accord.connect.budgeted import BudgetedSlots
from accord.connect.polling import Polling, enter_polls
from accord.connect.switchboard import Switchboard
from accord.connect.translation import Translation
from accord.db import months
from accord.db.pool import AWAY, transaction
from accord.engine import budget as budgets
from accord.engine import claiming, eventlog, lease, router
from accord.engine.budget import TICK_SECONDS, tick_all
from accord.engine.lease import Lease
from accord.engine.story import Process
from accord.engine.worker import Pace, Worker
from accord.invariants import watch as invariants
from accord.ledger import postings
from accord.ledger.approving import note_issued
from accord.ledger.fitting import fit_waiting
from accord.ledger.presence import Presence
from accord.ledger.rating import rate_waiting
from accord.ledger.told import ToldWorkTaker, take_bindable
from accord.model.told_work import TOLD_KINDS
from accord.processes import PROCESSES
from accord.reconcile import checking
from accord.reconcile.late import decide_late
from accord.reconcile.running import reconcile_if_due
from accord.records.knowledge import Records

log = structlog.get_logger()

PROMISES_LOOK_BACK = timedelta(days=2)
LAST_WORDS_SECONDS = 3.0
NO_ROOM = "the database has no room on its disk: nothing is lost, work goes on when there is room"
RACES = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure, psycopg.errors.LockNotAvailable)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often the loops of a worker look without being woken, in seconds."""

    routing: float = 0.1
    rating: float = 0.5
    late: float = 15.0
    binding: float = 5.0
    polls: float = 0.25
    pushes: float = 0.25
    take_over: float = lease.LOOK_SECONDS
    budgets: float = TICK_SECONDS
    housekeeping: float = 0.5
    sealing: float = 10.0
    promises: float = 300.0
    unexplained: float = 300.0
    reconciling: float = 900.0
    months: float = 3600.0


async def until_first_ends(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the first task, and raise at once what breaks any: no worker lives on with a part of it dead."""
    pending = set(tasks)
    while tasks[0] in pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


class WorkerProcess:
    """One `accord worker`: stories, polls, pushes, routing, take-over and housekeeping, until stopped."""

    def __init__(
        self,
        house: House,
        *,
        pace: Pace | None = None,
        poll_seconds: float | None = None,
        outside: Outside | None = None,
        cadence: Cadence | None = None,
        processes: Mapping[str, Process] = PROCESSES,
        seed: int | None = None,
    ) -> None:
        self._house = house
        self._outside = outside or Outside(house)
        self._cadence = cadence or Cadence()
        self._processes = processes
        self._seed = seed
        self._pace = pace
        self._poll_seconds = poll_seconds
        self._stopping = asyncio.Event()
        self._facts = asyncio.Event()
        self._work = asyncio.Event()
        self._shares = asyncio.Event()  # slots are wanted or free
        self.worker: Worker | None = None

    def stop(self) -> None:
        self._stopping.set()
        self._shares.set()
        if self.worker is not None:
            self.worker.stop()

    async def run(self) -> None:
        """Work until stopped; a worker that lost its lease starts anew under another id."""
        while not self._stopping.is_set():
            try:
                await self._live()
            except (psycopg.errors.ObjectNotInPrerequisiteState, lease.Fenced):
                log.warning("lease lost, starting anew")
            except AWAY as error:
                why = NO_ROOM if isinstance(error, psycopg.errors.DiskFull) else "database lost, trying again"
                log.warning(why, reason=type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), 1.0)

    async def _live(self) -> None:
        house, outside = self._house, self._outside
        async with house.pool.connection() as db:
            held = await outside.register(db)
        try:
            await self._work_under(held)
        finally:
            # First and whatever happens: a heart that beats on keeps the work of a worker that is gone from everybody.
            held.end()
            await self._say("hand back the work", self._leave(held))

    async def _leave(self, held: Lease) -> None:
        async with self._house.pool.connection() as db:
            await lease.leave(db, held.worker_id)

    async def _say(self, what: str, last: Awaitable[None]) -> None:
        """Tell the database something at the end, if it takes it soon: one that is away must not keep a worker from
        its next life, and others take over what was not handed back."""
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await last
        except (TimeoutError, psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
            log.warning("the database did not take a worker's last words", words=what, reason=type(error).__name__)

    async def _work_under(self, held: Lease) -> None:
        house, outside, every = self._house, self._outside, self._cadence
        calls = CallCounter()
        switchboard = await open_switchboard(
            house, may_send=held.holds, on_call=calls, worker_id=held.worker_id, outside=outside
        )
        async with transaction(house.pool) as db:
            await enter_polls(db, switchboard, self._poll_seconds)
            for name, version, count in await claiming.left_to_others(db, self._processes):
                log.warning("stories are left to workers that know them", process=name, version=version, stories=count)
        self.worker = Worker(
            outside.connect,
            self._processes,
            switchboard,
            Records(postings.write),
            lease=held,
            pace=self._pace,
            now=house.now,
            monotonic=outside.monotonic,
            seed=self._seed,
        )
        takers = dict.fromkeys(TOLD_KINDS, ToldWorkTaker())
        translation = Translation(house.pool, switchboard, house.now, monotonic=outside.monotonic, takers=takers)
        polling = Polling(house.pool, switchboard, held.worker_id, house.now, idle_seconds=every.polls, takers=takers)
        loops = [
            self._steady("stories", self.worker.run),
            self._steady("polls", lambda: polling.run(self._stopping)),
            self._steady("pushes", lambda: translation.run(self._stopping, every.pushes)),
            self._steady("routing", self._route),
            self._steady("rating", self._rate),
            self._steady("unexplained", self._look_for_the_unexplained),
            self._steady("reconciling", self._reconcile),
            self._steady("listening", lambda: self._listen(translation)),
            self._steady("take-over", lambda: lease.watch(outside.connect, self._stopping.is_set, every.take_over)),
            self._steady("budgets", lambda: self._share_budgets(switchboard)),
            self._steady("housekeeping", lambda: self._keep_house(switchboard, calls, held)),
        ]
        if any(kind in TOLD_KINDS for _, kind, _ in switchboard.pollable()):
            presence = Presence(house.pool, switchboard, house.now)
            loops.append(self._steady("binding", self._bind))
            loops.append(self._steady("presence", lambda: presence.run(self._stopping)))
        if any(line.connector.vendor == "timefiles" for line in switchboard.lines()):
            # Reading files of all kinds costs memory that a worker without them does not need.
            from accord.connectors.timefiles.watching import Drops

            drops = Drops(house.pool, switchboard.lines(), house.now)
            loops.append(self._steady("time files", lambda: drops.run(self._stopping)))
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            await until_first_ends(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await switchboard.close()
            await self._say("count the calls", calls.flush(house.pool, held.worker_id))

    async def _steady(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run a loop; what breaks it is logged and it starts again, unless it is the lease or the database."""
        while True:
            try:
                return await loop()
            except (psycopg.errors.ObjectNotInPrerequisiteState, lease.Fenced):
                raise
            except AWAY as error:
                # A lost race for a row is tried again; a lost database is the whole worker's affair.
                if name == "stories" or not isinstance(error, RACES):
                    raise
                log.info("a loop lost a race and starts again", loop=name, reason=type(error).__name__)
            except Exception:
                log.exception("a loop of the worker broke", loop=name)
                if name == "stories":
                    raise
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), 1.0)

    async def _route(self) -> None:
        connection = await self._outside.connect()
        async with connection:
            while not self._stopping.is_set():
                if not await router.route(connection, self._processes):
                    self._facts.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._facts.wait(), self._cadence.routing)

    async def _rate(self) -> None:
        """Give approved work its price as it comes in; note which proposals have become invoices and what came late."""
        told, late_at = True, float("-inf")
        while not self._stopping.is_set():
            self._work.clear()
            if told:
                # What waits over a cap is older than what comes in: it has the first right to the room of a raised one.
                await fit_waiting(self._house.pool, self._house.now())
            report = await rate_waiting(self._house.pool, self._house.now())
            if report.entries:
                log.info("work rated", rated=report.rated, reversed=report.reversed, problems=report.problems)
                await fit_waiting(self._house.pool, self._house.now())
            async with transaction(self._house.pool) as db:
                await note_issued(db)
                if told := self._outside.monotonic() - late_at > self._cadence.late:
                    late_at = self._outside.monotonic()
                    await decide_late(db, self._house.now())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), self._cadence.rating)
                told = True

    async def _look_for_the_unexplained(self) -> None:
        """Compare sources and ledger now and then: at most a twentieth of the time, however long it takes."""
        rest = self._cadence.unexplained / 60  # a page says what is unexplained soon after the first worker runs
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), rest)
                return
            began = self._outside.monotonic()
            try:
                async with transaction(self._house.pool) as db:
                    await checking.check(db, self._house.now())
            except psycopg.errors.QueryCanceled:
                log.warning("what is unexplained could not be looked at in time; the page shows the check before")
            rest = max(self._cadence.unexplained, 19 * (self._outside.monotonic() - began))

    async def _reconcile(self) -> None:
        """Run the matches once a day, whichever worker looks first; `accord reconcile` runs them on demand."""
        rest = self._cadence.reconciling / 15
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), rest)
                return
            async with transaction(self._house.pool) as db:
                found = await reconcile_if_due(db, self._house.now())
            for each in found or ():
                log.info("reconciled", match=each.match, equal=each.matched, breaks=each.breaks, sees=each.sees)
            rest = self._cadence.reconciling

    async def _bind(self) -> None:
        """Take in the work that waited until somebody said what its project is."""
        while not self._stopping.is_set():
            if count := await take_bindable(self._house.pool):
                log.info("work was bound", records=count)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._cadence.binding)

    async def _listen(self, translation: Translation) -> None:
        """Wake the loops when there is something for them; polling is the net."""
        async for channel in self._outside.notices():
            if channel == "accord_ready" and self.worker is not None:
                self.worker.wake()
            elif channel == "accord_facts":
                self._facts.set()
            elif channel == budgets.CHANNEL:
                self._shares.set()
            elif channel == "accord_work":
                self._work.set()
            else:
                translation.woken.set()

    async def _share_budgets(self, switchboard: Switchboard) -> None:
        """Exchange shares of the vendors' limits with the others: ten times a second, and whenever it matters."""
        shares = [line.budget.budget for line in switchboard.lines() if isinstance(line.budget, BudgetedSlots)]
        for share in shares:
            share.stir = self._shares.set
        connection = await self._outside.connect()
        async with connection:
            while not self._stopping.is_set():
                self._shares.clear()
                async with connection.pipeline(), connection.transaction():
                    grew = await tick_all(connection, shares)
                if grew and self.worker is not None:
                    self.worker.wake()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._shares.wait(), self._cadence.budgets)

    def _make_months(self) -> None:
        with psycopg.connect(
            self._house.url, autocommit=True, application_name="accord worker", prepare_threshold=None
        ) as connection:
            if made := months.keep(connection):
                log.info("months were made ahead", partitions=made)

    async def _keep_house(self, switchboard: Switchboard, calls: CallCounter, held: Lease) -> None:
        loop = asyncio.get_running_loop()
        promises_at = loop.time()
        sealed_at, months_at = 0.0, loop.time()  # whoever opened the house has just made the months
        while not self._stopping.is_set():
            async with transaction(self._house.pool) as db:
                await switchboard.refresh(db)
            await calls.flush(self._house.pool, held.worker_id)
            if loop.time() - sealed_at > self._cadence.sealing:
                sealed_at = loop.time()
                async with transaction(self._house.pool) as db:
                    await eventlog.seal(db)
            if loop.time() - promises_at > self._cadence.promises:
                promises_at = loop.time()
                async with transaction(self._house.pool) as db:
                    await invariants.watch(db, self._house.now() - PROMISES_LOOK_BACK)
            if loop.time() - months_at > self._cadence.months:
                months_at = loop.time()
                await asyncio.to_thread(self._make_months)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._cadence.housekeeping)
