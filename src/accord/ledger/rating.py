"""Gives approved work its price and its place in the ledger: batches, one transaction each, of one customer's work.

Caps and retainers run in the order of work within a customer, so a customer is rated by one worker at a time; different
customers by as many as there are. Prices are made by `rules.rating`, which knows nothing of this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple, Self

from psycopg.types.json import Jsonb

from accord.db.pool import Pool, transaction
from accord.engine.shell import Connection
from accord.ledger import exchange
from accord.ledger import terms as declared
from accord.ledger.counting import count, counted
from accord.ledger.reversing import Reversal, reverse
from accord.ledger.room import Room, fit_again
from accord.ledger.unpriced import Unpriced, keep_unpriced
from accord.model.money import Money
from accord.model.terms import BillingTerms
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.rules.rating import Pricer, Rated
from accord.rules.rating.counters import counter_keys, line_keys

BATCH = 20_000
ENGAGEMENTS_AT_ONCE = 200
ZERO = Decimal(0)
# A million times a run: a dictionary is quicker than the enumeration's own way.
_KINDS = {each.value: each for each in WorkKind}
_STATUSES = {each.value: each for each in WorkStatus}

# Which engagements have how much work waiting, read by skipping from one to the next in the index; and whether some of
# it takes back what the ledger has.
WAITING = """
WITH RECURSIVE waiting AS (
    (SELECT engagement, legal_entity FROM work_to_rate WHERE (engagement, legal_entity) > (%(engagement)s, %(entity)s)
     ORDER BY 1, 2 LIMIT 1)
    UNION ALL
    SELECT n.engagement, n.legal_entity FROM waiting w CROSS JOIN LATERAL (
        SELECT engagement, legal_entity FROM work_to_rate
        WHERE (engagement, legal_entity) > (w.engagement, w.legal_entity) ORDER BY 1, 2 LIMIT 1) n
)
SELECT w.engagement, w.legal_entity, q.entries, q.corrects
FROM (SELECT * FROM waiting LIMIT %(limit)s) w CROSS JOIN LATERAL (
    SELECT count(*) AS entries, bool_or(revision > 1 OR again IS NOT NULL) AS corrects FROM (
        SELECT revision, again FROM work_to_rate
        WHERE engagement = w.engagement AND legal_entity = w.legal_entity LIMIT %(batch)s) seen
) q ORDER BY 1, 2
"""
ONE_AT_A_TIME = """
SELECT x.customer FROM unnest(%(customers)s::text[]) AS x (customer)
WHERE pg_try_advisory_xact_lock(hashtextextended('rating of ' || x.customer, 0))
"""
# What came since the engagement was looked at is left for the next run.
TAKE = """
WITH taken AS (
    DELETE FROM work_to_rate WHERE ctid = ANY (ARRAY(
        SELECT q.ctid FROM unnest(%(engagements)s::text[], %(entities)s::text[]) AS x (engagement, entity)
        CROSS JOIN LATERAL (SELECT ctid FROM work_to_rate WHERE engagement = x.engagement AND legal_entity = x.entity
            ORDER BY worked_on, entry_id, revision LIMIT %(limit)s FOR UPDATE SKIP LOCKED) q))
    RETURNING entry_id, revision, again, engagement, legal_entity
)
SELECT w.id, w.revision, w.kind, w.source, w.source_key, w.status, w.worked_on, w.quantity, w.engagement,
    w.legal_entity, w.worker, w.worker_entity, w.role, w.task, w.unit, w.category, w.cost, w.cost_currency,
    w.tax_included, w.receipt, w.billable, w.approver, w.approved_at, w.current, t.again,
    t.engagement, t.legal_entity
FROM taken t JOIN work_entry w ON w.id = t.entry_id AND w.revision = t.revision
ORDER BY w.worked_on, w.id, w.revision
"""
ITEMS = """
COPY billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id, approved_at, reverses,
    worked_on, quantity, unit, rate, rate_id, terms_version, source_revision, worker, role, task, counters, cause)
