"""How long a worker's sends to a vendor take, measured while it sends: what a forecast of the time to drain is made of.
The worker shows it with its share of the budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

KEPT = 0.9  # of what earlier sends of a kind said: about the last ten count
LATELY_SECONDS = 20.0  # how far back what was under way counts, the earlier the less
SHORT = 1.0  # so many seconds count what is under way when the vendor is back
LATE = 2.0  # a send that takes so many times as long as usual

Cost = tuple[float, float]  # writes, and the seconds their sends took


@dataclass(frozen=True, slots=True)
class Pace:
    """How many sends this worker has under way at once, and what the writes of each kind cost lately. It is `resting`
    while the last send brought nothing about, as in an outage: it had so many under way before."""

    under_way: float
    costs: Mapping[str, Cost]
    resting: bool = False


class Meter:
    """One worker's measure of one connection. A send that brought nothing about, as in an outage, says nothing, and
    neither does one that was under way meanwhile: it waited for the vendor to be back. How many go at once is measured
    anew then."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._running: dict[int, tuple[float, int, str]] = {}
        self._numbers = count()
        self._costs: dict[str, Cost] = {}
        self._under_way, self._lately, self._looked_at = 0.0, 0.0, monotonic()
        self._nothing_at, self._resting = -math.inf, False  # when a send last brought nothing about, and no other since

    def begin(self, kind: str, writes: int) -> int:
        """A send of so many writes of one kind begins; the number to end it by."""
        number, now = next(self._numbers), self._monotonic()
        self._pass(now)
        self._running[number] = (now, writes, kind)
        return number

    def end(self, number: int, done: int) -> None:
        """It has ended, and so many of its writes are over."""
        now = self._monotonic()
        self._pass(now)
        began, _, kind = self._running.pop(number)
        if not done:
            self._nothing_at, self._resting = now, True
            return
        if self._resting:  # as many as are under way now
            self._resting, self._under_way, self._lately = False, float(len(self._running) + 1), SHORT
        if began > self._nothing_at:
            writes, seconds = self._costs.get(kind, (0.0, 0.0))
            self._costs[kind] = (writes * KEPT + done, seconds * KEPT + now - began)

    def read(self) -> Pace | None:
        """What is known now; None before anything was measured."""
        now = self._monotonic()
        self._pass(now)
        if not self._costs or not self._under_way:
            return None
        costs = dict(self._costs)
        for kind, late in self._late(now).items():
            # Sends that take much longer than those before say so while they run.
            costs[kind] = max(costs.get(kind, late), late, key=lambda cost: cost[1] / cost[0])
        return Pace(self._under_way, costs, self._resting)

    def _late(self, now: float) -> dict[str, Cost]:
        overall = cost_of_each(self._costs.values())
        late: dict[str, Cost] = {}
        for began, writes, kind in self._running.values():
            if began <= self._nothing_at:
                continue
            took = now - began
            each = cost_of_each([self._costs[kind]]) if kind in self._costs else overall
            if took > LATE * each * writes:
                known = late.get(kind, (0.0, 0.0))
                late[kind] = (known[0] + writes, known[1] + took)
        return late

    def _pass(self, now: float) -> None:
        """Time has passed with as many sends under way as are now; time without any says nothing."""
        elapsed, self._looked_at = now - self._looked_at, now
        if elapsed > 0 and self._running and not self._resting:
            # The mean over what has been seen as long as that is short, and what is long ago fades.
            self._lately = self._lately * math.exp(-elapsed / LATELY_SECONDS) + elapsed
            self._under_way += (len(self._running) - self._under_way) * min(1.0, elapsed / self._lately)


def cost_of_each(costs: Iterable[Cost]) -> float:
    """Seconds a write, over all of these."""
    known = list(costs)
    writes = sum(each[0] for each in known)
    return sum(each[1] for each in known) / writes if writes else 0.0
