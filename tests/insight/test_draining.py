"""How long a backlog takes: the writes still to come, by what those of their kind take, so many at once."""

from __future__ import annotations

import json

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


async def test_what_living_workers_measured_counts_together(pool: Pool) -> None:
    shares = [
        (1, 2.0, {"task": [10, 20.0]}, "0 s"),
        (2, 1.0, {"task": [10, 40.0], "customer": [2, 9.0]}, "0 s"),
        (3, 9.0, {"task": [10, 900.0]}, "1 hour"),  # silent
    ]
    async with transaction(pool) as db:
        await db.execute("INSERT INTO budget (connection) VALUES ('netsuite')")
        for worker, under_way, costs, silent in shares:
            await db.execute("INSERT INTO worker (id, host, pid, version) VALUES (%s, 'h', 1, 'v')", [worker])
            await db.execute("INSERT INTO worker_heartbeat VALUES (%s, now() - %s::interval)", [worker, silent])
            await db.execute(
                "INSERT INTO budget_share (connection, worker_id, slots, wanted, under_way, costs)"
                " VALUES ('netsuite', %s, 1, 1, %s, %s)",
                [worker, under_way, json.dumps(costs)],
            )
        assert await draining.paces(db) == {"netsuite": Pace(3.0, {"task": (20.0, 60.0), "customer": (2.0, 9.0)})}


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
