"""Gives approved work its price and its place in the ledger: batches, one transaction each, of one customer's work.

Caps and retainers run in the order of work within a customer, so a customer is rated by one worker at a time; different
customers by as many as there are. Prices are made by `rules.rating`, which knows nothing of this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from psycopg.types.json import Jsonb

from accord.db.pool import Pool, transaction
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.ledger import exchange
from accord.ledger import terms as declared
from accord.ledger.reversing import COUNTERS, Reversal, reverse
from accord.ledger.unpriced import Unpriced, keep_unpriced
from accord.model.money import Money
from accord.model.terms import BillingTerms
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.rules.rating import Pricer, Rated
from accord.rules.rating.counters import counter_keys

BATCH = 20_000
ZERO = Decimal(0)

# Which engagements have work waiting, read by skipping from one to the next in the index.
WAITING = """
WITH RECURSIVE waiting AS (
    (SELECT engagement, legal_entity FROM work_to_rate WHERE (engagement, legal_entity) > (%(engagement)s, %(entity)s)
     ORDER BY 1, 2 LIMIT 1)
    UNION ALL
    SELECT n.engagement, n.legal_entity FROM waiting w CROSS JOIN LATERAL (
        SELECT engagement, legal_entity FROM work_to_rate
        WHERE (engagement, legal_entity) > (w.engagement, w.legal_entity) ORDER BY 1, 2 LIMIT 1) n
)
SELECT engagement, legal_entity FROM waiting LIMIT %(limit)s
"""
ONE_AT_A_TIME = "SELECT pg_try_advisory_xact_lock(hashtextextended('rating of ' || %(customer)s, 0))"
TAKE = """
WITH taken AS (
    DELETE FROM work_to_rate WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM work_to_rate WHERE engagement = %(engagement)s AND legal_entity = %(entity)s
        ORDER BY worked_on, entry_id, revision LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING entry_id, revision, again
)
SELECT w.id, w.revision, w.kind, w.source, w.source_key, w.status, w.worked_on, w.quantity, w.engagement,
    w.legal_entity, w.worker, w.worker_entity, w.role, w.task, w.unit, w.category, w.cost, w.cost_currency,
    w.tax_included, w.receipt, w.billable, w.approver, w.approved_at, w.current, t.again
FROM taken t JOIN work_entry w ON w.id = t.entry_id AND w.revision = t.revision
ORDER BY w.worked_on, w.id, w.revision
"""
COUNT = """
INSERT INTO billing_counter (name, used)
SELECT x.name, x.used FROM json_to_recordset(%(rows)s::json) AS x (name text, used numeric)
ON CONFLICT (name) DO UPDATE SET used = excluded.used
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


@dataclass(slots=True)
class _Batch:
    """What one transaction writes. `again` are the entries that had their price, and why they get it anew."""

    again: Mapping[str, str]
    items: list[tuple[Any, ...]] = field(default_factory=list)
    parts: list[tuple[Any, ...]] = field(default_factory=list)
    unpriced: list[Unpriced] = field(default_factory=list)


async def rate_waiting(pool: Pool, now: datetime, *, batch: int = BATCH) -> RatingReport:
    """Rate everything that waits and that nobody else is rating. Safe to run in many processes at once."""
    report = RatingReport()
    async for groups in _waiting(pool):
        for key in groups:
            while True:
                async with transaction(pool) as db:
                    done = await rate_some(db, key, now, batch=batch)
                if done is None:  # another process has this customer
                    break
                report += done
                if done.entries < batch:
                    break
    return report


async def _waiting(pool: Pool) -> AsyncIterator[list[declared.Key]]:
    last: declared.Key = ("", "")
    while True:
        async with pool.connection() as db:
            parameters = {"engagement": last[0], "entity": last[1], "limit": 200}
            groups = await (await db.execute(WAITING, parameters)).fetchall()
        if not groups:
            return
        yield groups
        last = groups[-1]


