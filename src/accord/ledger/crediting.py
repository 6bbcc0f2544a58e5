"""Credits of issued invoices, line by line: what may be credited still, and asking for it.

A line is never credited beyond its net amount, counting what others have asked for and nobody has refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.engine.shell import Connection
from accord.errors import Conflict, NotFound, UsageError
from accord.ledger import adjusting
from accord.model.billing import CreditLine, CreditNote, Invoice
from accord.model.identity import canonical_id
from accord.model.money import Money, TooManyDecimals
from accord.model.plain import from_plain
from accord.rules.receivable import credit_line, credit_of

# The lock lets one person at a time ask for a credit of an invoice.
INVOICE = """
SELECT r.id, r.body FROM record r
WHERE r.kind = 'invoice' AND (r.id = %(invoice)s OR r.body ->> 'number' = %(invoice)s) AND NOT r.deleted
    AND (%(entities)s::text[] IS NULL OR r.body ->> 'legal_entity' = ANY(%(entities)s))
ORDER BY r.id LIMIT 1 FOR UPDATE
"""
# What somebody asked for, and what a change order credited without being asked.
ASKED_FOR = """
WITH note AS (
    SELECT a.body FROM adjustment a WHERE a.kind = 'credit_note' AND a.about = %(invoice)s AND a.status <> 'refused'
    UNION ALL
    SELECT r.body FROM record r
    WHERE r.kind = 'credit_note' AND r.correlation = %(engagement)s AND r.body ->> 'invoice_id' = %(invoice)s
        AND NOT EXISTS (SELECT FROM adjustment a WHERE a.id = r.id)
)
SELECT (l ->> 'line')::integer, sum((l -> 'net' ->> 'amount')::numeric)
FROM note CROSS JOIN jsonb_array_elements(note.body -> 'lines') AS l GROUP BY 1
"""
HOW_MANY = "SELECT count(*) FROM adjustment WHERE kind = 'credit_note' AND about = %(invoice)s"


async def invoice_named(db: Connection, name: str, entities: Sequence[str] | None = None) -> Invoice:
    """An invoice by its id or number, its record locked. Raises NotFound."""
    scope = None if entities is None else list(entities)
    row = await (await db.execute(INVOICE, {"invoice": name, "entities": scope})).fetchone()
    if row is None:
        raise NotFound(f"there is no invoice {name}")
    return from_plain(Invoice, row[1])


async def creditable(db: Connection, invoice: Invoice) -> dict[int, Money]:
    """What can be credited of each line still, net."""
    about = {"invoice": invoice.id, "engagement": invoice.engagement_id}
    rows = await (await db.execute(ASKED_FOR, about)).fetchall()
    asked: dict[int, Decimal] = dict(rows)
    currency = invoice.currency
    return {n: Money(each.net.amount - asked.get(n, 0), currency) for n, each in enumerate(invoice.lines, 1)}


async def ask_credit(
    db: Connection,
    invoice: str,
    lines: Mapping[int, Decimal | None],
    *,
    reason: str,
    by: str,
    at: datetime,
    rebill: bool = False,
    dispute: str | None = None,
    entities: Sequence[str] | None = None,
) -> str:
    """Ask for a credit of lines (number, from 1) or parts of them: the net amount of each, None for all that is left.

    No line at all means every line. Raises NotFound, UsageError for a line or amount that is not there, Conflict for an
    invoice that is not issued.
    """
    found = await invoice_named(db, invoice, entities)
    if found.status in ("draft", "void"):
        raise Conflict(f"invoice {invoice} is {found.status}; only what was issued is credited")
    left = await creditable(db, found)
    chosen = dict(lines) or {n: None for n, each in left.items() if each.amount > 0}
    if rebill and any(amount is not None for amount in chosen.values()):
        raise UsageError("work is invoiced again by whole lines; leave the amounts out")
    parts = [_line(found, left, n, amount) for n, amount in sorted(chosen.items())]
    if not parts:
        raise UsageError(f"everything on invoice {found.number} is credited or asked for already")
    net, gross = credit_of(parts, found.currency)
    row = await (await db.execute(HOW_MANY, {"invoice": found.id})).fetchone()
    note = CreditNote(
        id=canonical_id("credit_note", found.id, str(row[0] if row else 0)),
        invoice_id=found.id,
        amount=gross,
        reason=adjusting.why(reason),
        issued_on=at.date(),
        lines=tuple(parts),
        net=net,
        customer_id=found.customer_id,
        legal_entity=found.legal_entity,
        engagement_id=found.engagement_id,
        status="requested",
        rebill=rebill,
        dispute_id=dispute,
        requested_by=by,
    )
    about: dict[str, Any] = {"engagement": found.engagement_id, "legal_entity": found.legal_entity}
    return await adjusting.ask(db, "credit_note", found.id, note, gross, **about, reason=reason, by=by, at=at)


def _line(invoice: Invoice, left: Mapping[int, Money], line: int, amount: Decimal | None) -> CreditLine:
    if line not in left:
        raise UsageError(f"invoice {invoice.number} has no line {line}; it has {len(left)}")
    try:
        wanted = left[line] if amount is None else Money.of(amount, invoice.currency)
    except TooManyDecimals as error:
        raise UsageError(str(error)) from error
    if not Decimal(0) < wanted.amount <= left[line].amount:
        raise UsageError(f"between 0 and {left[line]} of line {line} can be credited still; {wanted} was asked for")
    return credit_line(invoice, line, wanted)
