"""How fast a worker gets writes done at a vendor, measured while it sends: what a forecast of the time to drain is made
of. The worker shows it with its share of the budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

KEPT = 0.9  # of what earlier sends said: about the last ten count
SETTLED_SECONDS = 10.0  # what was under way lately
REMEMBERED_SECONDS = 60.0  # what got done lately
SEEN_SECONDS = 40.0  # of it, before what got done says how fast it goes on
LATE = 2.0  # a send that takes so many times as long as usual


@dataclass(frozen=True, slots=True)
class Pace:
    """Writes a second this worker gets done, and how many writes' worth of its sends under way is behind it."""

    per_second: float
    begun: float


class Meter:
    """One worker's measure of one connection. A send that brought nothing about, as in an outage, says nothing."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._running: dict[int, tuple[float, int]] = {}
        self._numbers = count()
        self._writes = self._seconds = self._sends = 0.0
        self._done = self._busy = self._passing = 0.0
        self._under_way, self._looked_at = 0.0, monotonic()

    def begin(self, writes: int) -> int:
        """A send of so many writes begins; the number to end it by."""
        number, now = next(self._numbers), self._monotonic()
        self._pass(now)
        self._running[number] = (now, writes)
        return number

    def end(self, number: int, done: int) -> None:
        """It has ended, and so many of its writes are over."""
        now = self._monotonic()
        self._pass(now)
        began, _ = self._running.pop(number)
        passed, self._passing = self._passing, 0.0
        if done:
            left = math.exp(-passed / REMEMBERED_SECONDS)
            self._done, self._busy = self._done * left + done, self._busy * left + passed
            self._writes = self._writes * KEPT + done
            self._seconds = self._seconds * KEPT + now - began
            self._sends = self._sends * KEPT + 1

    def read(self) -> Pace | None:
        """The pace now; None before anything was measured."""
        now = self._monotonic()
        self._pass(now)
        if not self._seconds or not self._under_way:
            return None
        each = self._writes / self._seconds
        sends = [(now - began, writes) for began, writes in self._running.values()]
        usual = self._seconds / self._sends
        late = [(took, writes) for took, writes in sends if took > LATE * max(usual, writes / each)]
        if late:
            # Sends that take much longer than those before say so while they run.
            each = min(each, sum(writes for _, writes in late) / sum(took for took, _ in late))
        per_second = each * self._under_way
        if self._busy > SEEN_SECONDS:
            # Sends that wait for each other look as if all of them were done at once. Where none ends although one
            # should have, that counts too.
            overdue = max(0.0, min(self._passing, usual) - usual / self._under_way)
            per_second = min(per_second, self._done / (self._busy + overdue))
        return Pace(per_second, sum(min(each * took, writes) for took, writes in sends))

    def _pass(self, now: float) -> None:
        """Time has passed with as many sends under way as are now; time without any says nothing."""
        elapsed, self._looked_at = now - self._looked_at, now
        if self._running:
            self._passing += elapsed
            weight = 1 - math.exp(-elapsed / SETTLED_SECONDS) if self._under_way else 1.0
            self._under_way += (len(self._running) - self._under_way) * weight
