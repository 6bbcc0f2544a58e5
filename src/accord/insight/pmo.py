"""What a PMO lead looks at first: what needs doing, and every measure with its formula, sources and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from accord.engine.shell import Connection
from accord.insight.engagements import money, sums
from accord.insight.pmo_activation import Activation, activation
from accord.insight.pmo_caps import CapLine, caps
from accord.insight.pmo_hours import Weeks
from accord.insight.pmo_missing import MissingTime, missing_time
from accord.insight.pmo_money import Stand, backlogs, changed, ledger_changed, stands, together, wip_days
from accord.insight.pmo_utilization import Utilization, utilization
from accord.model.money import Money
from accord.rules.measures.definition import Reading

WEEKS = 4
FUNNEL = timedelta(days=365)

# A milestone is approved when the ledger has its item.
DUE = """
SELECT m.id, m.body ->> 'name', m.body ->> 'legal_entity', (m.body ->> 'planned_on')::date, m.body -> 'amount',
    m.correlation, d.body ->> 'name'
FROM record m LEFT JOIN record d ON d.kind = 'deal' AND d.id = m.correlation
WHERE m.kind = 'scheduled_milestone' AND NOT m.deleted AND m.body ->> 'status' = 'scheduled'
    AND (m.body ->> 'planned_on')::date <= %(today)s
    AND (%(entities)s::text[] IS NULL OR m.body ->> 'legal_entity' = ANY(%(entities)s))
    AND NOT EXISTS (SELECT FROM billable_item b WHERE b.source_id = m.id AND b.kind = 'milestone')
ORDER BY 4, 1 LIMIT 1000
"""
ON_HOLD = """
SELECT e.id, d.body ->> 'name', e.body ->> 'status', e.changed_at, e.body -> 'value'
FROM record e JOIN record d ON d.kind = 'deal' AND d.id = e.id
WHERE e.kind = 'engagement' AND NOT e.deleted AND e.body ->> 'status' = 'reopened'
    AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s))
ORDER BY e.changed_at, e.id LIMIT 1000
"""


@dataclass(frozen=True, slots=True)
class DueMilestone:
    """A milestone whose planned day is over and that nobody has approved."""

    id: str
    name: str
    legal_entity: str
    planned_on: date
    amount: Money
    engagement: str | None
    engagement_name: str | None


@dataclass(frozen=True, slots=True)
class OnHold:
    """An engagement that was re-opened and bills nothing until somebody decides."""

    id: str
    name: str
    status: str
    since: datetime
    value: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A reading with the newest fact of each of its sources, and the address of its rows."""

    reading: Reading
    about: str
    sources: tuple[tuple[str, datetime], ...]
    rows: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything of the first page of the PMO, as of one moment."""

    as_of: datetime
    weeks: Weeks
    missing: MissingTime
    caps: tuple[CapLine, ...]
    due: tuple[DueMilestone, ...]
    on_hold: tuple[OnHold, ...]
    held: tuple[Money, ...]
    used: Utilization
    activation: Activation
    measures: tuple[Measured, ...]

    @property
    def close(self) -> tuple[CapLine, ...]:
        """The caps that somebody has to talk about now."""
        return tuple(each for each in self.caps if each.close)

    @property
    def due_value(self) -> tuple[Money, ...]:
        return sums([each.amount for each in self.due])

    def of(self, name: str) -> tuple[Measured, ...]:
        """The readings of one measure."""
        return tuple(each for each in self.measures if each.reading.definition.name == name)


async def overview(db: Connection, now: datetime, entities: Sequence[str] | None = None) -> Overview:
    """What a reader of these legal entities (None for all) sees."""
    today = now.date()
    weeks = Weeks.until(today, WEEKS)
    single = await stands(db, entities=entities, each=True)
    used = await utilization(db, weeks.first_day, weeks.last_day, entities=entities)
    funnel = await activation(db, now - FUNNEL, entities)
    about = {"today": today, "entities": None if entities is None else list(entities)}
    due = await (await db.execute(DUE, about)).fetchall()
    on_hold = await (await db.execute(ON_HOLD, about)).fetchall()
    return Overview(
        as_of=now,
        weeks=weeks,
        missing=await missing_time(db, weeks, entities=entities),
        caps=tuple(await caps(db, today, entities=entities)),
        due=tuple(
            DueMilestone(id, name, entity, planned_on, money(amount), engagement, engagement_name)
            for id, name, entity, planned_on, amount, engagement, engagement_name in due
        ),
        on_hold=tuple(
            OnHold(id, name or id, status, since, tuple(money(each) for each in value or ()))
            for id, name, status, since, value in on_hold
        ),
        held=sums([each.held for each in together(single) if each.held]),
        used=used,
        activation=funnel,
        measures=await _measures(db, today, single, used, funnel, entities),
    )


async def measures(db: Connection, now: datetime, entities: Sequence[str] | None = None) -> tuple[Measured, ...]:
    """The readings alone."""
    today = now.date()
    weeks = Weeks.until(today, WEEKS)
    single = await stands(db, entities=entities, each=True)
    used = await utilization(db, weeks.first_day, weeks.last_day, entities=entities)
    return await _measures(db, today, single, used, await activation(db, now - FUNNEL, entities), entities)


async def _measures(
    db: Connection,
    today: date,
    single: Sequence[Stand],
    used: Utilization,
    funnel: Activation,
    entities: Sequence[str] | None,
) -> tuple[Measured, ...]:
    since, until = last_months(today, 3)
    days = (until - since).days
    lately = await stands(db, entities=entities, since=since, until=until)
    contracts = await changed(db, ("scheduled_milestone", "recurring_schedule", "invoice"))
    ledger = await ledger_changed(db)
    about = f"{used.first_day} to {used.last_day}"
    months = f"worked {since:%Y-%m} to {until - timedelta(days=1):%Y-%m}"
    found = [Measured(each, about, used.sources, "/pmo/utilization") for each in used.whole.readings]
    for each in lately:
        rows = f"/pmo/engagements?currency={each.currency}"
        found += [Measured(one, f"{each.currency}, {months}", ledger, rows) for one in each.realization]
    by_currency = {each.currency: each for each in together(single)}
    for each in backlogs(single):
        rows = f"/pmo/engagements?currency={each.currency}"
        sources = (*contracts, *ledger) if each.kept_at is None else (("revenue schedule", each.kept_at),)
        found.append(Measured(each.backlog, f"{each.currency}, as of {today}", sources, rows))
    for each in lately:
        rows = f"/pmo/engagements?currency={each.currency}"
        reading = wip_days(by_currency.get(each.currency), each, days)
        found.append(Measured(reading, f"{each.currency}, {months}", ledger, rows))
    won = await changed(db, ("deal", "engagement"))
    found += [Measured(each, f"won since {funnel.since:%Y-%m-%d}", won, "/pmo/activation") for each in funnel.times]
    return tuple(found)


def last_months(today: date, count: int) -> tuple[date, date]:
    """The first day of the month `count` months ago, and of this one (exclusive). Pure."""
    until = today.replace(day=1)
    months = until.year * 12 + until.month - 1 - count
    return date(months // 12, months % 12 + 1, 1), until
