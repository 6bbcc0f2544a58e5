"""`accord import crm-pipeline DIR --json` on a part of the real pipeline, alone and beside a worker that runs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from accord.app import House, open_house, open_switchboard
from accord.demo.checks import ABOUT_THEMSELVES, VENDORS, held
from accord.demo.play import child, processes
from accord.demo.running import BEATING, SETTINGS, firm
from accord.demo.setup import connect_sandbox
from accord.demo.world import World
from accord.imports.pipeline_files import read_pipeline
from accord.settings import Settings

from .commands import Accord, free_port
from .subset import KOREAN, OTHER_STAGES, PHILIPPINE, WON, write_subset

Count = Callable[[], Awaitable[dict[str, dict[str, int]]]]
OF_A_RESULT = {"won", "activated", "cases_by_reason", "duplicates", "vendor_calls_by_system", "seconds"}
DONE = """
SELECT (SELECT array_agg(n ORDER BY n) FROM (SELECT state || ' ' || count(*) AS n FROM effect GROUP BY state) x),
       (SELECT count(*) FROM event WHERE type LIKE 'deal.%'), (SELECT count(*) FROM event),
       (SELECT count(*) FROM record), (SELECT sum(version) FROM record), (SELECT count(*) FROM process),
       (SELECT count(*) FROM business_case)
"""
READ = "SELECT last_seen, failures FROM poll WHERE connection = 'salesforce' AND kind = 'deal'"
MILESTONES_SEEN = "SELECT count(*) FROM record WHERE kind = 'milestone_approval'"
OF_COUNTRY = """
SELECT count(*) FILTER (WHERE p.end_state = 4), count(*) FROM process p
JOIN record d ON d.kind = 'deal' AND d.id = p.one_per
JOIN record c ON c.kind = 'customer' AND c.id = d.body ->> 'customer_id'
WHERE p.name = 'quote_to_project' AND coalesce(c.body ->> 'country_as_given', c.body ->> 'country') = %s
"""


def test_an_import_starts_what_it_needs_and_a_second_changes_nothing(tmp_path: Path, database_url: str) -> None:
    accord = Accord(tmp_path / "home", {"ACCORD_DATABASE_URL": database_url, "ACCORD_PORT": str(free_port())})
    folder = write_subset(tmp_path / "pipeline")
    first = result_of(accord("import", "crm-pipeline", str(folder), "--json"))
    every_won_deal_is_accounted_for(first)
    before = done(database_url)
    assert before[1] == WON

    second = result_of(accord("import", "crm-pipeline", str(folder), "--json"))
    assert unchanging(second) == unchanging(first)
    assert done(database_url) == before
    # It was not for want of looking: the platform read every deal again.
    assert one(database_url, READ) == (WON + sum(OTHER_STAGES.values()), 0)
    assert sum(second["vendor_calls_by_system"].values()) < 20


async def test_a_country_declared_once_cures_its_deals_while_a_worker_runs(tmp_path: Path, database_url: str) -> None:
    settings = Settings(home=tmp_path / "home", port=free_port(), database_url=SecretStr(database_url))
    accord = Accord(settings.home, {"ACCORD_DATABASE_URL": database_url, "ACCORD_PORT": str(settings.port)})
    folder = await asyncio.to_thread(write_subset, tmp_path / "pipeline")
    async with open_house(settings) as house, vendors_and_a_worker(house, folder) as count_objects:
        every_won_deal_is_accounted_for(await imported(accord, folder))

        say = ("cases", "correct", "--list", "country", "--given", "Philipines", "--meaning", "PH")
        told = await asyncio.to_thread(accord, *say)
        assert told == f"'Philipines' in country means 'PH' now; {PHILIPPINE} cases are tried again\n"
        await until(lambda: one(database_url, OF_COUNTRY, "Philipines"), (PHILIPPINE, PHILIPPINE))
        assert one(database_url, OF_COUNTRY, "Korea") == (0, KOREAN)
        left = await asyncio.to_thread(accord.json, "cases", "list")
        assert ["Korea" in each["problems"][0]["message"] for each in left] == [True] * KOREAN

        # Each new milestone comes back from the ERP once, when that is read the next time.
        await until(lambda: one(database_url, MILESTONES_SEEN), (WON - KOREAN,))
        objects, before = await count_objects(), done(database_url)
        again = await imported(accord, folder)
        assert (again["activated"], again["cases_by_reason"]) == (WON - KOREAN, {"country_unknown": KOREAN})
        assert again["duplicates"] == 0
        assert done(database_url) == before
        assert await count_objects() == objects
        assert objects["netsuite"]["job"] == objects["salesforce"]["Contract"] - KOREAN == WON - KOREAN


@asynccontextmanager
async def vendors_and_a_worker(house: House, folder: Path) -> AsyncIterator[Count]:
    """Simulated vendors and a worker that outlive the commands; gives a count of what each vendor holds by kind."""
    async with processes(house) as sandbox:
        products = read_pipeline(folder).products
        await connect_sandbox(house, sandbox, settings=SETTINGS, firm=firm(list(products)))
        child(house.settings, ["worker"])
        async with (
            await open_switchboard(house) as switchboard,
            World(sandbox, switchboard.session("salesforce")) as world,
        ):

            async def count() -> dict[str, dict[str, int]]:
                state = await held(world)
                return {
                    vendor: {kind: number for kind, number in kinds.items() if kind not in ABOUT_THEMSELVES}
                    for vendor, kinds in state.items()
                }

            await until(lambda: one(house.url, BEATING), (1,))
            yield count


def result_of(printed: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(printed.splitlines()[-1])
    assert set(result) >= OF_A_RESULT
    return result


async def imported(accord: Accord, folder: Path) -> dict[str, Any]:
    return result_of(await asyncio.to_thread(accord, "import", "crm-pipeline", str(folder), "--json"))


def every_won_deal_is_accounted_for(result: dict[str, Any]) -> None:
    assert result["won"] == WON
    assert result["cases_by_reason"] == {"country_unknown": PHILIPPINE + KOREAN}
    assert result["activated"] + sum(result["cases_by_reason"].values()) == result["won"]
    assert (result["duplicates"], result["rejected_rows"]) == (0, 0)
    assert set(result["vendor_calls_by_system"]) == set(VENDORS)
    [told] = result["translations"]
    assert told.startswith("product 'GTXPro' = 'GTX Pro'")


def unchanging(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in ("seconds", "vendor_calls_by_system")}


def one(database_url: str, query: str, *values: str) -> tuple[Any, ...]:
    with psycopg.connect(database_url) as db:
        row = db.execute(query, values or None).fetchone()
    assert row is not None
    return tuple(row)


def done(database_url: str) -> tuple[Any, ...]:
    """How much was ever done: effects by state, events, versions of records, processes, cases."""
    return one(database_url, DONE)


async def until(look: Callable[[], Any], wanted: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while (seen := await asyncio.to_thread(look)) != wanted:
        assert time.monotonic() < deadline, f"{seen} is not {wanted} after {seconds} s"
        await asyncio.sleep(0.2)
