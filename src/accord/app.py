"""The composition root: opens database, vault and connections, and runs a worker with all that belongs to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

from accord.connect import registry
from accord.connect.budgeted import BudgetedSlots, rates_of
from accord.connect.polling import Polling, enter_polls
from accord.connect.session import CallRecord
from accord.connect.store import load_connections
from accord.connect.switchboard import Line, LocalBudget, Switchboard
from accord.connect.translation import Translation
from accord.connect.vault import Vault, open_vault
from accord.db import documents
from accord.db.address import url as database_url
from accord.db.migrate import upgrade
from accord.db.pool import Pool, open_pool, transaction
from accord.engine import eventlog, lease, router
from accord.engine.budget import TICK_SECONDS, Budget, tick_all
from accord.engine.lease import Lease
from accord.engine.worker import Pace, Worker
from accord.ledger import postings
from accord.processes import PROCESSES
from accord.records.knowledge import Records
from accord.settings import Settings

log = structlog.get_logger()

ENGINE_SESSION = {"plan_cache_mode": "force_generic_plan", "jit": "off"}
SEAL_SECONDS = 10.0
REFRESH_SECONDS = 0.5
RACES = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure, psycopg.errors.LockNotAvailable)

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


@contextlib.asynccontextmanager
async def open_house(
    settings: Settings, *, migrate: bool = True, connections: int | None = None
) -> AsyncIterator[House]:
    """Start the database if it is ours, bring its tables up to date, open a pool."""
    url = await asyncio.to_thread(database_url, settings)
    if migrate:
        await asyncio.to_thread(upgrade, url)
    pool = await open_pool(url, max_size=connections or settings.database_connections, settings=ENGINE_SESSION)
    try:
        yield House(settings, url, pool, open_vault(settings.home, key_file=settings.vault_key_file))
    finally:
        await pool.close()


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
) -> Switchboard:
    """Open a session for every stored connection; one whose credentials are missing is left out with a warning.

    A worker (`worker_id`) shares the vendors' limits with the other workers; anybody else makes single calls.
    """
    switchboard = Switchboard()
    async with house.pool.connection() as db:
        stored = await load_connections(db, house.vault)
        for connection in stored.values():
            table = registry.connector(connection.vendor)
            rates = rates_of(table.limits, connection.config)
            share = LocalBudget() if worker_id is None else BudgetedSlots(Budget(connection.name, rates, worker_id))
            try:
                session = registry.open_session(
                    connection, now=house.now, table=table, slots=share, may_send=may_send, on_call=on_call
                )
            except registry.CredentialMissing as error:
                log.warning("connection not opened", connection=connection.name, reason=str(error))
                continue
            secrets = {**connection.config, **connection.credentials}
            switchboard.add(Line(connection.name, table, session, share, secrets, connection.state))
        await switchboard.refresh(db)
    return switchboard


async def until_first_ends(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the first task, and raise at once what breaks any: no worker lives on with a part of it dead."""
    pending = set(tasks)
    while tasks[0] in pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


