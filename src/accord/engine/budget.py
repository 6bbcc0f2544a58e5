"""The vendor's limits, shared by all workers: slots for calls at once, calls a second, calls a day; and the breaker.

Each worker holds a share of a connection's limits and gets it changed by `tick`, under the lock of the connection's
budget row: what it wants, what is fair among those who want (shares.py), never more than is left. A share shrinks
before another grows, so the sum never exceeds the limit. A worker that wants more, or gives back what others want,
ticks and tells the others at once; the ticks in between are the net. Within a worker a free slot goes to the most
urgent send that waits for one. Calls a second are paced by each worker's part of the rate.
"""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from accord.engine.intents import as_json
from accord.engine.meter import Meter
from accord.engine.outcomes import Outcome, Transient
from accord.engine.shares import Claim, fair_share
from accord.engine.shell import Connection
from accord.engine.states import Priority

CHANNEL = "accord_budget"
TICK_SECONDS = 0.1
PACE = 0.97  # of the rate: what leaves evenly spaced does not arrive so
PATIENCE_SECONDS = 20.0  # a call that cannot start for this long goes back to the waiting list
SHRINK, RECOVER, RECOVER_SECONDS, LEAST = 0.7, 0.1, 5.0, 0.2
FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
UNLIMITED_PARALLEL = 32
RATED_PARALLEL = 16

ENTER = "INSERT INTO budget (connection) SELECT unnest(%(connections)s::text[]) ON CONFLICT DO NOTHING"
HOLD = """
SELECT connection, adapted, extract(epoch FROM closed_until - clock_timestamp())::float, used_today,
    day = current_date, EXISTS (SELECT FROM connection c WHERE c.name = budget.connection AND c.state = 'broken'),
    extract(epoch FROM clock_timestamp())::bigint
FROM budget WHERE connection = ANY(%(connections)s) ORDER BY connection FOR UPDATE
"""
OTHERS = """
SELECT s.connection, s.worker_id, s.slots, s.wanted, s.urgent
FROM budget_share s JOIN worker_heartbeat h ON h.worker_id = s.worker_id
WHERE s.connection = ANY(%(connections)s) AND s.worker_id <> %(worker)s
  AND h.at > clock_timestamp() - make_interval(secs => %(lease)s)
"""
SHARE = """
INSERT INTO budget_share (connection, worker_id, slots, wanted, urgent, under_way, costs, resting)
SELECT x.connection, %(worker)s, x.slots, x.wanted, x.urgent, x.under_way, x.costs, x.resting
FROM json_to_recordset(%(rows)s::json) AS x (connection text, slots integer, wanted integer, urgent integer,
    under_way double precision, costs jsonb, resting boolean)
ON CONFLICT (connection, worker_id) DO UPDATE SET slots = excluded.slots, wanted = excluded.wanted,
    urgent = excluded.urgent, under_way = excluded.under_way, costs = excluded.costs, resting = excluded.resting,
    at = now()
"""
KEEP = """
UPDATE budget b SET adapted = x.adapted, closed_until = CASE WHEN x.closed > 0
    THEN greatest(b.closed_until, clock_timestamp() + make_interval(secs => x.closed)) ELSE b.closed_until END,
    used_today = CASE WHEN b.day = current_date THEN b.used_today ELSE 0 END + x.used, day = current_date,
    concurrency = x.concurrency, per_second = x.per_second, per_day = x.per_day,
    costs = b.costs || coalesce(x.costs, '{}')
FROM json_to_recordset(%(rows)s::json) AS x (connection text, adapted double precision, closed double precision,
    used integer, concurrency integer, per_second double precision, per_day integer, costs jsonb)
WHERE b.connection = x.connection
"""
SHOW_BREAKER = """
UPDATE connection SET state = %(state)s, state_reason = %(reason)s,
    retry_at = CASE WHEN %(pause)s::float > 0 THEN clock_timestamp() + make_interval(secs => %(pause)s) END
WHERE name = %(connection)s AND state <> 'paused' AND (state, coalesce(state_reason, '')) IS DISTINCT FROM (%(state)s,
    %(reason)s)
"""


TELL = "SELECT pg_notify(%(channel)s, '')"


