"""Fits parts to caps that have changed: a raised cap sets free what lies over it, a lowered one takes WIP above it.

What is set free goes by day of work, or the items that a person chose first; what is taken above goes the other way
round, so that one undoes the other. A price never changes, the part at the cap is split to the cent and the minute.
Work that was taken back or transferred leaves room, which goes to what waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from accord.db.pool import Pool, transaction
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.governance import audit
from accord.ledger import terms as declared
from accord.ledger.part_moves import COLUMNS, Moves, PartThere, move_parts, pricer_of, terms_of, write_counted
from accord.ledger.proposing import recount
from accord.ledger.redrawing import redraw
from accord.ledger.room import give_back_transferred
from accord.model.money import Money
from accord.model.terms import BillingTerms
from accord.rules.rating import Pricer
from accord.rules.rating.release import OverCap, in_order

AT_ONCE = 10_000

WAITING = """
SELECT c.engagement, c.legal_entity FROM cap_to_fit c
WHERE (c.engagement, c.legal_entity) > (%(engagement)s, %(entity)s) ORDER BY 1, 2 LIMIT 500
"""
# Why it waits is read once nobody else can be rating: who adds a reason has the customer's counters.
TAKE = """
DELETE FROM cap_to_fit WHERE engagement = %(engagement)s AND legal_entity = %(entity)s
RETURNING exceeded, redrawn, transferred
"""
OVER = f"""
SELECT {COLUMNS} FROM item_part p JOIN billable_item i ON i.id = p.item_id
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s
    AND p.disposition = 'over_cap' AND p.amount > 0
    AND (%(items)s::text[] IS NULL OR p.item_id = ANY(%(items)s))
    AND (p.worked_on, p.item_id, p.part) > (%(day)s, %(item)s, %(part)s)
ORDER BY p.worked_on, p.item_id, p.part LIMIT %(limit)s
"""
# The last worked first; what is in a draft that nobody has approved leaves it.
UNDER = f"""
SELECT {COLUMNS} FROM item_part p JOIN billable_item i ON i.id = p.item_id
LEFT JOIN proposal d ON d.id = p.document
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s AND p.amount > 0
    AND i.kind IN ('time', 'expense', 'usage')
    AND (p.disposition = 'wip' OR p.disposition = 'draft' AND d.status IN ('draft', 'held'))
    AND (p.worked_on, p.item_id, p.part) < (%(day)s, %(item)s, %(part)s)
