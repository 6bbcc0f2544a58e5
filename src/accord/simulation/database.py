"""The real PostgreSQL under the virtual clock.

Each statement is performed to its end before anything else runs, with one scheduling point before it: there another
part may go first, or the process may die. A statement that waits for a row another simulated process has locked lets
the others go on until it is free; whether it waits is PostgreSQL's word, so the order is the same every time.
Time that statements ask for (`now()`, `clock_timestamp()`) comes from functions that go before PostgreSQL's own in the
search path and read the virtual clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection, waiting
from psycopg.conninfo import make_conninfo

from accord.db import embedded
from accord.db.migrate import upgrade
from accord.simulation.loop import INCARNATION, Incarnation

VIRTUAL_TIME = """
CREATE SCHEMA IF NOT EXISTS virtual;
CREATE SEQUENCE IF NOT EXISTS virtual.microseconds MINVALUE 0;
CREATE OR REPLACE FUNCTION {schema}.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    $$ SELECT pg_catalog.to_timestamp((SELECT last_value FROM virtual.microseconds) / 1e6) $$;
CREATE OR REPLACE FUNCTION {schema}.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT pg_catalog.to_timestamp((SELECT last_value FROM virtual.microseconds) / 1e6) $$;
"""
# Tables are made in the first schema, so that what they say of the time is meant there. Afterwards no table may stand
# before a type of PostgreSQL's own: one is called `record`.
MIGRATING, SEARCH_PATH = "public, pg_catalog", "virtual, pg_catalog, public"
# What the migrations wrote is part of the shape.
EMPTY = """
SELECT format('TRUNCATE %s RESTART IDENTITY', string_agg(format('%I.%I', schemaname, tablename), ', '))
FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'allowed_move')
"""
RESTART = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
FROM pg_sequences WHERE schemaname = 'public'
"""
GONE = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
# Whether a session waits for a lock, and whether in the end it waits for itself: then PostgreSQL ends one of the two.
BLOCKED = """
WITH RECURSIVE chain (pid) AS (
    SELECT unnest(pg_blocking_pids(%(pid)s)) UNION SELECT unnest(pg_blocking_pids(chain.pid)) FROM chain
) SELECT count(*) > 0, coalesce(bool_or(pid = %(pid)s), false) FROM chain
"""
PATIENCE_MS = 2
READABLE, WRITABLE = select.POLLIN | select.POLLHUP | select.POLLERR, select.POLLOUT


def prepare(home: Path) -> str:
    """Start a PostgreSQL of the simulation's own, migrated, with virtual time; its address.

    What is simulated need not survive a power cut, and nothing may clean up beside it: both would cost time, and a
    cleaner's transaction would hold up what the event log gives out.
    """
    url = embedded.ensure_running(home)
    with psycopg.connect(url, autocommit=True) as db:
        for setting, value in (
            ("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"), ("autovacuum", "off"),
            ("deadlock_timeout", "2ms"), ("jit", "off"),
        ):  # fmt: skip
            db.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
        db.execute("SELECT pg_reload_conf()")
        for schema in ("public", "virtual"):
            db.execute(VIRTUAL_TIME.format(schema=schema))
        db.execute(f"ALTER DATABASE {db.info.dbname} SET search_path = {MIGRATING}")
        upgrade(url)
        db.execute(f"ALTER DATABASE {db.info.dbname} SET search_path = {SEARCH_PATH}")
    return url


@dataclass(frozen=True, slots=True)
class Fate:
    """What befalls a process at one statement: a pause before it, death before it reaches PostgreSQL or after it was
    performed and before the process learns of it. `die` kills the process; it is called at that moment."""

    pause: float = 0.0
    die_before: Callable[[], None] | None = None
    die_after: Callable[[], None] | None = None


STEADY = Fate()


