"""Connections, and the one way to change anything: inside `transaction()`."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from accord.db.address import watched
from accord.db.session import settle
from accord.errors import Unavailable

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[Connection]

OLDEST_SERVER = 15
OPEN_TIMEOUT_SECONDS = 30.0
WAIT_SECONDS = 10.0  # for a connection of the pool; a caller of an API gives up not much later
AGAIN_SECONDS = 0.25

# A transaction here is one request or one batch. What takes longer than this is stuck, and holds others up.
LIMITS = {
    "timezone": "UTC",
    "statement_timeout": "60s",
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "60s",
}


# The database is not there, takes no writes, or could not do it in time: all of it may pass by itself.
AWAY: tuple[type[psycopg.Error], ...] = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)
AWAY_SAID = "The database did not do this now. Nothing is lost; whether a change was made, the thing itself shows."


class DatabaseUnreachable(Unavailable):
    """The database does not answer."""

    title = "Database unreachable"


class DatabaseTooOld(Unavailable):
    """The database is of a PostgreSQL that Accord does not work with."""

    title = "Database too old"


class Returning(AsyncConnection[Any]):
    """A pool's connection: one that cannot be had is tried again at once, for as long as it is `wanted`.

    A pool's own pauses double: after a failover of half a minute it would come back half a minute late.
    """

    @classmethod
    async def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, wanted: Callable[[], bool] = lambda: False, **more: Any
    ) -> Self:
        while True:
            try:
                return await super().connect(conninfo, **more)
            except psycopg.OperationalError:
                if not wanted():
                    raise
            await asyncio.sleep(AGAIN_SECONDS)


async def open_pool(
    url: str,
    *,
    min_size: int = 1,
    max_size: int = 10,
    settings: Mapping[str, str] | None = None,
    application_name: str = "accord",
) -> Pool:
    """A pool that is open and has shown that the database answers; close it with `await pool.close()`.

    Every connection works in UTC, with time limits, and reads JSON numbers as Decimal. `settings` are session settings
    that go before the usual ones, such as `{"plan_cache_mode": "force_generic_plan"}`. A connection that the server has
    ended is never given out, and a database that was away is found again as soon as it is back.
    Raises DatabaseUnreachable, DatabaseTooOld.
    """
    url = watched(url)
    wanted = {**LIMITS, **(settings or {})}

    async def configure(connection: Connection) -> None:
        await settle(connection, wanted)
        await connection.commit()

    async def check(connection: Connection) -> None:
        try:
            hear(connection)
        except psycopg.OperationalError:
            await pool.drain()  # whatever ended this one has most likely ended the others
            raise

    pool: Pool = AsyncConnectionPool(
        url,
        connection_class=Returning,
        min_size=min_size,
        max_size=max_size,
        open=False,
        configure=configure,
        check=check,
        timeout=WAIT_SECONDS,
        kwargs={"application_name": application_name, "wanted": lambda: not pool.closed},
        name=application_name,
    )
    try:
        # One plain connection first: its refusal says why, where a pool only says that time ran out.
        async with await AsyncConnection.connect(url) as connection:
            version = connection.info.server_version // 10000
        if version < OLDEST_SERVER:
            raise DatabaseTooOld(f"The database is PostgreSQL {version}; Accord needs {OLDEST_SERVER} or newer.")
        await pool.open(wait=True, timeout=OPEN_TIMEOUT_SECONDS)
    except (psycopg.OperationalError, psycopg.ProgrammingError, PoolTimeout) as refusal:
        await pool.close()
        raise unreachable(refusal) from refusal
    return pool


def hear(connection: Connection) -> None:
    """Take in what the server said while the connection lay idle; no round trip. Raises OperationalError when it has
    ended the connection."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    while poll.poll(0):
        connection.pgconn.consume_input()


def unreachable(refusal: Exception) -> DatabaseUnreachable:
    """Why no connection could be made, with the cure; a ProgrammingError is an address that cannot be read."""
    reason = str(refusal).strip().splitlines()[0].rstrip(".")
    return DatabaseUnreachable(
        f"The database does not answer: {reason}. Check that it runs and that ACCORD_DATABASE_URL is right."
    )


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside one transaction: committed at the end, rolled back when anything is raised.

    Raises OperationalError when the database is not there, or takes no writes any more: then the next connection may
    find the server that does.
    """
    async with pool.connection() as connection:
        try:
            async with connection.transaction():
                yield connection
        except psycopg.errors.ReadOnlySqlTransaction as refusal:
            await connection.close()
            raise psycopg.OperationalError("the database takes no writes now") from refusal
