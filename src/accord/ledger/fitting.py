"""Fits parts to caps that have changed: a raised cap sets free what lies over it, a lowered one takes WIP above it.

What is set free goes by day of work, or the items that a person chose first; what is taken above goes the other way
round, so that one undoes the other. A price never changes, the part at the cap is split to the cent and the minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from accord.db.pool import Pool, transaction
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.ledger import exchange
from accord.ledger import terms as declared
from accord.ledger.proposing import recount
from accord.ledger.rating import COUNT
from accord.ledger.reversing import COUNTERS
from accord.model.money import Money
from accord.model.terms import BillingTerms
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.rules.rating import Pricer
from accord.rules.rating.counters import counter_keys
from accord.rules.rating.release import OverCap, in_order

AT_ONCE = 10_000

WAITING = """
SELECT c.engagement, c.legal_entity, c.exceeded FROM cap_to_fit c
WHERE (c.engagement, c.legal_entity) > (%(engagement)s, %(entity)s) ORDER BY 1, 2 LIMIT 500
"""
# The customer's counters are the rating run's as well: whoever has them first goes on.
MY_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('rating of ' || %(customer)s, 0))"
DONE = "DELETE FROM cap_to_fit WHERE engagement = %(engagement)s AND legal_entity = %(entity)s"
OVER = """
SELECT p.item_id, p.part, p.amount, p.quantity, p.worked_on, i.kind, i.task, i.source_id, i.source_revision, i.source
FROM item_part p JOIN billable_item i ON i.id = p.item_id
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s
    AND p.disposition = 'over_cap' AND p.amount > 0
    AND (%(items)s::text[] IS NULL OR p.item_id = ANY(%(items)s))
    AND (p.worked_on, p.item_id, p.part) > (%(day)s, %(item)s, %(part)s)
ORDER BY p.worked_on, p.item_id, p.part LIMIT %(limit)s
"""
# The last worked first; what is in a draft that nobody has approved leaves it.
UNDER = """
SELECT p.item_id, p.part, p.amount, p.quantity, p.worked_on, i.kind, i.task, i.source_id, i.source_revision, i.source,
    p.document
FROM item_part p JOIN billable_item i ON i.id = p.item_id
LEFT JOIN proposal d ON d.id = p.document
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s AND p.amount > 0
    AND i.kind IN ('time', 'expense', 'usage')
    AND (p.disposition = 'wip' OR p.disposition = 'draft' AND d.status IN ('draft', 'held'))
    AND (p.worked_on, p.item_id, p.part) < (%(day)s, %(item)s, %(part)s)
