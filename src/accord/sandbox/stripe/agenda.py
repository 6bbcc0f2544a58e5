"""What Stripe will do by itself: finalise drafts, close periods, move schedules on. Kept in order of time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

# At one instant a schedule moves on before its subscription bills, and it bills before drafts become final.
SCHEDULE, CYCLE, FINALISE, REMIND = 0, 1, 2, 3


@dataclass(order=True, slots=True)
class Task:
    """One thing to do at `at` (Unix seconds, business clock)."""

    at: int
    rank: int
    number: int
    do: Callable[[], None] = field(compare=False)


class Agenda:
    """The tasks ahead, earliest first."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._count = 0

    def add(self, at: int, rank: int, do: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._tasks, Task(at, rank, self._count, do))

    def next_due(self, now: int) -> Task | None:
        """The earliest task due by `now`, taken off the agenda."""
        if self._tasks and self._tasks[0].at <= now:
            return heapq.heappop(self._tasks)
        return None
