"""Asking for transfers: value of an item that is not invoiced goes to another engagement; somebody else approves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from accord.engine.shell import Connection
from accord.errors import NotFound, UsageError
from accord.ledger import adjusting
from accord.ledger import terms as declared
from accord.ledger.writing_off import ITEM, NOT_INVOICED
from accord.model.billing import WorkTransfer
from accord.model.identity import canonical_id
from accord.model.money import Money, TooManyDecimals

ASKED_FOR = """
SELECT coalesce(sum(amount) FILTER (WHERE status = 'requested'), 0), count(*) FROM adjustment
WHERE kind = 'work_transfer' AND about = %(about)s
"""


async def ask_transfer(
    db: Connection,
    item: str,
    to_engagement: str,
    amount: Decimal | None = None,
    *,
    reason: str,
    by: str,
    at: datetime,
    entities: Sequence[str] | None = None,
) -> str:
    """Ask to transfer what is not invoiced of an item (net; without an amount, all of it) to another engagement.

    The value goes as it is: it was priced by the terms it was worked under. Raises NotFound, UsageError.
    """
    scope = None if entities is None else list(entities)
    row = await (await db.execute(ITEM, {"id": item, "entities": scope, "places": list(NOT_INVOICED)})).fetchone()
    if row is None:
        raise NotFound(f"there is no item {item}")
    engagement, entity, currency, there = row
    terms = (await declared.latest(db, [(to_engagement, entity)])).get((to_engagement, entity))
    if to_engagement == engagement or terms is None or terms.currency != currency:
        needed = f"another engagement with billing terms in {entity} and {currency} is needed"
        raise UsageError(f"{needed}; {to_engagement} is none, so bind its project and let the work be told anew")
    asked = await (await db.execute(ASKED_FOR, {"about": item})).fetchone()
    assert asked is not None
    left = Money(there - asked[0], currency)
    try:
        part = left if amount is None else Money.of(amount, currency)
    except TooManyDecimals as error:
        raise UsageError(str(error)) from error
    if not Decimal(0) < part.amount <= left.amount:
        raise UsageError(f"between 0 and {left} can be transferred; {part} was asked for")
    thing = WorkTransfer(
        id=canonical_id("work_transfer", item, str(asked[1])),
        amount=part,
        reason=adjusting.why(reason),
        transferred_on=at.date(),
        legal_entity=entity,
        item_id=item,
        engagement_id=engagement,
        to_engagement_id=to_engagement,
        requested_by=by,
    )
    return await adjusting.ask(
        db, "work_transfer", item, thing, part, engagement=engagement, legal_entity=entity, reason=reason, by=by, at=at
    )
