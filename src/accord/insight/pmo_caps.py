"""Burn against caps: what each cap has left, and for how many days at the pace of the last one to two months."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from accord.engine.shell import Connection
from accord.insight.pmo_money import Stand, stands
from accord.model.money import CurrenciesDiffer, Money
from accord.rules.measures.caps import cap_used, days_left
from accord.rules.measures.definition import Reading

# A cap needs somebody when so much of it is used, or so few days are left.
CLOSE = Decimal("0.8")
SOON_DAYS = 30
CONSUMING = ("wip", "draft", "held", "billed", "collected", "disputed", "credited", "written_off")

CAPS = """
WITH latest AS (
    SELECT DISTINCT ON (engagement, legal_entity) engagement, legal_entity, customer, body FROM billing_terms
    WHERE (%(ids)s::text[] IS NULL OR engagement = ANY(%(ids)s))
        AND (%(entities)s::text[] IS NULL OR legal_entity = ANY(%(entities)s))
    ORDER BY engagement, legal_entity, version DESC
), cap AS (
    SELECT l.engagement, l.legal_entity, l.body ->> 'currency' AS currency, c ->> 'id' AS id, c ->> 'level' AS level,
        c -> 'limit' AS limit_, c ->> 'applies_to' AS task, c ->> 'clause' AS clause,
        'cap ' || CASE c ->> 'level' WHEN 'customer' THEN l.customer ELSE l.engagement || ' ' || l.legal_entity END
            || ' ' || (c ->> 'id') AS counter
    FROM latest l CROSS JOIN LATERAL jsonb_array_elements(l.body -> 'caps') c
)
SELECT c.counter, c.id, c.level, c.clause, c.task, (c.limit_ ->> 'amount')::numeric, c.limit_ ->> 'currency',
    coalesce(b.used, 0), c.engagement, c.legal_entity, coalesce(d.body ->> 'name', c.engagement), c.currency
FROM cap c LEFT JOIN billing_counter b ON b.name = c.counter
LEFT JOIN record d ON d.kind = 'deal' AND d.id = c.engagement
ORDER BY c.counter, c.engagement, c.legal_entity
"""
# A cap of one task sees that task's work alone.
OF_TASKS = """
SELECT w.engagement, w.legal_entity, w.task, sum(p.amount)
FROM (SELECT DISTINCT * FROM unnest(%(ids)s::text[], %(of)s::text[], %(tasks)s::text[]) AS x (id, entity, task)) x
JOIN work_entry w ON w.engagement = x.id AND w.legal_entity = x.entity AND w.task = x.task AND w.current
    AND w.worked_on >= %(since)s
JOIN billable_item b ON b.source_id = w.id AND b.source_revision = w.revision AND b.kind = 'time' AND b.reverses IS NULL
JOIN item_part p ON p.item_id = b.id AND p.disposition = ANY(%(consuming)s)
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class CapLine:
    """One cap and all work that counts against it. `over` is work done beyond it that nobody may bill yet;
    `reached_on` the day it is used up at the present pace. `undefined` says why there is no pace."""

    counter: str
    id: str
    level: str
    clause: str | None
    task: str | None
    engagements: tuple[tuple[str, str, str], ...]
    limit: Money
    used: Money
    over: tuple[Money, ...]
    share: Reading
    days: Reading | None
    reached_on: date | None

    @property
    def left(self) -> Money:
        return self.limit - self.used

    @property
    def name(self) -> str:
        """The engagement's name, or how many it is shared by."""
        first = self.engagements[0][2]
        return first if len(self.engagements) == 1 else f"{first} and {len(self.engagements) - 1} more"

    @property
    def days_left(self) -> Decimal | None:
        found = None if self.days is None else self.days.value
        return found if isinstance(found, Decimal) else None

    @property
    def anchor(self) -> str:
        """A name for its row that any address can hold."""
        return hashlib.sha256(self.counter.encode()).hexdigest()[:12]

    @property
    def close(self) -> bool:
        """Whether somebody has to talk to the customer now."""
        used = self.share.value
        soon = self.days_left is not None and self.days_left <= SOON_DAYS
        return soon or (isinstance(used, Decimal) and used >= CLOSE)


