"""The database's disk is full for a while: nothing is lost, it is said plainly, and work goes on when there is room."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import psycopg
import pytest

from accord.db.embedded import EmbeddedDatabaseFailed

from .callers import calling
from .postgres import OwnPostgres, own_postgres
from .scene import Scene, scene, until
from .test_failover import PUSHED, answers, key

DISK = "400m"
SAID = "no room on its disk"
FULL_SECONDS = 10
NOTICED_SECONDS = 60


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, small enough to be filled."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "accord-fault", str(place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not mounted or mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr if mounted else 'no mount'}".strip())
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte more goes onto the disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    try:
        yield
    finally:
        filler.unlink()


async def test_the_disk_of_the_tables_is_full(tmp_path: Path, disk: Path) -> None:
    """The log of changes lies on another disk, so PostgreSQL goes on and refuses what needs room."""
    with own_postgres(disk / "database") as database:
        move_log_of_changes(database, tmp_path / "wal")
        async with scene(tmp_path / "home", database.url, deals=600) as here:
            here.serve()
            await answers(here)
            base_url, reader = f"http://127.0.0.1:{here.settings.port}", await key(here)
            async with calling(base_url, here.push_secrets["netsuite"], reader) as callers:
                loading = asyncio.create_task(here.load())
                await until(lambda: here.standing()["activated"] > 5, "work under way", within=NOTICED_SECONDS)
                with full(disk):
                    await until(lambda: SAID in worker_log(here), "a worker that says it", within=NOTICED_SECONDS)
                    assert "disk" in await until_not_ready(here.settings.port)
                    await asyncio.sleep(FULL_SECONDS)
                during = here.standing()  # not before: a new session may need to write a file of its own
                await loading
                await here.rest()
            assert during["activated"] < len(here.won), "the disk was full after the work: load more deals"
            kept = {row[0] for row in here.ask(PUSHED)}
            assert callers.acknowledged
            assert not callers.acknowledged - kept
            assert set(callers.pushes.by_status) | set(callers.reads.by_status) <= {0, 200, 503}
            await here.prove(
                "disk of the tables full",
                acknowledged=len(callers.acknowledged),
                refused=callers.pushes.by_status[503],
                activated_when_full=during["activated"],
            )
            assert all(process.poll() is None for process in (*here.workers, here.server) if process)


async def test_the_whole_disk_is_full(tmp_path: Path, disk: Path) -> None:
    """The log of changes cannot grow, so PostgreSQL gives up; a service manager starts it again and again."""
    with own_postgres(disk / "database") as database:
        async with scene(tmp_path / "home", database.url, deals=600) as here:
            here.serve()
            await answers(here)
            keeping = asyncio.create_task(asyncio.to_thread(keep_running, database, stop := asyncio.Event()))
            try:
                loading = asyncio.create_task(here.load())
                await until(lambda: here.standing()["activated"] > 5, "work under way", within=NOTICED_SECONDS)
                with full(disk):
                    await asyncio.to_thread(exhaust_log_of_changes, database)
                    await until(lambda: "database lost" in worker_log(here), "a lost database", within=NOTICED_SECONDS)
                    await asyncio.sleep(FULL_SECONDS)
                await loading
                during = here.standing()
                assert during["activated"] < len(here.won), "the disk was full after the work: load more deals"
                await here.prove("whole disk full", activated_after=during["activated"])
                assert all(process.poll() is None for process in (*here.workers, here.server) if process)
            finally:
                stop.set()
                await keeping


def move_log_of_changes(database: OwnPostgres, place: Path) -> None:
    database.shut_down("fast")
    shutil.move(database.data / "pg_wal", place)
    (database.data / "pg_wal").symlink_to(place)
    database.start()


def exhaust_log_of_changes(database: OwnPostgres) -> None:
    """Use up what PostgreSQL has set aside for its log of changes; how much that is depends on what went before."""
    with contextlib.suppress(psycopg.Error), psycopg.connect(database.url, autocommit=True) as db:
        while True:
            db.execute("SELECT pg_logical_emit_message(false, 'fault', repeat('x', 1000000))")


def keep_running(database: OwnPostgres, stop: asyncio.Event) -> None:
    """What a service manager does."""
    while not stop.is_set():
        with contextlib.suppress(EmbeddedDatabaseFailed):
            database.start()
        time.sleep(0.5)


def worker_log(here: Scene) -> str:
    return (here.settings.home / "log" / "worker.log").read_text()


async def until_not_ready(port: int) -> str:
    """What /readyz says when it says no."""
    deadline = time.monotonic() + NOTICED_SECONDS
    while True:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            if answer.status == 503:
                return await answer.text()
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
