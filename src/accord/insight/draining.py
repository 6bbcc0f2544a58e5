"""How long a connection's backlog takes: the writes that are still to come, by the pace at which writes get done."""

from __future__ import annotations

from collections.abc import Mapping

from accord.engine.shell import Connection

SAMPLE = 2000
# Stories with open writes to a connection, some of them standing for all: their open writes, those over, and what
# stories of their kind write there in all, by the last ones that came to their end.
REMAINING = """
WITH recent AS MATERIALIZED (
    SELECT process_id FROM effect WHERE connection = %(connection)s AND state = 2 ORDER BY id DESC LIMIT %(sample)s
), whole AS (
    SELECT p.name, count(*)::float / count(DISTINCT p.id) AS writes
    FROM (SELECT DISTINCT process_id FROM recent) r JOIN process p ON p.id = r.process_id AND p.end_state IS NOT NULL
    JOIN effect e ON e.process_id = p.id AND e.connection = %(connection)s
    GROUP BY p.name
), story AS (
    SELECT o.process_id, o.name, count(*) FILTER (WHERE e.state IN (0, 1, 4)) AS open,
           count(*) FILTER (WHERE e.state NOT IN (0, 1, 4)) AS over
    FROM open_process o JOIN effect e ON e.process_id = o.process_id AND e.connection = %(connection)s
    WHERE o.state <> 3 AND o.process_id %% %(every)s = 0 GROUP BY 1, 2
)
SELECT coalesce(sum(greatest(s.open, w.writes - s.over)), 0)::float * %(every)s
FROM story s LEFT JOIN whole w ON w.name = s.name WHERE s.open > 0
"""
OPEN_STORIES = "SELECT count(*) FROM open_process"
PACES = """
SELECT s.connection, sum(s.pace), sum(s.begun)
FROM budget_share s JOIN worker_heartbeat h ON h.worker_id = s.worker_id
WHERE h.at > clock_timestamp() - interval '5 seconds' AND s.pace > 0 GROUP BY 1
"""


async def paces(db: Connection) -> dict[str, tuple[float, float]]:
    """By connection: the writes a second all living workers get done, and what of their sends is behind them."""
    rows = await (await db.execute(PACES)).fetchall()
    return {name: (pace, begun) for name, pace, begun in rows}


async def remaining(db: Connection, connection: str) -> float:
    """About how many writes are still to come: those that wait or are being sent, and those their stories will ask for
    next. Of many stories every n-th is looked at."""
    row = await (await db.execute(OPEN_STORIES)).fetchone()
    every = 1 + (row[0] if row else 0) // SAMPLE
    about = {"connection": connection, "every": every, "sample": SAMPLE}
    found = await (await db.execute(REMAINING, about)).fetchone()
    return float(found[0]) if found else 0.0


def seconds_left(remaining: float, pace: float, begun: float) -> float:
    """`remaining` writes at `pace` a second, of which `begun` are as good as done. Pure."""
    return max(remaining - begun, 0.0) / pace


def seconds_by_limits(
    waiting: float, *, concurrency: int | None, per_second: float | None, mean_seconds: float | None
) -> float | None:
    """Before any pace was measured: the slower of allowed rate and parallel calls, one write a call.

    A vendor that takes batches is faster than this; the estimate is on the safe side. None when nothing is known. Pure.
    """
    if waiting == 0:
        return None
    rates = [per_second] if per_second else []
    if mean_seconds:
        rates.append((concurrency or 1) / mean_seconds)
    return waiting / min(rates) if rates else None


async def forecasts(db: Connection, waiting: Mapping[str, int]) -> dict[str, float]:
    """The seconds until each connection of which a pace is known has drained; `waiting` counts what waits by name."""
    known = await paces(db)
    return {
        name: seconds_left(await remaining(db, name), *known[name])
        for name, count in waiting.items()
        if count and name in known
    }
