"""`accord import time-files`: one look at a drop, now, whatever the workers do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from accord.app import House, open_house
from accord.cli.logs import configure
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.connect.store import load_connection
from accord.connectors.timefiles.collecting import Picked
from accord.db.pool import transaction
from accord.errors import UsageError
from accord.ledger import bindings
from accord.ledger.bindings import ProjectRow
from accord.settings import Settings


def run_time_files(connection: str, bind: Path | None, *, at_once: bool, as_json: bool) -> None:
    """Say what projects are, look at the drop of a connection, and print what became of each file."""
    settings = Settings()
    configure(settings)
    asyncio.run(_time_files(settings, connection, bind, at_once=at_once, as_json=as_json))


async def _time_files(settings: Settings, connection: str, bind: Path | None, *, at_once: bool, as_json: bool) -> None:
    from accord.imports.binding_file import read_bindings
    from accord.ledger.rating import rate_waiting

    declared = read_bindings(bind) if bind is not None else []
    async with open_house(settings) as house:
        picked = await _look(house, connection, declared, at_once=at_once)
        await rate_waiting(house.pool, house.now())
    if as_json:
        print_json([asdict(each) for each in picked])
        return
    rows = [(each.name, each.what, each.why, *_counts(each)) for each in picked]
    numbers = ("rows", "new", "revised", "deleted", "problems")
    as_table(f"Files of {connection}", ("file", "", "why", *numbers), rows, right=numbers)


async def _look(house: House, name: str, declared: Sequence[ProjectRow], *, at_once: bool) -> list[Picked]:
    from accord.connectors.timefiles import open_place, settle_of, table_of
    from accord.connectors.timefiles.collecting import Collector
    from accord.connectors.timefiles.watching import VENDOR

    async with house.pool.connection() as db:
        stored = await load_connection(db, house.vault, name)
    if stored.vendor != VENDOR:
        raise UsageError(f"{name} is a connection to {stored.vendor}, no drop of time files")
    everything = {**stored.config, **stored.credentials}
    table = table_of(name, everything)
    async with transaction(house.pool) as db:
        await bindings.declare(db, table.source, declared, by="accord import time-files")
    settle = timedelta(0) if at_once else settle_of(everything)
    collector = Collector(house.pool, table, house.now, settle)
    async with open_place(everything) as place:
        picked = await collector.collect(place)
        if at_once and any(each.what == "waiting" for each in picked):
            # What was seen for the first time has a second time now.
            again = {each.name: each for each in await collector.collect(place)}
            picked = [again.get(each.name, each) for each in picked]
    return picked


def _counts(picked: Picked) -> tuple[str, ...]:
    taken = picked.taken
    if taken is None:
        return ("",) * 5
    return tuple(f"{each:,}" for each in (taken.rows, taken.new, taken.revised, taken.gone, taken.problems))
