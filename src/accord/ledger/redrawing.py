"""Keeps a retainer's prepaid months drawn as they would have been had the work that was taken back never been told.

What a month has no money for any more is billed, the last worked first; what it has money for again is drawn before it
is billed, the oldest first. What somebody has approved or the customer has an invoice for stays.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from accord.engine.shell import Connection
from accord.governance import audit
from accord.ledger import terms as declared
from accord.ledger.part_moves import COLUMNS, Moves, PartThere, move_parts, pricer_of, write_counted
from accord.ledger.proposing import recount
from accord.ledger.room import Room, fit_again
from accord.model.money import Money
from accord.model.terms import BillingTerms, Retainer
from accord.rules.rating.counters import months_before, tranche_key

AT_ONCE = 10_000

# Of what is drawn of one prepaid month, the last worked first, and how much of that month each item has drawn.
DRAWN = f"""
SELECT {COLUMNS}, (
    SELECT sum(x.added) FROM (
        SELECT (each ->> 1)::numeric AS added FROM jsonb_array_elements(i.counters) AS each
        WHERE each ->> 0 = %(counter)s
        UNION ALL SELECT m.added FROM cap_move m WHERE m.item_id = i.id AND m.counter = %(counter)s) x)
FROM item_part p JOIN billable_item i ON i.id = p.item_id
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s
    AND p.disposition = 'drawn' AND p.worked_on >= %(first)s AND p.worked_on < %(after)s
ORDER BY p.worked_on DESC, p.item_id DESC, p.part DESC FOR UPDATE OF p
"""
# What may be drawn instead of billed: work that was priced when there was the retainer. Expenses do not draw from it.
UNBILLED = f"""
SELECT {COLUMNS} FROM item_part p JOIN billable_item i ON i.id = p.item_id
LEFT JOIN proposal d ON d.id = p.document
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s AND p.amount > 0
    AND i.kind IN ('time', 'usage') AND i.reverses IS NULL AND p.worked_on >= %(first)s
    AND p.worked_on < %(after)s
    AND i.terms_version IN (SELECT b.version FROM billing_terms b WHERE b.engagement = %(engagement)s
        AND b.legal_entity = %(entity)s AND b.body -> 'retainer' ->> 'id' = %(retainer)s)
    AND (p.disposition IN ('wip', 'over_cap') OR p.disposition = 'draft' AND d.status IN ('draft', 'held'))
    AND (p.worked_on, p.item_id, p.part) > (%(day)s, %(item)s, %(part)s)
ORDER BY p.worked_on, p.item_id, p.part LIMIT %(limit)s FOR UPDATE OF p
"""


async def redraw(db: Connection, key: declared.Key, terms: BillingTerms, now: datetime) -> int:
    """Move what is drawn, and what is not, to where they belong by now, inside the caller's transaction, which holds
    the customer's counters; how many parts."""
    retainer = terms.retainer
    assert retainer is not None
    months = _prepaid(retainer)
    known = await pricer_of(db, terms, months)
    billed, drawn = Moves(), Moves()
    for month in (each for each in months if known.overdrawn(each)):
        await _bill_beyond(db, key, terms, month, billed, now)
    await _draw_what_is_there(db, key, terms, drawn, now)
    parts = len(billed.rows) + len(drawn.rows)
    if parts:
        told = {
            "parts": parts, "legal_entity": key[1], "version": terms.version,
            "drawn": str(Money(_sum(drawn), terms.currency)), "billed": str(Money(_sum(billed), terms.currency)),
        }  # fmt: skip
        await audit.write(db, "accord", "retainer drawn again", key[0], told)
        left = Room.left_by(key, _sum(drawn), {each["counter"] for each in drawn.notes})
        await fit_again(db, [left] if left.shared else [])
    return parts