async def rate_some(db: Connection, key: declared.Key, now: datetime, *, batch: int = BATCH) -> RatingReport | None:
    """Rate up to `batch` revisions of one engagement and legal entity, inside the caller's transaction.

    None when another process rates the customer.
    """
    terms = (await declared.latest(db, [key])).get(key)
    scope = terms.customer_id if terms is not None else f"{key[0]} {key[1]}"
    held = await (await db.execute(ONE_AT_A_TIME, {"customer": scope})).fetchone()
    if held is None or not held[0]:
        return None
    parameters = {"engagement": key[0], "entity": key[1], "limit": batch}
    rows = await (await db.execute(TAKE, parameters, prepare=False)).fetchall()
    if not rows:
        return RatingReport()
    again = {row[0]: str(row[24]) for row in rows if row[24] is not None}
    revised = [row[0] for row in rows if row[1] > 1 or row[0] in again]
    reversal = await reverse(db, key, revised, now, again=again.keys()) if revised else Reversal()
    work = _Batch(again, unpriced=[_stuck(row) for row in rows if row[0] in reversal.stuck])
    entries = [entry for entry in _entries(rows, key) if entry.id not in reversal.unchanged | reversal.stuck]
    if terms is None:
        work.unpriced.extend(
            Unpriced.without_terms(entry.id, entry.revision, entry.worked_on, again.get(entry.id)) for entry in entries
        )
    else:
        await _price(db, key, terms, entries, reversal, work, now)
    await _write(db, work)
    await keep_unpriced(db, key, work.unpriced)
    return RatingReport(
        rated=sum(1 for item in work.items if item[9] is None and item[1] != "intercompany"),
        reversed=reversal.items,
        problems=len(work.unpriced) + max(0, len(rows) - len(entries) - reversal.items),
        engagements=1,
    )


async def _price(
    db: Connection,
    key: declared.Key,
    terms: BillingTerms,
    entries: Sequence[WorkEntry],
    reversal: Reversal,
    work: _Batch,
    now: datetime,
) -> None:
    names = counter_keys(terms, (entry.worked_on for entry in entries)) if _counts(terms) else []
    names = sorted({*names, *reversal.used})
    used: dict[str, Decimal] = {}
    if names:
        used = {**dict(await (await db.execute(COUNTERS, {"names": names})).fetchall()), **reversal.used}
    spent = {entry.cost.currency for entry in entries if entry.cost is not None}
    rates = await exchange.for_pricing(db, [terms], (entry.worked_on for entry in entries), spent)
    pricer = Pricer(terms, used, rates.known_at(None))
    for entry in entries:
        rated = pricer.rate(entry)
        if isinstance(rated, tuple):
            again = work.again.get(entry.id)
            work.unpriced.append(Unpriced.of(entry.id, entry.revision, entry.worked_on, rated, again))
        else:
            _place(key, terms, entry, rated, pricer.counters.used, work, now)
    if names:
        told = [{"name": name, "used": str(amount)} for name, amount in sorted(pricer.counters.used.items())]
        await db.execute(COUNT, {"rows": as_json(told)})


def _counts(terms: BillingTerms) -> bool:
    return bool(terms.caps or terms.usage or terms.retainer)


def _place(
    key: declared.Key,
    terms: BillingTerms,
    entry: WorkEntry,
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
            id, entry.kind.value, engagement, entity, terms.currency, rated.amount, entry.source, entry.id,
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
    async with db.cursor() as cursor:
        async with cursor.copy(ITEMS) as copy:
            for row in work.items:
                await copy.write_row(row)
        async with cursor.copy(PARTS) as copy:
            for row in work.parts:
                await copy.write_row(row)


def _stuck(row: Sequence[Any]) -> Unpriced:
    message = "It was transferred to another engagement, and its source has changed it since."
    cure = "Take the transfer back, or write the difference off."
    return Unpriced(row[0], row[1], row[6], "transferred_work_changed", message, cure, row[24])


def _entries(rows: Iterable[Sequence[Any]], key: declared.Key) -> Iterator[WorkEntry]:
    """The approved ones that are still what their source says, and are this engagement's."""
    for row in rows:
        if not row[23] or row[5] != "approved" or (row[8], row[9]) != key:
            continue
        yield work_entry(row)


def work_entry(row: Sequence[Any]) -> WorkEntry:
    """The entry of a row with the columns of TAKE."""
    at: datetime | None = row[22]
    cost = None if row[16] is None else Money(row[16], row[17])
    return WorkEntry(
        id=row[0],
        revision=row[1],
        kind=WorkKind(row[2]),
        source=row[3],
        source_key=row[4],
        status=WorkStatus(row[5]),
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