class BudgetClosed(Exception):
    """The connection will not take a call soon."""

    def __init__(self, reason: str, retry_after_seconds: float) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Rates:
    """A connection's limits; None = the vendor has no such limit."""

    concurrency: int | None = None
    per_second: float | None = None
    per_endpoint_per_second: float | None = None
    per_day: int | None = None


@dataclass(slots=True)
class Sending:
    """One send of the dispatcher as the budget sees it: how urgent it is, and when its first call got its place."""

    priority: int
    began: float | None = None


SENDING: ContextVar[Sending | None] = ContextVar("sending", default=None)
# Calls that belong to no effect (polls, probes of a person) go before bulk.
ASIDE = Sending(Priority.CUSTOMER)


@dataclass(slots=True)
class Pacer:
    """Lets calls through evenly: `turn(now)` is the moment the next call may start."""

    interval: float
    free_at: float = 0.0

    def turn(self, now: float) -> float:
        start = max(now, self.free_at)
        self.free_at = start + self.interval
        return start


@dataclass(frozen=True, slots=True)
class Held:
    """A connection's budget row while this worker holds its lock; `closed` is in seconds from now."""

    adapted: float
    closed: float | None
    used_today: int
    same_day: bool
    shown_broken: bool
    second: int


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What one budget writes at a tick; whether its share grew, and whether the others should look at once."""

    row: dict[str, Any]
    grew: bool
    tell: bool


class Budget:
    """One worker's share of one connection."""

    def __init__(
        self, connection: str, rates: Rates, worker_id: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.connection = connection
        self._rates = rates
        self.worker_id = worker_id
        self._monotonic = monotonic
        self._slots = 0 if rates.concurrency is not None else UNLIMITED_PARALLEL
        self._held = 0  # as the others read it
        self._in_use: list[int] = []  # the priority of each call under way
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []  # the most urgent first, then the oldest
        self._numbers = count()
        self._told = (0, 0)  # wanted and urgent, as the others read them
        self.stir: Callable[[], None] = lambda: None  # called when a tick had better come at once
        self._part = 1.0
        self._pacers: dict[str, Pacer] = {}
        self._closed_until = 0.0
        self._spent = False
        self._adapted_down = False
        self._told_to_wait = 0.0
        self._used = 0
        self._recovered_at = monotonic()
        self._breaker = Breaker(monotonic)
        self._reached = False
        self.meter = Meter(monotonic)

    def parallel(self) -> int:
        """How many sends are worth having under way now."""
        if self._spent or self._monotonic() < self._closed_until:
            return 0
        if self._breaker.is_open():
            return 0
        if self._breaker.trying():
            return 1
        if self._rates.concurrency is not None:
            # One more than may call: it waits here for a slot, which shows that more are wanted.
            return self._slots + 1
        return RATED_PARALLEL if self._rates.per_second is not None else UNLIMITED_PARALLEL

    @asynccontextmanager
    async def slot(self, endpoint: str = "") -> AsyncIterator[None]:
        """Hold one place for one call. Raises BudgetClosed when it cannot be had soon."""
        self._refuse_if_closed()
        sending = SENDING.get() or ASIDE
        await self._take_slot(sending.priority)
        try:
            await self._await_rate(endpoint)
            self._used += 1
            if sending.began is None and sending is not ASIDE:
                sending.began = self._monotonic()
            yield
        finally:
            self._give_back(sending.priority)

    def overloaded(self, retry_after_seconds: float | None) -> None:
        """The vendor said it was too much: all workers wait, and the budget shrinks for a while."""
        wait = retry_after_seconds if retry_after_seconds is not None else 1.0
        self._closed_until = max(self._closed_until, self._monotonic() + wait)
        self._told_to_wait = max(self._told_to_wait, wait)
        self._adapted_down = True

    def outcome(self, outcome: Outcome) -> None:
        """How a call went: no contact at all, time after time, opens the breaker."""
        lost = isinstance(outcome, Transient) and outcome.outage
        self._reached |= not lost
        self._breaker.note(lost=lost)

    async def tick(self, db: Connection, lease_seconds: float = 1.5) -> bool:
        """Exchange demand and share with the other workers; inside the caller's transaction. Whether the share grew."""
        return await tick_all(db, [self], lease_seconds)

    def exchange(self, held: Held, others: dict[int, Claim]) -> Exchanged:
        """Take the share that is fair now, of the limits as `held` under lock; what the others are to read of it."""
        before, wanted, urgent = self._slots, *self._wants()
        adapted = self._adapt(held.adapted)
        tell = self._share_slots(adapted, others, held.second)
        self._share_rate(wanted, [claim.wanted for claim in others.values()])
        if held.closed is not None and held.closed > 0:
            self._closed_until = max(self._closed_until, self._monotonic() + held.closed)
        spent = (held.used_today if held.same_day else 0) + self._used
        self._spent = self._rates.per_day is not None and spent >= self._rates.per_day
        limits = {name: getattr(self._rates, name) for name in ("concurrency", "per_second", "per_day")}
        about = {"connection": self.connection, "slots": self._held, "wanted": wanted, "urgent": urgent}
        kept = {"adapted": adapted, "closed": self._told_to_wait, "used": self._used}
        self._told_to_wait, self._used = 0.0, 0
        return Exchanged({**about, **self._pace(), **kept, **limits}, grew=self._slots > before, tell=tell)

    def _pace(self) -> dict[str, Any]:
        pace = self.meter.read()
        if pace is None:
            return {"under_way": None, "resting": True}
        return {"under_way": pace.under_way, "costs": pace.costs, "resting": pace.resting}

    async def show_breaker(self, db: Connection, *, shown_broken: bool) -> None:
        """Show what the breaker does. Whoever reaches the vendor takes back what another worker has shown: that one may
        be dead."""
        changed = self._breaker.take_change()
        if changed is None and shown_broken and self._reached and not self._breaker.trying():
            changed = False
        self._reached = False
        if changed is not None:
            state, pause = ("broken", self._breaker.pause) if changed else ("active", 0.0)
            reason = "cannot be reached" if changed else ""
            shown = {"connection": self.connection, "state": state, "reason": reason, "pause": pause}
            await db.execute(SHOW_BREAKER, shown)

    def _adapt(self, adapted: float) -> float:
        moment = self._monotonic()
        if self._adapted_down:
            self._adapted_down, self._recovered_at = False, moment
            return max(LEAST, adapted * SHRINK)
        if moment - self._recovered_at > RECOVER_SECONDS:
            self._recovered_at = moment
            return min(1.0, adapted + RECOVER)
        return adapted

    def _wants(self) -> tuple[int, int]:
        """How many slots this worker could use now, and how many of them for more than bulk."""
        urgent = sum(priority < Priority.BULK for priority in self._in_use)
        urgent += sum(priority < Priority.BULK for priority, _, _ in self._waiting)
        return len(self._in_use) + len(self._waiting), urgent

    def _share_slots(self, adapted: float, others: dict[int, Claim], second: int) -> bool:
        """Take the share that is fair now; whether the others should look at once, because one of them may have more
        or has to give back."""
        if self._rates.concurrency is None:
            return False
        limit = max(1, int(self._rates.concurrency * adapted))
        wants, told, held = self._wants(), self._told, self._held
        claims = {**others, self.worker_id: Claim(held, *wants)}
        self._slots = fair_share(limit, self.worker_id, claims, turn=second)
        self._held, self._told = max(self._slots, len(self._in_use)), wants
        gave_back = self._held < held and any(claim.wanted > claim.held for claim in others.values())
        wants_more = wants[0] > self._slots and (wants[0] > told[0] or wants[1] > told[1])
        return gave_back or wants_more

    def _share_rate(self, wanted: int, others: list[int]) -> None:
        weights = [1.0 if want else 0.1 for want in others]
        mine = 1.0 if wanted or not others else 0.1
        self._part = mine / (mine + sum(weights))
        for endpoint, pacer in self._pacers.items():
            pacer.interval = self._interval(endpoint)

    def _interval(self, endpoint: str) -> float:
        rate = self._rates.per_endpoint_per_second if endpoint else self._rates.per_second
        return 0.0 if rate is None else 1.0 / (rate * PACE * self._part)

    async def _await_rate(self, endpoint: str) -> None:
        now = self._monotonic()
        start = now
        for name in ("", endpoint) if endpoint else ("",):
            if name not in self._pacers:
                self._pacers[name] = Pacer(self._interval(name))
            start = max(start, self._pacers[name].turn(now))
        if start > now:
            await asyncio.sleep(start - now)

    async def _take_slot(self, priority: int) -> None:
        if len(self._in_use) < self._slots and not self._waiting:
            self._in_use.append(priority)
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (priority, next(self._numbers), place)
        insort(self._waiting, entry)
        wanted, urgent = self._wants()
        if wanted > self._told[0] or urgent > self._told[1]:
            self.stir()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):  # wait_for would swallow a cancellation at that moment
                await place
        except (TimeoutError, asyncio.CancelledError) as error:
            if place.done() and not place.cancelled():
                self._give_back(priority)
            if isinstance(error, TimeoutError):
                words = f"no call to {self.connection} was free for {PATIENCE_SECONDS:g} s"
                raise BudgetClosed(words, 1.0) from None
            raise
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    def _give_back(self, priority: int) -> None:
        self._in_use.remove(priority)
        self.let_next()
        if len(self._in_use) < self._held and self._slots < self._held:
            self.stir()

    def let_next(self) -> None:
        while self._waiting and len(self._in_use) < self._slots:
            priority, _, place = self._waiting.pop(0)
            if not place.done():
                self._in_use.append(priority)
                place.set_result(None)

    def _refuse_if_closed(self) -> None:
        left = self._closed_until - self._monotonic()
        if self._spent:
            raise BudgetClosed(f"the calls of today for {self.connection} are used up", 300.0)
        if left > 0:
            raise BudgetClosed(f"{self.connection} asked us to wait", left)