FROM STDIN
"""
PARTS = """
COPY item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity, worked_on, entry,
    cause, reference, posted_at) FROM STDIN
"""


@dataclass(slots=True)
class RatingReport:
    """What rating runs came to; `problems` are revisions that got no price, `reversed` items taken back."""

    rated: int = 0
    reversed: int = 0
    problems: int = 0
    engagements: int = 0

    def __iadd__(self, other: RatingReport) -> Self:
        self.rated += other.rated
        self.reversed += other.reversed
        self.problems += other.problems
        self.engagements += other.engagements
        return self

    @property
    def entries(self) -> int:
        return self.rated + self.reversed + self.problems


class _Told(NamedTuple):
    """A row of TAKE: what a million entries are priced from, where making a WorkEntry of each costs more than its price
    does. The fields that have their own form there are `told_` here."""

    id: str
    revision: int
    told_kind: str
    source: str
    source_key: str
    told_status: str
    worked_on: date
    quantity: Decimal
    engagement: str | None
    legal_entity: str | None
    worker: str | None
    worker_entity: str | None
    role: str | None
    task: str | None
    unit: str
    category: str | None
    told_cost: Decimal | None
    cost_currency: str
    told_tax: Decimal | None
    receipt: str | None
    billable: bool
    approver: str | None
    approved_at: datetime | None
    current: bool
    again: str | None
    waits_for: str
    waits_in: str

    @property
    def kind(self) -> WorkKind:
        return _KINDS[self.told_kind]

    @property
    def cost(self) -> Money | None:
        return None if self.told_cost is None else Money(self.told_cost, self.cost_currency)

    @property
    def tax_included(self) -> Money | None:
        return None if self.told_tax is None else Money(self.told_tax, self.cost_currency)


@dataclass(slots=True)
class _Batch:
    """What one transaction writes. `again` are the entries that had their price, and why they get it anew; `used` is
    what the counters stand at; `rooms` is what corrections leave to others."""

    again: Mapping[str, str]
    used: dict[str, Decimal] = field(default_factory=dict)
    items: list[tuple[Any, ...]] = field(default_factory=list)
    parts: list[tuple[Any, ...]] = field(default_factory=list)
    unpriced: dict[declared.Key, list[Unpriced]] = field(default_factory=dict)
    rooms: set[Room] = field(default_factory=set)


async def rate_waiting(pool: Pool, now: datetime, *, batch: int = BATCH) -> RatingReport:
    """Rate everything that waits and that nobody else is rating. Safe to run in many processes at once."""
    report = RatingReport()
    async for keys in _waiting(pool, batch):
        while True:
            async with transaction(pool) as db:
                done = await rate_some(db, keys, now, batch=batch)
            report += done
            if done.entries < batch:
                break
    return report


async def _waiting(pool: Pool, batch: int) -> AsyncIterator[list[declared.Key]]:
    """Engagements that together have about a batch of work; one with corrections comes alone, since what they take back
    others may be moving."""
    last: declared.Key = ("", "")
    while True:
        async with pool.connection() as db:
            place = {"engagement": last[0], "entity": last[1], "limit": ENGAGEMENTS_AT_ONCE, "batch": batch}
            found = await (await db.execute(WAITING, place)).fetchall()
        if not found:
            return
        together: list[declared.Key] = []
        room = batch
        for engagement, entity, entries, corrects in found:
            if together and (corrects or entries > room):
                yield together
                together, room = [], batch
            together.append((engagement, entity))
            room = 0 if corrects else room - entries
        yield together
        last = together[-1]


async def rate_some(db: Connection, keys: Sequence[declared.Key], now: datetime, *, batch: int = BATCH) -> RatingReport:
    """Rate up to `batch` revisions of each of these engagements and legal entities, inside the caller's transaction.

    Nothing of a customer whom another process rates.
    """
    terms = await declared.latest(db, keys)
    mine = await _alone(db, keys, terms)
    if not mine:
        return RatingReport()
    place = {"engagements": [key[0] for key in mine], "entities": [key[1] for key in mine], "limit": batch}
    rows = [_Told._make(row) for row in await (await db.execute(TAKE, place, prepare=False)).fetchall()]
    if not rows:
        return RatingReport()
    by_key: dict[declared.Key, list[_Told]] = {key: [] for key in mine}
    for row in rows:
        by_key[row.waits_for, row.waits_in].append(row)
    work = _Batch({row.id: row.again for row in rows if row.again is not None})
    met = {key: _counters_of(terms.get(key), told) for key, told in by_key.items()}
    work.used.update(await counted(db, (name for each in met.values() for name in each)))
    report = RatingReport()
    for key, told in by_key.items():
        report += await _rate(db, key, terms.get(key), told, met[key], work, now)
    await count(db, work.used)
    await _write(db, work)
    await fit_again(db, work.rooms)
    await keep_unpriced(db, {key: work.unpriced.get(key, ()) for key in mine})
    return report


async def _alone(
    db: Connection, keys: Sequence[declared.Key], terms: Mapping[declared.Key, BillingTerms]
) -> list[declared.Key]:
    """Those whose customer nobody else is rating, which nobody else can from now on."""
    customers = {key: terms[key].customer_id if key in terms else f"{key[0]} {key[1]}" for key in keys}
    held = await (await db.execute(ONE_AT_A_TIME, {"customers": sorted({*customers.values()})})).fetchall()
    ours = {row[0] for row in held}
    return [key for key in keys if customers[key] in ours]


async def _rate(
    db: Connection,
    key: declared.Key,
    terms: BillingTerms | None,
    rows: Sequence[_Told],
    met: Sequence[str],
    work: _Batch,
    now: datetime,
) -> RatingReport:
    """Price the work of one engagement and legal entity into the batch; `met` are the counters that it can touch."""
    again = [row.id for row in rows if row.again is not None]
    revised = [row.id for row in rows if row.revision > 1 or row.again is not None]
    reversal = await reverse(db, key, revised, now, again=again, used=work.used) if revised else Reversal()
    work.used.update(reversal.used)
    unpriced = work.unpriced.setdefault(key, [])
    unpriced.extend(_stuck(row) for row in rows if row.id in reversal.stuck)
    settled = reversal.unchanged | reversal.stuck
    entries = [row for row in rows if _counts_for(row, key) and row.id not in settled]
    before = len(work.items)
    if terms is None:
        unpriced.extend(Unpriced.without_terms(row.id, row.revision, row.worked_on, row.again) for row in entries)
    else:
        await _price(db, key, terms, entries, met, reversal, work, now)
    return RatingReport(
        rated=sum(1 for item in work.items[before:] if item[9] is None and item[1] != "intercompany"),
        reversed=reversal.items,
        problems=len(unpriced) + max(0, len(rows) - len(entries) - reversal.items),
        engagements=1 if rows else 0,
    )


async def _price(
    db: Connection,
    key: declared.Key,
    terms: BillingTerms,
    entries: Sequence[_Told],
    met: Sequence[str],
    reversal: Reversal,
    work: _Batch,
    now: datetime,
) -> None:
    used = {name: work.used[name] for name in met if name in work.used} | reversal.used
    spent = {entry.cost_currency for entry in entries if entry.told_cost is not None}
    rates = await exchange.for_pricing(db, [terms], (entry.worked_on for entry in entries), spent)
    pricer = Pricer(terms, used, rates.known_at(None))
    for entry in entries:
        rated = pricer.rate(entry)
        if isinstance(rated, tuple):
            work.unpriced[key].append(Unpriced.of(entry.id, entry.revision, entry.worked_on, rated, entry.again))
        else:
            _place(key, terms, entry, rated, pricer.counters.used, work, now)
            if rated.amount < 0 and rated.used:  # it leaves the room that as much work would take
                work.rooms.add(Room.left_by(key, -rated.amount, (name for name, _ in rated.used)))
    work.used.update(pricer.counters.used)


def _counters_of(terms: BillingTerms | None, rows: Sequence[_Told]) -> list[str]:
    if terms is None:
        return []
    lines = line_keys(terms, (row for row in rows if row.kind is WorkKind.TIME))
    if not (terms.caps or terms.usage or terms.retainer or terms.fixed_fees):
        return sorted(lines)
    return sorted({*lines, *counter_keys(terms, (row.worked_on for row in rows))})


def _place(
    key: declared.Key,
    terms: BillingTerms,
    entry: _Told,
    rated: Rated,
    used: Mapping[str, Decimal],
    work: _Batch,
    now: datetime,
) -> None:
    again = work.again.get(entry.id)
    id = f"BIL-{entry.id[4:]}-{entry.revision}" + (f"-{again}" if again else "")
    engagement, entity = key
    met = [[name, str(added), str(used[name])] for name, added in rated.used] if rated.used else None
    work.items.append(
        (
            id, entry.told_kind, engagement, entity, terms.currency, rated.amount, entry.source, entry.id,
            entry.approved_at or now, None, entry.worked_on, rated.quantity, entry.unit, rated.rate, rated.rate_id,
            terms.version, entry.revision, entry.worker, entry.role, entry.task,
            None if met is None else Jsonb(met), None,
        )
    )  # fmt: skip
    for nth, part in enumerate(rated.parts, 1):
        work.parts.append(
            (id, nth, engagement, entity, terms.currency, part.disposition, part.amount, part.quantity, entry.worked_on,
             "rated", part.why or "work.approved", entry.approver, entry.approved_at or now)
        )  # fmt: skip
    if rated.intercompany is not None and entry.worker_entity is not None:
        own = f"{id}-IC"
        work.items.append(
            (own, "intercompany", engagement, entry.worker_entity, terms.currency, rated.intercompany, entry.source,
             entry.id, entry.approved_at or now, None, entry.worked_on, rated.quantity, entry.unit, None, None,
             terms.version, entry.revision, entry.worker, entry.role, entry.task, None, f"for {entity}")
        )  # fmt: skip
        work.parts.append(
            (own, 1, engagement, entry.worker_entity, terms.currency, "intercompany", rated.intercompany,
             rated.quantity, entry.worked_on, "rated", f"worked for {entity}", entity, entry.approved_at or now)
        )  # fmt: skip


async def _write(db: Connection, work: _Batch) -> None:
    if not work.items:
        return
    # In the order of the indexes on their ids, which are no sequence.
    work.items.sort(key=itemgetter(0))
    work.parts.sort(key=itemgetter(0))
    async with db.cursor() as cursor:
        async with cursor.copy(ITEMS) as copy:
            for row in work.items:
                await copy.write_row(row)
        async with cursor.copy(PARTS) as copy:
            for row in work.parts:
                await copy.write_row(row)


def _stuck(row: _Told) -> Unpriced:
    message = "It was transferred to another engagement, and its source has changed it since."
    cure = "Take the transfer back, or write the difference off."
    return Unpriced(row.id, row.revision, row.worked_on, "transferred_work_changed", message, cure, row.again)


def _counts_for(row: _Told, key: declared.Key) -> bool:
    """Whether it is approved, still what its source says, and this engagement's."""
    return row.current and row.told_status == "approved" and (row.engagement, row.legal_entity) == key


def work_entry(row: Sequence[Any]) -> WorkEntry:
    """The entry of a row with the columns of TAKE."""
    at: datetime | None = row[22]
    cost = None if row[16] is None else Money(row[16], row[17])
    return WorkEntry(
        id=row[0],
        revision=row[1],
        kind=_KINDS[row[2]],
        source=row[3],
        source_key=row[4],
        status=_STATUSES[row[5]],
        worked_on=row[6],
        quantity=row[7],
        engagement_id=row[8],
        legal_entity=row[9],
        worker=row[10],
        worker_entity=row[11],
        role=row[12],
        task=row[13],
        unit=row[14],
        category=row[15],
        cost=cost,
        tax_included=None if row[18] is None else Money(row[18], row[17]),
        receipt=row[19],
        billable=row[20],
        approver=row[21],
        approved_at=None if at is None else at.isoformat(),
    )
