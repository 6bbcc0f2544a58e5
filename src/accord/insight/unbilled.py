"""Approved work that is not invoiced: by age, by state, by engagement, by item; read from the totals the ledger keeps.

A total is one row for an engagement, legal entity, currency, disposition and month, however many items lie there. Only
the rows of one engagement are read part by part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from accord.db import keyset
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.model.money import Money
from accord.rules.measures.ageing import MonthRange, month_ranges

ZERO = Decimal(0)
ALL_MONTHS = MonthRange("", None, None)
UNBILLED = ("wip", "draft", "held")
# What a reader may ask for; the first is the measure `wip.unbilled`, which leaves out what lies over a cap.
WHERE: Mapping[str, tuple[str, ...]] = {
    "unbilled": UNBILLED,
    "wip": ("wip",),
    "draft": ("draft",),
    "held": ("held",),
    "over_cap": ("over_cap",),
    "drawn": ("drawn",),
    "non_billable": ("non_billable",),
    "written_off": ("written_off",),
    "transferred": ("transferred",),
    "billed": ("billed",),
    "collected": ("collected",),
    "disputed": ("disputed",),
    "credited": ("credited",),
    "intercompany": ("intercompany",),
    "reversed": ("reversed",),
}

BY_MONTH = """
SELECT t.disposition, t.currency, t.month, sum(t.amount), sum(t.parts)::bigint, sum(t.quantity)
FROM ledger_total t
WHERE t.disposition = ANY(%(where)s) AND t.parts <> 0
    AND (%(entities)s::text[] IS NULL OR t.legal_entity = ANY(%(entities)s))
GROUP BY 1, 2, 3
"""
BY_ENGAGEMENT = """
WITH lies AS (
    SELECT t.engagement, t.legal_entity, t.currency, sum(t.amount) AS amount, sum(t.parts)::bigint AS parts,
        sum(t.quantity) AS quantity, min(t.month) AS oldest,
        coalesce(sum(t.amount) FILTER (WHERE t.disposition = 'wip'), 0) AS wip,
        coalesce(sum(t.amount) FILTER (WHERE t.disposition = 'draft'), 0) AS draft,
        coalesce(sum(t.amount) FILTER (WHERE t.disposition = 'held'), 0) AS held
    FROM ledger_total t
    WHERE t.disposition = ANY(%(where)s) AND t.parts <> 0
        AND (%(entities)s::text[] IS NULL OR t.legal_entity = ANY(%(entities)s))
        AND (%(currency)s::text IS NULL OR t.currency = %(currency)s)
        AND (%(first)s::date IS NULL OR t.month >= %(first)s) AND (%(last)s::date IS NULL OR t.month <= %(last)s)
    GROUP BY 1, 2, 3
), page AS (
    SELECT * FROM lies l
    WHERE %(after)s::numeric IS NULL OR (-l.amount, l.engagement, l.legal_entity, l.currency)
        > (-%(after)s::numeric, %(after_engagement)s, %(after_entity)s, %(after_currency)s)
    ORDER BY l.amount DESC, l.engagement, l.legal_entity, l.currency LIMIT %(limit)s
)
SELECT p.engagement, d.body ->> 'name', p.legal_entity, p.currency, p.amount, p.parts, p.quantity, p.oldest, p.wip,
    p.draft, p.held
FROM page p LEFT JOIN record d ON d.kind = 'deal' AND d.id = p.engagement
ORDER BY p.amount DESC, p.engagement, p.legal_entity, p.currency
"""
# The page first, then what is to be shown of its items: an engagement may have many thousands of them.
ITEMS = """
WITH page AS (
    SELECT p.item_id, p.part, p.worked_on, p.quantity, p.amount, p.disposition, p.cause, p.reference, p.document,
        p.line, p.posted_at
    FROM item_part p
    WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s
        AND p.disposition = ANY(%(where)s)
        AND (%(first)s::date IS NULL OR p.worked_on >= %(first)s)
        AND (%(last)s::date IS NULL OR p.worked_on < %(last)s::date + interval '1 month')
        AND (%(after)s::date IS NULL OR (p.worked_on, p.item_id, p.part) > (%(after)s, %(after_item)s, %(after_part)s))
    ORDER BY p.worked_on, p.item_id, p.part LIMIT %(limit)s
)
SELECT p.item_id, p.part, p.worked_on, i.kind, i.worker, i.role, i.task, p.quantity, i.unit, i.rate, p.amount,
    p.disposition, p.cause, p.reference, p.document, p.line, p.posted_at
