"""The vendor's limits, shared by all workers: slots for calls at once, calls a second, calls a day; and the breaker.

Each worker holds a share of a connection's limits and gets it changed by `tick`, under the lock of the connection's
budget
row: what it wants, what is fair among those who want, never more than is left. A share shrinks before another grows, so
the sum never exceeds the limit. Calls a second are paced by each worker's part of the rate.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from accord.engine.outcomes import Outcome, Transient
from accord.engine.shell import Connection

TICK_SECONDS = 0.1
PACE = 0.97  # of the rate: what leaves evenly spaced does not arrive so
PATIENCE_SECONDS = 20.0  # a call that cannot start for this long goes back to the waiting list
SHRINK, RECOVER, RECOVER_SECONDS, LEAST = 0.7, 0.1, 5.0, 0.2
FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
UNLIMITED_PARALLEL = 32
RATED_PARALLEL = 16

ENTER = "INSERT INTO budget (connection) VALUES (%(connection)s) ON CONFLICT DO NOTHING"
HOLD = """
SELECT adapted, extract(epoch FROM closed_until - clock_timestamp())::float, used_today, day = current_date,
    EXISTS (SELECT FROM connection c WHERE c.name = budget.connection AND c.state = 'broken')
FROM budget WHERE connection = %(connection)s FOR UPDATE
"""
OTHERS = """
SELECT s.slots, s.wanted FROM budget_share s JOIN worker_heartbeat h ON h.worker_id = s.worker_id
WHERE s.connection = %(connection)s AND s.worker_id <> %(worker)s
  AND h.at > clock_timestamp() - make_interval(secs => %(lease)s)
"""
SHARE = """
INSERT INTO budget_share (connection, worker_id, slots, wanted) VALUES (%(connection)s, %(worker)s, %(slots)s,
    %(wanted)s)
ON CONFLICT (connection, worker_id) DO UPDATE SET slots = excluded.slots, wanted = excluded.wanted, at = now()
"""
KEEP = """
UPDATE budget SET adapted = %(adapted)s, closed_until = CASE WHEN %(closed)s::float > 0
    THEN greatest(closed_until, clock_timestamp() + make_interval(secs => %(closed)s)) ELSE closed_until END,
    used_today = CASE WHEN day = current_date THEN used_today ELSE 0 END + %(used)s, day = current_date
WHERE connection = %(connection)s
"""
SHOW_BREAKER = """
UPDATE connection SET state = %(state)s, state_reason = %(reason)s,
    retry_at = CASE WHEN %(pause)s::float > 0 THEN clock_timestamp() + make_interval(secs => %(pause)s) END
WHERE name = %(connection)s AND state <> 'paused' AND (state, coalesce(state_reason, '')) IS DISTINCT FROM (%(state)s,
    %(reason)s)
