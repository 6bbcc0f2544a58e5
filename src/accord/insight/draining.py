"""How long a connection's backlog takes: the writes still to come, by what those of their kind take at the vendor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from accord.engine.meter import Cost, Pace, cost_of_each
from accord.engine.shell import Connection

SAMPLE = 2000
# Stories that wait for writes to a connection, some of them standing for all: their open writes, and the steps still
# before them, by what stories of their kind wrote there in each step. A step is told by its kind and the first two
# words of its label ("Create milestone"); where it stands, by the last stories that came to their end. What a story
# waits for may be another story's write, adopted.
REMAINING = """
WITH recent AS MATERIALIZED (
    SELECT process_id FROM effect WHERE connection = %(connection)s AND state = 2 ORDER BY id DESC LIMIT %(sample)s
), written AS (
    SELECT p.name, p.id AS process_id, e.kind, e.kind || substring(e.label FROM '^[^ ]+ [^ ]+') AS step,
           row_number() OVER (PARTITION BY p.id ORDER BY e.id) AS nth
    FROM (SELECT DISTINCT process_id FROM recent) r JOIN process p ON p.id = r.process_id AND p.end_state IS NOT NULL
    JOIN effect e ON e.process_id = p.id AND e.connection = %(connection)s
), whole AS (
    SELECT w.name, w.kind, w.step, avg(w.nth) AS place, count(*)::float / min(s.stories) AS writes
    FROM written w JOIN (SELECT name, count(DISTINCT process_id) AS stories FROM written GROUP BY name) s USING (name)
    GROUP BY 1, 2, 3
), waited AS (
    SELECT process_id, id AS effect_id, true AS own FROM effect WHERE connection = %(connection)s
    UNION ALL
    SELECT a.process_id, a.effect_id, false FROM adopted_effect a
), seen AS (
    SELECT o.process_id, o.name, a.own, e.kind, e.state IN (0, 1, 4) AS open, w.place
    FROM open_process o JOIN waited a ON a.process_id = o.process_id
    JOIN effect e ON e.id = a.effect_id AND e.connection = %(connection)s
    LEFT JOIN whole w ON w.name = o.name AND w.step = e.kind || substring(e.label FROM '^[^ ]+ [^ ]+')
    WHERE o.state <> 3 AND o.process_id %% %(every)s = 0
), story AS (
    SELECT process_id, name, max(place) AS place FROM seen GROUP BY 1, 2 HAVING bool_or(open)
)
SELECT kind, sum(writes)::float * %(every)s FROM (
    SELECT kind, count(*)::float AS writes FROM seen WHERE own AND open GROUP BY 1
    UNION ALL
    SELECT w.kind, sum(w.writes) FROM story s JOIN whole w ON w.name = s.name AND w.place > s.place GROUP BY 1
) x GROUP BY 1
"""
OPEN_STORIES = "SELECT count(*) FROM open_process"
PACES = """
SELECT s.connection, s.under_way, s.costs, b.costs, s.resting
FROM budget_share s JOIN worker_heartbeat h ON h.worker_id = s.worker_id JOIN budget b ON b.connection = s.connection
WHERE h.at > clock_timestamp() - interval '5 seconds'
"""


class _Told(NamedTuple):
    """What a worker shows, and what the connection's budget knows of all that ever sent."""

    under_way: float | None
    costs: Mapping[str, Any]
    of_all: Mapping[str, Any]
    resting: bool


async def paces(db: Connection) -> dict[str, Pace]:
    """By connection: the sends of all living workers under way, and what their writes cost; of a kind that none of them
    has sent, what it cost the last that did. A worker that is not at it yet, as after an outage that it does not know
    to be over, will have as many under way as those that are."""
    rows: dict[str, list[_Told]] = {}
    for name, *told in await (await db.execute(PACES)).fetchall():
        rows.setdefault(name, []).append(_Told(*told))
    return {name: pace for name, workers in rows.items() if (pace := _together(workers)) is not None}


def _together(workers: Sequence[_Told]) -> Pace | None:
    measured = [each for each in workers if each.under_way]
    at_it = [each for each in measured if not each.resting]
    if not measured:
        return None
    sums: dict[str, Cost] = {}
    for kind, (writes, seconds) in (cost for each in measured for cost in each.costs.items()):
        before = sums.get(kind, (0.0, 0.0))
        sums[kind] = (before[0] + float(writes), before[1] + float(seconds))
    earlier = {kind: (float(writes), float(seconds)) for kind, (writes, seconds) in workers[0].of_all.items()}
    under_way = sum(each.under_way or 0.0 for each in at_it or measured)
    return Pace(under_way * (len(workers) / len(at_it) if at_it else 1), {**earlier, **sums}, not at_it)


async def remaining(db: Connection, connection: str) -> dict[str, float]:
    """About how many writes of each kind are still to come: those that wait or are being sent, and those their stories
    will ask for next. Of many stories every n-th is looked at."""
    row = await (await db.execute(OPEN_STORIES)).fetchone()
    every = 1 + (row[0] if row else 0) // SAMPLE
    about = {"connection": connection, "every": every, "sample": SAMPLE}
    return dict(await (await db.execute(REMAINING, about)).fetchall())


def seconds_left(remaining: Mapping[str, float], pace: Pace) -> float:
    """The writes of each kind at what one of theirs costs, so many sends at once. A kind that was never sent costs what
    all do on the whole. Pure.

    What is behind the sends under way is not taken off: at the end the last sends run on while the other places are
    empty already, and on the whole the two come to the same.
    """
    overall = cost_of_each(pace.costs.values())
    known = {kind: cost_of_each([cost]) for kind, cost in pace.costs.items()}
    return sum(writes * known.get(kind, overall) for kind, writes in remaining.items()) / pace.under_way


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
        name: seconds_left(await remaining(db, name), known[name])
        for name, count in waiting.items()
        if count and name in known
    }