class Server:
    """The simulation's PostgreSQL for one seed: sessions for simulated processes, the clock, what is blocked."""

    def __init__(self, url: str, *, time_of: Callable[[], float], epoch: float) -> None:
        self.url = url
        self._time_of = time_of
        self._epoch = epoch
        self._shown = -1
        self.blocked: list[asyncio.Future[None]] = []
        self.statements = 0
        self.fate: Callable[[Incarnation], Fate] = lambda _: STEADY
        self.monitor = psycopg.connect(url, autocommit=True, prepare_threshold=0)
        self._heard: list[str] = []
        self.monitor.add_notify_handler(lambda notice: self._heard.append(notice.channel))
        for channel in ("accord_ready", "accord_facts", "accord_inbox", "accord_budget"):
            self.monitor.execute(f"LISTEN {channel}")

    def empty(self) -> None:
        """Back to a freshly migrated database."""
        row = self.monitor.execute(EMPTY).fetchone()
        assert row is not None
        self.monitor.execute(row[0])
        self.monitor.execute(RESTART)
        self.ask("SELECT 1")
        self._heard.clear()

    def ask(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """The answer of a question the simulation itself asks, outside of what is simulated."""
        self.set_clock()
        return self.monitor.execute(query, parameters).fetchall()

    def take_heard(self) -> list[str]:
        """The channels on which something was said since last asked; ask the database something first."""
        heard, self._heard = list(dict.fromkeys(self._heard)), []
        return heard

    def set_clock(self) -> None:
        now = round((self._epoch + self._time_of()) * 1e6)
        if now - self._shown >= 1000:
            self._shown = now
            self.monitor.execute("SELECT setval('virtual.microseconds', %s)", [now])

    def only_waits(self, pid: int) -> bool:
        """Whether a session waits for a lock that another will let go; what is at work or in a deadlock ends by
        itself."""
        row = self.monitor.execute(BLOCKED, {"pid": pid}).fetchone()
        return row is not None and row[0] and not row[1]

    def progressed(self) -> None:
        """A statement has ended: whoever waits for a lock may look again."""
        blocked, self.blocked = self.blocked, []
        for each in blocked:
            if not each.done():
                each.set_result(None)

    def cut(self, incarnation: Incarnation) -> None:
        """Cut off every session of a dead process, and wait until PostgreSQL has rolled back what it was doing."""
        pids = []
        for session in incarnation.sessions:
            if not session.closed:
                pids.append(session.pgconn.backend_pid)
                session.pgconn.finish()
        deadline = time.monotonic() + 10
        while pids and self.monitor.execute(GONE, [pids]).fetchone() != (0,):
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL keeps the sessions of a killed process")
            time.sleep(0.0005)
        self.progressed()

    async def connect(self) -> SimulatedSession:
        """A session for the simulated process that asks."""
        owner = INCARNATION.get()
        assert owner is not None, "only a simulated process opens sessions"
        session: SimulatedSession = waiting.wait_conn(
            SimulatedSession._connect_gen(  # noqa: SLF001  (psycopg's own way in waits on the loop)
                make_conninfo(self.url, application_name=owner.name)
            ),
            interval=0.1,
        )
        session._autocommit = True  # noqa: SLF001
        session.server, session.owner = self, owner
        owner.sessions.append(session)
        return session

    def close(self) -> None:
        self.monitor.close()


class SimulatedSession(AsyncConnection[Any]):
    """psycopg's own connection; only how it waits for PostgreSQL is different."""

    server: Server
    owner: Incarnation

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ARG002
        server = self.server
        server.statements += 1
        fate = server.fate(self.owner)
        if fate.die_before is not None:
            fate.die_before()
        if fate.pause or self.owner.dead:
            await asyncio.sleep(fate.pause)  # the dead never come back from here
        server.set_clock()
        try:
            answer = await self._perform(gen)
        finally:
            if server.blocked:
                server.progressed()
        if fate.die_after is not None:
            fate.die_after()
            await asyncio.sleep(0)
        return answer

    async def _perform(self, gen: Any) -> Any:
        poll = select.poll()
        fd = self.pgconn.socket
        try:
            wanted = next(gen)
            poll.register(fd, _events(wanted))
            while True:
                ready = poll.poll(PATIENCE_MS)
                if not ready:
                    await self._let_others_go_on()
                    continue
                seen = ready[0][1]
                state = (waiting.READY_R if seen & READABLE else 0) | (waiting.READY_W if seen & WRITABLE else 0)
                wanted = gen.send(waiting.Ready(state))
                poll.modify(fd, _events(wanted))
        except StopIteration as ended:
            return ended.value

    async def _let_others_go_on(self) -> None:
        """PostgreSQL has not answered yet. When it waits for a lock, others go first; else it is simply at work."""
        server = self.server
        if not server.only_waits(self.pgconn.backend_pid):
            return
        free: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        server.blocked.append(free)
        try:
            await free
        except BaseException:
            self.pgconn.finish()
            raise


class SimulatedPool:
    """What the code knows of a pool: a connection for a while."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._free: list[Any] = []

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[Any]:  # noqa: ARG002  (there is always one)
        session = self._free.pop() if self._free else await self._connect()
        try:
            yield session
        finally:
            if not session.closed:
                self._free.append(session)

    async def close(self) -> None:
        for session in self._free:
            with contextlib.suppress(psycopg.Error):
                await session.close()
        self._free.clear()


def _events(wanted: Any) -> int:
    return (select.POLLIN if wanted & waiting.WAIT_R else 0) | (select.POLLOUT if wanted & waiting.WAIT_W else 0)
