"""Work of a period that is not in the books: not approved yet, or approved and without a price, with its value.

The value is what the terms in force give it, before caps and retainers: an estimate for the gate and for accruals, made
by the rules that will bill it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from accord.engine.shell import Connection
from accord.ledger import terms as declared
from accord.ledger.rating import work_entry
from accord.model.money import Money
from accord.model.work import WorkEntry
from accord.rules.rating import Pricer

AT_ONCE = 5_000

COLUMNS = """w.id, w.revision, w.kind, w.source, w.source_key, w.status, w.worked_on, w.quantity, w.engagement,
    w.legal_entity, w.worker, w.worker_entity, w.role, w.task, w.unit, w.category, w.cost, w.cost_currency,
    w.tax_included, w.receipt, w.billable, w.approver, w.approved_at, w.current"""
# Told and not approved, by day of work.
UNAPPROVED = f"""
SELECT {COLUMNS} FROM work_entry w
WHERE w.current AND w.status IN ('submitted', 'rejected', 'recalled') AND w.worked_on <= %(to)s
    AND w.legal_entity = %(entity)s AND w.engagement IS NOT NULL AND (w.worked_on, w.id) > (%(day)s, %(id)s)
ORDER BY w.worked_on, w.id LIMIT %(limit)s
"""
# Approved: in the queue of the rating run, or kept aside because it got no price.
UNPRICED = """
SELECT q.engagement, count(*), coalesce(min(q.reason), 'not looked at yet') FROM (
    SELECT entry_id, engagement, legal_entity, worked_on, NULL::text AS reason FROM work_to_rate
    UNION ALL SELECT entry_id, engagement, legal_entity, worked_on, reason FROM work_unpriced
) q WHERE q.legal_entity = %(entity)s AND q.worked_on <= %(to)s GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The waiting work of one engagement and currency. `value` is None where it has no price."""

    subject: str
    what: str
    engagement: str
    entries: int
    value: Money | None
    approved: bool


@dataclass(frozen=True, slots=True)
class Estimated:
    """One entry that waits for its approval, and the price it would have; None where there is none."""

    entry: WorkEntry
    engagement: str
    value: Money | None


async def value_waiting(db: Connection, entity: str, to: date) -> list[Waiting]:
    """What waits, by engagement: first what is approved and has no price, then what is not approved."""
    rows = await (await db.execute(UNPRICED, {"entity": entity, "to": to})).fetchall()
    found = [
        Waiting(engagement, f"{count} approved records without a price: {reason}", engagement, count, None, True)
        for engagement, count, reason in rows
    ]
    sums: dict[tuple[str, str | None], tuple[int, Decimal]] = {}
    async for each in unapproved(db, entity, to):
        key = (each.engagement, None if each.value is None else each.value.currency)
        count, amount = sums.get(key, (0, Decimal(0)))
        sums[key] = (count + 1, amount + (Decimal(0) if each.value is None else each.value.amount))
    found += [
        Waiting(
            engagement, f"{count} records that nobody has approved", engagement, count,
            None if currency is None else Money(amount, currency), False,
        )
        for (engagement, currency), (count, amount) in sums.items()
    ]  # fmt: skip
    return found


async def unapproved(db: Connection, entity: str, to: date) -> AsyncIterator[Estimated]:
    """Every record up to a day that was told and is not approved, batch by batch, by day of work."""
    place: tuple[date, str] = (date.min, "")
    while True:
        about = {"entity": entity, "to": to, "day": place[0], "id": place[1], "limit": AT_ONCE}
        rows = await (await db.execute(UNAPPROVED, about)).fetchall()
        if not rows:
            return
        for each in await _estimated(db, rows, entity):
            yield each
        place = (rows[-1][6], rows[-1][0])


async def _estimated(db: Connection, rows: Sequence[Any], entity: str) -> list[Estimated]:
    terms = await declared.latest(db, {(row[8], entity) for row in rows})
    pricers = {key[0]: (Pricer(replace(each, caps=(), retainer=None)), each.currency) for key, each in terms.items()}
    found = []
    for row in rows:
        entry, value = work_entry(row), None
        if row[8] in pricers:
            pricer, currency = pricers[row[8]]
            rated = pricer.rate(entry)
            if not isinstance(rated, tuple):
                billable = sum((part.amount for part in rated.parts if part.disposition != "non_billable"), Decimal(0))
                value = Money(billable, currency)
        found.append(Estimated(entry, row[8], value))
    return found
