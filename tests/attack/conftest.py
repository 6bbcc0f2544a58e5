"""What an attack needs: a server on a real port, in a thread of its own, on a seeded database."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from hypothesis import settings

from accord.cli.logs import configure
from accord.db import open_pool
from accord.db.pool import transaction
from accord.governance.state import State
from accord.settings import Settings
from tests.conftest import TEMPLATE
from tests.seeding import Seeded, seed
from tests.serving import key, served

# `make attack` says how many; what every change must pass costs seconds.
EXAMPLES = int(os.environ.get("ACCORD_TEST_ATTACK_EXAMPLES", "0"))


def examples(ordinary: int) -> settings:
    """How many examples a fuzz test tries: a few every time, many when asked for."""
    return settings(max_examples=EXAMPLES or ordinary, deadline=None, print_blob=True)


@dataclass(frozen=True, slots=True)
class Standing:
    """A server that stands: its address, what it was built with, what its database holds."""

    url: str
    state: State
    seeded: Seeded
    database: str
    run: Callable[[Any], Any]

    def key(self, *roles: str, entities: tuple[str, ...] = ()) -> dict[str, str]:
        """The header of a new key."""
        made: dict[str, str] = self.run(key(self.state, *roles, entities=entities))
        return made


@pytest.fixture(scope="session", autouse=True)
def plain_log() -> Iterator[None]:
    """As a server logs; structlog's own way of showing every local value takes seconds for a defect."""
    configure(Settings(log_json=True))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def standing(create_database: Callable[[str], tuple[str, str]], tmp_path_factory: pytest.TempPathFactory,
             database_server: str, request: pytest.FixtureRequest) -> Iterator[Standing]:  # fmt: skip
    """One server for all tests of a file; the file's `SERVER_SETTINGS` are its settings."""
    name, url = create_database(TEMPLATE)
    ready: Future[Standing] = Future()
    done = threading.Event()
    more = getattr(request.module, "SERVER_SETTINGS", {})
    thread = threading.Thread(
        target=_stand, args=(url, tmp_path_factory.mktemp("home"), more, ready, done), daemon=True
    )
    thread.start()
    try:
        yield ready.result(timeout=30)
    finally:
        done.set()
        thread.join(timeout=30)
        with psycopg.connect(database_server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _stand(url: str, home: Path, more: dict[str, Any], ready: Future[Standing], done: threading.Event) -> None:
    async def stand() -> None:
        pool = await open_pool(url, min_size=1, max_size=6, application_name="accord attack")
        try:
            async with transaction(pool) as db:
                seeded = await seed(db, datetime.now(UTC), alike=60)
            async with served(pool, home, **more) as (state, address):
                loop = asyncio.get_running_loop()
                ready.set_result(
                    Standing(
                        address,
                        state,
                        seeded,
                        url,
                        lambda doing: asyncio.run_coroutine_threadsafe(doing, loop).result(timeout=30),
                    )
                )
                await asyncio.to_thread(done.wait)
        finally:
            await pool.close()

    try:
        asyncio.run(stand())
    except BaseException as error:
        if not ready.done():
            ready.set_exception(error)
        raise