ORDER BY p.worked_on DESC, p.item_id DESC, p.part DESC LIMIT %(limit)s FOR UPDATE OF p
"""
# A whole part moves; of one at the cap the rest stays and what goes becomes a part of its own.
MOVE = """
WITH told AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (item_id text, part integer, amount numeric, quantity numeric,
        cause text)
), kept AS (
    UPDATE item_part p SET
        disposition = CASE WHEN x.amount = p.amount THEN %(into)s ELSE p.disposition END,
        amount = CASE WHEN x.amount = p.amount THEN p.amount ELSE p.amount - x.amount END,
        quantity = CASE WHEN x.amount = p.amount THEN p.quantity ELSE p.quantity - x.quantity END,
        entry = CASE WHEN x.amount = p.amount THEN %(entry)s ELSE p.entry END,
        cause = CASE WHEN x.amount = p.amount THEN x.cause ELSE p.cause END,
        reference = CASE WHEN x.amount = p.amount THEN %(by)s ELSE p.reference END,
        posted_at = CASE WHEN x.amount = p.amount THEN %(at)s ELSE p.posted_at END,
        document = CASE WHEN x.amount = p.amount THEN NULL ELSE p.document END,
        line = CASE WHEN x.amount = p.amount THEN NULL ELSE p.line END
    FROM told x WHERE p.item_id = x.item_id AND p.part = x.part AND p.disposition = ANY(%(out_of)s)
    RETURNING p.item_id, p.part, p.disposition <> %(into)s AS cut
), cut AS (
    INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity, worked_on,
        entry, came_from, cause, reference, posted_at)
    SELECT p.item_id, (SELECT max(q.part) FROM item_part q WHERE q.item_id = p.item_id) + 1, p.engagement,
        p.legal_entity, p.currency, %(into)s, x.amount, x.quantity, p.worked_on, %(entry)s, p.disposition, x.cause,
        %(by)s, %(at)s
    FROM kept k JOIN told x ON x.item_id = k.item_id AND x.part = k.part
    JOIN item_part p ON p.item_id = k.item_id AND p.part = k.part
    WHERE k.cut
)
SELECT count(*) FROM kept
"""
NOTE = """
INSERT INTO cap_move (item_id, part, entry, counter, added, reached, terms_version, at)
SELECT x.item_id, x.part, %(entry)s, x.counter, x.added, x.reached, %(version)s, %(at)s
FROM json_to_recordset(%(rows)s::json) AS x (item_id text, part integer, counter text, added numeric, reached numeric)
"""
KNOWN = "SELECT count(DISTINCT item_id) FROM item_part WHERE item_id = ANY(%(items)s) AND disposition = 'over_cap'"


class PartMoved(Conflict):
    """A part was moved by somebody else meanwhile; do it again."""

    title = "Part moved"


@dataclass(slots=True)
class Fitted:
    """How much was set free, and how much was taken above a cap; `parts` in all."""

    parts: int = 0
    released: Decimal = Decimal(0)
    pushed: Decimal = Decimal(0)


@dataclass(slots=True)
class _Moves:
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)


async def fit_waiting(pool: Pool, now: datetime) -> int:
    """Set free what has room by terms that were declared since, and take above what exceeds a cap since a correction
    was taken back; how many parts. One transaction an engagement.

    Terms that want a person to choose (`released_in` is `chosen`) are left to `release`.
    """
    count, place = 0, ("", "")
    while True:
        async with pool.connection() as db:
            about = {"engagement": place[0], "entity": place[1]}
            waiting = await (await db.execute(WAITING, about)).fetchall()
        if not waiting:
            return count
        for engagement, entity, exceeded in waiting:
            async with transaction(pool) as db:
                terms = (await declared.latest(db, [(engagement, entity)])).get((engagement, entity))
                if terms is not None and exceeded:
                    count += (await push(db, (engagement, entity), by="accord", now=now)).parts
                if terms is not None and terms.released_in != "chosen":
                    count += (await release(db, (engagement, entity), by="accord", now=now)).parts
                await db.execute(DONE, {"engagement": engagement, "entity": entity})
        place = waiting[-1][:2]


async def release(
    db: Connection, key: declared.Key, *, by: str, now: datetime, chosen: Sequence[str] = (), only: bool = False
) -> Fitted:
    """Set free what lies over the caps of an engagement as far as the newest terms have room, inside the caller's
    transaction: the items `chosen` first, in that order, then by day of work unless `only` those.

    Raises NotFound without terms, UsageError for a chosen item of which nothing lies over a cap.
    """
    terms = await _terms(db, key)
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
        rows = await (await db.execute(OVER, about)).fetchall()
        if not rows:
            return
        pricer = await _pricer(db, terms, rows)
        moves = _fitting(pricer, rows, chosen)
        await _move(db, pricer, moves, terms.version, entry, ("over_cap",), "wip", by, now)
        result.parts += len(moves.rows)
        result.released += sum((each["amount"] for each in moves.rows), Decimal(0))
        place = (rows[-1][4], rows[-1][0], rows[-1][1])


def _fitting(pricer: Pricer, rows: Sequence[Any], chosen: Sequence[str]) -> _Moves:
    """What of each part fits, in the order agreed."""
    known = {(row[0], row[1]): row for row in rows}
    moves = _Moves()
    for part in in_order([OverCap(row[0], row[1], row[4], row[2]) for row in rows], chosen):
        row = known[part.item_id, part.part]
        parts, added = pricer.fit(_entry(row), row[2], row[3] or Decimal(0))
        fits = next((each for each in parts if each.disposition == "wip"), None)
        if fits is not None and fits.amount:
            _note(moves, pricer, row, fits.amount, fits.quantity, added, "a cap has room")
    return moves


async def push(db: Connection, key: declared.Key, *, by: str, now: datetime) -> Fitted:
    """Take WIP and drafts above the caps of the newest terms, the last worked first, inside the caller's transaction.

    What is invoiced stays. Raises NotFound without terms.
    """
    terms = await _terms(db, key)
    entry = f"pushed {terms.version} {now.isoformat()}"
    result = Fitted()
    place: tuple[date, str, int] = (date.max, "", 0)
    while terms.caps:
        about = {
            "engagement": key[0], "entity": key[1], "currency": terms.currency, "limit": AT_ONCE,
            "day": place[0], "item": place[1], "part": place[2],
        }  # fmt: skip
        rows = await (await db.execute(UNDER, about)).fetchall()
        if not rows:
            break
        pricer = await _pricer(db, terms, rows)
        moves = _exceeding(pricer, rows)
        if not moves.rows:
            break
        moved = {(each["item_id"], each["part"]) for each in moves.rows}
        await _move(db, pricer, moves, terms.version, entry, ("wip", "draft"), "over_cap", by, now)
        await recount(db, sorted({row[10] for row in rows if row[10] and (row[0], row[1]) in moved}))
        result.parts += len(moves.rows)
        result.pushed += sum((each["amount"] for each in moves.rows), Decimal(0))
        place = (rows[-1][4], rows[-1][0], rows[-1][1])
    if result.parts:
        told = {"amount": str(Money(result.pushed, terms.currency)), "parts": result.parts, "version": terms.version}
        await audit.write(db, by, "work taken over cap", key[0], {**told, "legal_entity": key[1]})
    return result


def _exceeding(pricer: Pricer, rows: Sequence[Any]) -> _Moves:
    moves = _Moves()
    for row in rows:
        entry = _entry(row)
        exceeded, cap = pricer.exceeds(entry)
        amount = min(row[2], exceeded)
        if amount > 0:
            quantity = row[3] if amount == row[2] else (row[3] or Decimal(0)) * amount / row[2]
            _note(moves, pricer, row, amount, quantity, pricer.unfit(entry, amount), f"cap {cap}")
    return moves


def _note(
    moves: _Moves,
    pricer: Pricer,
    row: Sequence[Any],
    amount: Decimal,
    quantity: Decimal,
    added: Iterable[tuple[str, Decimal]],
    cause: str,
) -> None:
    about = {"item_id": row[0], "part": row[1]}
    moves.rows.append({**about, "amount": amount, "quantity": quantity, "cause": cause})
    for counter, more in added:
        moves.notes.append({**about, "counter": counter, "added": more, "reached": pricer.counters.of_key(counter)})


async def _terms(db: Connection, key: declared.Key) -> BillingTerms:
    """The newest terms, with the customer's counters held until the end of the transaction."""
    terms = (await declared.latest(db, [key])).get(key)
    if terms is None:
        raise NotFound(f"{key[0]} has no terms in {key[1]}")
    await db.execute(MY_TURN, {"customer": terms.customer_id})
    return terms


