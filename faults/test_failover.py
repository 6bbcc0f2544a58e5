"""PostgreSQL's leader dies, again and again, and another node takes its place: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from accord.governance.keys import create_key

from .callers import calling
from .patroni import Cluster, cluster, missing
from .scene import Scene, scene

SEED = 20261124
KILLS = 5
NEXT_COMMIT = "SELECT extract(epoch FROM min(recorded_at))::float FROM event WHERE recorded_at > to_timestamp(%s)"
PUSHED = "SELECT vendor_event_id FROM inbox WHERE connection = 'netsuite' AND vendor_event_id LIKE 'pushed-%'"


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    if absent := missing():
        pytest.skip(f"not installed here: {absent}; see docs/reference/faults.md")
    with cluster() as running:
        yield running


async def test_the_leader_killed_five_times(tmp_path: Path, nodes: Cluster) -> None:
    """PostgreSQL and its Patroni, at random moments of the import; another node leads, workers and server follow."""
    chance = random.Random(SEED)
    async with scene(tmp_path, nodes.url, deals=1500) as here:
        here.serve()
        await answers(here)
        killed_at: list[float] = []
        base_url = f"http://127.0.0.1:{here.settings.port}"
        async with calling(base_url, here.push_secrets["netsuite"], await key(here)) as callers:
            loading = asyncio.create_task(here.load())
            for _ in range(KILLS):
                leader = await asyncio.to_thread(nodes.settle)
                await asyncio.sleep(chance.uniform(2, 5))
                killed_at.append(nodes.kill(leader))
                await asyncio.to_thread(here.ask, "SELECT 1")
                nodes.begin(leader)
            during = here.standing()
            await loading
            await asyncio.to_thread(nodes.settle)
            await here.rest()
        assert during["activated"] < len(here.won), "the kills came after the work: load more deals"
        print(f"\n  pushes: {callers.pushes.told()}\n  reads: {callers.reads.told()}")
        kept = {row[0] for row in here.ask(PUSHED)}
        assert callers.acknowledged
        assert not callers.acknowledged - kept
        for each in (callers.pushes, callers.reads):
            assert each.by_status.keys() <= {200, 503}
            assert each.impolite == 0
        waits = [here.ask(NEXT_COMMIT, [moment])[0][0] - moment for moment in killed_at]
        await here.prove(
            "leader killed", leaders=len(waits), acknowledged=len(callers.acknowledged),
            next_fact_p50=f"{statistics.median(waits):.1f} s", next_fact_max=f"{max(waits):.1f} s",
        )  # fmt: skip
        assert all(process.poll() is None for process in (*here.workers, here.server) if process)


async def key(here: Scene) -> str:
    async with await psycopg.AsyncConnection.connect(here.url) as db:
        return await create_key(db, "reads during failover", ["read"], [], datetime.now(UTC))


async def answers(here: Scene) -> None:
    """Wait until the server takes connections."""
    deadline = time.monotonic() + 60
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", here.settings.port)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
