"""Asking for write-offs (bad debt, work that will not be invoiced) and write-ups; somebody else approves each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.engine.shell import Connection
from accord.errors import NotFound, UsageError
from accord.ledger import adjusting
from accord.ledger.crediting import invoice_named
from accord.model.billing import WriteOff, WriteUp
from accord.model.identity import canonical_id
from accord.model.money import Money, TooManyDecimals, UnknownCurrency
from accord.rules.receivable import open_amount

# What lies here is not invoiced: it can be given up without the customer.
NOT_INVOICED = ("wip", "held", "over_cap")
ITEM = """
SELECT i.engagement, i.legal_entity, i.currency,
    coalesce(sum(p.amount) FILTER (WHERE p.disposition = ANY(%(places)s)), 0)
FROM billable_item i LEFT JOIN item_part p ON p.item_id = i.id
WHERE i.id = %(id)s AND (%(entities)s::text[] IS NULL OR i.legal_entity = ANY(%(entities)s)) GROUP BY i.id
"""
ASKED_FOR = """
SELECT coalesce(sum(amount) FILTER (WHERE status = 'requested'), 0), count(*) FROM adjustment
WHERE kind = 'write_off' AND about = %(about)s
"""
ENGAGEMENT = """
SELECT t.currency FROM (
    SELECT b.body ->> 'currency' AS currency FROM billing_terms b
    WHERE b.engagement = %(engagement)s AND b.legal_entity = %(entity)s ORDER BY b.version DESC LIMIT 1) t
"""
HOW_MANY = "SELECT count(*) FROM adjustment WHERE kind = 'write_up' AND about = %(about)s"


async def ask_write_off(
    db: Connection,
    about: str,
    amount: Decimal | None = None,
    *,
    reason: str,
    by: str,
    at: datetime,
    entities: Sequence[str] | None = None,
) -> str:
    """Ask to give up what is open of an invoice (id or number; gross), or what is not invoiced of an item (net).

    Without an amount, all of it. Raises NotFound, UsageError.
    """
    scope = None if entities is None else list(entities)
    row = await (await db.execute(ITEM, {"id": about, "entities": scope, "places": list(NOT_INVOICED)})).fetchone()
    given: dict[str, Any] = {"reason": adjusting.why(reason), "written_off_on": at.date(), "requested_by": by}
    if row is not None:
        engagement, entity, currency, there = row
        part, number = await _part(db, about, amount, Money(there, currency))
        thing = WriteOff(canonical_id("write_off", about, str(number)), part, legal_entity=entity, item_id=about,
                         engagement_id=engagement, net=part, **given)  # fmt: skip
    else:
        invoice = await invoice_named(db, about, entities)
        part, number = await _part(db, invoice.id, amount, open_amount(invoice))
        thing = WriteOff(
            canonical_id("write_off", invoice.id, str(number)), part, legal_entity=invoice.legal_entity,
            invoice_id=invoice.id, customer_id=invoice.customer_id, engagement_id=invoice.engagement_id, **given,
        )  # fmt: skip
    return await adjusting.ask(
        db, "write_off", thing.invoice_id or about, thing, part, engagement=thing.engagement_id,
        legal_entity=thing.legal_entity, reason=reason, by=by, at=at,
    )  # fmt: skip


async def ask_write_up(
    db: Connection,
    engagement: str,
    legal_entity: str,
    amount: Decimal,
    *,
    reason: str,
    by: str,
    at: datetime,
    entities: Sequence[str] | None = None,
) -> str:
    """Ask to add value to an engagement's work, in the currency of its terms. Raises NotFound, UsageError."""
    about = {"engagement": engagement, "entity": legal_entity}
    row = await (await db.execute(ENGAGEMENT, about)).fetchone()
    if row is None or (entities is not None and legal_entity not in entities):
        raise NotFound(f"the engagement {engagement} has no billing terms in {legal_entity}")
    money = _money(amount, row[0])
    count = await (await db.execute(HOW_MANY, {"about": engagement})).fetchone()
    thing = WriteUp(
        id=canonical_id("write_up", engagement, legal_entity, str(count[0] if count else 0)),
        amount=money,
        reason=adjusting.why(reason),
        written_up_on=at.date(),
        legal_entity=legal_entity,
        engagement_id=engagement,
        requested_by=by,
    )
    return await adjusting.ask(
        db, "write_up", engagement, thing, money, engagement=engagement, legal_entity=legal_entity, reason=reason,
        by=by, at=at,
    )  # fmt: skip


async def _part(db: Connection, about: str, amount: Decimal | None, there: Money) -> tuple[Money, int]:
    """What is asked for of what is there, less what others have asked for; and how many were asked for before."""
    row = await (await db.execute(ASKED_FOR, {"about": about})).fetchone()
    assert row is not None
    left = there - Money(row[0], there.currency)
    part = left if amount is None else _money(amount, there.currency)
    if not Decimal(0) < part.amount <= left.amount:
        raise UsageError(f"between 0 and {left} can be written off here; {part} was asked for")
    return part, row[1]


def _money(amount: Decimal, currency: str) -> Money:
    try:
        found = Money.of(amount, currency)
    except (TooManyDecimals, UnknownCurrency, ValueError) as error:
        raise UsageError(str(error)) from error
    if found.amount <= 0:
        raise UsageError(f"{found} is no amount to write off or up")
    return found
