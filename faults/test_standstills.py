"""A worker that stands still and wakes up, a vendor that never answers, everybody starting at once."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import psycopg

from accord.demo.children import end, start
from accord.settings import Settings
from tests.e2e.commands import free_port

from .scene import scene

LIVING = "SELECT count(*) FROM worker_heartbeat WHERE at > clock_timestamp() - interval '2 seconds'"


async def test_sigstop_past_the_lease_is_fenced(tmp_path: Path, database_url: str) -> None:
    async with scene(tmp_path, database_url, deals=300) as here:
        loading = asyncio.create_task(here.load())
        for index in (0, 1, 2, 0, 1):
            await asyncio.sleep(1.5)
            here.workers[index].send_signal(signal.SIGSTOP)
            await asyncio.sleep(4)
            here.workers[index].send_signal(signal.SIGCONT)
        await loading
        log = (tmp_path / "log" / "worker.log").read_text()
        assert "work taken over" in log
        await here.prove("SIGSTOP past the lease", pauses=5, begun_anew=log.count("lease lost, starting anew"))
        assert all(worker.poll() is None for worker in here.workers)


async def test_a_vendor_that_accepts_and_never_answers(tmp_path: Path, database_url: str) -> None:
    async with scene(tmp_path, database_url, deals=150) as here:
        for vendor in ("netsuite", "stripe"):
            await here.world.fault(vendor, kind="never_answer", method="POST", after=5, times=3, seconds=300)
        await here.load()
        await here.prove("vendor accepts, does the work and never answers", unanswered=6)


async def test_everybody_starts_at_once_on_an_empty_database(tmp_path: Path, empty_database_url: str) -> None:
    houses = [Settings(home=tmp_path, port=free_port(), database_url=empty_database_url) for _ in range(2)]
    began = time.monotonic()
    children = [start(each, ["serve"]) for each in houses] + [start(houses[0], ["worker"]) for _ in range(3)]
    try:
        while await asyncio.to_thread(living, empty_database_url) < 3:
            assert time.monotonic() - began < 60
            assert all(child.poll() is None for child in children)
            await asyncio.sleep(0.2)
        print(f"\n  two servers, three workers, empty database: all at work after {time.monotonic() - began:.1f} s")
        assert all(child.poll() is None for child in children)
    finally:
        await asyncio.to_thread(end, children)


def living(url: str) -> int:
    with psycopg.connect(url) as db:
        if db.execute("SELECT to_regclass('worker_heartbeat')").fetchone() == (None,):
            return 0
        row = db.execute(LIVING).fetchone()
    assert row is not None
    return int(row[0])
