"""From won to the first bill: how many engagements got how far, how long activation took, and which are stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accord.engine.shell import Connection
from accord.insight.engagements import money
from accord.model.money import Money
from accord.rules.measures.definition import Reading
from accord.rules.measures.latency import Span, activation_time

STEPS = ("won", "through the gate", "active", "time told", "billed")

# Deals by the story that activates them: one a deal, found by its unique key. Everything else is one look in an index.
WON = """
WITH won AS (
    SELECT d.id, d.body, p.started_at, p.finished_at, p.end_state, e.id IS NOT NULL AS active
    FROM record d JOIN process p ON p.one_per = d.id AND p.name = 'quote_to_project'
    LEFT JOIN record e ON e.kind = 'engagement' AND e.id = d.id
    WHERE d.kind = 'deal' AND NOT d.deleted AND p.started_at >= %(since)s
        AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s))
)
SELECT w.id, w.body ->> 'name', w.body -> 'amount', w.started_at, CASE WHEN w.active THEN w.finished_at END, w.active,
    EXISTS (SELECT FROM business_case c WHERE c.correlation = w.id AND c.state = 'open') AS held,
    EXISTS (SELECT FROM work_entry t WHERE t.current AND t.engagement = w.id) AS told,
    EXISTS (SELECT FROM record i WHERE i.correlation = w.id AND i.kind = 'invoice'
        AND i.body ->> 'status' NOT IN ('draft', 'void')) AS billed
FROM won w ORDER BY w.started_at, w.id
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the funnel: how many came so far."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """A won deal that is not active yet; `held` says that a case waits for a person."""

    id: str
    name: str
    amount: Money | None
    won_at: datetime
    held: bool


@dataclass(frozen=True, slots=True)
class Activation:
    """The funnel of deals won since a day, their activation times, and those that are not active, the oldest first."""

    since: datetime
    steps: tuple[Step, ...]
    times: tuple[Reading, ...]
    stuck: tuple[Stuck, ...]


async def activation(db: Connection, since: datetime, entities: Sequence[str] | None = None) -> Activation:
    """Deals of the legal entities won since a moment."""
    about = {"since": since, "entities": None if entities is None else list(entities)}
    rows = await (await db.execute(WON, about)).fetchall()
    spans = [Span(row[3], row[4], None if row[2] is None else money(row[2])) for row in rows]
    told = [row[7] or row[8] for row in rows]
    counts = (
        len(rows),
        sum(1 for row in rows if row[5] or not row[6]),
        sum(1 for row in rows if row[5]),
        sum(told),
        sum(1 for row in rows if row[8]),
    )
    return Activation(
        since=since,
        steps=tuple(Step(name, count) for name, count in zip(STEPS, counts, strict=True)),
        times=(activation_time.median(spans), activation_time.p90(spans)),
        stuck=tuple(_stuck(row) for row in rows if not row[5]),
    )


def _stuck(row: Sequence[Any]) -> Stuck:
    return Stuck(row[0], row[1] or row[0], None if row[2] is None else money(row[2]), row[3], row[6])
