"""Money of customers: receipts beside billing, and unapplied cash with what people do with it.

Unapplied cash is never spent twice: its record is locked while somebody applies it or asks for a refund, and what was
asked for counts until it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from accord.engine import eventlog
from accord.engine.shell import Connection, Kept
from accord.engine.turning import fact_row
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.ledger import adjusting
from accord.ledger.crediting import invoice_named
from accord.ledger.postings import write
from accord.model.billing import Allocation, CashApplication, Payment, Refund, UnappliedCash
from accord.model.events import CASH_APPLIED, RECEIPT_RECORDED, Fact
from accord.model.identity import canonical_id
from accord.model.money import Money, TooManyDecimals, UnknownCurrency, total
from accord.model.plain import from_plain, to_plain
from accord.records.knowledge import Records
from accord.rules.cash import available
from accord.rules.receivable import open_amount

CASH = """
SELECT body, correlation FROM record WHERE kind = 'unapplied_cash' AND id = %(id)s
    AND (%(entities)s::text[] IS NULL OR body ->> 'legal_entity' = ANY(%(entities)s)) FOR UPDATE
"""
ASKED_BACK = """
SELECT coalesce(sum(amount), 0) FROM adjustment WHERE kind = 'refund' AND about = %(id)s AND status <> 'refused'
"""
SAME_SOURCE = """
SELECT coalesce(sum((body -> 'amount' ->> 'amount')::numeric), 0), count(*) FROM record
WHERE kind = 'cash_application' AND body ->> 'cash_id' = %(cash)s AND body ->> 'invoice_id' = %(invoice)s
"""
REFUNDS = "SELECT count(*) FROM adjustment WHERE kind = 'refund' AND about = %(id)s"
# By which the money came: the payment itself, or those of the invoice that was credited, the newest first.
CAME_BY = """
SELECT body ->> 'reference' FROM record WHERE kind = 'payment' AND body ->> 'reference' IS NOT NULL
    AND (id = %(source)s OR body ->> 'invoice_id' = %(invoice)s AND %(credited)s)
ORDER BY body ->> 'received_on' DESC, id DESC
"""
UNAPPLIED = """
SELECT r.body, coalesce(a.amount, 0) FROM record r
LEFT JOIN (
    SELECT about, sum(amount) AS amount FROM adjustment WHERE kind = 'refund' AND status <> 'refused' GROUP BY 1
) a ON a.about = r.id
WHERE r.kind = 'unapplied_cash' AND (%(entities)s::text[] IS NULL OR r.body ->> 'legal_entity' = ANY(%(entities)s))
    AND (r.body -> 'amount' ->> 'amount')::numeric - coalesce((r.body -> 'applied' ->> 'amount')::numeric, 0)
        - coalesce(a.amount, 0) > 0