class WorkerProcess:
    """One `accord worker`: stories, polls, pushes, routing, take-over and housekeeping, until stopped."""

    def __init__(self, house: House, *, pace: Pace | None = None, poll_seconds: float | None = None) -> None:
        self._house = house
        self._pace = pace
        self._poll_seconds = poll_seconds
        self._stopping = asyncio.Event()
        self._facts = asyncio.Event()
        self.worker: Worker | None = None

    def stop(self) -> None:
        self._stopping.set()
        if self.worker is not None:
            self.worker.stop()

    async def run(self) -> None:
        """Work until stopped; a worker that lost its lease starts anew under another id."""
        while not self._stopping.is_set():
            try:
                await self._live()
            except (psycopg.errors.ObjectNotInPrerequisiteState, lease.Fenced):
                log.warning("lease lost, starting anew")
            except psycopg.OperationalError as error:
                log.warning("database lost, trying again", reason=type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), 1.0)

    async def _live(self) -> None:
        house = self._house
        async with house.pool.connection() as db:
            held = await Lease.register(db, house.url)
        calls = CallCounter()
        switchboard = await open_switchboard(house, may_send=held.holds, on_call=calls, worker_id=held.worker_id)
        async with transaction(house.pool) as db:
            await enter_polls(db, switchboard, self._poll_seconds)
        self.worker = Worker(
            self._connect, PROCESSES, switchboard, Records(postings.write), lease=held, pace=self._pace, now=house.now
        )
        translation = Translation(house.pool, switchboard, house.now)
        polling = Polling(house.pool, switchboard, held.worker_id, house.now)
        loops = [
            self._steady("stories", self.worker.run),
            self._steady("polls", lambda: polling.run(self._stopping)),
            self._steady("pushes", lambda: translation.run(self._stopping)),
            self._steady("routing", self._route),
            self._steady("listening", lambda: self._listen(translation)),
            self._steady("take-over", lambda: lease.watch(self._connect, self._stopping.is_set)),
            self._steady("budgets", lambda: self._share_budgets(switchboard)),
            self._steady("housekeeping", lambda: self._keep_house(switchboard, calls, held)),
        ]
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            await until_first_ends(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await calls.flush(house.pool, held.worker_id)
            await switchboard.close()
            held.end()
            async with house.pool.connection() as db:
                await lease.leave(db, held.worker_id)

    async def _steady(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run a loop; what breaks it is logged and it starts again, unless it is the lease or the database."""
        while True:
            try:
                return await loop()
            except (psycopg.errors.ObjectNotInPrerequisiteState, lease.Fenced):
                raise
            except psycopg.OperationalError as error:
                # A lost race for a row is tried again; a lost database is the whole worker's affair.
                if name == "stories" or not isinstance(error, RACES):
                    raise
                log.info("a loop lost a race and starts again", loop=name, reason=type(error).__name__)
            except Exception:
                log.exception("a loop of the worker broke", loop=name)
                if name == "stories":
                    raise
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), 1.0)

    async def _connect(self) -> Any:
        connection = await psycopg.AsyncConnection.connect(
            self._house.url, autocommit=True, application_name="accord worker"
        )
        documents.adopt(connection)
        for name, value in {**ENGINE_SESSION, "timezone": "UTC"}.items():
            await connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        return connection

    async def _route(self) -> None:
        connection = await self._connect()
        async with connection:
            while not self._stopping.is_set():
                if not await router.route(connection, PROCESSES):
                    self._facts.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._facts.wait(), 0.1)

    async def _listen(self, translation: Translation) -> None:
        """Wake the loops when there is something for them; polling is the net."""
        connection = await self._connect()
        async with connection:
            for channel in ("accord_ready", "accord_facts", "accord_inbox"):
                await connection.execute(f"LISTEN {channel}")
            async for notice in connection.notifies():
                if notice.channel == "accord_ready" and self.worker is not None:
                    self.worker.wake()
                elif notice.channel == "accord_facts":
                    self._facts.set()
                else:
                    translation.woken.set()

    async def _share_budgets(self, switchboard: Switchboard) -> None:
        """Exchange shares of the vendors' limits with the other workers, ten times a second."""
        shares = [line.budget.budget for line in switchboard.lines() if isinstance(line.budget, BudgetedSlots)]
        connection = await self._connect()
        async with connection:
            while not self._stopping.is_set():
                async with connection.transaction():
                    await tick_all(connection, shares)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)

    async def _keep_house(self, switchboard: Switchboard, calls: CallCounter, held: Lease) -> None:
        sealed_at = 0.0
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            async with transaction(self._house.pool) as db:
                await switchboard.refresh(db)
            await calls.flush(self._house.pool, held.worker_id)
            if loop.time() - sealed_at > SEAL_SECONDS:
                sealed_at = loop.time()
                async with transaction(self._house.pool) as db:
                    await eventlog.seal(db)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), REFRESH_SECONDS)
