"""Contracted, earned, billed and collected: what the ledger and the signed schedules say, set-based.

Sums come from `ledger_total`, which the ledger keeps by month, so they cost the same however many items there are. Work
is what is not scheduled: time, expenses and usage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from accord.engine.shell import Connection
from accord.model.money import Money
from accord.rules.measures import people, sales
from accord.rules.measures.definition import Reading

ZERO = Decimal(0)
INVOICED = ("billed", "collected", "disputed")
UNBILLED = ("wip", "draft", "held")
EARNED = (*UNBILLED, *INVOICED, "drawn")
# What somebody has decided about: realization asks how much of it was billed. Retainers are billed before, and what is
# not billable is a matter of utilization.
DECIDED = (*INVOICED, "credited", "written_off", "over_cap")

_SCOPE = """(%(ids)s::text[] IS NULL OR engagement = ANY(%(ids)s))
        AND (%(entities)s::text[] IS NULL OR legal_entity = ANY(%(entities)s))"""
LIES = f"""
WITH scheduled AS (
    SELECT p.engagement, p.legal_entity, p.currency, p.disposition, sum(p.amount) AS amount
    FROM billable_item b JOIN item_part p ON p.item_id = b.id
    WHERE b.kind IN ('milestone', 'subscription_period', 'service_change')
        AND (%(ids)s::text[] IS NULL OR b.engagement = ANY(%(ids)s))
        AND (%(entities)s::text[] IS NULL OR b.legal_entity = ANY(%(entities)s))
        AND (%(since)s::date IS NULL OR p.worked_on >= %(since)s)
        AND (%(until)s::date IS NULL OR p.worked_on < %(until)s)
    GROUP BY 1, 2, 3, 4
), everything AS (
    SELECT engagement, legal_entity, currency, disposition, sum(amount) AS amount FROM ledger_total
    WHERE {_SCOPE}
        AND (%(since)s::date IS NULL OR month >= %(since)s) AND (%(until)s::date IS NULL OR month < %(until)s)
    GROUP BY 1, 2, 3, 4
), line AS (
    SELECT engagement, legal_entity, currency, false AS scheduled, disposition, amount FROM everything
    UNION ALL SELECT engagement, legal_entity, currency, false, disposition, -amount FROM scheduled
    UNION ALL SELECT engagement, legal_entity, currency, true, disposition, amount FROM scheduled
)
SELECT CASE WHEN %(each)s THEN engagement ELSE '' END, CASE WHEN %(each)s THEN legal_entity ELSE '' END, currency,
    scheduled, disposition, sum(amount)
FROM line GROUP BY 1, 2, 3, 4, 5 HAVING sum(amount) <> 0
"""
# What is signed: milestones, and months of subscriptions with what change orders added. What was cancelled is promised
# as far as it was invoiced.
CONTRACTED = """
WITH signed AS (
    SELECT r.correlation AS engagement, r.body ->> 'legal_entity' AS legal_entity, v ->> 'currency' AS currency,
        (v ->> 'amount')::numeric * CASE r.kind WHEN 'recurring_schedule' THEN (r.body ->> 'months')::numeric ELSE 1 END
            + coalesce((SELECT sum((c -> 'adds' ->> 'amount')::numeric)
                FROM jsonb_array_elements(r.body -> 'changes') AS c), 0) AS amount
    FROM record r CROSS JOIN LATERAL coalesce(r.body -> 'amount', r.body -> 'monthly') v
    WHERE r.kind IN ('scheduled_milestone', 'recurring_schedule') AND NOT r.deleted
        AND r.body ->> 'status' <> 'cancelled' AND r.correlation IS NOT NULL
        AND (%(ids)s::text[] IS NULL OR r.correlation = ANY(%(ids)s))
        AND (%(entities)s::text[] IS NULL OR r.body ->> 'legal_entity' = ANY(%(entities)s))
    UNION ALL
    SELECT r.correlation, i.body ->> 'legal_entity', i.body ->> 'currency', (i.body -> 'net' ->> 'amount')::numeric
    FROM record r JOIN record i ON i.correlation = r.correlation AND i.kind = 'invoice' AND NOT i.deleted
        AND i.body ->> 'subscription_id' = r.id AND i.body ->> 'status' NOT IN ('draft', 'void')
    WHERE r.kind = 'recurring_schedule' AND r.body ->> 'status' = 'cancelled'
        AND (%(ids)s::text[] IS NULL OR r.correlation = ANY(%(ids)s))
        AND (%(entities)s::text[] IS NULL OR i.body ->> 'legal_entity' = ANY(%(entities)s))
)
SELECT CASE WHEN %(each)s THEN engagement ELSE '' END, CASE WHEN %(each)s THEN legal_entity ELSE '' END, currency,
    sum(amount)
