"""PostgreSQL is restarted while the pipeline is loaded and activated, in good order and at once."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import aiohttp

from .postgres import own_postgres
from .scene import scene

SEED = 20261124
RESTARTS = ("fast", "immediate", "fast", "immediate", "fast", "immediate")


async def test_postgres_restarted_during_the_import(tmp_path: Path) -> None:
    """Three fast and three immediate restarts; workers and server go on by themselves."""
    chance = random.Random(SEED)
    with own_postgres(tmp_path / "database") as database:
        async with scene(tmp_path / "home", database.url, deals=300) as here:
            here.serve()
            loading = asyncio.create_task(here.load())
            away = []
            for mode in RESTARTS:
                await asyncio.sleep(chance.uniform(1.5, 3.5))
                away.append(await asyncio.to_thread(database.restart, mode))
            await loading
            during = here.standing()
            await here.prove("PostgreSQL restarted", restarts=len(away), longest_away=f"{max(away):.1f} s",
                             activated_at_last=during["activated"])  # fmt: skip
            assert all(process.poll() is None for process in (*here.workers, here.server))


AWAY_SECONDS = 45
BACK_AT_WORK_SECONDS = 15


async def test_postgres_away_for_long_is_worked_on_soon_after(tmp_path: Path) -> None:
    """Whoever waited does not rest as long again: workers and server are back within seconds."""
    with own_postgres(tmp_path / "database") as database:
        async with scene(tmp_path / "home", database.url, deals=300) as here:
            here.serve()
            await here.load()
            await asyncio.to_thread(database.shut_down, "fast")
            await asyncio.sleep(AWAY_SECONDS)
            await asyncio.to_thread(database.start)
            began, before = time.monotonic(), here.standing()["activated"]
            while not (await ready(here.settings.port) and here.standing()["activated"] > before):
                assert time.monotonic() - began < BACK_AT_WORK_SECONDS, f"not back {BACK_AT_WORK_SECONDS} s later"
                await asyncio.sleep(0.2)
            seconds = time.monotonic() - began
            assert before < len(here.won), "the outage came after the work: load more deals"
            await here.prove("PostgreSQL away", away=f"{AWAY_SECONDS} s", back_at_work=f"{seconds:.1f} s")
            assert all(process.poll() is None for process in (*here.workers, here.server))


async def ready(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
