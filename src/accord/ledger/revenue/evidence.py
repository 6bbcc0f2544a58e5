"""What stored work says of obligations, period by period: cost, hours, acceptances, what may be invoiced, what was.

A unit of work belongs to the period it was done in, or to the one it was booked in when it came late. Many engagements
are read at once, each query once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from accord.engine.shell import Connection
from accord.ledger import exchange
from accord.ledger.terms import Key
from accord.rules.periods import Period

CALENDAR = """
SELECT legal_entity, period, starts_on, ends_on, state FROM accounting_period
WHERE legal_entity = ANY(%(entities)s) AND starts_on <= %(to)s ORDER BY legal_entity, starts_on
"""
THESE = "unnest(%(engagements)s::text[], %(entities)s::text[]) AS x (engagement, entity)"
# Cost is that of approved work: hours at what they cost on their day, and expenses without the tax that comes back.
WORK = f"""
SELECT w.engagement, w.legal_entity, coalesce(l.booked_in, p.period), w.task, w.worked_on,
    sum(w.quantity) FILTER (WHERE w.kind = 'time'),
    CASE WHEN w.kind = 'time' THEN c.cost_currency ELSE w.cost_currency END,
    sum(CASE WHEN w.kind = 'time' THEN w.quantity * c.cost_per_hour ELSE w.cost - coalesce(w.tax_included, 0) END),
    sum(w.quantity) FILTER (WHERE w.kind = 'time' AND c.cost_per_hour IS NULL)
FROM {THESE}
JOIN work_entry w ON w.engagement = x.engagement AND w.legal_entity = x.entity AND w.current
    AND w.status = 'approved' AND w.kind IN ('time', 'expense')
LEFT JOIN accounting_period p ON p.legal_entity = w.legal_entity AND w.worked_on BETWEEN p.starts_on AND p.ends_on
LEFT JOIN employment c ON c.worker = w.worker AND w.worked_on >= c.valid_from
    AND (c.ends_on IS NULL OR w.worked_on <= c.ends_on)
LEFT JOIN billable_item i ON i.source_id = w.id AND i.source_revision = w.revision AND i.kind = w.kind
    AND i.reverses IS NULL AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)
LEFT JOIN late_work l ON l.item_id = i.id
GROUP BY 1, 2, 3, 4, 5, 7
"""
ESTIMATES = f"""
SELECT DISTINCT ON (e.engagement, e.legal_entity, e.obligation_id, e.period, e.unit = 'h')
    e.engagement, e.legal_entity, e.obligation_id, e.period, e.unit, e.to_complete
FROM {THESE} JOIN revenue_estimate e ON e.engagement = x.engagement AND e.legal_entity = x.entity
ORDER BY e.engagement, e.legal_entity, e.obligation_id, e.period, e.unit = 'h', e.id DESC
"""
# What people told, and what the ERP says of milestones.
ACCEPTED = f"""
SELECT x.engagement, x.entity, a.about, min(a.accepted_on) FROM {THESE}
JOIN revenue_acceptance a ON a.engagement = x.engagement AND a.legal_entity = x.entity GROUP BY 1, 2, 3
UNION ALL
SELECT x.engagement, x.entity, r.id, (r.body ->> 'approved_on')::date FROM {THESE}
JOIN record r ON r.kind = 'milestone_approval' AND r.correlation = x.engagement AND NOT r.deleted
    AND (r.body ->> 'approved')::boolean AND r.body ->> 'approved_on' IS NOT NULL
"""
# By the period of the work and the one it was invoiced in; what lies over a cap, is held or written off may not be.
INVOICEABLE = f"""
SELECT p.engagement, p.legal_entity, coalesce(l.booked_in, c.period), i.task, b.period, sum(p.amount)
FROM {THESE}
JOIN item_part p ON p.engagement = x.engagement AND p.legal_entity = x.entity
    AND p.disposition IN ('wip', 'draft', 'drawn', 'billed', 'collected', 'disputed')
JOIN billable_item i ON i.id = p.item_id AND i.kind IN ('time', 'expense', 'usage')
LEFT JOIN accounting_period c ON c.legal_entity = p.legal_entity AND p.worked_on BETWEEN c.starts_on AND c.ends_on
LEFT JOIN late_work l ON l.item_id = i.id
LEFT JOIN record v ON v.kind = 'invoice' AND v.id = p.document AND p.disposition IN ('billed', 'collected', 'disputed')
LEFT JOIN accounting_period b ON b.legal_entity = p.legal_entity
    AND (v.body ->> 'issued_on')::date BETWEEN b.starts_on AND b.ends_on
