"""The composition root: opens database, vault and connections for whatever runs on them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

from accord.connect import registry
from accord.connect.budgeted import BudgetedSlots, rates_of
from accord.connect.egress import Egress
from accord.connect.session import CallRecord
from accord.connect.store import Connection, load_connections
from accord.connect.switchboard import Line, LocalBudget, Switchboard
from accord.connect.transport import Wire
from accord.connect.vault import Vault, open_vault
from accord.db import documents
from accord.db.address import url as database_url
from accord.db.clock import DatabaseClock
from accord.db.migrate import upgrade
from accord.db.pool import DatabaseUnreachable, Pool, open_pool, transaction
from accord.db.session import settle
from accord.engine import budget as budgets
from accord.engine.budget import Budget
from accord.engine.lease import Lease
from accord.settings import Settings

log = structlog.get_logger()

ENGINE_SESSION = {"plan_cache_mode": "force_generic_plan", "jit": "off"}
CHANNELS = ("accord_ready", "accord_facts", "accord_inbox", "accord_work", budgets.CHANNEL)
# How long a process that starts waits for a database that is being restarted, and one that ends waits to say good-bye.
PATIENCE_SECONDS = 60.0
CLOCK_SECONDS = 60.0  # between two looks at the database's clock

COUNT_CALLS = """
INSERT INTO vendor_call (connection, worker_id, endpoint, status, calls, seconds)
SELECT x.connection, %(worker)s, x.endpoint, x.status, x.calls, x.seconds
FROM json_to_recordset(%(rows)s::json) AS x (connection text, endpoint text, status integer, calls bigint,
    seconds double precision)
ON CONFLICT (connection, worker_id, endpoint, status) DO UPDATE SET calls = vendor_call.calls + excluded.calls,
    seconds = vendor_call.seconds + excluded.seconds
"""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class House:
    """What every part of a running Accord shares."""

    settings: Settings
    url: str
    pool: Pool
    vault: Vault
    now: Callable[[], datetime] = utc_now


class Outside:
    """What a worker has of the outside beside the house: sessions of its own, notices, a heart, a clock, the way to the
    vendors. The deterministic simulation puts its own in its place."""

    monotonic: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, house: House) -> None:
        self._house = house

    async def connect(self) -> Any:
        """An open session with the engine's settings."""
        connection = await self._reach()
        await prepare_session(connection)
        return connection

    async def _reach(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self._house.url, autocommit=True, application_name="accord worker")

    async def register(self, db: Any) -> Lease:
        """A new lease whose heart beats."""
        return await Lease.register(db, self._house.url)

    async def notices(self) -> AsyncIterator[str]:
        """The names of the channels on which something was said, as it is said; ends behind a pooler, where nobody
        hears anything."""
        connection = await self._reach()
        async with connection:
            if not await prepare_session(connection):
                log.info("the database is reached through a pooler: no notices, the loops look by themselves")
                return
            for channel in CHANNELS:
                await connection.execute(f"LISTEN {channel}")
            async for notice in connection.notifies():
                yield notice.channel

    def wire(self, connection: Connection) -> Wire | None:  # noqa: ARG002  (HTTPS is the same for all)
        """What calls to this connection go over; None is HTTPS."""
        return None


async def prepare_session(connection: Any) -> bool:
    """Give a session the engine's settings and its way with JSON; False when it is only lent by a pooler."""
    return await settle(connection, ENGINE_SESSION)


@contextlib.asynccontextmanager
async def open_house(
    settings: Settings, *, migrate: bool = True, connections: int | None = None, patience: float = 0.0
) -> AsyncIterator[House]:
    """Start the database if it is ours, bring its tables up to date, open a pool.

    A database that does not answer is waited for up to `patience` seconds. Raises DatabaseUnreachable.
    """
    url, pool = await _open(settings, migrate=migrate, connections=connections, patience=patience)
    clock = DatabaseClock()
    try:
        async with pool.connection() as db:
            await clock.set(db)
        keeping = asyncio.create_task(_keep_time(clock, pool))
        try:
            yield House(settings, url, pool, open_vault(settings.home, key_file=settings.vault_key_file), clock)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
    finally:
        await pool.close()


async def _keep_time(clock: DatabaseClock, pool: Pool) -> None:
    """Set the clock again now and then: a machine that slept or drifted must not drift from the others."""
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        with contextlib.suppress(psycopg.Error):
            async with pool.connection() as db:
                await clock.set(db)


async def _open(settings: Settings, *, migrate: bool, connections: int | None, patience: float) -> tuple[str, Pool]:
    most, deadline = connections or settings.database_connections, time.monotonic() + patience
    while True:
        try:
            url = await asyncio.to_thread(database_url, settings)
            if migrate:
                await asyncio.to_thread(upgrade, url)
            return url, await open_pool(url, max_size=most, settings=ENGINE_SESSION)
        except DatabaseUnreachable as refusal:
            if time.monotonic() > deadline:
                raise
            log.warning("database not reached yet, trying again", reason=str(refusal))
            await asyncio.sleep(1.0)


class CallCounter:
    """Counts calls to vendors in memory; written once a second, never a row a call."""

    def __init__(self) -> None:
        self._calls: Counter[tuple[str, str, int]] = Counter()
        self._seconds: defaultdict[tuple[str, str, int], float] = defaultdict(float)

    def __call__(self, call: CallRecord) -> None:
        key = (call.connection, f"{call.method} {call.path_template}", call.status or 0)
        self._calls[key] += 1
        self._seconds[key] += call.seconds

    async def flush(self, pool: Pool, worker_id: int) -> None:
        calls, self._calls = self._calls, Counter()
        seconds, self._seconds = self._seconds, defaultdict(float)
        if not calls:
            return
        rows = [
            {"connection": key[0], "endpoint": key[1], "status": key[2], "calls": count, "seconds": seconds[key]}
            for key, count in calls.items()
        ]
        async with transaction(pool) as db:
            await db.execute(COUNT_CALLS, {"worker": worker_id, "rows": documents.dumps(rows).decode()})


async def open_switchboard(
    house: House,
    *,
    may_send: Callable[[], bool] = lambda: True,
    on_call: Callable[[CallRecord], None] | None = None,
    worker_id: int | None = None,
    outside: Outside | None = None,
) -> Switchboard:
    """Open a session for every stored connection; one whose credentials are missing is left out with a warning.

    A worker (`worker_id`) shares the vendors' limits with the other workers; anybody else makes single calls.
    """
    switchboard = Switchboard()
    outside = outside or Outside(house)
    async with house.pool.connection() as db:
        stored = await load_connections(db, house.vault)
        for connection in stored.values():
            table = registry.connector(connection.vendor)
            rates = rates_of(table.limits, connection.config)
            share = (
                LocalBudget()
                if worker_id is None
                else BudgetedSlots(Budget(connection.name, rates, worker_id, monotonic=outside.monotonic))
            )
            try:
                session = registry.open_session(
                    connection,
                    now=house.now,
                    table=table,
                    slots=share,
                    may_send=may_send,
                    on_call=on_call,
                    wire=outside.wire(connection),
                    egress=Egress.of(house.settings, connection.config.get("ca_file")),
                )
            except registry.CredentialMissing as error:
                log.warning("connection not opened", connection=connection.name, reason=str(error))
                continue
            secrets = {**connection.config, **connection.credentials}
            switchboard.add(Line(connection.name, table, session, share, secrets, connection.state))
        await switchboard.refresh(db)
    return switchboard
