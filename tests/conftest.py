"""What all tests stand on: one real PostgreSQL for the run, a migrated database of its own for each test that asks."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from accord.db import embedded, migrate, open_pool
from accord.db.pool import Pool
from accord.db.scratch import scratch_folder

# Two busy cores make any deadline for one example a coin toss.
hypothesis_settings.register_profile("accord", deadline=None, print_blob=True)
hypothesis_settings.load_profile("accord")

RUN_HOME = "ACCORD_TEST_RUN_HOME"
# A PostgreSQL to test against instead of the embedded one; its user must be allowed to create databases.
OTHER_SERVER = "ACCORD_TEST_DATABASE_URL"
TEMPLATE = "accord_template"


def pytest_configure(config: pytest.Config) -> None:
    """The first process makes the home of the run; the workers it starts inherit it by name."""
    for name in [name for name in os.environ if name.startswith("ACCORD_") and not name.startswith("ACCORD_TEST_")]:
        # A developer's own settings must not decide what a test sees.
        if name not in ("ACCORD_CHROMIUM", "ACCORD_SHARED_DATA"):
            del os.environ[name]
    # Simulated vendors are served on the loopback, wherever a test keeps their certificates.
    os.environ["ACCORD_PRIVATE_ADDRESSES"] = "127.0.0.0/8,::1/128"
    if not hasattr(config, "workerinput"):
        os.environ[RUN_HOME] = str(scratch_folder("accord-test-"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        home = Path(os.environ.pop(RUN_HOME))
        embedded.stop(home)
        shutil.rmtree(home)


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    with (home / "test-lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _at(server: str, database: str) -> str:
    """The address of another database on the same server."""
    return make_conninfo(server, dbname=database)


def _quickened(server: str) -> None:
    """What the tests write is thrown away at the end, so it need not survive a power cut."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")


def _has_database(connection: psycopg.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


@pytest.fixture(scope="session")
def database_server() -> str:
    """The address of the run's PostgreSQL, where a migrated template lies ready."""
    home = Path(os.environ[RUN_HOME])
    with _one_at_a_time(home):
        server = os.environ.get(OTHER_SERVER)
        if server is None:
            server = embedded.ensure_running(home)
        ready = home / "template-ready"
        if not ready.exists():
            if OTHER_SERVER not in os.environ:
                _quickened(server)
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(TEMPLATE)))
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
            migrate.upgrade(_at(server, TEMPLATE))
            ready.touch()
    return server


@pytest.fixture(scope="session")
def create_database(database_server: str, worker_id: str) -> Callable[[str], tuple[str, str]]:
    """Makes a database as a copy of a template; gives its name and its address."""
    numbers = itertools.count(1)

    def create(template: str) -> tuple[str, str]:
        name = f"accord_test_{worker_id}_{next(numbers)}"
        with psycopg.connect(database_server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(
                # Copied file by file: nothing here has to outlive a crash.
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return name, _at(database_server, name)

    return create


def _drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(database_server: str, create_database: Callable[[str], tuple[str, str]]) -> Iterator[str]:
    """The address of a migrated, empty database that is this test's alone."""
    name, url = create_database(TEMPLATE)
    yield url
    _drop(database_server, name)


@pytest.fixture
def empty_database_url(database_server: str, create_database: Callable[[str], tuple[str, str]]) -> Iterator[str]:
    """The address of a database without a single table that is this test's alone."""
    name, url = create_database("template0")
    yield url
    _drop(database_server, name)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """An open pool on this test's own database."""
    pool = await open_pool(database_url, min_size=1, max_size=4, application_name="accord test")
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def told_firm(create_database: Callable[[str], tuple[str, str]], database_server: str) -> Iterator[tuple[str, object]]:
    """A database with the firm of `tests.finance_firm`, told once in a run, and the ids of it."""
    from tests.finance_firm import tell_into

    name, url = create_database(TEMPLATE)
    yield name, asyncio.run(tell_into(url))
    _drop(database_server, name)


@pytest.fixture
async def firm_pool(
    told_firm: tuple[str, object], database_server: str, create_database: Callable[[str], tuple[str, str]]
) -> AsyncIterator[Pool]:
    """An open pool on a copy of the told firm that is this test's alone."""
    name, url = create_database(told_firm[0])
    pool = await open_pool(url, min_size=1, max_size=6, application_name="accord test")
    yield pool
    await pool.close()
    _drop(database_server, name)


@pytest.fixture(scope="session")
def chromium_executable() -> str | None:
    """The browser for tests of pages: the path of a system Chromium, or None for Playwright's own."""
    for name in (os.environ.get("ACCORD_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        if os.access(playwright.chromium.executable_path, os.X_OK):
            return None
    pytest.fail(
        "No Chromium for the browser tests: install your system's chromium package, or name one in ACCORD_CHROMIUM."
    )
