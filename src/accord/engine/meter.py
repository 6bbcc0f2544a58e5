"""How fast a worker gets writes done at a vendor, measured while it sends: what a forecast of the time to drain is made
of. The worker shows it with its share of the budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

KEPT = 0.9  # of what earlier sends said: about the last ten count
SETTLED_SECONDS = 10.0  # what was under way lately


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
        self._writes = self._seconds = 0.0
        self._under_way, self._looked_at = 0.0, monotonic()

    def begin(self, writes: int) -> int:
        """A send of so many writes begins; the number to end it by."""
        number = next(self._numbers)
        self._running[number] = (self._monotonic(), writes)
        return number

    def end(self, number: int, done: int) -> None:
        """It has ended, and so many of its writes are over."""
        began, _ = self._running.pop(number)
        if done:
            self._writes = self._writes * KEPT + done
            self._seconds = self._seconds * KEPT + self._monotonic() - began

    def read(self) -> Pace | None:
        """The pace now; None before anything was measured. Ask often: what is under way is a mean over the asking."""
        now = self._monotonic()
        elapsed, self._looked_at = now - self._looked_at, now
        if self._running:
            weight = 1 - math.exp(-elapsed / SETTLED_SECONDS) if self._under_way else 1.0
            self._under_way += (len(self._running) - self._under_way) * weight
        if not self._seconds or not self._under_way:
            return None
        each = self._writes / self._seconds
        sends = [(now - began, writes) for began, writes in self._running.values()]
        if sends and (waited := sum(seconds for seconds, _ in sends)) > 0:
            # Sends that take longer than any before say so while they run.
            each = min(each, sum(writes for _, writes in sends) / waited)
        return Pace(each * self._under_way, sum(min(each * seconds, writes) for seconds, writes in sends))