async def _pricer(db: Connection, terms: BillingTerms, rows: Sequence[Any]) -> Pricer:
    days = [row[4] for row in rows]
    rates = await exchange.for_pricing(db, [terms], days)
    used: Mapping[str, Decimal] = {}
    if terms.caps:
        names = counter_keys(terms, days)
        used = dict(await (await db.execute(COUNTERS, {"names": names})).fetchall())
    return Pricer(terms, used, rates.known_at(None))


async def _move(
    db: Connection,
    pricer: Pricer,
    moves: _Moves,
    version: int,
    entry: str,
    out_of: tuple[str, ...],
    into: str,
    by: str,
    now: datetime,
) -> None:
    if not moves.rows:
        return
    about = {
        "rows": as_json(_text(moves.rows)), "entry": entry, "out_of": list(out_of), "into": into,
        "by": by, "at": now,
    }  # fmt: skip
    moved = await (await db.execute(MOVE, about)).fetchone()
    if moved is None or moved[0] != len(moves.rows):
        raise PartMoved("a part was moved by somebody else meanwhile; do it again")
    await db.execute(NOTE, {"rows": as_json(_text(moves.notes)), "entry": entry, "version": version, "at": now})
    counted = {each["counter"]: pricer.counters.of_key(each["counter"]) for each in moves.notes}
    rows = [{"name": name, "used": str(used)} for name, used in sorted(counted.items())]
    await db.execute(COUNT, {"rows": as_json(rows)})


def _text(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Decimals as text, exactly."""
    return [{name: str(value) if isinstance(value, Decimal) else value for name, value in row.items()} for row in rows]


def _entry(row: Sequence[Any]) -> WorkEntry:
    """What caps ask of a unit of work: its day, its task, and whether it is counted to the minute."""
    return WorkEntry(
        id=row[7],
        revision=row[8] or 0,
        kind=WorkKind(row[5]) if row[5] in list(WorkKind) else WorkKind.EXPENSE,
        source=row[9],
        source_key="",
        status=WorkStatus.APPROVED,
        worked_on=row[4],
        quantity=row[3] or Decimal(0),
        task=row[6],
    )
