"""Engagements as PMO and account managers see them: contract, earned, billed, cap, invoices, disputes, missing time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from accord.db import keyset
from accord.engine.shell import Connection
from accord.insight.engagements import sums
from accord.insight.pmo_caps import CapLine, caps
from accord.insight.pmo_margin import Cost, costs, margin
from accord.insight.pmo_money import Stand, stands
from accord.model.money import Money
from accord.rules.measures.definition import Reading

UNAPPROVED_WEEKS = 8

LIST = """
SELECT e.id, d.body ->> 'number', d.body ->> 'name', k.body ->> 'legal_name', e.body ->> 'status', d.body ->> 'owner'
FROM record e JOIN record d ON d.kind = 'deal' AND d.id = e.id
LEFT JOIN record k ON k.kind = 'customer' AND k.id = d.body ->> 'customer_id'
WHERE e.kind = 'engagement' AND NOT e.deleted
    AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s))
    AND (%(id)s::text IS NULL OR e.id = %(id)s)
    AND (%(owner)s::text IS NULL OR d.body ->> 'owner' = %(owner)s)
    AND (%(currency)s::text IS NULL OR EXISTS (SELECT FROM ledger_total t WHERE t.engagement = e.id
            AND t.currency = %(currency)s)
        OR e.body -> 'value' @> jsonb_build_array(jsonb_build_object('currency', %(currency)s::text)))
    AND (%(after)s::text IS NULL OR e.id > %(after)s)
ORDER BY e.id LIMIT %(limit)s
"""
INVOICES = """
SELECT i.correlation, i.id, i.body ->> 'number', i.body ->> 'legal_entity', i.body ->> 'status',
    (i.body ->> 'issued_on')::date, (i.body ->> 'due_on')::date, i.body ->> 'currency',
    (i.body -> 'gross' ->> 'amount')::numeric, coalesce((i.body -> 'paid' ->> 'amount')::numeric, 0),
    coalesce((i.body ->> 'disputed')::boolean, false)
FROM record i
WHERE i.correlation = ANY(%(ids)s) AND i.kind = 'invoice' AND NOT i.deleted
    AND i.body ->> 'status' NOT IN ('draft', 'void')
    AND (%(entities)s::text[] IS NULL OR i.body ->> 'legal_entity' = ANY(%(entities)s))
ORDER BY i.correlation, i.body ->> 'issued_on', i.id
"""
DISPUTES = """
SELECT r.correlation, r.id, r.body ->> 'invoice_id', r.body ->> 'status', r.body ->> 'reason', r.body -> 'amount',
    (r.body ->> 'opened_on')::date
FROM record r
WHERE r.correlation = ANY(%(ids)s) AND r.kind = 'dispute' AND NOT r.deleted
ORDER BY r.correlation, r.id
"""
# Hours on an engagement that nobody has approved yet, of the last weeks.
NOT_APPROVED = """
SELECT w.engagement, sum(w.quantity) FROM work_entry w
WHERE w.current AND w.kind = 'time' AND w.status IN ('submitted', 'rejected', 'recalled')
    AND w.engagement = ANY(%(ids)s) AND w.worked_on >= %(since)s
    AND (%(entities)s::text[] IS NULL OR w.legal_entity = ANY(%(entities)s))
GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class InvoiceStatus:
    """One invoice and whether it is paid: paid | part paid | open | overdue | uncollectible."""

    id: str
    number: str | None
    legal_entity: str
    status: str
    issued_on: date | None
    due_on: date | None
    gross: Money
    paid: Money
    disputed: bool

    @property
    def due(self) -> Money:
        return self.gross - self.paid


@dataclass(frozen=True, slots=True)
class DisputeStatus:
    """One objection of the customer."""

    id: str
    invoice_id: str
    status: str
    reason: str | None
    amount: Money | None
    opened_on: date | None


