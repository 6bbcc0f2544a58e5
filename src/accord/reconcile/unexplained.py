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
from accord.ledger.reversing import PRICED
from accord.model.billing import Invoice
from accord.model.plain import from_plain
from accord.model.recurring import RecurringSchedule, ServiceSettlement
from accord.model.terms import BillingTerms
from accord.rules.rating import Pricer, Rated
from accord.rules.services import settlements

ZERO = Decimal(0)

# Whether two revisions have the same price: then the item of the one stands for the other.
SAME_PRICE = f"""({", ".join(f"o.{name}" for name in PRICED)})
        IS NOT DISTINCT FROM ({", ".join(f"w.{name}" for name in PRICED)})"""
STANDING = "i.reverses IS NULL AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)"
# A row of the queue or a case says where such a record is: it is late or stuck, but it is not unexplained.
WAITS = """
    AND NOT EXISTS (SELECT FROM work_to_rate q WHERE q.entry_id = {entry} AND q.engagement = {engagement})
    AND NOT EXISTS (SELECT FROM work_unpriced u WHERE u.entry_id = {entry} AND u.engagement = {engagement})
"""
ENTRY_WAITS = WAITS.format(entry="w.id", engagement="w.engagement")
ITEM_WAITS = WAITS.format(entry="i.source_id", engagement="i.engagement")
MISSING = f"""
SELECT w.id, w.revision, w.kind, w.source, w.source_key, w.status, w.worked_on, w.quantity, w.engagement,
    w.legal_entity, w.worker, w.worker_entity, w.role, w.task, w.unit, w.category, w.cost, w.cost_currency,
    w.tax_included, w.receipt, w.billable, w.approver, w.approved_at, w.current
FROM work_entry w
WHERE w.current AND w.status = 'approved' AND w.engagement IS NOT NULL AND w.legal_entity IS NOT NULL
    AND NOT EXISTS (SELECT FROM billable_item i WHERE i.source_id = w.id AND i.kind = w.kind
        AND i.engagement = w.engagement AND i.legal_entity = w.legal_entity AND {STANDING}
        AND (i.source_revision = w.revision OR EXISTS (
            SELECT FROM work_entry o WHERE o.id = w.id AND o.revision = i.source_revision AND {SAME_PRICE})))
    {ENTRY_WAITS}
ORDER BY w.engagement, w.legal_entity, w.worked_on, w.id LIMIT %(limit)s
"""
# What the worker's legal entity charges the project's.
MISSING_BETWEEN = f"""
SELECT w.id, w.revision, w.kind, w.source, w.source_key, w.status, w.worked_on, w.quantity, w.engagement,
    w.legal_entity, w.worker, w.worker_entity, w.role, w.task, w.unit, w.category, w.cost, w.cost_currency,
    w.tax_included, w.receipt, w.billable, w.approver, w.approved_at, w.current
FROM work_entry w
WHERE w.current AND w.status = 'approved' AND w.kind IN ('time', 'expense') AND w.engagement IS NOT NULL
    AND w.worker_entity <> w.legal_entity
    AND EXISTS (SELECT FROM billable_item i WHERE i.source_id = w.id AND i.kind = w.kind AND i.rate_id IS NOT NULL
        AND i.engagement = w.engagement AND i.legal_entity = w.legal_entity AND {STANDING})
    AND NOT EXISTS (SELECT FROM billable_item i WHERE i.source_id = w.id AND i.kind = 'intercompany'
        AND i.engagement = w.engagement AND i.legal_entity = w.worker_entity AND {STANDING})
    {ENTRY_WAITS}
ORDER BY w.engagement, w.legal_entity, w.worked_on, w.id LIMIT %(limit)s
"""
ORPHANS = f"""
SELECT i.id, i.engagement, i.legal_entity, i.currency, -i.amount,
    CASE WHEN w.id IS NULL THEN 'its source record is not there'
         WHEN w.status <> 'approved' THEN 'its source says ' || w.status
         ELSE 'its source belongs to ' || coalesce(w.engagement, 'nothing') || ' in ' || coalesce(w.legal_entity, '?')
    END
FROM billable_item i LEFT JOIN work_entry w ON w.id = i.source_id AND w.current
WHERE i.kind IN ('time', 'expense', 'usage', 'intercompany') AND {STANDING}
    AND (w.id IS NULL OR w.status <> 'approved' OR (w.engagement, CASE WHEN i.kind = 'intercompany' THEN w.worker_entity
        ELSE w.legal_entity END) IS DISTINCT FROM (i.engagement, i.legal_entity))
    {ITEM_WAITS}
ORDER BY i.id LIMIT %(limit)s
"""
# Its source has been revised, or another item was made of it, and nobody took this one back.
OVERTAKEN = f"""
SELECT i.id, i.engagement, i.legal_entity, i.currency, -i.amount, 'its source has been revised since'
FROM billable_item i
JOIN work_entry w ON w.id = i.source_id AND w.current AND w.status = 'approved' AND w.engagement = i.engagement
JOIN work_entry o ON o.id = i.source_id AND o.revision = i.source_revision
WHERE i.kind IN ('time', 'expense', 'usage', 'intercompany') AND i.source_revision <> w.revision AND {STANDING}
    AND CASE WHEN i.kind = 'intercompany' THEN w.worker_entity ELSE w.legal_entity END = i.legal_entity
    AND NOT {SAME_PRICE}
    {ITEM_WAITS}
UNION ALL
SELECT t.id, t.engagement, t.legal_entity, t.currency, -t.amount, 'its source has another item'
FROM (
    SELECT i.*, row_number() OVER (PARTITION BY i.source_id, i.kind ORDER BY i.source_revision DESC, i.recorded_at DESC)
        AS nth
    FROM billable_item i JOIN (
        SELECT source_id, kind FROM billable_item
        WHERE kind IN ('time', 'expense', 'usage', 'intercompany') AND reverses IS NULL
        GROUP BY 1, 2 HAVING count(*) > 1
    ) m ON m.source_id = i.source_id AND m.kind = i.kind
    WHERE {STANDING}
) t
JOIN work_entry w ON w.id = t.source_id AND w.current
JOIN work_entry o ON o.id = w.id AND o.revision = t.source_revision
WHERE t.nth > 1 AND {SAME_PRICE}
ORDER BY 1 LIMIT %(limit)s
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
# Services that a change order changed, with their invoices and what settled them; what a story is still at is late.
CHANGED_SERVICES = """
SELECT s.body,
    (SELECT coalesce(jsonb_agg(i.body), '[]') FROM record i
        WHERE i.correlation = s.correlation AND i.kind = 'invoice' AND NOT i.deleted
            AND i.body ->> 'subscription_id' = s.id AND i.body ->> 'engagement_id' IS NOT NULL),
    (SELECT coalesce(jsonb_agg(d.body), '[]') FROM record d
        WHERE d.correlation = s.correlation AND d.kind = 'service_settlement' AND d.body ->> 'schedule_id' = s.id)
