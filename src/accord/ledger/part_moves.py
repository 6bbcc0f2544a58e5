"""Parts of items on their way between WIP, over cap and drawn: whole or cut, with what that does to the counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.errors import Conflict, NotFound
from accord.ledger import exchange
from accord.ledger import terms as declared
from accord.ledger.counting import count, counted
from accord.model.terms import BillingTerms
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.rules.rating import Pricer
from accord.rules.rating.counters import Counters, counter_keys

# The customer's counters are the rating run's as well: whoever has them first goes on.
MY_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('rating of ' || %(customer)s, 0))"
# What a query of parts gives, in the order of PartThere.
COLUMNS = """
p.item_id, p.part, p.amount, p.quantity, p.worked_on, i.kind, i.task, i.source_id, i.source_revision, i.source,
    p.disposition, p.document
"""
# What moves several times in one moment is an entry of its own each time.
# A whole part moves; of one that does not fit as a whole the rest stays and what goes becomes a part of its own.
MOVE = """
WITH told AS (
    SELECT x.*, %(entry)s || ' ' || (SELECT count(*) FROM transfer t WHERE t.item_id = x.item_id) AS entry
    FROM json_to_recordset(%(rows)s::json) AS x (item_id text, part integer, amount numeric, quantity numeric,
        cause text)
), kept AS (
    UPDATE item_part p SET
        disposition = CASE WHEN x.amount = p.amount THEN %(into)s ELSE p.disposition END,
        amount = CASE WHEN x.amount = p.amount THEN p.amount ELSE p.amount - x.amount END,
        quantity = CASE WHEN x.amount = p.amount THEN p.quantity ELSE p.quantity - x.quantity END,
        entry = CASE WHEN x.amount = p.amount THEN x.entry ELSE p.entry END,
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
        p.legal_entity, p.currency, %(into)s, x.amount, x.quantity, p.worked_on, x.entry, p.disposition, x.cause,
        %(by)s, %(at)s
    FROM kept k JOIN told x ON x.item_id = k.item_id AND x.part = k.part
    JOIN item_part p ON p.item_id = k.item_id AND p.part = k.part
    WHERE k.cut
)
SELECT count(*) FROM kept
"""
NOTE = """
INSERT INTO cap_move (item_id, part, entry, counter, added, reached, terms_version, at)
SELECT x.item_id, x.part, %(entry)s || CASE WHEN %(once)s THEN '' ELSE
    ' ' || (SELECT count(*) FROM cap_move m WHERE m.item_id = x.item_id) END, x.counter, x.added, x.reached,
    %(version)s, %(at)s
FROM json_to_recordset(%(rows)s::json) AS x (item_id text, part integer, counter text, added numeric, reached numeric)
"""


class PartMoved(Conflict):
    """A part was moved by somebody else meanwhile; do it again."""

    title = "Part moved"


class PartThere(NamedTuple):
    """A part as it lies, and what caps and retainers ask of its work."""

    item: str
    part: int
    amount: Decimal
    quantity: Decimal | None
    worked_on: date
    kind: str
    task: str | None
    source_id: str
    revision: int | None
    source: str
    disposition: str
    document: str | None

    @property
    def entry(self) -> WorkEntry:
        """The work: its day, its task, and whether it is counted to the minute."""
        return WorkEntry(
            id=self.source_id,
            revision=self.revision or 0,
            kind=WorkKind(self.kind) if self.kind in list(WorkKind) else WorkKind.EXPENSE,
            source=self.source,
            source_key="",
            status=WorkStatus.APPROVED,
            worked_on=self.worked_on,
            quantity=self.quantity or Decimal(0),
            task=self.task,
        )

    def hours_of(self, amount: Decimal) -> Decimal:
        """The quantity that belongs to so much of the part."""
        whole = self.quantity or Decimal(0)
        return whole if amount == self.amount else whole * amount / self.amount


@dataclass(slots=True)
class Moves:
    """What goes where (`rows`), and what that adds to the counters (`notes`)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)

    def add(self, there: PartThere, amount: Decimal, quantity: Decimal | None, cause: str) -> None:
        """Move so much of a part."""
        about = {"item_id": there.item, "part": there.part}
        self.rows.append({**about, "amount": amount, "quantity": quantity, "cause": cause})

    def count(self, there: PartThere, counters: Counters, added: Iterable[tuple[str, Decimal]]) -> None:
        """Remember with a part what it has added to the counters, which have it already."""
        about = {"item_id": there.item, "part": there.part}
        self.notes += [
            {**about, "counter": name, "added": more, "reached": counters.of_key(name)} for name, more in added
        ]


async def terms_of(db: Connection, key: declared.Key) -> BillingTerms:
    """The newest terms, with the customer's counters held until the end of the transaction. Raises NotFound."""
    terms = (await declared.latest(db, [key])).get(key)
    if terms is None:
        raise NotFound(f"{key[0]} has no terms in {key[1]}")
    await db.execute(MY_TURN, {"customer": terms.customer_id})
    return terms


async def pricer_of(db: Connection, terms: BillingTerms, days: Sequence[date]) -> Pricer:
    """A pricer that knows what the counters of work done on these days stand at, and locks them."""
    rates = await exchange.for_pricing(db, [terms], days)
    names = counter_keys(terms, days) if terms.caps or terms.retainer is not None else ()
    return Pricer(terms, await counted(db, names), rates.known_at(None))


async def move_parts(
    db: Connection, moves: Moves, entry: str, *, out_of: Sequence[str], into: str, by: str, now: datetime
) -> None:
    """Move parts, and what is cut from them. Raises PartMoved when one does not lie where it did."""
    if not moves.rows:
        return
    about = {"rows": as_json(moves.rows), "entry": entry, "out_of": list(out_of), "into": into, "by": by, "at": now}
    moved = await (await db.execute(MOVE, about)).fetchone()
    if moved is None or moved[0] != len(moves.rows):
        raise PartMoved("a part was moved by somebody else meanwhile; do it again")


async def write_counted(
    db: Connection,
    notes: Sequence[Mapping[str, Any]],
    counters: Counters,
    version: int,
    entry: str,
    now: datetime,
    *,
    once: bool = False,
) -> None:
    """Write what parts have added to the counters, and what the counters stand at. `once`: a part that has this entry
    already is an error (UniqueViolation), not another entry."""
    if not notes:
        return
    await db.execute(NOTE, {"rows": as_json(notes), "entry": entry, "version": version, "at": now, "once": once})
    await count(db, {each["counter"]: counters.of_key(each["counter"]) for each in notes})
