"""Processes that die at any moment, in the middle of the import of the real pipeline."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from accord.db import embedded

from .scene import Scene, scene, until

SEED = 20261123
FIRST_ACTIVE, ACTIVE_SECONDS = 20, 180.0


async def test_fifty_kills_of_workers_and_server(tmp_path: Path, database_url: str) -> None:
    """One of three, all of three, the server: 50 processes killed while 1,500 deals are loaded and activated, half of
    them once the first deals are active."""
    chance = random.Random(SEED)
    async with scene(tmp_path, database_url, deals=1500) as here:
        here.serve()
        loading = asyncio.create_task(here.load())
        await kill(here, chance, up_to=25)
        await until(lambda: here.standing()["activated"] >= FIRST_ACTIVE, "deal activated", within=ACTIVE_SECONDS)
        await kill(here, chance, up_to=50)
        during = here.standing()
        await loading
        assert during["activated"] < len(here.won), "the kills came after the work: load more deals"
        await here.prove("SIGKILL of workers and server", activated_at_last_kill=during["activated"])


async def kill(here: Scene, chance: random.Random, *, up_to: int) -> None:
    """One worker, all of them or the server at random moments, until so many have died."""
    while here.deaths < up_to:
        await asyncio.sleep(chance.uniform(0.2, 2.5))
        what = chance.choice(("one", "one", "one", "all", "server"))
        if what == "server":
            here.kill_server()
        for index in {"one": [chance.randrange(3)], "all": range(3), "server": []}[what]:
            here.kill_worker(index)


async def test_embedded_database_killed(tmp_path: Path) -> None:
    """The embedded PostgreSQL's postmaster is killed five times; workers start it again by themselves or wait."""
    chance = random.Random(SEED + 1)
    home = tmp_path / "home"
    try:
        async with scene(home, None, deals=300) as here:
            loading = asyncio.create_task(here.load())
            for _ in range(5):
                await asyncio.sleep(chance.uniform(2, 4))
                pid = int((home / "pg" / "data" / "postmaster.pid").read_text().splitlines()[0])
                await asyncio.to_thread(kill_database, pid)
                here.deaths += 1
                await asyncio.to_thread(embedded.ensure_running, home)
            await loading
            await here.prove("SIGKILL of the embedded database")
    finally:
        await asyncio.to_thread(embedded.stop, home)


def kill_database(pid: int) -> None:
    """Only the postmaster: its children notice and end."""
    import os
    import signal

    os.kill(pid, signal.SIGKILL)