ORDER BY r.body ->> 'received_on', r.id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Unapplied cash and what of it is left."""

    cash: UnappliedCash
    left: Money


async def record_receipt(
    db: Connection,
    customer: str,
    legal_entity: str,
    amount: Decimal,
    currency: str,
    *,
    received_on: date,
    reference: str,
    by: str,
    at: datetime,
    pays: Mapping[str, Decimal] | None = None,
    bank_fee: Decimal | None = None,
    entities: Sequence[str] | None = None,
) -> str:
    """Record money that came in beside billing, such as one transfer for many invoices; its id.

    `pays` are invoices (id or number) and what the customer says that each gets; without it the oldest are paid first.
    The same reference of a customer and day is one receipt. Raises UsageError, NotFound, Conflict.
    """
    if entities is not None and legal_entity not in entities:
        raise NotFound(f"there is no legal entity {legal_entity}")
    money, fee = _money(amount, currency), None if bank_fee is None else _money(bank_fee, currency)
    shares = None
    if pays is not None:
        invoices = [(await invoice_named(db, name, [legal_entity]), part) for name, part in pays.items()]
        if any(invoice.customer_id != customer for invoice, _ in invoices):
            raise UsageError("one of these invoices is another customer's")
        shares = tuple(Allocation(invoice.id, _money(part, currency)) for invoice, part in invoices)
        if money + (fee or Money.zero(currency)) < total((share.amount for share in shares), currency):
            raise UsageError(f"more than {money} is shared out")
    id = canonical_id("payment", "receipt", customer, legal_entity, reference, received_on.isoformat())
    receipt = Payment(id, "", money, received_on, customer, legal_entity, reference, shares, fee)
    if await (await db.execute("SELECT 1 FROM record WHERE kind = 'receipt' AND id = %s", [id])).fetchone():
        raise Conflict(f"the receipt {reference} of that day is recorded already")
    await Records(write).keep(db, [Kept("receipt", id, to_plain(receipt))], at)
    payload = {"customer_id": customer, "reference": reference, "money": to_plain(money)}
    await eventlog.append(db, [fact_row(Fact(RECEIPT_RECORDED, id, at.isoformat(), by, payload), None, None)])
    await audit.write(db, by, "receipt recorded", id, {**payload, "bank_fee": None if fee is None else str(fee)})
    return id


async def apply_cash(
    db: Connection,
    cash: str,
    invoice: str,
    amount: Decimal | None = None,
    *,
    by: str,
    at: datetime,
    entities: Sequence[str] | None = None,
) -> Money:
    """Let unapplied cash pay an invoice of the same customer, legal entity and currency; how much.

    Without `amount`, as much as is open and there. Raises NotFound, UsageError.
    """
    found, left, engagement = await _locked(db, cash, entities)
    to = await invoice_named(db, invoice, entities)
    ours = (found.customer_id, found.legal_entity, found.amount.currency)
    if (to.customer_id, to.legal_entity, to.currency) != ours:
        raise UsageError(f"{cash} is of another customer, legal entity or currency than invoice {invoice}")
    room = min(left, open_amount(to), key=lambda each: each.amount)
    part = room if amount is None else _money(amount, to.currency)
    if not part or not part <= room:
        raise UsageError(f"{left} of {cash} are left and {open_amount(to)} of {invoice} are open; {part} was asked for")
    row = await (await db.execute(SAME_SOURCE, {"cash": cash, "invoice": to.id})).fetchone()
    assert row is not None
    already = Money(row[0], to.currency)
    # The money paid this invoice before it was over-paid: the ERP has one line for both.
    if found.source_kind == "payment" and found.invoice_id == to.id:
        already = already + await _paid_at_first(db, found.source_id, to.currency)
    application = CashApplication(
        id=canonical_id("payment", cash, to.id, str(row[1])),
        cash_id=cash,
        source_kind=found.source_kind,
        source_id=found.source_id,
        invoice_id=to.id,
        amount=part,
        on_invoice=already + part,
        applied_on=at.date(),
        applied_by=by,
    )
    spent = {"id": cash, "applied": to_plain((found.applied or Money.zero(to.currency)) + part)}
    body = to_plain(application)
    kept = [
        Kept("cash_application", application.id, body, to.engagement_id),
        Kept("unapplied_cash", cash, spent, engagement),
    ]
    await Records(write).keep(db, kept, at)
    payload = {"invoice_id": to.id, "cash_id": cash, "money": to_plain(part)}
    fact = Fact(CASH_APPLIED, application.id, at.isoformat(), by, payload, correlation=to.engagement_id)
    await eventlog.append(db, [fact_row(fact, to.engagement_id, None)])
    await audit.write(db, by, "unapplied cash applied", cash, {"invoice": to.number, "amount": str(part)})
    return part


async def ask_refund(
    db: Connection,
    cash: str,
    amount: Decimal | None = None,
    *,
    reason: str,
    by: str,
    at: datetime,
    entities: Sequence[str] | None = None,
) -> str:
    """Ask for a refund of unapplied cash, or a part of it; somebody else approves it. Raises NotFound, UsageError."""
    found, left, engagement = await _locked(db, cash, entities)
    part = left if amount is None else _money(amount, left.currency)
    if not part or not part <= left:
        raise UsageError(f"{left} of {cash} are left; {part} was asked for")
    row = await (await db.execute(REFUNDS, {"id": cash})).fetchone()
    credited = found.source_kind == "credit_note"
    came = {"source": found.source_id, "invoice": found.invoice_id or "", "credited": credited}
    references = tuple(each[0] for each in await (await db.execute(CAME_BY, came)).fetchall())
    refund = Refund(
        id=canonical_id("refund", cash, str(row[0] if row else 0)),
        cash_id=cash,
        source_kind=found.source_kind,
        source_id=found.source_id,
        customer_id=found.customer_id,
        legal_entity=found.legal_entity,
        amount=part,
        reason=adjusting.why(reason),
        refunded_on=at.date(),
        references=references,
        requested_by=by,
    )
    about: dict[str, Any] = {"engagement": engagement, "legal_entity": found.legal_entity}
    return await adjusting.ask(db, "refund", cash, refund, part, **about, reason=reason, by=by, at=at)


async def unapplied(db: Connection, *, entities: Sequence[str] | None = None, limit: int = 200) -> list[Standing]:
    """Unapplied cash of which something is left, the oldest first."""
    scope = None if entities is None else list(entities)
    rows = await (await db.execute(UNAPPLIED, {"entities": scope, "limit": limit})).fetchall()
    found = [(from_plain(UnappliedCash, body), asked) for body, asked in rows]
    return [Standing(cash, available(cash, Money(asked, cash.amount.currency))) for cash, asked in found]


async def _locked(db: Connection, id: str, entities: Sequence[str] | None) -> tuple[UnappliedCash, Money, str | None]:
    scope = None if entities is None else list(entities)
    row = await (await db.execute(CASH, {"id": id, "entities": scope})).fetchone()
    if row is None:
        raise NotFound(f"there is no unapplied cash {id}")
    found = from_plain(UnappliedCash, row[0])
    asked = await (await db.execute(ASKED_BACK, {"id": id})).fetchone()
    back = Money(asked[0] if asked else Decimal(0), found.amount.currency)
    return found, available(found, back), row[1]


async def _paid_at_first(db: Connection, payment: str, currency: str) -> Money:
    query = "SELECT (body -> 'amount' ->> 'amount')::numeric FROM record WHERE kind = 'payment_application' AND id = %s"
    row = await (await db.execute(query, [payment])).fetchone()
    return Money(row[0], currency) if row is not None else Money.zero(currency)


def _money(amount: Decimal, currency: str) -> Money:
    try:
        found = Money.of(amount, currency)
    except (TooManyDecimals, UnknownCurrency, ValueError) as error:
        raise UsageError(str(error)) from error
    if found.amount <= 0:
        raise UsageError(f"{found} is no amount that can be received or paid")
    return found
