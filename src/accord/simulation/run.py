"""One seed, from an empty database to rest: the firm's months, the weather, and the invariants at every stop."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

from accord.app import open_switchboard
from accord.connect.store import Connection, load_connection, save_connection
from accord.connectors.stripe import register_webhook
from accord.db.pool import transaction
from accord.demo.pushes import OUTBOUND_OBJECTS
from accord.demo.setup import connect_sandbox
from accord.engine.lease import LEASE_SECONDS
from accord.engine.story import Process
from accord.invariants import Violation, check_always, check_settled
from accord.invariants.asked import about, question
from accord.processes import PROCESSES
from accord.simulation.books import check_books
from accord.simulation.consultants import Consultants
from accord.simulation.controllers import Controllers
from accord.simulation.database import Database
from accord.simulation.firm import Firm
from accord.simulation.history import History
from accord.simulation.holdings import holdings_of
from accord.simulation.loop import INCARNATION, Incarnation, Standstill, VirtualLoop, bury
from accord.simulation.operator import Operator
from accord.simulation.platform import Part, Platform
from accord.simulation.sessions import STEADY, Fate, Server
from accord.simulation.vendors import BusinessClock, Network, Vendors
from accord.simulation.weather import Weather

EPOCH = datetime(2026, 1, 5, 9, tzinfo=UTC)
STILL = """
SELECT 'still', array_to_string(ARRAY[
       NOT EXISTS (SELECT FROM open_process o WHERE o.state IN (0, 1) AND NOT EXISTS (
           SELECT FROM open_process b WHERE b.subject = o.subject AND b.process_id < o.process_id
               AND b.state NOT IN (0, 1))),
       NOT EXISTS (SELECT FROM inbox WHERE state = 0) AND NOT EXISTS (SELECT FROM work_to_rate),
       NOT EXISTS (SELECT FROM waiting_effect w JOIN connection c ON c.name = w.connection AND c.state <> 'paused'),
       NOT EXISTS (SELECT FROM poll p JOIN connection c ON c.name = p.connection AND c.state <> 'paused'
                   WHERE p.owner IS NOT NULL OR p.last_at IS NULL OR p.last_at < %(still_since)s),
       NOT EXISTS (SELECT FROM event e JOIN event_cursor c ON c.consumer = 'router'
                   WHERE (e.xid, e.seq) > (c.xid, c.seq))
       ]::int[], ''), '', NULL::numeric
"""
# Days in which nothing happens are left out; those who were alive before are alive after.
SKIP_DAYS = (
    "UPDATE worker_heartbeat SET at = at + %(by)s",
    "UPDATE budget_share SET at = at + %(by)s",
)
LIVED_ON = "UPDATE worker_heartbeat SET at = at + %(by)s WHERE worker_id = ANY(%(living)s)"
# In how many seconds somebody who looks can find something that nobody has written meanwhile.
NEXT_DUE = """
SELECT extract(epoch FROM least(
    (SELECT min(wake_at) FROM open_process WHERE state = 2),
    (SELECT min(not_before) FROM waiting_effect WHERE NOT due),
    (SELECT min(next_at) FROM poll WHERE owner IS NULL),
    (SELECT min(retry_at) FROM connection WHERE state = 'broken'),
    (SELECT min(at) + make_interval(secs => %(lease)s) FROM worker_heartbeat WHERE worker_id <> ALL(%(living)s))
) - clock_timestamp())::float
"""
# A worker may stand in the middle of a transaction that has a poll: waiting for it here would be for ever.
POLL_NOW = """
UPDATE poll SET next_at = clock_timestamp()
WHERE ctid = ANY (ARRAY(SELECT ctid FROM poll WHERE owner IS NULL FOR UPDATE SKIP LOCKED))
"""
COUNTS = """
SELECT (SELECT count(*) FROM effect WHERE state = 2), (SELECT count(*) FROM process WHERE end_state IS NOT NULL),
       (SELECT count(*) FROM business_case), (SELECT count(*) FROM event)
"""


@lru_cache(maxsize=1000)
def _moment(written: frozenset[str]) -> str:
    """One question: the promises about these tables, and last whether all is still."""
    return "\nUNION ALL\n".join(part for part in (question(about(written)), STILL) if part)


DAY_SECONDS = 120.0
REST_SECONDS = 1800.0
LAST_ROUNDS = 6
SHORTEST_IDLE = 0.05
MOST_STATEMENTS = 150_000  # ten times what a firm of 20 deals and three months asks for
LOOK_BACK = timedelta(hours=1)
# Once everybody has looked since the last write, the clock goes on to what is due next; what only a worker knows (that
# it rests, that it tries a vendor again) it finds a little later than it would.
ALL_HAVE_LOOKED = 5.5
LONGEST_JUMP, SHORTEST_JUMP, OVERDUE = 30.0, 1.0, 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: everything that decides a run's history."""

    seed: int
    weather: Weather
    deals: int = 20
    days: int = 90
    actions: int | None = None  # only so many of the agenda's first actions: a shorter history


