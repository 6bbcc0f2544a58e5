"""Connections, and the one way to change anything: inside `transaction()`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from accord.db import documents
from accord.errors import Unavailable

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[Connection]

OLDEST_SERVER = 15
OPEN_TIMEOUT_SECONDS = 30.0

# A transaction here is one request or one batch. What takes longer than this is stuck, and holds others up.
LIMITS = {
    "timezone": "UTC",
    "statement_timeout": "60s",
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "60s",
}


class DatabaseUnreachable(Unavailable):
    """The database does not answer."""

    title = "Database unreachable"


class DatabaseTooOld(Unavailable):
    """The database is of a PostgreSQL that Accord does not work with."""

    title = "Database too old"


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
    that go before the usual ones, such as `{"plan_cache_mode": "force_generic_plan"}`.
    Raises DatabaseUnreachable, DatabaseTooOld.
    """
    wanted = {**LIMITS, **(settings or {})}

    async def configure(connection: Connection) -> None:
        documents.adopt(connection)
        await connection.execute(
            "SELECT set_config(name, setting, false) FROM unnest(%s::text[], %s::text[]) AS x (name, setting)",
            [list(wanted), list(wanted.values())],
        )
        await connection.commit()

    pool: Pool = AsyncConnectionPool(
        url,
        min_size=min_size,
        max_size=max_size,
        open=False,
        configure=configure,
        kwargs={"application_name": application_name, "connect_timeout": 10},
        name=application_name,
    )
    try:
        # One plain connection first: its refusal says why, where a pool only says that time ran out.
        async with await AsyncConnection.connect(url, connect_timeout=10) as connection:
            version = connection.info.server_version // 10000
        if version < OLDEST_SERVER:
            raise DatabaseTooOld(f"The database is PostgreSQL {version}; Accord needs {OLDEST_SERVER} or newer.")
        await pool.open(wait=True, timeout=OPEN_TIMEOUT_SECONDS)
    except (psycopg.OperationalError, psycopg.ProgrammingError, PoolTimeout) as refusal:
        await pool.close()
        raise unreachable(refusal) from refusal
    return pool


def unreachable(refusal: Exception) -> DatabaseUnreachable:
    """Why no connection could be made, with the cure; a ProgrammingError is an address that cannot be read."""
    reason = str(refusal).strip().splitlines()[0].rstrip(".")
    return DatabaseUnreachable(
        f"The database does not answer: {reason}. Check that it runs and that ACCORD_DATABASE_URL is right."
    )


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside one transaction: committed at the end, rolled back when anything is raised."""
    async with pool.connection() as connection, connection.transaction():
        yield connection