async def caps(
    db: Connection, today: date, *, ids: Sequence[str] | None = None, entities: Sequence[str] | None = None
) -> list[CapLine]:
    """Every cap of the terms in force, the fewest days left first, then the most used."""
    about = {"ids": None if ids is None else list(ids), "entities": None if entities is None else list(entities)}
    rows = await (await db.execute(CAPS, about)).fetchall()
    by_cap: dict[str, list[Any]] = {}
    for row in rows:
        by_cap.setdefault(row[0], []).append(row)
    since = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    engagements = sorted({row[8] for row in rows})
    if not engagements:
        return []
    lately = await stands(db, ids=engagements, entities=entities, since=since, each=True)
    whole = await stands(db, ids=engagements, entities=entities, each=True)
    lines = [row for row in rows if row[4] is not None]
    asked = {
        "ids": [row[8] for row in lines], "of": [row[9] for row in lines], "tasks": [row[4] for row in lines],
        "since": since, "consuming": list(CONSUMING),
    }  # fmt: skip
    of_task = await (await db.execute(OF_TASKS, asked)).fetchall() if lines else []
    pace = _Pace(
        days=(today - since).days + 1,
        today=today,
        lately={(each.engagement, each.legal_entity): each for each in lately if each.work},
        whole={(each.engagement, each.legal_entity): each for each in whole},
        of_task={(engagement, entity, task): amount for engagement, entity, task, amount in of_task},
    )
    return sorted((_line(found, pace) for found in by_cap.values()), key=_urgency)


@dataclass(frozen=True, slots=True)
class _Pace:
    """What was worked lately, by engagement and legal entity."""

    days: int
    today: date
    lately: dict[tuple[str, str], Stand]
    whole: dict[tuple[str, str], Stand]
    of_task: dict[tuple[str, str, str], Decimal]

    def worked(self, row: Sequence[Any]) -> Money:
        task, engagement, entity, currency = row[4], row[8], row[9], row[11]
        if task is not None:
            return Money(self.of_task.get((engagement, entity, task), Decimal(0)), currency)
        stand = self.lately.get((engagement, entity))
        return Money(Decimal(0), currency) if stand is None else stand.sum_of(CONSUMING, stand.work)


def _line(rows: Sequence[Sequence[Any]], pace: _Pace) -> CapLine:
    counter, id, level, clause, task, limit, currency, used = rows[0][:8]
    # A customer's cap is declared with each engagement; where they differ, the smallest is the safe one.
    limit = min([row[5] for row in rows if row[6] == currency], default=limit)
    top, counted = Money(limit, currency).rounded(), Money(used, currency).rounded()
    over: dict[str, Decimal] = {}
    for row in rows:
        stand = pace.whole.get((row[8], row[9]))
        if stand is not None and stand.over_cap:
            over[stand.currency] = over.get(stand.currency, Decimal(0)) + stand.over_cap.amount
    days, reached = _days_left(top - counted, rows, pace)
    return CapLine(
        counter=counter,
        id=id,
        level=level,
        clause=clause,
        task=task,
        engagements=tuple((row[8], row[9], row[10]) for row in rows),
        limit=top,
        used=counted,
        over=tuple(Money(amount, name) for name, amount in sorted(over.items())),
        share=cap_used(counted, top),
        days=days,
        reached_on=reached,
    )


def _days_left(left: Money, rows: Sequence[Sequence[Any]], pace: _Pace) -> tuple[Reading | None, date | None]:
    """None for a cap in another currency than its work: no rate was agreed for a forecast."""
    try:
        worked = sum((pace.worked(row) for row in rows), start=Money(Decimal(0), left.currency))
    except CurrenciesDiffer:
        return None, None
    found = days_left(left, worked, pace.days)
    value = found.value
    ahead = timedelta(days=int(value)) if isinstance(value, Decimal) and value < 36500 else None
    return found, None if ahead is None else pace.today + ahead


def _urgency(line: CapLine) -> tuple[bool, Decimal, Decimal, str]:
    days = line.days_left
    share = line.share.value if isinstance(line.share.value, Decimal) else Decimal(0)
    return days is None, days or Decimal(0), -share, line.counter
