"""One approved entry at a time: from its push at the API until it lies in the ledger; server and worker as shipped."""

from __future__ import annotations

import asyncio
import shutil
import socket
import statistics
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import psycopg
from pydantic import SecretStr

from accord.db.pool import open_pool, transaction
from accord.demo.children import end, start
from accord.governance.keys import create_key
from accord.ledger.bindings import Binding, ProjectRow
from accord.ledger.bindings import declare as bind
from accord.ledger.terms import declare
from accord.settings import Settings
from bench import work

ENTRIES = 200
THERE = "SELECT EXISTS (SELECT FROM item_part p JOIN billable_item i ON i.id = p.item_id WHERE i.source_id = %s)"
NEWEST = "SELECT id FROM work_entry WHERE source = 'bench' AND source_key = %s"


def run(url: str, *, entries: int = ENTRIES) -> dict[str, Any]:
    """Milliseconds from before the push to the posted part, entries arriving at moments of their own."""
    home = Path(tempfile.mkdtemp(prefix="accord-bench-entry-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(home=home, database_url=SecretStr(url), port=port, log_level="warning")
    key = asyncio.run(_prepare(url))
    children = [start(settings, ["serve"]), start(settings, ["worker"])]
    try:
        took = asyncio.run(_push(url, f"http://127.0.0.1:{port}", key, entries))
    finally:
        end(children)
        shutil.rmtree(home)
    ordered = sorted(took)
    return {
        "entries": entries,
        "p50_ms": round(statistics.median(took)),
        "p95_ms": round(ordered[int(len(took) * 0.95)]),
        "longest_ms": round(ordered[-1]),
    }


async def _prepare(url: str) -> str:
    pool = await open_pool(url)
    async with transaction(pool) as db:
        await declare(db, [work.terms_of(n, 1_000) for n in range(30)], by="bench")
        rows = [
            ProjectRow(f"P{n}", Binding(work.engagement_id(n), work.ENTITIES[n % 3][0]), date.min) for n in range(30)
        ]
        await bind(db, "bench", rows, by="bench")
        key = await create_key(db, "bench", ("operate",), (), datetime.now(UTC))
    await pool.close()
    return key


async def _push(url: str, server: str, key: str, entries: int) -> list[float]:
    chance = Random(11)
    took: list[float] = []
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(server, headers=headers) as client,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as db,
    ):
        await until_up(client)
        for number in range(-5, entries):  # the first few are for caches and plans
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            told = {
                "key": str(number), "status": "approved", "project": f"P{number % 30}", "worked_on": "2026-05-04",
                "quantity": "1.5", "worker": "anna", "role": "senior", "task": "build", "approver": "paula",
                "approved_at": "2026-05-05T09:00:00Z",
            }  # fmt: skip
            began = time.perf_counter()
            async with client.post("/api/system/v1/work/bench", json={"entries": [told]}) as answer:
                assert answer.status == 200, await answer.text()
            row = await (await db.execute(NEWEST, [str(number)])).fetchone()
            assert row is not None
            await _until_there(db, row[0])
            if number >= 0:
                took.append((time.perf_counter() - began) * 1000)
    return took


async def _until_there(db: Any, entry: str) -> None:
    while True:
        if (await (await db.execute(THERE, [entry])).fetchone())[0]:
            return
        await asyncio.sleep(0.002)


async def until_up(client: aiohttp.ClientSession, seconds: float = 60.0) -> None:
    ended = time.perf_counter() + seconds
    while True:
        try:
            async with client.get("/readyz") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientConnectionError:
            pass
        if time.perf_counter() > ended:
            raise RuntimeError("the server does not come up")
        await asyncio.sleep(0.1)