async def _bill_beyond(
    db: Connection, key: declared.Key, terms: BillingTerms, month: date, moved: Moves, now: datetime
) -> None:
    """Bill what is drawn of a prepaid month beyond what that has, or lies over a cap."""
    assert terms.retainer is not None
    pricer = await pricer_of(db, terms, [month])
    beyond = pricer.overdrawn(month)
    about = {
        "engagement": key[0], "entity": key[1], "currency": terms.currency, "first": month,
        "after": months_before(month, -(terms.retainer.rollover_months + 1)),
        "counter": tranche_key(terms, terms.retainer, month),
    }  # fmt: skip
    entry = f"retainer {month:%Y-%m} exceeded {now.isoformat()}"
    wip, over_cap, of_item = Moves(), Moves(), dict[str, Decimal]()
    for *columns, used in await (await db.execute(DRAWN, about)).fetchall():
        row = PartThere(*columns)
        back = _within(beyond, row.amount, of_item.setdefault(row.item, used or Decimal(0)))
        if not back:
            continue
        beyond -= back
        of_item[row.item] -= back
        parts, added = pricer.undraw(row.entry, back, row.hours_of(back), month)
        for part in parts:
            into = wip if part.disposition == "wip" else over_cap
            into.add(row, part.amount, part.quantity, part.why or f"retainer {terms.retainer.id} is used up")
        wip.count(row, pricer.counters, added)
    await move_parts(db, wip, entry, out_of=("drawn",), into="wip", by="accord", now=now)
    await move_parts(db, over_cap, entry, out_of=("drawn",), into="over_cap", by="accord", now=now)
    await write_counted(db, wip.notes, pricer.counters, terms.version, entry, now)
    moved.rows += wip.rows + over_cap.rows


async def _draw_what_is_there(
    db: Connection, key: declared.Key, terms: BillingTerms, moved: Moves, now: datetime
) -> None:
    """Draw what is not billed yet from the prepaid months that have something left for it."""
    retainer = terms.retainer
    assert retainer is not None
    months = _prepaid(retainer)
    known = await pricer_of(db, terms, months)
    left = [month for month in months if known.prepaid_left(month)]
    if not left:
        return
    entry = f"retainer has room {now.isoformat()}"
    place: tuple[date, str, int] = (date.min, "", 0)
    while True:
        about = {
            "engagement": key[0], "entity": key[1], "currency": terms.currency, "limit": AT_ONCE,
            "retainer": retainer.id, "first": left[0],
            "after": months_before(left[-1], -(retainer.rollover_months + 1)),
            "day": place[0], "item": place[1], "part": place[2],
        }  # fmt: skip
        rows = [PartThere(*row) for row in await (await db.execute(UNBILLED, about)).fetchall()]
        if not rows:
            return
        pricer, moves = await pricer_of(db, terms, [row.worked_on for row in rows]), Moves()
        documents: set[str] = set()
        for row in rows:
            counted = row.disposition != "over_cap"
            part, added = pricer.draw(row.entry, row.amount, row.quantity or Decimal(0), counted=counted)
            if part is not None:
                moves.add(row, part.amount, part.quantity, part.why or entry)
                moves.count(row, pricer.counters, added)
                documents |= {row.document} if row.document else set()
        await move_parts(db, moves, entry, out_of=("wip", "draft", "over_cap"), into="drawn", by="accord", now=now)
        await write_counted(db, moves.notes, pricer.counters, terms.version, entry, now)
        await recount(db, sorted(documents))
        moved.rows += moves.rows
        moved.notes += moves.notes
        place = (rows[-1].worked_on, rows[-1].item, rows[-1].part)


def _prepaid(retainer: Retainer) -> list[date]:
    """The months that are paid for."""
    first = retainer.starts_on.replace(day=1)
    return [months_before(first, -number) for number in range(retainer.months)]


def _within(beyond: Decimal, amount: Decimal, used: Decimal) -> Decimal:
    """As much as all three agree on, above or below zero; nothing where they lie on different sides."""
    if min(beyond, amount, used) > 0:
        return min(beyond, amount, used)
    return max(beyond, amount, used) if max(beyond, amount, used) < 0 else Decimal(0)


def _sum(moves: Moves) -> Decimal:
    return sum((each["amount"] for each in moves.rows), Decimal(0))
