"""Pages of finance and of the PMO beside ten million items: how long the server takes for each, one at a time."""

from __future__ import annotations

import asyncio
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr
from yarl import URL

from accord.db.pool import open_pool, transaction
from accord.demo.children import end, start
from accord.governance.keys import create_key
from accord.settings import Settings
from bench.one_entry import until_up

ASKED = 100
ENGAGEMENT = "DEA-OLD00003"
PAGES = (
    "/finance",
    "/finance?entity=DE",
    "/finance/unbilled",
    "/finance/unbilled?currency=EUR&age=31-60",
    f"/finance/items?engagement={ENGAGEMENT}&entity=US&currency=USD&where=collected",
    "/finance/proposals",
    "/finance/receivables",
    "/finance/latency",
    "/finance/breaks",
    "/pmo",
    "/pmo/engagements",
    "/pmo/caps",
    "/pmo/utilization",
    "/pmo/missing-time",
)


def run(url: str, *, asked: int = ASKED, pages: Sequence[str] = PAGES) -> dict[str, Any]:
    """Milliseconds from asking to the whole page, by page."""
    home = Path(tempfile.mkdtemp(prefix="accord-bench-pages-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(home=home, database_url=SecretStr(url), port=port, log_level="warning")
    key = asyncio.run(_key(url))
    children = [start(settings, ["serve"])]
    try:
        return asyncio.run(_ask(f"http://127.0.0.1:{port}", key, asked, pages))
    finally:
        end(children)
        shutil.rmtree(home)


async def _key(url: str) -> str:
    pool = await open_pool(url)
    async with transaction(pool) as db:
        key = await create_key(db, "bench", ("operate",), (), datetime.now(UTC))
    await pool.close()
    return key


async def _ask(server: str, key: str, asked: int, pages: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with aiohttp.ClientSession(server, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        await until_up(client)
        async with client.post("/sign-in", data={"key": key}, allow_redirects=False) as answer:
            assert answer.status == 303, answer.status
        for page in pages:
            took = [await _one(client, page) for _ in range(asked + 5)][5:]  # the first few are for caches and plans
            ordered = sorted(took)
            found[page] = {
                "p50_ms": round(statistics.median(took)),
                "p95_ms": round(ordered[int(len(took) * 0.95)]),
                "longest_ms": round(ordered[-1]),
            }
    return {**found, "slowest_p95_ms": max(each["p95_ms"] for each in found.values())}


async def _one(client: aiohttp.ClientSession, page: str) -> float:
    began = time.perf_counter()
    async with client.get(URL(page, encoded=True), allow_redirects=False) as answer:
        body = await answer.read()
        assert answer.status == 200, (page, answer.status, body[-500:])
    return (time.perf_counter() - began) * 1000
