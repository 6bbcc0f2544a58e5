"""`accord import`: starts what it needs, loads, waits until everything is settled, and says what came of it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from accord.app import House, open_house, open_switchboard
from accord.demo.children import run_to_its_end
from accord.errors import Unavailable
from accord.settings import Settings

# The deals of this pipeline, whatever else the database holds.
SETTLED = """
WITH deal AS (
    SELECT r.id FROM record r JOIN unnest(%(numbers)s::text[]) AS x (number) ON r.body ->> 'number' = x.number
    WHERE r.kind = 'deal' AND (r.body ->> 'is_won')::boolean
), run AS (
    SELECT p.end_state, o.state FROM deal JOIN process p ON p.one_per = deal.id AND p.name = 'quote_to_project'
    LEFT JOIN open_process o ON o.process_id = p.id
)
SELECT (SELECT count(*) FROM deal) AS won, (SELECT count(*) FROM run) AS started,
       (SELECT count(*) FROM run WHERE end_state = 4) AS activated, (SELECT count(*) FROM run WHERE state = 3) AS parked
"""
CASES = """
SELECT c.reason, count(*) FROM business_case c JOIN process p ON p.id = c.process_id
JOIN record r ON r.kind = 'deal' AND r.id = p.one_per JOIN unnest(%(numbers)s::text[]) AS x (number)
    ON r.body ->> 'number' = x.number
WHERE c.state = 'open' AND p.name = 'quote_to_project' GROUP BY 1 ORDER BY 2 DESC
"""
CALLS = "SELECT connection, sum(calls) FROM vendor_call WHERE endpoint NOT LIKE '%%token%%' GROUP BY 1 ORDER BY 1"
TRANSLATIONS = """
SELECT t, count(*) FROM record r, jsonb_array_elements_text(r.body -> 'translations') t
WHERE r.kind = 'engagement' GROUP BY 1 ORDER BY 2 DESC
"""
# Whether the platform has read the CRM to its end since then; before that, "nothing changed" says nothing.
READ_SINCE = """
SELECT count(*) = 2 FROM poll
WHERE connection = 'salesforce' AND kind IN ('customer', 'deal') AND last_at > %(loaded_at)s AND failures = 0
"""
NOW = "SELECT clock_timestamp()"
COMMITTED = "SELECT count(*) FROM effect WHERE state = 2"
STALL_SECONDS = 120


def run_crm_pipeline(directory: Path, *, as_json: bool, workers: int) -> None:
    """Import a pipeline; the last line printed is the result."""
    run_to_its_end(_crm_pipeline(Settings(), directory, as_json=as_json, workers=workers))


async def _crm_pipeline(settings: Settings, directory: Path, *, as_json: bool, workers: int) -> None:
    from accord.demo.running import running_house
    from accord.imports.crm_pipeline import load
    from accord.imports.pipeline_files import read_pipeline
    from accord.imports.salesforce_client import SalesforceClient

    console = Console(stderr=True)
    started = time.monotonic()
    pipeline = read_pipeline(directory)
    async with open_house(settings) as house, running_house(house, console, pipeline.products, workers):
        calls_before = await _calls(house)
        switchboard = await open_switchboard(house)
        try:
            with _progress(console) as progress:
                task = progress.add_task("load into the CRM", total=len(pipeline.opportunities))
                report = await load(
                    SalesforceClient(switchboard.session("salesforce")),
                    pipeline,
                    # The simulated vendors forget when they end: loaded in one order, their ids are the same again.
                    at_once=1,
                    on_progress=lambda done: progress.update(task, completed=done),
                )
                numbers = [each.id for each in pipeline.opportunities if each.won]
                settled = await _wait(house, progress, numbers)
        finally:
            await switchboard.close()
        result = await _result(house, numbers, settled, calls_before, time.monotonic() - started)
        result["rejected_rows"] = len(report.rejections)
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        _show(console, result)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


async def _wait(house: House, progress: Progress, numbers: Sequence[str]) -> Mapping[str, int]:
    """Until the CRM was read and every won deal is a project or a case. Raises Unavailable when nothing moves."""
    won = len(numbers)
    task = progress.add_task("activate projects", total=won)
    last, moved, committed = (-1, -1), time.monotonic(), -1
    async with house.pool.connection() as db:
        loaded_at = await _first(db, NOW)
    while True:
        async with house.pool.connection() as db:
            row = await (await db.execute(SETTLED, {"numbers": numbers})).fetchone()
            read = await _first(db, READ_SINCE, loaded_at=loaded_at)
        assert row is not None
        seen = dict(zip(("won", "started", "activated", "parked"), row, strict=True))
        progress.update(task, completed=seen["activated"] + seen["parked"])
        if read and seen["won"] >= won and seen["activated"] + seen["parked"] >= seen["started"] >= won:
            return seen
        now = (seen["won"], seen["activated"] + seen["parked"])
        if now != last:
            last, moved = now, time.monotonic()
        elif time.monotonic() - moved > STALL_SECONDS:
            # On a slow machine all deals may be half way for long before the first is through.
            async with house.pool.connection() as db:
                before, committed = committed, await _first(db, COMMITTED)
            if committed != before:
                moved = time.monotonic()
                continue
            raise Unavailable(
                f"nothing has moved for {STALL_SECONDS} s ({seen}); see `accord status` and the log folder"
            )
        await asyncio.sleep(0.25)


async def _result(
    house: House, numbers: Sequence[str], settled: Mapping[str, int], calls_before: Mapping[str, int], seconds: float
) -> dict[str, Any]:
    await asyncio.sleep(1.1)  # the workers write their call counts once a second
    async with house.pool.connection() as db:
        cases = await (await db.execute(CASES, {"numbers": numbers})).fetchall()
        translations = await (await db.execute(TRANSLATIONS)).fetchall()
        duplicates = await _duplicates(db)
    calls = await _calls(house)
    return {
        "won": len(numbers),
        "activated": settled["activated"],
        "cases_by_reason": dict(cases),
        "duplicates": duplicates,
        "vendor_calls_by_system": {name: count - calls_before.get(name, 0) for name, count in calls.items()},
        "translations": dict(translations),
        "seconds": round(seconds, 1),
    }


async def _calls(house: House) -> dict[str, int]:
    async with house.pool.connection() as db:
        rows = await (await db.execute(CALLS)).fetchall()
    return {name: int(count) for name, count in rows}


async def _first(db: Any, query: str, **parameters: Any) -> Any:
    """The first value of the first row."""
    row = await (await db.execute(query, parameters)).fetchone()
    return row[0]


async def _duplicates(db: Any) -> int:
    """Objects that one system holds twice for one canonical object; counted by the effects that created them."""
    count = await _first(
        db,
        "SELECT count(*) FROM (SELECT 1 FROM effect WHERE state = 2 AND vendor_id IS NOT NULL "
        "GROUP BY connection, kind, canonical_id HAVING count(DISTINCT vendor_id) > 1) twice",
    )
    return int(count)


def _show(console: Console, result: Mapping[str, Any]) -> None:
    cases = ", ".join(f"{count} {reason}" for reason, count in result["cases_by_reason"].items()) or "none"
    console.print(f"{result['won']} won, {result['activated']} activated, cases: {cases}; {result['seconds']} s")
