"""What a write-down does to a proposal, reckoned before it happens: who writes down and who asks reckon the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.errors import Conflict, NotFound, UsageError
from accord.model.money import Money, TooManyDecimals, allocate

ZERO = Decimal(0)
OURSELVES = "accord"  # proposes by itself, and approves nothing

PROPOSAL = "SELECT currency, net, status, version, proposed_by, changers FROM proposal WHERE id = %(id)s"
PARTS = """
SELECT p.item_id, p.part, p.amount, p.line FROM item_part p
WHERE p.document = %(id)s AND p.disposition = 'draft' AND (%(line)s::integer IS NULL OR p.line = %(line)s)
ORDER BY p.line, p.item_id, p.part
"""
PARTS_HELD_FAST = PARTS + "FOR UPDATE"
# Part by part, not item by item: an item whose cap was raised may have parts in two proposals at once.
WRITE_OFF = """
WITH share AS (
    SELECT x.item_id, x.part, x.amount FROM json_to_recordset(%(shares)s::json) AS x (item_id text, part integer,
        amount numeric)
), whole AS (
    UPDATE item_part p SET disposition = 'written_off', entry = %(entry)s || ' ' || p.part, cause = %(reason)s,
        reference = %(by)s, posted_at = %(at)s
    FROM share s WHERE p.item_id = s.item_id AND p.part = s.part AND p.amount = s.amount
), cut AS (
    UPDATE item_part p SET amount = p.amount - s.amount, quantity = p.quantity - p.quantity * s.amount / p.amount
    FROM share s JOIN item_part o ON o.item_id = s.item_id AND o.part = s.part
    WHERE p.item_id = s.item_id AND p.part = s.part AND p.amount <> s.amount
    RETURNING p.item_id, p.part, p.engagement, p.legal_entity, p.currency, s.amount,
        o.quantity * s.amount / o.amount AS quantity, p.worked_on, p.document, p.line
)
INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity, worked_on,
    document, line, entry, came_from, cause, reference, posted_at)
SELECT c.item_id, (SELECT max(q.part) FROM item_part q WHERE q.item_id = c.item_id)
        + row_number() OVER (PARTITION BY c.item_id ORDER BY c.part), c.engagement, c.legal_entity, c.currency,
    'written_off', c.amount, c.quantity, c.worked_on, c.document, c.line, %(entry)s || ' ' || c.part, 'draft',
    %(reason)s, %(by)s, %(at)s
FROM cut c
"""


@dataclass(frozen=True, slots=True)
class Share:
    """What is written off of one part of an item."""

    item_id: str
    part: int
    line: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class WriteDown:
    """The effect of a write-down: net before and after, line by line too (`lines` maps a line to both), and the shares
    of its entries. `may_not_approve` are those who have proposed or changed it, with whoever writes down."""

    amount: Money
    before: Money
    after: Money
    lines: dict[int, tuple[Decimal, Decimal]]
    shares: tuple[Share, ...]
    may_not_approve: tuple[str, ...]
    version: int


def shares(amount: Decimal, currency: str, parts: Sequence[tuple[str, int, Decimal, int]]) -> tuple[Share, ...]:
    """`amount` spread over the parts above zero by largest remainder, to the minor unit. Pure.

    Raises UsageError for an amount that the parts do not have, or that the currency has no unit for.
    """
    there = sum((part[2] for part in parts), ZERO)
    if not ZERO < amount <= there:
        raise UsageError(f"between 0 and {there} {currency} can be written off here; {amount} was asked for")
    try:
        whole = Money.of(amount, currency)
    except TooManyDecimals as error:
        raise UsageError(str(error)) from error
    positive = [part for part in parts if part[2] > 0]
    allocated = allocate(whole, [part[2] for part in positive])
    return tuple(
        Share(item, part, line, share.amount)
        for (item, part, _, line), share in zip(positive, allocated, strict=True)
        if share
    )


async def preview(db: Connection, id: str, amount: Decimal, *, line: int | None, by: str) -> WriteDown:
    """What writing `amount` off a line (or the whole proposal) would do. Raises NotFound, Conflict, UsageError."""
    row = await (await db.execute(PROPOSAL, {"id": id})).fetchone()
    if row is None:
        raise NotFound(f"there is no proposal {id}")
    currency, net, status, version, proposed_by, changers = row
    if status not in ("draft", "held"):
        raise Conflict(f"the proposal is {status}; this can be done while it is draft or held")
    parts = await (await db.execute(PARTS, {"id": id, "line": line})).fetchall()
    found = shares(amount, currency, parts)
    lines: dict[int, tuple[Decimal, Decimal]] = {}
    for _, _, value, of in parts:
        before, after = lines.get(of, (ZERO, ZERO))
        lines[of] = (before + value, after + value)
    for share in found:
        before, after = lines[share.line]
        lines[share.line] = (before, after - share.amount)
    return WriteDown(
        amount=Money(amount, currency),
        before=Money(net, currency),
        after=Money(net - amount, currency),
        lines=lines,
        shares=found,
        may_not_approve=tuple(each for each in dict.fromkeys((proposed_by, *changers, by)) if each != OURSELVES),
        version=version,
    )


async def write_off(db: Connection, spread: Sequence[Share], *, entry: str, reason: str, by: str, at: datetime) -> None:
    """Write these shares of parts off, inside the caller's transaction; the rest of each part stays in its draft."""
    rows = [{"item_id": each.item_id, "part": each.part, "amount": str(each.amount)} for each in spread]
    about = {"shares": as_json(rows), "entry": entry, "reason": reason, "by": by, "at": at}
    await db.execute(WRITE_OFF, about)