ORDER BY p.worked_on DESC, p.item_id DESC, p.part DESC LIMIT %(limit)s FOR UPDATE OF p
"""
KNOWN = "SELECT count(DISTINCT item_id) FROM item_part WHERE item_id = ANY(%(items)s) AND disposition = 'over_cap'"


@dataclass(slots=True)
class Fitted:
    """How much was set free, and how much was taken above a cap; `parts` in all."""

    parts: int = 0
    released: Decimal = Decimal(0)
    pushed: Decimal = Decimal(0)


async def fit_waiting(pool: Pool, now: datetime) -> int:
    """Fit what has waited since terms were declared or work was taken back or transferred; how many parts moved. One
    transaction an engagement.

    What transferred work took of caps is given back; what exceeds a cap is taken above it; what the retainer has is
    drawn again; and what has room is set free. Terms that want a person to choose (`released_in` is `chosen`) leave
    the last to `release`.
    """
    count, place = 0, ("", "")
    while True:
        async with pool.connection() as db:
            about = {"engagement": place[0], "entity": place[1]}
            waiting = await (await db.execute(WAITING, about)).fetchall()
        if not waiting:
            return count
        for engagement, entity in waiting:
            async with transaction(pool) as db:
                count += await _fit(db, (engagement, entity), now)
        place = waiting[-1]


async def _fit(db: Connection, key: declared.Key, now: datetime) -> int:
    known = key in await declared.latest(db, [key])
    terms = await terms_of(db, key) if known else None
    why = await (await db.execute(TAKE, {"engagement": key[0], "entity": key[1]})).fetchone()
    if terms is None or why is None:
        return 0
    exceeded, redrawn, transferred = why
    count = 0
    if transferred:
        await give_back_transferred(db, key, terms.version, now)
    if exceeded:
        count += (await push(db, key, by="accord", now=now)).parts
    if redrawn and terms.retainer is not None:
        count += await redraw(db, key, terms, now)
    if terms.released_in != "chosen":
        count += (await release(db, key, by="accord", now=now)).parts
    return count


async def release(
    db: Connection, key: declared.Key, *, by: str, now: datetime, chosen: Sequence[str] = (), only: bool = False
) -> Fitted:
    """Set free what lies over the caps of an engagement as far as the newest terms have room, inside the caller's
    transaction: the items `chosen` first, in that order, then by day of work unless `only` those.

    Raises NotFound without terms, UsageError for a chosen item of which nothing lies over a cap.
    """
    terms = await terms_of(db, key)
    if chosen:
        row = await (await db.execute(KNOWN, {"items": list(chosen)})).fetchone()
        if row is None or row[0] != len(set(chosen)):
            raise UsageError("of some of the chosen items nothing lies over a cap; `accord explain ITEM` shows where")
    entry = f"released {terms.version} {now.isoformat()}"
    result = Fitted()
    if chosen:
        await _release_some(db, key, terms, entry, result, by, now, chosen)
    if not only:
        await _release_some(db, key, terms, entry, result, by, now, ())
    if result.parts:
        told = {"amount": str(Money(result.released, terms.currency)), "parts": result.parts, "version": terms.version}
        await audit.write(db, by, "over cap released", key[0], {**told, "legal_entity": key[1], "chosen": list(chosen)})
    return result


async def _release_some(
    db: Connection,
    key: declared.Key,
    terms: BillingTerms,
    entry: str,
    result: Fitted,
    by: str,
    now: datetime,
    chosen: Sequence[str],
) -> None:
    place: tuple[date, str, int] = (date.min, "", 0)
    while True:
        about = {
            "engagement": key[0], "entity": key[1], "currency": terms.currency, "limit": AT_ONCE,
            "items": list(chosen) or None, "day": place[0], "item": place[1], "part": place[2],
        }  # fmt: skip
        rows = [PartThere(*row) for row in await (await db.execute(OVER, about)).fetchall()]
        if not rows:
            return
        pricer = await pricer_of(db, terms, [row.worked_on for row in rows])
        moves = _fitting(pricer, rows, chosen)
        await move_parts(db, moves, entry, out_of=("over_cap",), into="wip", by=by, now=now)
        await write_counted(db, moves.notes, pricer.counters, terms.version, entry, now)
        result.parts += len(moves.rows)
        result.released += sum((each["amount"] for each in moves.rows), Decimal(0))
        place = (rows[-1].worked_on, rows[-1].item, rows[-1].part)


def _fitting(pricer: Pricer, rows: Sequence[PartThere], chosen: Sequence[str]) -> Moves:
    """What of each part fits, in the order agreed."""
    known = {(row.item, row.part): row for row in rows}
    moves = Moves()
    for part in in_order([OverCap(row.item, row.part, row.worked_on, row.amount) for row in rows], chosen):
        row = known[part.item_id, part.part]
        parts, added = pricer.fit(row.entry, row.amount, row.quantity or Decimal(0))
        fits = next((each for each in parts if each.disposition == "wip"), None)
        if fits is not None and fits.amount:
            moves.add(row, fits.amount, fits.quantity, "a cap has room")
            moves.count(row, pricer.counters, added)
    return moves


async def push(db: Connection, key: declared.Key, *, by: str, now: datetime) -> Fitted:
    """Take WIP and drafts above the caps of the newest terms, the last worked first, inside the caller's transaction.

    What is invoiced stays. Raises NotFound without terms.
    """
    terms = await terms_of(db, key)
    entry = f"pushed {terms.version} {now.isoformat()}"
    result = Fitted()
    place: tuple[date, str, int] = (date.max, "", 0)
    while terms.caps:
        about = {
            "engagement": key[0], "entity": key[1], "currency": terms.currency, "limit": AT_ONCE,
            "day": place[0], "item": place[1], "part": place[2],
        }  # fmt: skip
        rows = [PartThere(*row) for row in await (await db.execute(UNDER, about)).fetchall()]
        if not rows:
            break
        pricer = await pricer_of(db, terms, [row.worked_on for row in rows])
        moves = _exceeding(pricer, rows)
        if not moves.rows:
            break
        moved = {(each["item_id"], each["part"]) for each in moves.rows}
        await move_parts(db, moves, entry, out_of=("wip", "draft"), into="over_cap", by=by, now=now)
        await write_counted(db, moves.notes, pricer.counters, terms.version, entry, now)
        await recount(db, sorted({row.document for row in rows if row.document and (row.item, row.part) in moved}))
        result.parts += len(moves.rows)
        result.pushed += sum((each["amount"] for each in moves.rows), Decimal(0))
        place = (rows[-1].worked_on, rows[-1].item, rows[-1].part)
    if result.parts:
        told = {"amount": str(Money(result.pushed, terms.currency)), "parts": result.parts, "version": terms.version}
        await audit.write(db, by, "work taken over cap", key[0], {**told, "legal_entity": key[1]})
    return result


def _exceeding(pricer: Pricer, rows: Sequence[PartThere]) -> Moves:
    moves = Moves()
    for row in rows:
        exceeded, cap = pricer.exceeds(row.entry)
        amount = min(row.amount, exceeded)
        if amount > 0:
            added = pricer.unfit(row.entry, amount)
            moves.add(row, amount, row.hours_of(amount), f"cap {cap}")
            moves.count(row, pricer.counters, added)
    return moves
