"""A newer release takes the place of an older one, worker by worker, while both work on one database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from accord.db import migrate
from accord.demo.children import Child, end
from accord.imports.crm_pipeline import load

from .releases import newer, older
from .scene import Scene, scene, until

PATIENCE_SECONDS = 60
STORIES = """
SELECT p.version, p.finished_at IS NOT NULL AS ended, p.end_state = 4 AS well, count(*),
       sum((SELECT count(*) FROM event e
            WHERE e.type = 'planted.upgraded' AND e.subject = p.trigger ->> 'subject'))::int
FROM process p WHERE p.name = 'quote_to_project' GROUP BY 1, 2, 3
"""
# Stories of the newer version in the hands of a process that does not know it.
IN_WRONG_HANDS = """
SELECT count(*) FROM open_process o JOIN process p ON p.id = o.process_id JOIN worker w ON w.id = o.owner
WHERE p.version = '2' AND w.pid = ANY(%s)
"""
PART, PART_SECONDS = 30, 1.0  # opportunities that come in together, and the time between two such
BEGUN = "SELECT count(*) FROM process WHERE name = 'quote_to_project' AND version = '2'"
IN_FLIGHT = """
SELECT count(*) FROM open_process o JOIN process p ON p.id = o.process_id
WHERE p.name = 'quote_to_project' AND p.version = '1' AND o.begun AND o.state <> 3
"""
TWICE = """
SELECT count(*) FROM (SELECT FROM event WHERE type = 'planted.upgraded' GROUP BY subject HAVING count(*) > 1) x
"""


async def test_old_and_new_code_on_one_database(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stories end in the version they began in, tables grow under running workers, and nothing is lost or doubled."""
    old_code = older(tmp_path / "old")
    new_code = newer(tmp_path / "new", migrate.current(database_url) or "")

    def hire(code: Path) -> Child:
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", str(code))
            here.hire()
        return here.workers[-1]

    async with scene(tmp_path / "home", database_url, deals=1500, workers=0) as here:
        old = [hire(old_code) for _ in range(3)]
        pids = [each.pid for each in old]
        half = len(here.pipeline.opportunities) // 2
        await bring_in(here, slice(half))
        await until(lambda: here.standing()["activated"] > 20, "work of the old release", within=PATIENCE_SECONDS)
        new = [hire(new_code)]
        await until(lambda: migrate.current(database_url) == "planted", "the newer tables", within=PATIENCE_SECONDS)
        loading = asyncio.create_task(bring_in_by_and_by(here, half))
        wrong = 0
        for each in old:
            here.workers.remove(each)
            await asyncio.to_thread(here.kill if each is old[0] else stop, each)
            new.append(hire(new_code))
            if each is not old[-1]:
                await until(lambda: here.ask(BEGUN)[0][0] > 10, "stories of the newer version", within=PATIENCE_SECONDS)
                for _ in range(20):
                    wrong += here.ask(IN_WRONG_HANDS, [pids])[0][0]
                    await asyncio.sleep(0.1)
            assert all(worker.poll() is None for worker in here.workers)
        in_flight = here.ask(IN_FLIGHT)[0][0]
        assert in_flight > 0, "the old release left nothing to end: load more deals"
        await loading
        await here.prove("rolling upgrade", in_flight_at_change=in_flight)
        assert wrong == 0
        assert all(worker.poll() is None for worker in here.workers)
        look_at_versions(here)


async def bring_in(here: Scene, part: slice) -> None:
    deals = replace(here.pipeline, opportunities=here.pipeline.opportunities[part])
    report = await load(here.crm, deals, at_once=1)
    assert not report.rejections


async def bring_in_by_and_by(here: Scene, first: int) -> None:
    """In parts further apart than polls: what one poll reads begins in the version of the one worker that routes it."""
    for begin in range(first, len(here.pipeline.opportunities), PART):
        await bring_in(here, slice(begin, begin + PART))
        await asyncio.sleep(PART_SECONDS)


def stop(worker: Child) -> None:
    end([worker])


def look_at_versions(here: Scene) -> None:
    """Each story that ended well in the newer version said so once, and no other did."""
    told = {True: 0, False: 0}
    for version, _, well, count, upgraded in here.ask(STORIES):
        is_newer = version == "2"
        told[is_newer] += count
        assert upgraded == (count if is_newer and well else 0), (version, well, count, upgraded)
    assert here.ask(TWICE) == [(0,)]
    assert all(told.values()), told
    print(f"  stories of the old version {told[False]}, of the newer {told[True]}")