"""


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


def fair_share(limit: int, wanted: int, others: list[tuple[int, int]]) -> int:
    """How many of `limit` slots a worker may hold that wants `wanted`, beside others given as (held, wanted).

    Everyone may keep one; above that, demand decides while it fits, and equal parts when it does not. Never more than
    what
    the others do not hold.
    """
    mine = max(1, wanted)
    demand = sum(max(1, want) for _, want in others)
    if mine + demand > limit:
        equal = max(1, limit // (len(others) + 1))
        mine = min(mine, max(equal, limit - demand))
    return max(0, min(mine, limit - sum(held for held, _ in others)))


@dataclass(slots=True)
class Pacer:
    """Lets calls through evenly: `turn(now)` is the moment the next call may start."""

    interval: float
    free_at: float = 0.0

    def turn(self, now: float) -> float:
        start = max(now, self.free_at)
        self.free_at = start + self.interval
        return start


class Budget:
    """One worker's share of one connection."""

    def __init__(
        self, connection: str, rates: Rates, worker_id: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.connection = connection
        self._rates = rates
        self._worker = worker_id
        self._monotonic = monotonic
        self._slots = 0 if rates.concurrency is not None else UNLIMITED_PARALLEL
        self._in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
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

    def parallel(self) -> int:
        """How many sends are worth having under way now."""
        if self._spent or self._monotonic() < self._closed_until:
            return 0
        if self._breaker.is_open():
            return 0
        if self._breaker.trying():
            return 1
        if self._rates.concurrency is not None:
            return self._slots
        return RATED_PARALLEL if self._rates.per_second is not None else UNLIMITED_PARALLEL

    @asynccontextmanager
    async def slot(self, endpoint: str = "") -> AsyncIterator[None]:
        """Hold one place for one call. Raises BudgetClosed when it cannot be had soon."""
        self._refuse_if_closed()
        await self._take_slot()
        try:
            await self._await_rate(endpoint)
            self._used += 1
            yield
        finally:
            self._in_use -= 1
            self._let_next()

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

    async def tick(self, db: Connection, lease_seconds: float = 1.5) -> None:
        """Exchange demand and share with the other workers; inside the caller's transaction."""
        about = {"connection": self.connection, "worker": self._worker}
        await db.execute(ENTER, about, prepare=True)
        row = await (await db.execute(HOLD, about, prepare=True)).fetchone()
        if row is None:
            return
        adapted, closed, used_today, same_day, shown_broken = row
        others = await (await db.execute(OTHERS, {**about, "lease": lease_seconds}, prepare=True)).fetchall()
        wanted = self._in_use + len(self._waiting)
        adapted = self._adapt(adapted)
        held = self._share_slots(adapted, wanted, [(row[0], row[1]) for row in others])
        self._share_rate(wanted, [row[1] for row in others])
        if closed is not None and closed > 0:
            self._closed_until = max(self._closed_until, self._monotonic() + closed)
        spent = (used_today if same_day else 0) + self._used
        self._spent = self._rates.per_day is not None and spent >= self._rates.per_day
        await db.execute(SHARE, {**about, "slots": held, "wanted": wanted}, prepare=True)
        kept = {"adapted": adapted, "closed": self._told_to_wait, "used": self._used}
        await db.execute(KEEP, {**about, **kept}, prepare=True)
        await self._show_breaker(db, shown_broken=shown_broken)
        self._told_to_wait, self._used = 0.0, 0
        self._let_next()

    async def _show_breaker(self, db: Connection, *, shown_broken: bool) -> None:
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
            return max(LEAST, float(adapted) * SHRINK)
        if moment - self._recovered_at > RECOVER_SECONDS:
            self._recovered_at = moment
            return min(1.0, float(adapted) + RECOVER)
        return float(adapted)

    def _share_slots(self, adapted: float, wanted: int, others: list[tuple[int, int]]) -> int:
        if self._rates.concurrency is None:
            return 0
        limit = max(1, int(self._rates.concurrency * adapted))
        self._slots = fair_share(limit, wanted, others)
        return max(self._slots, self._in_use)

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

    async def _take_slot(self) -> None:
        if self._in_use < self._slots and not self._waiting:
            self._in_use += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await asyncio.wait_for(place, PATIENCE_SECONDS)
        except TimeoutError:
            raise BudgetClosed(f"no call to {self.connection} was free for {PATIENCE_SECONDS:g} s", 1.0) from None
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._in_use -= 1
                self._let_next()
            raise
        finally:
            if place in self._waiting:
                self._waiting.remove(place)

    def _let_next(self) -> None:
        while self._waiting and self._in_use < self._slots:
            place = self._waiting.popleft()
            if not place.done():
                self._in_use += 1
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


async def tick_all(db: Connection, budgets: list[Any]) -> None:
    """Tick every budget of this worker, in the order of names, inside the caller's transaction."""
    for budget in sorted(budgets, key=lambda each: each.connection):
        await budget.tick(db)