GROUP BY 1, 2, 3, 4, 5
"""
BILLED = f"""
SELECT x.engagement, x.entity, c.period, sum(d.net)
FROM {THESE}
JOIN LATERAL (
    SELECT (r.body ->> 'issued_on')::date AS day, (r.body -> 'net' ->> 'amount')::numeric AS net
    FROM record r WHERE r.kind = 'invoice' AND r.correlation = x.engagement AND NOT r.deleted
        AND r.body ->> 'legal_entity' = x.entity AND r.body ->> 'status' NOT IN ('draft', 'void')
    UNION ALL
    SELECT (n.body ->> 'issued_on')::date, -(coalesce(n.body -> 'net', n.body -> 'amount') ->> 'amount')::numeric
    FROM record n WHERE n.kind = 'credit_note' AND n.correlation = x.engagement AND NOT n.deleted
        AND n.body ->> 'legal_entity' = x.entity AND n.body ->> 'status' = 'issued'
) d ON true
JOIN accounting_period c ON c.legal_entity = x.entity AND d.day BETWEEN c.starts_on AND c.ends_on
GROUP BY 1, 2, 3
"""


@dataclass(slots=True)
class Worked:
    """Hours and cost of one task on one day, in a period. `uncosted` are hours of people without a cost."""

    period: str | None
    task: str | None
    day: date
    hours: Decimal
    currency: str | None
    cost: Decimal | None
    uncosted: Decimal


@dataclass(slots=True)
class Evidence:
    """All that is known of one engagement in one legal entity. `estimates` are by obligation, period and whether they
    are of hours; `invoiceable` by period of work, task and period of the invoice (None: not invoiced yet)."""

    periods: Sequence[Period] = ()
    closed: frozenset[str] = frozenset()
    worked: list[Worked] = field(default_factory=list)
    estimates: dict[tuple[str, str, bool], Decimal] = field(default_factory=dict)
    accepted: dict[str, date] = field(default_factory=dict)
    invoiceable: list[tuple[str | None, str | None, str | None, Decimal]] = field(default_factory=list)
    billed: dict[str, Decimal] = field(default_factory=dict)
    rates: exchange.Exchange = field(default_factory=exchange.Exchange)


async def read(db: Connection, keys: Sequence[Key], to: date, currencies: Mapping[Key, str]) -> Mapping[Key, Evidence]:
    """The evidence of these engagements in the periods that begin up to a day."""
    about: dict[str, Any] = {"engagements": [key[0] for key in keys], "entities": [key[1] for key in keys], "to": to}
    calendars: dict[str, list[Any]] = defaultdict(list)
    for entity, *row in await (await db.execute(CALENDAR, about)).fetchall():
        calendars[entity].append(row)
    found = {
        key: Evidence(
            tuple(Period(row[1], row[2], row[0]) for row in calendars[key[1]]),
            frozenset(row[0] for row in calendars[key[1]] if row[3] == "closed"),
        )
        for key in keys
    }
    for engagement, entity, period, task, day, hours, currency, cost, uncosted in await _rows(db, WORK, about):
        row = Worked(period, task, day, hours or Decimal(0), currency, cost, uncosted or Decimal(0))
        found[engagement, entity].worked.append(row)
    for engagement, entity, obligation, period, unit, to_complete in await _rows(db, ESTIMATES, about):
        found[engagement, entity].estimates[obligation, period, unit == "h"] = to_complete
    for engagement, entity, about_what, on in await _rows(db, ACCEPTED, about):
        accepted = found[engagement, entity].accepted
        accepted[about_what] = min(on, accepted.get(about_what, on))
    for engagement, entity, period, task, invoiced_in, amount in await _rows(db, INVOICEABLE, about):
        found[engagement, entity].invoiceable.append((period, task, invoiced_in, amount))
    for engagement, entity, period, net in await _rows(db, BILLED, about):
        found[engagement, entity].billed[period] = net
    for key, each in found.items():
        spent = {row.currency for row in each.worked if row.currency is not None} | {currencies[key]}
        if len(spent) > 1:
            each.rates = await exchange.for_pricing(db, (), (row.day for row in each.worked), spent)
    return found


async def _rows(db: Connection, query: str, about: dict[str, Any]) -> list[Any]:
    return await (await db.execute(query, about, prepare=False)).fetchall()
