"""What is unexplained: approved work by its source records, against what the ledger has of it.

The left side is never read from the ledger: it is what the sources told, priced again. So an item that was lost, an
entry that was never looked at and a recall that was not followed all show, with their amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accord.engine.shell import Connection
from accord.ledger import terms as declared
from accord.ledger.rating import work_entry
from accord.model.terms import BillingTerms
from accord.rules.rating import Pricer

ZERO = Decimal(0)

# A row of the queue or a case says where such a record is: it is late or stuck, but it is not unexplained.
MISSING = """
SELECT w.id, w.revision, w.kind, w.source, w.source_key, w.status, w.worked_on, w.quantity, w.engagement,
    w.legal_entity, w.worker, w.worker_entity, w.role, w.task, w.unit, w.category, w.cost, w.cost_currency,
    w.tax_included, w.receipt, w.billable, w.approver, w.approved_at, w.current
FROM work_entry w
WHERE w.current AND w.status = 'approved' AND w.engagement IS NOT NULL AND w.legal_entity IS NOT NULL
    AND NOT EXISTS (SELECT FROM billable_item i WHERE i.source_id = w.id AND i.reverses IS NULL
        AND i.engagement = w.engagement AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id))
    AND NOT EXISTS (SELECT FROM work_to_rate q WHERE q.entry_id = w.id AND q.engagement = w.engagement
        AND q.legal_entity = w.legal_entity AND q.worked_on = w.worked_on)
    AND NOT EXISTS (SELECT FROM work_unpriced u WHERE u.entry_id = w.id AND u.engagement = w.engagement
        AND u.legal_entity = w.legal_entity AND u.worked_on = w.worked_on)
ORDER BY w.engagement, w.legal_entity, w.worked_on, w.id LIMIT %(limit)s
"""
ORPHANS = """
SELECT i.id, i.engagement, i.legal_entity, i.currency, -i.amount,
    CASE WHEN w.id IS NULL THEN 'its source record is not there'
         WHEN w.status <> 'approved' THEN 'its source says ' || w.status
         ELSE 'its source belongs to ' || coalesce(w.engagement, 'nothing') END
FROM billable_item i LEFT JOIN work_entry w ON w.id = i.source_id AND w.current
WHERE i.kind IN ('time', 'expense', 'usage') AND i.reverses IS NULL
    AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)
    AND (w.id IS NULL OR w.status <> 'approved' OR w.engagement IS DISTINCT FROM i.engagement)
    AND NOT EXISTS (SELECT FROM work_to_rate q WHERE q.entry_id = i.source_id AND q.engagement = i.engagement
        AND q.legal_entity = i.legal_entity)
    AND NOT EXISTS (SELECT FROM work_unpriced u WHERE u.entry_id = i.source_id AND u.engagement = i.engagement
        AND u.legal_entity = i.legal_entity)
ORDER BY i.id LIMIT %(limit)s
"""
UNPLACED = """
SELECT i.id, i.engagement, i.legal_entity, i.currency, i.amount - coalesce(p.placed, 0),
    'its parts come to ' || coalesce(p.placed, 0) || ' of ' || i.amount
FROM billable_item i LEFT JOIN (SELECT item_id, sum(amount) AS placed FROM item_part GROUP BY 1) p ON p.item_id = i.id
WHERE p.placed IS DISTINCT FROM i.amount ORDER BY i.id LIMIT %(limit)s
"""
PARTS_WITHOUT = """
SELECT p.item_id, min(p.engagement), min(p.legal_entity), min(p.currency), -sum(p.amount), 'its item is not there'
FROM item_part p LEFT JOIN billable_item i ON i.id = p.item_id WHERE i.id IS NULL
GROUP BY 1 ORDER BY 1 LIMIT %(limit)s
"""
# Milestones and periods: what billing was told to invoice, against the item of it.
INVOICED = """
SELECT r.id, coalesce(r.correlation, ''), r.body ->> 'legal_entity', r.body ->> 'currency',
    (r.body -> 'net' ->> 'amount')::numeric, 'an invoice of work that the ledger has no item of'
FROM record r
WHERE r.kind = 'invoice' AND NOT r.deleted AND r.body ->> 'status' NOT IN ('draft', 'void')
    AND r.body ->> 'engagement_id' IS NOT NULL
    AND NOT EXISTS (SELECT FROM item_part p WHERE p.document = r.id)
    AND NOT EXISTS (SELECT FROM open_process o WHERE o.subject = r.id)
ORDER BY r.id LIMIT %(limit)s
"""
# Sums of the two sides, for the line that says it all.
SIDES = """
SELECT legal_entity, currency, sum(amount) FROM ledger_total
WHERE disposition <> 'intercompany' GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Unexplained:
    """One thing that the ledger does not explain. `amount` is what sources have more than the ledger (negative: less);
    None where it cannot be priced, and then `what` says why."""

    subject: str
    what: str
    engagement: str
    legal_entity: str
    currency: str
    amount: Decimal | None


async def unexplained(db: Connection, limit: int = 1000) -> list[Unexplained]:
    """Everything unexplained, up to `limit` of each kind; empty when every approved unit is where it should be."""
    found: list[Unexplained] = []
    for query in (ORPHANS, UNPLACED, PARTS_WITHOUT, INVOICED):
        rows = await (await db.execute(query, {"limit": limit}, prepare=False)).fetchall()
        found += [Unexplained(row[0], row[5], row[1], row[2], row[3], row[4]) for row in rows]
    rows = await (await db.execute(MISSING, {"limit": limit}, prepare=False)).fetchall()
    terms = await declared.latest(db, {(row[8], row[9]) for row in rows})
    found += [_missing(row, terms.get((row[8], row[9]))) for row in rows]
    return found


def by_currency(found: Iterable[Unexplained]) -> dict[str, Decimal]:
    """The sum of what is unexplained in each currency, of absolute amounts: a surplus never hides a loss."""
    sums: dict[str, Decimal] = {}
    for each in found:
        sums[each.currency] = sums.get(each.currency, ZERO) + abs(each.amount or ZERO)
    return sums


async def standing_by_currency(db: Connection) -> dict[str, Decimal]:
    """What the ledger holds in each currency."""
    sums: dict[str, Decimal] = {}
    for _, currency, amount in await (await db.execute(SIDES)).fetchall():
        sums[currency] = sums.get(currency, ZERO) + amount
    return sums


def _missing(row: Sequence[Any], terms: BillingTerms | None) -> Unexplained:
    entry = work_entry(row)
    what = "approved, and the ledger has no item of it"
    engagement, entity = row[8], row[9]
    if terms is None:
        return Unexplained(entry.id, f"{what}; its engagement has no terms", engagement, entity, "XXX", None)
    rated = Pricer(terms).rate(entry)
    if isinstance(rated, tuple):
        return Unexplained(entry.id, f"{what}; {rated[0].message}", engagement, entity, terms.currency, None)
    return Unexplained(entry.id, what, engagement, entity, terms.currency, rated.amount)
