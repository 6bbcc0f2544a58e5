"""What is dear to read and may be some seconds old: read once for all who ask meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 64


class Kept:
    """Answers by their question, for so many seconds; the page says as of when they are. A question that is being
    answered is not asked again, and one that failed is."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._answers: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    async def get(self, question: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """The answer, from before when it is young enough."""
        found = self._answers.get(question)
        if found is None or self._clock() - found[0] > self._seconds or _failed(found[1]):
            self._answers.pop(question, None)
            while len(self._answers) >= MOST:
                del self._answers[next(iter(self._answers))]
            found = self._answers[question] = (self._clock(), asyncio.ensure_future(read()))
        # Whoever goes away takes the answer from nobody else.
        answer: T = await asyncio.shield(found[1])
        return answer


def _failed(answer: asyncio.Future[Any]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)