FROM page p JOIN billable_item i ON i.id = p.item_id ORDER BY p.worked_on, p.item_id, p.part
"""
NAME = "SELECT d.body ->> 'name' FROM record d WHERE d.kind = 'deal' AND d.id = %(engagement)s"
# Held work is little: it is found by the engagements that have any, through the index of the place.
HELD_BY_REASON = """
SELECT p.cause, p.currency, count(*), sum(p.amount), min(p.posted_at)
FROM (SELECT DISTINCT t.engagement, t.legal_entity, t.currency FROM ledger_total t
    WHERE t.disposition = 'held' AND t.parts <> 0
        AND (%(entities)s::text[] IS NULL OR t.legal_entity = ANY(%(entities)s))) h
JOIN item_part p ON p.engagement = h.engagement AND p.legal_entity = h.legal_entity AND p.currency = h.currency
    AND p.disposition = 'held'
GROUP BY 1, 2 ORDER BY sum(p.amount) DESC, 1, 2 LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Lying:
    """What lies somewhere: the amount in its currency, how many parts of items, and their quantity (hours, units and
    expenses counted together)."""

    amount: Decimal = ZERO
    parts: int = 0
    quantity: Decimal = ZERO

    def __add__(self, other: Lying) -> Lying:
        return Lying(self.amount + other.amount, self.parts + other.parts, self.quantity + other.quantity)


@dataclass(frozen=True, slots=True)
class AgedBucket:
    """One bucket of `ageing.wip_by_month` in one currency, with its months; `by_place` says what of it is in WIP, in
    proposals (`draft`) and held."""

    months: MonthRange
    whole: Lying
    by_place: Mapping[str, Lying]


@dataclass(frozen=True, slots=True)
class AgedWork:
    """The unbilled work of one currency by age, the youngest bucket first."""

    currency: str
    buckets: tuple[AgedBucket, ...]

    @property
    def whole(self) -> Lying:
        return sum((each.whole for each in self.buckets), Lying())

    @property
    def older(self) -> Lying:
        """What is surely more than 60 days old."""
        return sum((each.whole for each in self.buckets[2:]), Lying())


@dataclass(frozen=True, slots=True)
class Held:
    """Work that is held, or lies over a cap: what, why, how much, since when (None where that is not kept)."""

    reason: str
    currency: str
    parts: int
    amount: Decimal
    since: Any = None


