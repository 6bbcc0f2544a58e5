"""A process on PostgreSQL that dies at a chosen statement, and a second life that does the same again.

A statement is anything that waits for the server: BEGIN, each query, each piece of a COPY, COMMIT. Death comes before
it was sent, or after it was performed and before anybody learned of it; the session is gone either way.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection

from accord.db.session import settle

T = TypeVar("T")
GONE = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %s"


class Died(psycopg.OperationalError):
    """The process died here."""


@dataclass(slots=True)
class Fate:
    """Death at the how-many-th statement, before or after it; without `at`, a long life. Counts what it sees."""

    at: int | None = None
    after: bool = False
    seen: int = 0


class MortalSession(AsyncConnection[Any]):
    """psycopg's own connection; only that its process may die at a statement."""

    fate = Fate()

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        self.fate.seen += 1
        due = self.fate.seen == self.fate.at
        if due and not self.fate.after:
            self._die()
        answer = await super().wait(gen, interval, timeout)
        if due:
            self._die()
        return answer

    def _die(self) -> None:
        self.pgconn.finish()
        raise Died("the process died")


class Life:
    """What stands in a pool's place: one session, and a new one after each death."""

    def __init__(self, url: str, session: MortalSession, undertaker: AsyncConnection[Any]) -> None:
        self._url = url
        self._session = session
        self._undertaker = undertaker
        self.deaths = 0
        # How many the last attempt at a step made.
        self.statements = 0

    @classmethod
    async def begin(cls, url: str) -> Self:
        undertaker = await AsyncConnection.connect(url, autocommit=True)
        return cls(url, await _session(url), undertaker)

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[MortalSession]:
        yield self._session

    async def close(self) -> None:
        await self._session.close()
        await self._undertaker.close()

    async def live(self, step: Callable[[Any], Awaitable[T]], fates: Iterable[Fate] = ()) -> T:
        """Do a step; whoever dies of a fate is followed by the next, who does the step again from its beginning."""
        for fate in itertools.chain(fates, itertools.repeat(Fate())):
            pid = self._session.info.backend_pid
            own = self._session.fate = replace(fate)
            try:
                return await step(self)
            except Exception:
                if not self._session.closed:
                    raise
            finally:
                self.statements, self._session.fate = own.seen, Fate()
            self.deaths += 1
            # What the dead one had locked is let go before the next one looks; a real one takes longer to come back.
            await self._undertaker.execute(GONE, [pid])
            self._session = await _session(self._url)
        raise AssertionError


def everywhere() -> Iterator[Fate]:
    """Death after the first statement, then after the second, and so on, until somebody gets through."""
    return (Fate(nth, after=True) for nth in itertools.count(1))


async def _session(url: str) -> MortalSession:
    session = await MortalSession.connect(url, autocommit=True)
    await settle(session, {})
    session.fate = Fate()
    return session