FROM signed GROUP BY 1, 2, 3
"""
# Where a revenue schedule is kept: the price of its obligations, and what was recognised up to its last period.
REVENUE = """
SELECT engagement, legal_entity, currency, sum(price), sum(cumulative), max(kept_at)
FROM (
    SELECT DISTINCT ON (r.engagement, r.legal_entity, r.obligation_id) r.engagement, r.legal_entity, r.currency,
        r.price, r.cumulative, r.kept_at
    FROM revenue_row r JOIN accounting_period p ON p.legal_entity = r.legal_entity AND p.period = r.period
    WHERE (%(ids)s::text[] IS NULL OR r.engagement = ANY(%(ids)s))
        AND (%(entities)s::text[] IS NULL OR r.legal_entity = ANY(%(entities)s))
    ORDER BY r.engagement, r.legal_entity, r.obligation_id, p.starts_on DESC, r.version DESC
) latest GROUP BY 1, 2, 3
"""
# Kinds of records whose newest change says how fresh money is.
CHANGED = """
SELECT k.kind, (SELECT r.changed_at FROM record r WHERE r.kind = k.kind ORDER BY r.changed_at DESC LIMIT 1)
FROM unnest(%(kinds)s::text[]) AS k (kind)
"""
POSTED = "SELECT max(posted_at) FROM (SELECT posted_at FROM transfer ORDER BY id DESC LIMIT 100) latest"


@dataclass(slots=True)
class Stand:
    """The money of one engagement (or of all: then it is '') in one legal entity and currency; by disposition, apart
    for what is scheduled and for work. `price` and `recognised` are of its revenue schedule, None where none is kept;
    of all together they are not told."""

    engagement: str
    legal_entity: str
    currency: str
    contracted: Decimal = ZERO
    scheduled: dict[str, Decimal] = field(default_factory=dict)
    work: dict[str, Decimal] = field(default_factory=dict)
    price: Decimal | None = None
    recognised: Decimal = ZERO
    kept_at: datetime | None = None

    def sum_of(self, dispositions: Iterable[str], *parts: Mapping[str, Decimal]) -> Money:
        """What lies in these dispositions, of work and schedule alike when no part is named."""
        chosen = parts or (self.scheduled, self.work)
        names = tuple(dispositions)
        return Money(sum((part.get(name, ZERO) for part in chosen for name in names), ZERO), self.currency).rounded()

    @property
    def value(self) -> Money:
        return Money(self.contracted, self.currency).rounded()

    @property
    def earned(self) -> Money:
        return self.sum_of(EARNED)

    @property
    def billed(self) -> Money:
        return self.sum_of(INVOICED)

    @property
    def unbilled(self) -> Money:
        return self.sum_of(UNBILLED)

    @property
    def held(self) -> Money:
        return self.sum_of(("held",))

    @property
    def over_cap(self) -> Money:
        return self.sum_of(("over_cap",))

    @property
    def backlog(self) -> Reading:
        """Contracted less recognised where a revenue schedule is kept; else of what is scheduled, less invoiced."""
        if self.price is None:
            return sales.unbilled_backlog(self.value, self.sum_of(INVOICED, self.scheduled))
        price, recognised = (Money(each, self.currency).rounded() for each in (self.price, self.recognised))
        return sales.backlog(price, Money.zero(self.currency), recognised)

    @property
    def realization(self) -> tuple[Reading, ...]:
        """Billing, collection and overall realization of the work that somebody has decided about, at the rates
        agreed."""
        standard = self.sum_of(DECIDED, self.work)
        billed, collected = self.sum_of(INVOICED, self.work), self.sum_of(("collected",), self.work)
        return (
            people.billing_realization(billed, standard),
            people.collection_realization(collected, billed),
            people.overall_realization(collected, standard),
        )


async def stands(
    db: Connection,
    *,
    ids: Sequence[str] | None = None,
    entities: Sequence[str] | None = None,
    since: date | None = None,
    until: date | None = None,
    each: bool = False,
) -> list[Stand]:
    """The money by currency, or with `each` by engagement, legal entity and currency; `since` and `until` (exclusive)
    are first days of months and limit the ledger to what was worked between them, not what is contracted."""
    about = {
        "ids": None if ids is None else list(ids), "entities": None if entities is None else list(entities),
        "since": since, "until": until, "each": each,
    }  # fmt: skip
    found: dict[tuple[str, str, str], Stand] = {}
    for *key, scheduled, disposition, amount in await (await db.execute(LIES.encode(), about)).fetchall():
        stand = found.setdefault(tuple(key), Stand(*key))
        (stand.scheduled if scheduled else stand.work)[disposition] = amount
    for *key, amount in await (await db.execute(CONTRACTED, about)).fetchall():
        found.setdefault(tuple(key), Stand(*key)).contracted = amount
    if each:
        for *key, price, recognised, kept_at in await (await db.execute(REVENUE, about)).fetchall():
            stand = found.setdefault(tuple(key), Stand(*key))
            stand.price, stand.recognised, stand.kept_at = price, recognised, kept_at
    return [found[key] for key in sorted(found)]


def together(stands: Iterable[Stand]) -> list[Stand]:
    """The money of all by currency. Pure."""
    found: dict[str, Stand] = {}
    for each in stands:
        whole = found.setdefault(each.currency, Stand("", "", each.currency))
        whole.contracted += each.contracted
        for into, out_of in ((whole.scheduled, each.scheduled), (whole.work, each.work)):
            for disposition, amount in out_of.items():
                into[disposition] = into.get(disposition, ZERO) + amount
    return [found[currency] for currency in sorted(found)]


def backlogs(stands: Iterable[Stand]) -> list[Stand]:
    """By currency what has a revenue schedule and what has none, apart, for they have different backlogs. Pure."""
    with_schedule: dict[str, Stand] = {}
    without: list[Stand] = []
    for each in stands:
        if each.price is None:
            without.append(each)
            continue
        whole = with_schedule.setdefault(each.currency, Stand("", "", each.currency, price=ZERO))
        whole.price = (whole.price or ZERO) + each.price
        whole.recognised += each.recognised
        whole.kept_at = max(filter(None, (whole.kept_at, each.kept_at)), default=None)
    return [*(with_schedule[currency] for currency in sorted(with_schedule)), *together(without)]


async def changed(db: Connection, kinds: Sequence[str]) -> tuple[tuple[str, datetime], ...]:
    """The newest change of each kind of record there is any of."""
    rows = await (await db.execute(CHANGED, {"kinds": list(kinds)})).fetchall()
    return tuple((kind.replace("_", " "), at) for kind, at in rows if at is not None)


async def ledger_changed(db: Connection) -> tuple[tuple[str, datetime], ...]:
    """When the ledger was last moved."""
    row = await (await db.execute(POSTED)).fetchone()
    return () if row is None or row[0] is None else (("ledger", row[0]),)


def wip_days(unbilled: Stand | None, earned: Stand, days: int) -> Reading:
    """WIP of today by what was earned in a period of `days`. Pure."""
    wip = unbilled.unbilled if unbilled is not None else Money.zero(earned.currency)
    return sales.wip_days_of_earned(wip, earned.earned, days)
