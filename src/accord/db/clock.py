"""The database's time, told without asking for it each time.

Every process of an installation lives by one clock. A machine whose own clock is off would write facts into the past or
the future, wake stories at the wrong time and sign requests that vendors refuse.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection

log = structlog.get_logger()

# An answer that was longer on its way than this says little about when it was given.
QUICK_SECONDS = 1.0
# From here on the difference is worth a word: signed requests are refused by some vendors after a minute.
NOTABLE_SECONDS = 5.0


class DatabaseClock:
    """Call it for the aware time in UTC. It goes by this machine's monotonic clock from the last time it was set."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        own: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._monotonic = monotonic
        self._own = own
        self._moment = monotonic()
        self._time = own()
        self._set = self._told = False

    def __call__(self) -> datetime:
        return self._time + timedelta(seconds=self._monotonic() - self._moment)

    async def set(self, connection: AsyncConnection[Any]) -> None:
        """Ask the database; a slow answer counts only when there was none before."""
        before = self._monotonic()
        row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
        after = self._monotonic()
        if row is None or (self._set and after - before > QUICK_SECONDS):
            return
        self._moment, self._time, self._set = (before + after) / 2, row[0].astimezone(UTC), True
        off = (self._own() - self()).total_seconds()
        if abs(off) > NOTABLE_SECONDS and not self._told:
            self._told = True
            log.warning("this machine's clock is off; the database's time counts", seconds=round(off))
