"""Brings a database to the shape this code expects. Two servers that start together on an empty database do it once."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from psycopg import errors, sql
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from accord.db import months
from accord.db.pool import unreachable
from accord.errors import Conflict, Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"

# The first eight bytes of the SHA-256 of "accord.migrations" without the sign: a number that is nobody else's.
ADVISORY_LOCK = 0x1C17A043A9007934
WAIT_SECONDS = 600.0
LOOK_EVERY_SECONDS = 0.1
# Tables are in use while the release before this one works: the lock a migration needs may be had at the next attempt,
# and two that wait for each other are parted by PostgreSQL, which ends one of them.
BLOCKED_SECONDS = 60.0
BLOCKED_PAUSE_SECONDS = (0.2, 1.0)


class MigrationBlocked(Unavailable):
    """A migration could not get a lock in time; nothing of it was done."""

    title = "Migration blocked"


class DatabaseNewerThanCode(Conflict):
    """The database was migrated by a newer Accord than this one."""

    title = "Database is newer than this Accord"


def upgrade(url: str) -> None:
    """Run the migrations that are missing, in order, each in a transaction of its own. Blocks.

    A second caller waits for the first, and then finds nothing to do.
    Raises DatabaseUnreachable, MigrationBlocked, DatabaseNewerThanCode, psycopg.Error.
    """
    try:
        with _alone(url):
            _run_until_done(url)
            # A busy table is no reason not to start: the worker's housekeeping asks again.
            with suppress(errors.LockNotAvailable), _connect(url, autocommit=True) as single:
                months.keep(single)
    except OperationalError as refusal:
        if isinstance(refusal.orig, psycopg.OperationalError) and _is_lost(refusal.orig):
            raise unreachable(refusal.orig) from refusal
        raise
    except psycopg.OperationalError as refusal:
        if _is_lost(refusal):
            raise unreachable(refusal) from refusal
        raise


def _run_until_done(url: str) -> None:
    """Run what is missing; a migration that met those at work is tried again from its start, for a while."""
    deadline = time.monotonic() + BLOCKED_SECONDS
    while True:
        try:
            with _engine_connection(url) as connection:
                return _run_missing(connection)
        except MigrationBlocked:
            if time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(*BLOCKED_PAUSE_SECONDS))  # noqa: S311  (spreads attempts; not a secret)


def _run_missing(connection: Connection) -> None:
    applied = MigrationContext.configure(connection).get_current_heads()
    connection.rollback()
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "heads")
    except (CommandError, ResolutionError) as refusal:
        raise _newer(applied) from refusal
    except OperationalError as refusal:
        if isinstance(refusal.orig, (errors.LockNotAvailable, errors.DeadlockDetected)):
            raise MigrationBlocked(
                "A migration waited too long for a table that is in use. Nothing of it was done: run it again when "
                "the long transaction has ended."
            ) from refusal
        raise


def _is_lost(error: psycopg.OperationalError) -> bool:
    """Whether the connection went away or was not to be had; what the server refused for another reason has a code."""
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


def current(url: str) -> str | None:
    """The revision the database is at; None when it is empty."""
    with _engine_connection(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def pending(url: str) -> list[str]:
    """The revisions that `upgrade` would run, first to last. Raises DatabaseNewerThanCode."""
    with _engine_connection(url) as connection:
        applied = MigrationContext.configure(connection).get_current_heads()
        scripts = ScriptDirectory.from_config(_config())
        try:
            done = {script.revision for head in applied for script in scripts.iterate_revisions(head, "base")}
        except (CommandError, ResolutionError) as refusal:
            raise _newer(applied) from refusal
        return [script.revision for script in reversed(list(scripts.walk_revisions())) if script.revision not in done]


def _newer(applied: tuple[str, ...]) -> DatabaseNewerThanCode:
    return DatabaseNewerThanCode(
        f"The database is at {', '.join(applied)}, which this Accord does not know. "
        "Run the Accord that migrated it, or newer."
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _engine_connection(url: str) -> Iterator[Connection]:
    """What Alembic works through, over our own driver and any form of address that the driver takes."""

    def connect() -> psycopg.Connection[Any]:
        return _session(url)

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def _session(url: str, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    """A connection that prepares nothing: behind a pooler what was prepared stays with another session."""
    return psycopg.connect(
        url, autocommit=autocommit, application_name="accord migrate", connect_timeout=10, prepare_threshold=None
    )


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """Hold the advisory lock of migrations in a transaction of its own, so that no migration's commit lets it go.

    A transaction's lock, not a session's, which a pooler would leave with somebody else. Asked for again and again
    rather than waited for: a waiting statement holds a snapshot, and a CREATE INDEX CONCURRENTLY in the migration that
    is running would wait for it for ever. A transaction between two statements holds none.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    with _connect(url) as connection:
        while not _taken(connection):
            connection.rollback()
            if time.monotonic() > deadline:
                raise MigrationBlocked(
                    f"Another process has been migrating this database for {WAIT_SECONDS:.0f} seconds. "
                    "Run it again later."
                )
            time.sleep(LOOK_EVERY_SECONDS)
        yield


def _connect(url: str, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    try:
        return _session(url, autocommit=autocommit)
    except (psycopg.OperationalError, psycopg.ProgrammingError) as refusal:
        raise unreachable(refusal) from refusal


def _taken(connection: psycopg.Connection[Any]) -> bool:
    # Idle while migrations run, which may be long; a server-wide limit must not cut the lock short.
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    # Without parameters, so that no portal is left open: that would keep a snapshot until the transaction's end.
    asked = sql.SQL("SELECT pg_try_advisory_xact_lock({})").format(sql.Literal(ADVISORY_LOCK))
    row = connection.execute(asked).fetchone()
    return bool(row and row[0])
