"""How long a backlog takes: the writes still to come, by what those of their kind take, so many at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accord.db.pool import Pool, transaction
from accord.engine.meter import Pace
from accord.insight import draining

PACE = Pace(under_way=4.0, costs={"customer": (10.0, 50.0), "task": (100.0, 50.0)})


@pytest.mark.parametrize(
    ("remaining", "seconds"),
    [
        ({"customer": 8.0}, 10.0),
        ({"task": 8.0}, 1.0),
        ({"customer": 8.0, "task": 8.0}, 11.0),
        ({"invoice": 11.0}, 2.5),  # never sent: 100 s for 110 writes of all kinds
        ({}, 0.0),
    ],
)
def test_slow_kinds_take_their_own_time(remaining: dict[str, float], seconds: float) -> None:
    assert draining.seconds_left(remaining, PACE) == pytest.approx(seconds)


async def show(db: Any, worker: int, under_way: float | None, costs: Any, *, silent: str = "0 s", **more: Any) -> None:
    await db.execute("INSERT INTO worker (id, host, pid, version) VALUES (%s, 'h', 1, 'v')", [worker])
    await db.execute("INSERT INTO worker_heartbeat VALUES (%s, now() - %s::interval)", [worker, silent])
    await db.execute(
        "INSERT INTO budget_share (connection, worker_id, slots, wanted, under_way, costs, resting)"
        " VALUES ('netsuite', %s, 1, 1, %s, %s, %s)",
        [worker, under_way, costs and json.dumps(costs), more.get("resting", False)],
    )


async def test_what_living_workers_measured_counts_together(pool: Pool) -> None:
    """And of a kind that no living worker has sent, what it cost the last that did."""
    async with transaction(pool) as db:
        of_all = {"task": [1, 99.0], "project": [4, 12.0]}
        await db.execute("INSERT INTO budget (connection, costs) VALUES ('netsuite', %s)", [json.dumps(of_all)])
        await show(db, 1, 2.0, {"task": [10, 20.0]})
        await show(db, 2, 1.0, {"task": [10, 40.0], "customer": [2, 9.0]})
        await show(db, 3, 9.0, {"task": [10, 900.0]}, silent="1 hour")
        costs = {"task": (20.0, 60.0), "customer": (2.0, 9.0), "project": (4.0, 12.0)}
        assert await draining.paces(db) == {"netsuite": Pace(3.0, costs)}


async def test_workers_that_do_not_know_yet_that_the_vendor_is_back_will_join(pool: Pool) -> None:
    """Two of four are at it; while nobody is, as many will go at once as went before."""
    async with transaction(pool) as db:
        await db.execute("INSERT INTO budget (connection) VALUES ('netsuite')")
        await show(db, 1, 2.0, {"task": [10, 20.0]})
        await show(db, 2, 3.0, {"task": [10, 20.0]})
        await show(db, 3, 1.0, {"task": [10, 20.0]}, resting=True)
        await show(db, 4, None, None, resting=True)
        assert (await draining.paces(db))["netsuite"].under_way == pytest.approx(10.0)
        await db.execute("UPDATE budget_share SET resting = true")
        assert (await draining.paces(db))["netsuite"] == Pace(6.0, {"task": (30.0, 60.0)}, resting=True)


async def test_what_waits_and_what_its_stories_will_ask_for_is_still_to_come(pool: Pool) -> None:
    """Three stories have ended after a customer and two milestones each; the fourth waits for its customer."""
    async with transaction(pool) as db:
        for process in (1, 2, 3, 4):
            await db.execute(
                "INSERT INTO process (id, name, version, one_per, subject, trigger, end_state)"
                " VALUES (%s, 'quote', '1', %s, 's', '{}', %s)",
                [process, str(process), None if process == 4 else 1],
            )
            steps = [("customer", "Create customer X")]
            steps += [] if process == 4 else [("task", "Create milestone A"), ("task", "Create milestone B")]
            for nth, (kind, label) in enumerate(steps):
                await db.execute(
                    "INSERT INTO effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb,"
                    " version, state, priority, body, label) VALUES (%s, %s, %s, 'netsuite', %s, %s, 1, 'put', 'v', %s,"
                    " 1, '{}', %s)",
                    [process * 10 + nth, process, str(nth), kind, f"{process} {nth}", 1 if process == 4 else 2, label],
                )
        await db.execute(
            "INSERT INTO open_process (process_id, name, subject, priority, state) VALUES (4, 'quote', 's', 1, 2)"
        )
        assert await draining.remaining(db, "netsuite") == {"customer": 1.0, "task": 2.0}
        assert await draining.remaining(db, "stripe") == {}