@dataclass(slots=True)
class Result:
    """How one seed ended. `digest` covers every happening."""

    plan: Plan
    digest: str = ""
    violations: list[Violation] = field(default_factory=list)
    broken: str | None = None
    happenings: int = 0
    statements: int = 0
    kills: int = 0
    virtual_seconds: float = 0.0
    seconds: float = 0.0
    committed: int = 0
    finished: int = 0
    cases: int = 0
    last: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.violations and self.broken is None


class Stopped(Exception):
    """An invariant is violated: the run ends here."""


class Run:
    """Plays one plan on a database of the simulation's own."""

    def __init__(self, plan: Plan, database: Database, processes: Mapping[str, Process] = PROCESSES) -> None:
        self.plan = plan
        self.loop = VirtualLoop()
        self.history = History(self.loop.time)
        self.clock = BusinessClock(EPOCH, self.loop.time)
        self.server = Server(database, time_of=self._since_epoch, epoch=EPOCH.timestamp())
        weather = plan.weather
        self.network = Network(
            self._stream("network"),
            lose_request=weather.lost_request,
            lose_answer=weather.lost_answer,
            never_answer=weather.never_answer,
            slow=weather.slow,
            throttle=weather.throttle,
            duplicate_push=weather.duplicate_push,
            delay_push=weather.delayed_push,
            lose_push=weather.lost_push,
            unacknowledged_push=weather.unacknowledged_push,
        )
        self._processes = processes
        self._chance = self._stream("chance")
        self._interleaving = self._stream("interleaving")
        self._fates = self._stream("fates")
        self._quiet: asyncio.Future[bool] | None = None
        self._stillness = ""
        self._since = EPOCH
        self._versions = itertools.count(2)
        self._mortal: dict[Incarnation, Part] = {}
        self.result = Result(plan)

    def _since_epoch(self) -> float:
        return (self.clock.now() - EPOCH).total_seconds()

    def _stream(self, name: str) -> Random:
        return Random(f"{name} {self.plan.seed}")  # noqa: S311  (reproducible on purpose)

    def go(self) -> Result:
        """Play it. Never raises for what the simulated system does; the result says."""
        began = time.perf_counter()
        result = self.result
        asyncio.set_event_loop(self.loop)
        self.server.database.empty()
        try:
            self.loop.run_until_complete(self._play())
        except Stopped:
            pass
        except Standstill as still:
            result.broken = str(still)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is the seed's result)
            result.broken = f"{type(error).__name__}: {error}"
        finally:
            result.digest, result.happenings = self.history.digest, self.history.count
            result.statements, result.virtual_seconds = self.server.statements, self.loop.time()
            result.last = list(self.history.last)
            bury(self.loop, self.platform.all_lives, self.server.cut)
            asyncio.set_event_loop(None)
        result.seconds = time.perf_counter() - began
        return result

    async def _play(self) -> None:
        self.vendors = Vendors(
            self.plan.seed, clock=self.clock, wall=self.clock, network=self.network, history=self.history
        )
        self.platform = Platform(
            self.loop,
            self.server,
            self.vendors,
            now=self.clock.now,
            processes=self._processes,
            seed=self.plan.seed,
            home=self.server.database.home,
        )
        self.firm = Firm(self.vendors, self._stream("firm"), lambda: self.clock.now().date(), self.history)
        house, deals, now = self.platform.house(self.clock.now), self.firm.deals, self.clock.now
        self.consultants = Consultants(house, self._stream("consultants"), deals, now, self.history)
        self._operator = Operator(house, self._chance, self.server.ask, self.history)
        self.controllers = Controllers(house, self._stream("controllers"), deals, now, self.history)
        self._people = Part("people", self.platform)
        self._people.incarnation = Incarnation("people")
        self.platform.all_lives.append(self._people.incarnation)
        context = copy_context()
        context.run(INCARNATION.set, self._people.incarnation)
        await context.run(self.loop.create_task, self._set_up())
        self.loop.on_idle = self._idle
        self.loop.jump = self._jump
        self.server.fate = self._fate
        self.platform.workers[1].skew = timedelta(seconds=self.plan.weather.clock_skew)
        self.platform.start()
        delivering = self.loop.create_task(self.vendors.deliver(self.platform.web.take))
        await context.run(self.loop.create_task, self._months())
        delivering.cancel()

    async def _set_up(self) -> None:
        """Connections, bindings, policy and subscriptions, as for the demonstration."""
        house = self.house = self.platform.house(self.clock.now)
        outside = self.platform.outside(house)
        sandbox = {
            name: {"url": url, "ca_file": None, "credentials": simulator.credentials(url)}
            for number, (name, simulator) in enumerate(self.vendors.simulators.items(), start=1)
            for url in [f"https://127.0.0.1:{number}"]
        }
        secrets = await connect_sandbox(house, sandbox)
        switchboard = await open_switchboard(house, outside=outside)
        door = "https://accord.invalid/in"
        for name in OUTBOUND_OBJECTS:
            self.vendors.act(
                "salesforce", "subscribe_outbound", object=name, url=f"{door}/salesforce/{secrets['salesforce']}"
            )
        self.vendors.act(
            "netsuite", "subscribe", record="projectTask", url=f"{door}/netsuite", secret=secrets["netsuite"]
        )
        calm, self.network.calm = self.network.calm, True
        _, signing = await register_webhook(switchboard.session("stripe"), f"{door}/stripe")
        self.network.calm = calm
        async with transaction(house.pool) as db:
            known = await load_connection(db, house.vault, "stripe")
            credentials = {**known.credentials, "webhook_secret": signing}
            await save_connection(db, house.vault, Connection("stripe", known.vendor, known.config, credentials))

    # The months ------------------------------------------------------------------------------------------------------

    async def _months(self) -> None:
        agenda: list[tuple[int, Callable[[], Any]]] = self.firm.agenda(self.plan.deals, self.plan.days)
        inside = [each.agenda(self.plan.deals, self.plan.days) for each in (self.consultants, self.controllers)]
        # Stable: on one day sales goes before the consultants, and they before the controllers.
        agenda = sorted([*agenda, *itertools.chain(*inside)], key=lambda each: each[0])
        if self.plan.actions is not None:
            agenda = agenda[: self.plan.actions]
        for day, group in itertools.groupby(agenda, key=lambda each: each[0]):
            self._skip_to(day)
            await self._weather_of_the_day()
            for _, act in group:
                done = act()
                if inspect.isawaitable(done):
                    await done
            await self._still(DAY_SECONDS)
            self._must_hold(check_always(self.server.ask))
        await self._come_to_rest()

    def _skip_to(self, day: int) -> None:
        by = EPOCH + timedelta(days=day) - self.clock.now()
        if by > timedelta(0):
            self.vendors.act("stripe", "shift_clock", seconds=by.total_seconds())
            for statement in SKIP_DAYS:
                self.server.tell(statement, {"by": by})
            self.history.note("world: day", day)

    async def _weather_of_the_day(self) -> None:
        weather, chance = self.plan.weather, self._chance.random
        if chance() < weather.token_expiry:
            vendor = self._chance.choice(("salesforce", "netsuite", "stripe"))
            expire = getattr(self.vendors.simulators[vendor], "expire_tokens", None)
            if expire is not None:
                expire()
                self.history.note("tokens expired", vendor)
        if chance() < weather.outage:
            vendor = self._chance.choice(("salesforce", "netsuite", "stripe"))
            self.network.down.add(vendor)
            seconds = self._chance.uniform(5, 90)
            self.loop.call_later(seconds, self.network.down.discard, vendor)
            self.history.note("outage", vendor, f"{seconds:.1f}")
        if chance() < weather.deploy:
            self._deploy()
        if chance() < weather.operator:
            await self._operator.work(calm=False)

    def _deploy(self) -> None:
        """The workers are replaced, one after the other, by ones whose new stories are of a newer version."""
        version = str(next(self._versions))
        newer = self._processes = {
            name: replace(each, version=version, earlier=each.versions) for name, each in self._processes.items()
        }
        for number, worker in enumerate(self.platform.workers):
            worker.processes = newer
            self.loop.call_later(1.0 + number * 3.0, self._restart, worker)
        self.history.note("deploy", version)

    def _restart(self, part: Part) -> None:
        if part.alive:
            self._kill(part)

    async def _come_to_rest(self) -> None:
        """Nothing more goes wrong; people settle what waits for them; then everything must be as it should."""
        self.network.calm = True
        self.network.down.clear()
        for worker in self.platform.workers:
            worker.skew = timedelta(0)
        for _ in range(LAST_ROUNDS):
            quiet = await self._still(REST_SECONDS)
            self._must_hold(check_always(self.server.ask))
            settled = await self._operator.work(calm=True)
            if quiet and not settled:
                break
        if not await self._still(REST_SECONDS):
            self.result.broken = f"does not come to rest: {self._why_not_still()}"
            raise Stopped
        counts = self.server.ask(COUNTS)[0]
        self.result.committed, self.result.finished, self.result.cases = counts[0], counts[1], counts[2]
        self.history.note("at rest", *counts)
        async with self.house.pool.connection() as db:
            self._must_hold(await check_books(db))
        self._must_hold([*check_always(self.server.ask), *check_settled(self.server.ask, holdings_of(self.vendors))])

    # Stillness -------------------------------------------------------------------------------------------------------

    async def _still(self, within: float) -> bool:
        """Wait until nothing is left to do; False when that takes longer than `within` virtual seconds."""
        self.server.tell(POLL_NOW)
        self._since = self.clock.now()
        self._quiet = self.loop.create_future()
        timer = self.loop.call_later(within, self._give_up, self._quiet)
        quiet = await self._quiet
        timer.cancel()
        self._quiet = None
        return quiet

    @staticmethod
    def _give_up(quiet: asyncio.Future[bool]) -> None:
        if not quiet.done():
            quiet.set_result(False)

    def _idle(self, timeout: float | None) -> bool:
        if self.server.statements > MOST_STATEMENTS:
            self.result.broken = f"goes round without end: {self._why_not_still()}"
            raise Stopped
        if timeout is not None and timeout < SHORTEST_IDLE:
            return False
        heard = self._look()
        if heard and not (self.plan.weather.silent_notices and self._unheard()):
            self.platform.notices.tell(heard)
            return bool(self.platform.notices.listeners)
        if "0" in self._stillness or self.vendors.under_way or not self._everybody_is_up():
            return False
        if self._quiet is None or self._quiet.done():
            return False
        self._quiet.set_result(True)
        return True

    def _look(self) -> list[str]:
        """Once something was written: whether all is still, whether the promises about it hold, and what was notified.
        What nobody wrote since is as it was."""
        written = self.server.take_written()
        if not written:
            return []
        moments = {"since": self.clock.now() - LOOK_BACK, "still_since": self._since}
        *broken, (_, self._stillness, *_) = self.server.ask(_moment(frozenset(written)), moments)
        self._must_hold([Violation(*row) for row in broken])
        return self.server.database.take_heard()

    def _jump(self, happening: float | None) -> float | None:
        """Where the clock may go, past the moments at which somebody would look and could not find anything."""
        now = self.loop.time()
        if self._since_epoch() - self.server.written_at < ALL_HAVE_LOOKED:
            return None
        if happening is not None and happening - now < SHORTEST_JUMP:
            return None
        living = self.server.living()
        due = self.server.ask(NEXT_DUE, {"living": list(living), "lease": LEASE_SECONDS})[0][0]
        by = min(LONGEST_JUMP, LONGEST_JUMP if due is None else due if due > 0 else OVERDUE)
        by = by if happening is None else min(by, happening - now)
        if by < SHORTEST_JUMP:
            return None
        self.server.tell(LIVED_ON, {"by": timedelta(seconds=by), "living": list(living)})
        for lease in living.values():
            lease.beat_through(by)
        return now + by

    def _unheard(self) -> bool:
        return not self.network.calm and self._chance.random() < self.plan.weather.silent_notices

    def _everybody_is_up(self) -> bool:
        return self.platform.web.alive and all(each.alive for each in self.platform.workers)

    def _why_not_still(self) -> str:
        words = (
            "stories are at work",
            "pushes are not translated or work is not rated",
            "effects wait",
            "polls are due",
            "facts wait",
        )
        row = self.server.ask(STILL, {"still_since": self._since})[0][1]
        return ", ".join(word for word, holds in zip(words, row, strict=True) if holds == "0") or "pushes are under way"

    # Life and death --------------------------------------------------------------------------------------------------

    def _fate(self, owner: Incarnation) -> Fate:
        pause = 0.0
        if self._interleaving.random() < 0.2:
            pause = self._interleaving.uniform(0.0001, 0.01)
        if not self.network.calm and self.plan.weather.crash and self._fates.random() < self.plan.weather.crash:
            part = self._part_of(owner)
            if part is not None:
                before = self._fates.random() < 0.5
                return Fate(
                    pause,
                    die_before=(lambda: self._kill(part)) if before else None,
                    die_after=None if before else (lambda: self._kill(part)),
                )
        return Fate(pause) if pause else STEADY

    def _part_of(self, owner: Incarnation) -> Part | None:
        for part in (*self.platform.workers, self.platform.web):
            if part.incarnation is owner and part.alive:
                return part
        return None

    def _kill(self, part: Part) -> None:
        if not part.alive:
            return
        self.result.kills += 1
        self.history.note("killed", part.incarnation)
        part.kill()
        world = copy_context()
        world.run(INCARNATION.set, None)
        self.loop.call_later(self._fates.uniform(0.2, 5.0), part.start, context=world)

    def _must_hold(self, violations: list[Violation]) -> None:
        if violations:
            self.result.violations = violations
            for each in violations:
                self.history.note("violated", each.invariant, each.subject, each.what)
            raise Stopped