@dataclass(frozen=True, slots=True)
class Margin:
    """The margin of one legal entity and currency, with what went into it."""

    legal_entity: str
    currency: str
    reading: Reading
    cost: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """One engagement for those who answer for it. `margins` is None for a reader who may not see costs."""

    id: str
    number: str | None
    name: str
    customer: str | None
    status: str
    owner: str | None
    stands: tuple[Stand, ...]
    caps: tuple[CapLine, ...]
    invoices: tuple[InvoiceStatus, ...]
    disputes: tuple[DisputeStatus, ...]
    not_approved_hours: Decimal
    margins: tuple[Margin, ...] | None

    @property
    def contracted(self) -> tuple[Money, ...]:
        return sums([each.value for each in self.stands if each.value])

    @property
    def earned(self) -> tuple[Money, ...]:
        return sums([each.earned for each in self.stands if each.earned])

    @property
    def billed(self) -> tuple[Money, ...]:
        """Invoiced before tax."""
        return sums([each.billed for each in self.stands if each.billed])

    @property
    def unbilled(self) -> tuple[Money, ...]:
        return sums([each.unbilled for each in self.stands if each.unbilled])

    @property
    def over_cap(self) -> tuple[Money, ...]:
        return sums([each.over_cap for each in self.stands if each.over_cap])

    @property
    def remaining(self) -> tuple[Money, ...]:
        """The backlog: contracted less recognised where a revenue schedule is kept, else less invoiced."""
        amounts = [each.backlog.value for each in self.stands if each.contracted or each.price is not None]
        return sums([each for each in amounts if isinstance(each, Money)])

    @property
    def invoiced(self) -> tuple[Money, ...]:
        return sums([each.gross for each in self.invoices])

    @property
    def paid(self) -> tuple[Money, ...]:
        return sums([each.paid for each in self.invoices])

    @property
    def overdue(self) -> tuple[Money, ...]:
        return sums([each.due for each in self.invoices if each.status == "overdue"])

    @property
    def open_disputes(self) -> int:
        return sum(1 for each in self.disputes if each.status == "open")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of engagements and the cursor of the next one."""

    engagements: tuple[Summary, ...]
    next: str | None


async def summaries(
    db: Connection,
    today: date,
    *,
    entities: Sequence[str] | None = None,
    with_costs: bool = False,
    id: str | None = None,
    owner: str | None = None,
    currency: str | None = None,
    cursor: str | None = None,
    limit: int = 25,
) -> Page:
    """Engagements by id; amounts are of the reader's legal entities alone. Raises CursorNotUnderstood."""
    scope = None if entities is None else list(entities)
    after = None if cursor is None else keyset.decode(cursor, str)[0]
    about = {"entities": scope, "id": id, "owner": owner, "currency": currency, "after": after, "limit": limit + 1}
    rows = await (await db.execute(LIST, about)).fetchall()
    ids = [row[0] for row in rows[:limit]]
    if not ids:
        return Page((), None)
    parts = await _parts(db, ids, today, scope, with_costs=with_costs)
    found = tuple(_summary(row, parts) for row in rows[:limit])
    return Page(found, keyset.encode(ids[-1]) if len(rows) > limit else None)


@dataclass(frozen=True, slots=True)
class _Parts:
    """All that belongs to the engagements of a page."""

    stands: Sequence[Stand]
    caps: Sequence[CapLine]
    invoices: Mapping[str, list[InvoiceStatus]]
    disputes: Mapping[str, list[DisputeStatus]]
    not_approved: Mapping[str, Decimal]
    costs: Mapping[tuple[str, str], Cost] | None


async def _parts(db: Connection, ids: list[str], today: date, scope: list[str] | None, *, with_costs: bool) -> _Parts:
    about = {"ids": ids, "entities": scope, "since": today - timedelta(weeks=UNAPPROVED_WEEKS)}
    invoices: dict[str, list[InvoiceStatus]] = {}
    for engagement, *row in await (await db.execute(INVOICES, about)).fetchall():
        invoices.setdefault(engagement, []).append(_invoice(row, today))
    disputes: dict[str, list[DisputeStatus]] = {}
    seen = {each.id for found in invoices.values() for each in found}
    for engagement, *row in await (await db.execute(DISPUTES, about)).fetchall():
        if scope is None or row[1] in seen:
            disputes.setdefault(engagement, []).append(_dispute(row))
    hours = await (await db.execute(NOT_APPROVED, about)).fetchall()
    return _Parts(
        stands=await stands(db, ids=ids, entities=scope, each=True),
        caps=await caps(db, today, ids=ids, entities=scope),
        invoices=invoices,
        disputes=disputes,
        not_approved=dict(hours),
        costs=await costs(db, ids, scope) if with_costs else None,
    )


def _summary(row: Sequence[Any], parts: _Parts) -> Summary:
    id, number, name, customer, status, owner = row
    own = tuple(each for each in parts.stands if each.engagement == id)
    margins = None
    if parts.costs is not None:
        pairs = [(each, parts.costs.get((id, each.legal_entity))) for each in own]
        margins = tuple(
            Margin(each.legal_entity, each.currency, margin(each, cost), () if cost is None else cost.amounts)
            for each, cost in pairs
            if each.earned or cost is not None
        )
    return Summary(
        id=id,
        number=number,
        name=name or id,
        customer=customer,
        status=status or "active",
        owner=owner,
        stands=own,
        caps=tuple(each for each in parts.caps if id in [engagement for engagement, _, _ in each.engagements]),
        invoices=tuple(parts.invoices.get(id, ())),
        disputes=tuple(parts.disputes.get(id, ())),
        not_approved_hours=parts.not_approved.get(id, Decimal(0)),
        margins=margins,
    )


def _invoice(row: Sequence[Any], today: date) -> InvoiceStatus:
    id, number, entity, status, issued_on, due_on, currency, gross, paid, disputed = row
    word = status
    if status == "open":
        late = due_on is not None and due_on < today
        word = "overdue" if late else "part paid" if paid else "open"
    return InvoiceStatus(
        id, number, entity, word, issued_on, due_on, Money(gross, currency), Money(paid, currency), disputed
    )


def _dispute(row: Sequence[Any]) -> DisputeStatus:
    id, invoice, status, reason, amount, opened_on = row
    value = None if amount is None else Money(Decimal(str(amount["amount"])), amount["currency"])
    return DisputeStatus(id, invoice, status, reason, value, opened_on)