@dataclass(frozen=True, slots=True)
class EngagementLine:
    """What an engagement has lying there; `oldest` is the first day of its oldest month of work."""

    engagement: str
    name: str | None
    legal_entity: str
    amount: Money
    parts: int
    quantity: Decimal
    oldest: date
    wip: Decimal
    draft: Decimal
    held: Decimal


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One part of an item: the piece of approved work that lies in one place. `rate` is per unit, as billed."""

    item_id: str
    part: int
    worked_on: date
    kind: str
    worker: str | None
    role: str | None
    task: str | None
    quantity: Decimal | None
    unit: str | None
    rate: Decimal | None
    amount: Money
    disposition: str
    cause: str
    by: str | None
    document: str | None
    line: int | None
    posted_at: Any


@dataclass(frozen=True, slots=True)
class Engagements:
    """A page of engagements and the cursor of the next one."""

    rows: tuple[EngagementLine, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Items:
    """A page of items of one engagement and the cursor of the next one."""

    rows: tuple[ItemRow, ...]
    next: str | None
    name: str | None


def bucket(age: str, as_of: date) -> MonthRange:
    """The bucket of that label on a day; all months for none. Raises UsageError."""
    if not age:
        return ALL_MONTHS
    for each in month_ranges(as_of):
        if each.label == age:
            return each
    raise UsageError(
        f"the age is one of {', '.join(each.label for each in month_ranges(as_of))}; {age!r} was asked for"
    )


def places(where: str) -> list[str]:
    """The dispositions of a word of WHERE. Raises UsageError."""
    if where not in WHERE:
        raise UsageError(f"what lies somewhere is one of {', '.join(WHERE)}; {where!r} was asked for")
    return list(WHERE[where])


async def by_age(
    db: Connection, as_of: date, entities: Sequence[str] | None = None
) -> tuple[list[AgedWork], dict[str, Lying]]:
    """Unbilled work by age in each currency, and what lies over a cap in each."""
    about = {"where": [*UNBILLED, "over_cap"], "entities": None if entities is None else list(entities)}
    ranges = month_ranges(as_of)
    aged: dict[str, list[dict[str, Lying]]] = {}
    over: dict[str, Lying] = {}
    for disposition, currency, month, amount, parts, quantity in await (await db.execute(BY_MONTH, about)).fetchall():
        here = Lying(amount, parts, quantity)
        if disposition == "over_cap":
            over[currency] = over.get(currency, Lying()) + here
            continue
        index = next(nth for nth, each in enumerate(ranges) if month in each)
        buckets = aged.setdefault(currency, [{} for _ in ranges])
        buckets[index][disposition] = buckets[index].get(disposition, Lying()) + here
    found = [
        AgedWork(
            currency,
            tuple(
                AgedBucket(months, sum(by_place.values(), Lying()), by_place)
                for months, by_place in zip(ranges, buckets, strict=True)
            ),
        )
        for currency, buckets in sorted(aged.items())
    ]
    return found, dict(sorted(over.items()))


async def held_by_reason(db: Connection, entities: Sequence[str] | None = None, limit: int = 20) -> list[Held]:
    """Work that was set aside, by reason and currency, the greatest amount first."""
    about = {"entities": None if entities is None else list(entities), "limit": limit}
    return [Held(*row) for row in await (await db.execute(HELD_BY_REASON, about)).fetchall()]


async def by_engagement(
    db: Connection,
    *,
    where: str = "unbilled",
    months: MonthRange = ALL_MONTHS,
    currency: str | None = None,
    entities: Sequence[str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Engagements:
    """The engagements behind a sum, the greatest first. Raises UsageError, CursorNotUnderstood."""
    place = (None, None, None, None) if cursor is None else keyset.decode(cursor, str, str, str, str)
    about = {
        "where": places(where),
        "first": months.first,
        "last": months.last,
        "currency": currency,
        "entities": None if entities is None else list(entities),
        "after": None if place[0] is None else keyset.number(place[0]),
        "after_engagement": place[1],
        "after_entity": place[2],
        "after_currency": place[3],
        "limit": limit + 1,
    }
    found = await (await db.execute(BY_ENGAGEMENT, about)).fetchall()
    rows = tuple(
        EngagementLine(engagement, name, entity, Money(amount, unit), *rest)
        for engagement, name, entity, unit, amount, *rest in found[:limit]
    )
    if len(found) <= limit:
        return Engagements(rows, None)
    end = rows[-1]
    following = keyset.encode(str(end.amount.amount), end.engagement, end.legal_entity, end.amount.currency)
    return Engagements(rows, following)


async def items(
    db: Connection,
    engagement: str,
    entity: str,
    currency: str,
    *,
    where: str = "unbilled",
    months: MonthRange = ALL_MONTHS,
    cursor: str | None = None,
    limit: int = 50,
) -> Items:
    """The parts of items that lie in one place of one engagement, the oldest first. Whoever calls has asked whether the
    reader may see the legal entity. Raises UsageError, CursorNotUnderstood."""
    after, item, part = (None, None, None) if cursor is None else keyset.decode(cursor, str, str, int)
    about = {
        "engagement": engagement,
        "entity": entity,
        "currency": currency,
        "where": places(where),
        "first": months.first,
        "last": months.last,
        "after": None if after is None else keyset.day(after),
        "after_item": item,
        "after_part": part,
        "limit": limit + 1,
    }
    found = await (await db.execute(ITEMS, about)).fetchall()
    rows = tuple(ItemRow(*(*row[:10], Money(row[10], currency), *row[11:])) for row in found[:limit])
    named = await (await db.execute(NAME, about)).fetchone()
    name = None if named is None else named[0]
    if len(found) <= limit:
        return Items(rows, None, name)
    return Items(rows, keyset.encode(rows[-1].worked_on.isoformat(), rows[-1].item_id, rows[-1].part), name)
