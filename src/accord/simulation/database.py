"""The real PostgreSQL under the virtual clock: made once for many seeds, emptied before each.

Time that statements ask for (`now()`, `clock_timestamp()`) comes from functions that go before PostgreSQL's own in the
search path and read the virtual clock: a file beside the data, so that setting it costs no round trip.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from accord.app import CHANNELS
from accord.db import embedded
from accord.db.migrate import upgrade
from accord.simulation.sessions import Backend

CLOCK = "virtual_clock"
DIGITS = 20
# The reading is a STABLE twin of PostgreSQL's own function, so that now() can be put in line where it is used.
VIRTUAL_TIME = f"""
CREATE SCHEMA IF NOT EXISTS virtual;
CREATE SCHEMA IF NOT EXISTS pristine;
CREATE OR REPLACE FUNCTION virtual.reading(text) RETURNS text LANGUAGE internal STABLE STRICT AS 'pg_read_file_all';
CREATE OR REPLACE FUNCTION {{schema}}.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    $$ SELECT pg_catalog.to_timestamp(pg_catalog.pg_read_file('{CLOCK}')::double precision / 1e6) $$;
CREATE OR REPLACE FUNCTION {{schema}}.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT pg_catalog.to_timestamp(virtual.reading('{CLOCK}')::double precision / 1e6) $$;
"""
# Tables are made in the first schema, so that what they say of the time is meant there. Afterwards no table may stand
# before a type of PostgreSQL's own: one is called `record`.
MIGRATING, SEARCH_PATH = "public, pg_catalog", "virtual, pg_catalog, public"
TABLES = """
SELECT tablename, format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY tablename
"""
RESTART = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
FROM pg_sequences WHERE schemaname = 'public'
"""
GONE = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
# A session whose client is gone notices it when it has its lock. Who waits for the living waits for ever: they stand
# still until it has ended.
END_WAITING = """
SELECT pg_terminate_backend(pid) FROM unnest(%(ended)s::integer[]) AS pid
WHERE cardinality(pg_blocking_pids(pid)) > 0 AND NOT pg_blocking_pids(pid) && %(ended)s::integer[]
"""
# Whether a session waits for a lock, and whether in the end it waits for itself: then PostgreSQL ends one of the two.
BLOCKED = """
WITH RECURSIVE chain (pid) AS (
    SELECT unnest(pg_blocking_pids(%(pid)s)) UNION SELECT unnest(pg_blocking_pids(chain.pid)) FROM chain
) SELECT count(*) > 0, coalesce(bool_or(pid = %(pid)s), false) FROM chain
"""
# What is simulated need not survive a power cut, and nothing may clean up beside it: both would cost time, and a
# cleaner's transaction would hold up what the event log gives out.
SETTINGS = (
    ("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"), ("autovacuum", "off"),
    ("deadlock_timeout", "1ms"), ("jit", "off"), ("track_activities", "off"), ("track_counts", "off"),
)  # fmt: skip


class Database:
    """A migrated PostgreSQL of the simulation's own in `home`, with virtual time, for one seed after the other."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = embedded.ensure_running(home)
        with psycopg.connect(self.url, autocommit=True) as db:
            for setting, value in SETTINGS:
                db.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
            db.execute("SELECT pg_reload_conf()")
            self._clock = _clock(db)
            self.show_time(0)
            for schema in ("public", "virtual"):
                db.execute(VIRTUAL_TIME.format(schema=schema))
            db.execute(f"ALTER DATABASE {db.info.dbname} SET search_path = {MIGRATING}")
            upgrade(self.url)
            db.execute(f"ALTER DATABASE {db.info.dbname} SET search_path = {SEARCH_PATH}")
        self.monitor = psycopg.connect(self.url, autocommit=True, prepare_threshold=0)
        self.monitor.execute("SET plan_cache_mode = force_generic_plan")
        # All of a run is one thread: a lock that a simulated session holds is never given back while it is waited for.
        self.monitor.execute("SET lock_timeout = '20s'")
        self._full, self._again = self._emptying()
        self._heard: list[str] = []
        self.monitor.add_notify_handler(lambda notice: self._heard.append(notice.channel))
        for channel in CHANNELS:
            self.monitor.execute(f"LISTEN {channel}")
        self._backends: list[Backend] = []
        self._free: list[Backend] = []

    def _emptying(self) -> tuple[str, list[str]]:
        """Which tables hold something, and the statements that enter again what the migrations entered."""
        tables = self.monitor.execute(TABLES).fetchall()
        kept = []
        for name, table in tables:
            if self.monitor.execute(f"SELECT EXISTS (SELECT FROM {table})").fetchone() == (True,):
                self.monitor.execute(f'CREATE TABLE pristine."{name}" AS TABLE {table}')
                kept.append(f'INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE pristine."{name}"')
        return "\nUNION ALL\n".join(
            f"SELECT '{table}' WHERE EXISTS (SELECT FROM ONLY {table})" for _, table in tables
        ), kept

    def empty(self) -> None:
        """Back to a freshly migrated database; every session is anybody's again."""
        self._free = sorted((each for each in self._backends if each.usable), key=lambda each: -each.number)
        self._backends = list(self._free)
        full = ", ".join(row[0] for row in self.monitor.execute(self._full))
        with self.monitor.transaction():
            self.monitor.execute("SET LOCAL session_replication_role = replica")
            self.monitor.execute(f"TRUNCATE {full} CASCADE", prepare=False)
            for statement in (*self._again, RESTART):
                self.monitor.execute(statement)
        self.take_heard()

    def show_time(self, microseconds: int) -> None:
        """Set the virtual clock, in microseconds since 1970."""
        self._clock[:DIGITS] = b"%0*d" % (DIGITS, microseconds)

    def take_heard(self) -> list[str]:
        """The channels on which something was said since last asked; ask the database something first."""
        heard = list(dict.fromkeys(self._heard))
        self._heard.clear()
        return heard

    def only_waits(self, pid: int) -> bool:
        """Whether a session waits for a lock that another will let go; what is at work or in a deadlock ends by
        itself."""
        row = self.monitor.execute(BLOCKED, {"pid": pid}).fetchone()
        return row is not None and row[0] and not row[1]

    def backend(self) -> Backend:
        """A session that nobody uses: one of an earlier life, with its plans, or a new one."""
        if self._free:
            return self._free.pop()
        self._backends.append(Backend.open(self.url, len(self._backends)))
        return self._backends[-1]

    def release(self, backends: Sequence[Backend]) -> None:
        """Take sessions back: what they were doing is rolled back, as when their process dies."""
        ended = [each.pid for each in backends if not each.reset()]
        self._free.extend(each for each in backends if each.usable)
        deadline = time.monotonic() + 10
        while ended and self.monitor.execute(GONE, [ended]).fetchone() != (0,):
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL keeps the sessions of a killed process")
            self.monitor.execute(END_WAITING, {"ended": ended})
            time.sleep(0.0005)

    def close(self) -> None:
        for each in self._backends:
            each.end()
        self.monitor.close()


def _clock(db: psycopg.Connection[Any]) -> mmap.mmap:
    """The clock's file, in memory here and readable by PostgreSQL."""
    row = db.execute("SHOW data_directory").fetchone()
    assert row is not None
    path = Path(row[0]) / CLOCK
    path.write_bytes(b"0" * DIGITS)
    path.chmod(0o644)
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), DIGITS)


Ask = Callable[[str, Any], list[tuple[Any, ...]]]