@dataclass(slots=True)
class Breaker:
    """Stops calling a vendor that cannot be reached: opens after five failures without contact, tries one call after a
    pause that doubles up to half a minute, closes at the first contact."""

    monotonic: Callable[[], float]
    failures: int = 0
    pause: float = 0.0
    open_until: float = 0.0
    shown: bool = field(default=False)

    def note(self, *, lost: bool) -> None:
        if not lost:
            self.failures, self.pause, self.open_until = 0, 0.0, 0.0
            return
        self.failures += 1
        if self.failures >= FAILURES_TO_OPEN and not self.is_open():
            self.pause = min(LONGEST_PAUSE_SECONDS, self.pause * 2 or FIRST_PAUSE_SECONDS)
            self.open_until = self.monotonic() + self.pause

    def is_open(self) -> bool:
        return self.monotonic() < self.open_until

    def trying(self) -> bool:
        return self.failures >= FAILURES_TO_OPEN

    def take_change(self) -> bool | None:
        """True when it has opened, False when it has closed, None when nothing changed since last asked."""
        broken = self.failures >= FAILURES_TO_OPEN
        if broken == self.shown:
            return None
        self.shown = broken
        return broken


async def tick_all(db: Connection, budgets: list[Any], lease_seconds: float = 1.5) -> bool:
    """Tick every budget of this worker, locked in the order of names, inside the caller's transaction; two round trips
    in a pipeline, however many there are. Whether one grew."""
    by_name: dict[str, Budget] = {each.connection: each for each in budgets}
    if not by_name:
        return False
    about = {"connections": sorted(by_name), "worker": budgets[0].worker_id, "lease": lease_seconds}
    held, others = await _hold(db, about)
    if len(held) < len(by_name):
        await db.execute(ENTER, about, prepare=True)
        held, others = await _hold(db, about)
    done = {name: by_name[name].exchange(row, others.get(name, {})) for name, row in held.items()}
    rows = as_json([each.row for each in done.values()])
    await db.execute(SHARE, {**about, "rows": rows}, prepare=True)
    await db.execute(KEEP, {"rows": rows}, prepare=True)
    for name, row in held.items():
        await by_name[name].show_breaker(db, shown_broken=row.shown_broken)
    if any(each.tell for each in done.values()):
        await db.execute(TELL, {"channel": CHANNEL}, prepare=True)
    for name in done:
        by_name[name].let_next()
    return any(each.grew for each in done.values())


async def _hold(db: Connection, about: dict[str, Any]) -> tuple[dict[str, Held], dict[str, dict[int, Claim]]]:
    """The budget rows under lock, and what the other workers claim of each, read when they were locked."""
    locked = await db.execute(HOLD, about, prepare=True)
    claimed = await db.execute(OTHERS, about, prepare=True)
    held = {name: Held(float(adapted), *rest) for name, adapted, *rest in await locked.fetchall()}
    others: dict[str, dict[int, Claim]] = {}
    for name, worker, *claim in await claimed.fetchall():
        others.setdefault(name, {})[worker] = Claim(*claim)
    return held, others
