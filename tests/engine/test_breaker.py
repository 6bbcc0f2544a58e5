"""A vendor that cannot be reached is left alone for a while, is tried again, and nobody stays away for ever."""

from __future__ import annotations

from typing import Any

import psycopg

from accord.connect.budgeted import BudgetedSlots
from accord.connect.registry import connector
from accord.connect.switchboard import Line, Switchboard
from accord.engine.budget import FAILURES_TO_OPEN, Budget, Rates, tick_all
from accord.engine.outcomes import Committed, Transient
from accord.engine.shell import Connection
from accord.engine.statements import REGISTER_WORKER
from tests.engine.scripted import Workshop

CLOCK = [1000.0]


async def budget(db: Connection, worker: int) -> Budget:
    about = {"id": worker, "host": "here", "pid": worker, "version": "1"}
    await db.execute(REGISTER_WORKER, about)
    return Budget("erp", Rates(per_second=10.0), worker, monotonic=lambda: CLOCK[0])


async def shown(shop: Workshop) -> Any:
    return await shop.one("SELECT state FROM connection WHERE name = 'erp'")


async def test_what_a_dead_worker_showed_as_broken_is_taken_back_by_whoever_reaches_it(shop: Workshop) -> None:
    db = shop.db
    await db.execute("INSERT INTO connection (name, vendor) VALUES ('erp', 'netsuite')")
    first, second = await budget(db, 1), await budget(db, 2)
    for _ in range(FAILURES_TO_OPEN):
        first.outcome(Transient("no route", outage=True))
    await tick(db, first)
    assert await shown(shop) == "broken"
    assert first.parallel() == 0
    await tick(db, second)
    assert await shown(shop) == "broken", "it has not been reached yet"
    assert second.parallel() > 0, "every worker finds out for itself"
    second.outcome(Committed())
    await tick(db, second)
    assert await shown(shop) == "active"


async def test_the_worker_that_opened_its_breaker_tries_one_call_after_the_pause(shop: Workshop) -> None:
    db = shop.db
    await db.execute("INSERT INTO connection (name, vendor) VALUES ('erp', 'netsuite')")
    mine = await budget(db, 1)
    for _ in range(FAILURES_TO_OPEN):
        mine.outcome(Transient("no route", outage=True))
    await tick(db, mine)
    switchboard = Switchboard()
    line = Line("erp", connector("netsuite"), None, BudgetedSlots(mine), {}, "active")  # type: ignore[arg-type]
    switchboard.add(line)
    await switchboard.refresh(db)
    assert line.state == "broken"
    assert switchboard.parallel("erp") == 0
    CLOCK[0] += 60
    assert switchboard.parallel("erp") == 1
    mine.outcome(Committed())
    await tick(db, mine)
    await switchboard.refresh(db)
    assert line.state == "active"
    assert switchboard.parallel("erp") > 1


async def test_a_paused_connection_waits_for_a_person(shop: Workshop) -> None:
    await shop.db.execute("INSERT INTO connection (name, vendor, state) VALUES ('erp', 'netsuite', 'paused')")
    mine = await budget(shop.db, 1)
    switchboard = Switchboard()
    switchboard.add(Line("erp", connector("netsuite"), None, BudgetedSlots(mine), {}, "active"))  # type: ignore[arg-type]
    await switchboard.refresh(shop.db)
    mine.outcome(Committed())
    await tick(shop.db, mine)
    assert switchboard.parallel("erp") == 0
    assert await shown(shop) == "paused"


async def tick(db: psycopg.AsyncConnection[Any], budget: Budget) -> None:
    async with db.transaction():
        await tick_all(db, [budget])
