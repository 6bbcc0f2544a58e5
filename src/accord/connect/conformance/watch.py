"""A budget that counts, for the checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class WatchedSlots:
    """`limit` calls at once; `taken` counts slots, `highest` the most held together, `told` the overloads heard of."""

    def __init__(self, limit: int = 1_000) -> None:
        self._free = asyncio.Semaphore(limit)
        self._held = 0
        self.taken = 0
        self.highest = 0
        self.told: list[float | None] = []

    @asynccontextmanager
    async def slot(self, endpoint: str) -> AsyncIterator[None]:  # noqa: ARG002  (one bucket for all)
        async with self._free:
            self.taken += 1
            self._held += 1
            self.highest = max(self.highest, self._held)
            try:
                yield
            finally:
                self._held -= 1

    def overloaded(self, retry_after_seconds: float | None) -> None:
        self.told.append(retry_after_seconds)
