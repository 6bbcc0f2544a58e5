"""Workers whose machines' clocks are ten minutes fast and slow: the time that counts is the database's."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from .scene import Scene, scene

OFF = ("+10m", "-10m")
# Facts in the order in which they were recorded, per story; what happened later may not bear an earlier time.
OUT_OF_ORDER = """
SELECT count(*) FROM (
    SELECT occurred_at - lag(occurred_at) OVER (PARTITION BY correlation ORDER BY seq) AS step
    FROM event WHERE actor = 'accord' AND correlation IS NOT NULL) x
WHERE step < interval '-30 seconds'
"""
FAR_OFF = (
    "SELECT count(*) FROM event WHERE actor = 'accord' AND abs(extract(epoch FROM occurred_at - recorded_at)) > 60"
)
WORKERS = "SELECT count(*) FROM worker_heartbeat"
PAUSED = "SELECT name, state_reason FROM connection WHERE state <> 'active'"


def faketime_library() -> str:
    """What `faketime` puts into a program; a program of its own, never linked."""
    program = shutil.which("faketime")
    if program is None:
        pytest.skip("faketime is not installed (Debian package faketime)")
    shown = subprocess.run([program, "-f", "+0", "env"], capture_output=True, text=True, check=True).stdout
    return next(line.partition("=")[2] for line in shown.splitlines() if line.startswith("LD_PRELOAD="))


def hire_with_clock(here: Scene, off: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker on a machine whose clock is off; how fast it goes is right, as on any machine."""
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", library)
        patch.setenv("FAKETIME", off)
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        patch.setenv("DONT_FAKE_MONOTONIC", "1")
        here.hire()


async def until_at_work(here: Scene, count: int) -> None:
    """One after another: libfaketime makes time.sleep fail on a slow clock, and who starts beside others sleeps while
    they migrate."""
    deadline = time.monotonic() + 60
    while (await asyncio.to_thread(here.ask, WORKERS))[0][0] < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_two_of_three_clocks_are_ten_minutes_off(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One fast, one slow, one right: nothing is taken over for it, no vendor refuses, facts keep their order."""
    library = faketime_library()
    async with scene(tmp_path, database_url, deals=600, workers=1) as here:
        await until_at_work(here, 1)
        for count, off in enumerate(OFF, 2):
            hire_with_clock(here, off, library, monkeypatch)
            await until_at_work(here, count)
        await here.load()
        await here.prove("clocks off by ten minutes", fast=1, slow=1)
        assert here.ask(PAUSED) == []
        assert here.ask(FAR_OFF) == [(0,)]
        assert here.ask(OUT_OF_ORDER) == [(0,)]
        log = (tmp_path / "log" / "worker.log").read_text()
        assert "work taken over" not in log
        by_worker = here.ask("SELECT worker_id, sum(calls) FROM vendor_call GROUP BY 1")
        assert len(by_worker) == 3, "every worker must have worked"