FROM record s
WHERE s.kind = 'recurring_schedule' AND NOT s.deleted AND jsonb_array_length(s.body -> 'changes') > 0
    AND NOT EXISTS (SELECT FROM open_process o WHERE o.subject = s.id)
    AND NOT EXISTS (SELECT FROM open_process o JOIN record i ON i.kind = 'invoice' AND i.id = o.subject
        WHERE i.correlation = s.correlation)
    AND NOT EXISTS (SELECT FROM open_process o WHERE o.subject = s.correlation)
    AND s.id > %(after)s
ORDER BY s.id LIMIT 500
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
    for query in (ORPHANS, OVERTAKEN, UNPLACED, PARTS_WITHOUT, INVOICED):
        rows = await (await db.execute(query, {"limit": limit}, prepare=False)).fetchall()
        found += [Unexplained(row[0], row[5], row[1], row[2], row[3], row[4]) for row in rows]
    for query, missing in ((MISSING, _missing), (MISSING_BETWEEN, _missing_between)):
        rows = await (await db.execute(query, {"limit": limit}, prepare=False)).fetchall()
        terms = await declared.latest(db, {(row[8], row[9]) for row in rows})
        found += [missing(row, terms.get((row[8], row[9]))) for row in rows]
    return found + await _unsettled(db, limit)


async def _unsettled(db: Connection, limit: int) -> list[Unexplained]:
    """Billed periods of changed services that are worth something else, reckoned again from the change orders."""
    found: list[Unexplained] = []
    after = ""
    while len(found) < limit:
        rows = await (await db.execute(CHANGED_SERVICES, {"after": after}, prepare=False)).fetchall()
        if not rows:
            break
        for body, invoices, done in rows:
            schedule = from_plain(RecurringSchedule, body)
            after = schedule.id
            billed = [from_plain(Invoice, each) for each in invoices]
            for each in settlements(schedule, billed, [from_plain(ServiceSettlement, other) for other in done]):
                what = f"the period from {each.period_from} is worth {each.worth} after its change orders"
                entity, amount = each.legal_entity, each.difference
                found.append(Unexplained(schedule.id, what, each.engagement_id, entity, amount.currency, amount.amount))
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


def _missing_between(row: Sequence[Any], terms: BillingTerms | None) -> Unexplained:
    entry = work_entry(row)
    what = f"worked for {row[9]}, and the ledger has no charge of it"
    rated = None if terms is None else Pricer(terms).rate(entry)
    amount = rated.intercompany if isinstance(rated, Rated) else None
    return Unexplained(entry.id, what, row[8], row[11], "XXX" if terms is None else terms.currency, amount)
