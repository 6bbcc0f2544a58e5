"""Explain this number: an invoice line or an item back to clause, rate row, entries, approvals and caps, recomputed.

Nothing here trusts the amount it explains: the price is made again from the source record and the terms of the version
that was in force, and the two are compared to the minor unit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from accord.engine.shell import Connection
from accord.errors import NotFound
from accord.ledger import exchange
from accord.ledger.rating import work_entry
from accord.ledger.reversing import METERS
from accord.model.plain import from_plain
from accord.model.recurring import ServiceSettlement
from accord.model.terms import BillingTerms, RateRow
from accord.model.work import WorkEntry
from accord.rules.rating import Pricer
from accord.rules.rating.counters import Convert
from accord.rules.services import due, settlement_text

AT_ONCE = 2_000

Met = tuple[str, Decimal, Decimal]

ITEM = """
SELECT i.id, i.kind, i.engagement, i.legal_entity, i.currency, i.amount, i.source, i.source_id, i.approved_at,
    i.reverses, i.worked_on, i.quantity, i.unit, i.rate, i.rate_id, i.terms_version, i.source_revision, i.counters,
    i.cause, coalesce(s.body -> 'amount' ->> 'amount',
        (SELECT sum((l -> 'net' ->> 'amount')::numeric)::text FROM jsonb_array_elements(s.body -> 'lines') AS l
            WHERE l ->> 'item_id' = i.id)),
    coalesce(s.body ->> 'name', s.body ->> 'reason'),
    coalesce((SELECT o.recorded_at FROM billable_item o WHERE o.id = i.reverses), i.recorded_at),
    CASE i.kind WHEN 'service_change' THEN s.body END
FROM billable_item i
LEFT JOIN record s ON s.id = i.source_id AND s.kind = CASE i.kind WHEN 'milestone' THEN 'scheduled_milestone'
    WHEN 'subscription_period' THEN 'invoice' WHEN 'write_up' THEN 'write_up'
    WHEN 'transfer' THEN 'work_transfer' WHEN 'service_change' THEN 'service_settlement' END
"""
BY_IDS = ITEM + "WHERE i.id = ANY(%(ids)s) ORDER BY i.worked_on, i.id"
ENTRIES = """
SELECT w.id, w.revision, w.kind, w.source, w.source_key, w.status, w.worked_on, w.quantity, w.engagement,
    w.legal_entity, w.worker, w.worker_entity, w.role, w.task, w.unit, w.category, w.cost, w.cost_currency,
    w.tax_included, w.receipt, w.billable, w.approver, w.approved_at, w.current, w.recorded_as
FROM work_entry w JOIN unnest(%(ids)s::text[], %(revisions)s::integer[]) AS x (id, revision)
    ON w.id = x.id AND w.revision = x.revision
"""
# Of all legal entities: an intercompany item is of the worker's, its terms are the project's.
TERMS = """
SELECT t.engagement, t.legal_entity, t.version, t.body FROM billing_terms t
JOIN unnest(%(engagements)s::text[], %(versions)s::integer[]) AS x (engagement, version)
    ON t.engagement = x.engagement AND t.version = x.version
"""
PARTS = """
SELECT p.item_id, p.part, p.disposition, p.amount, p.quantity, p.document, p.line, p.cause, p.reference
FROM item_part p WHERE p.item_id = ANY(%(ids)s) ORDER BY p.item_id, p.part
"""
# What a raised or lowered cap has moved since the item got its price.
CAP_MOVES = """
SELECT item_id, counter, added, reached FROM cap_move WHERE item_id = ANY(%(ids)s) ORDER BY item_id, at, part, counter
"""
# An invoice line is named by invoice (canonical id or number) and the number of the line.
LINE = """
SELECT r.id, r.body ->> 'number', r.body -> 'lines' -> (%(line)s::integer - 1) ->> 'text',
    (r.body -> 'lines' -> (%(line)s::integer - 1) -> 'net' ->> 'amount')::numeric, r.body ->> 'currency'
FROM record r WHERE r.kind = 'invoice' AND (r.id = %(invoice)s OR r.body ->> 'number' = %(invoice)s) LIMIT 1
"""
DRAFT_LINE = """
SELECT d.id, NULL, l.text, l.net, d.currency FROM proposal d
JOIN proposal_line l ON l.proposal_id = d.id AND l.line = %(line)s WHERE d.id = %(invoice)s
"""
# A credit note of corrected work is a document with lines of its own, of amounts below zero.
CREDIT_LINE = """
SELECT a.id, a.body ->> 'number', a.body -> 'lines' -> (%(line)s::integer - 1) ->> 'text',
    -(a.body -> 'lines' -> (%(line)s::integer - 1) -> 'net' ->> 'amount')::numeric, a.currency
FROM adjustment a LEFT JOIN record r ON r.kind = 'credit_note' AND r.id = a.id
WHERE a.kind = 'credit_note' AND (a.id = %(invoice)s OR r.body ->> 'number' = %(invoice)s)
    AND (a.body ->> 'from_work')::boolean LIMIT 1
"""
# A part that was split by a payment or a credit bears the line on with it. What was written down before the invoice was
# issued remembers its line, and is not on it.
ON_LINE = """
SELECT p.item_id, sum(p.amount) FROM item_part p
WHERE p.document = %(document)s AND p.line = %(line)s AND NOT (p.disposition = 'written_off' AND p.came_from = 'draft')
GROUP BY 1 ORDER BY 1
"""
ALL_LINES = """
SELECT p.document, p.line, sum(p.amount) FROM item_part p
WHERE p.document IS NOT NULL AND (p.disposition IN ('draft', 'billed', 'collected', 'disputed', 'credited')
        OR p.disposition = 'written_off' AND p.came_from <> 'draft')
    AND (p.document, p.line) > (%(document)s, %(line)s)
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class PartOfItem:
    """Where a part of an item lies."""

    disposition: str
    amount: Decimal
    quantity: Decimal | None
    document: str | None
    line: int | None
    cause: str
    reference: str | None


@dataclass(frozen=True, slots=True)
class ItemExplained:
    """One item: what it is worth, why, and what the price comes to when it is made again.

    `counters` are caps, retainers and meters: name, what the item added, what it came to; then what changed caps moved.
    `recomputed` is None where the source is gone; `agrees` is whether the two are equal to the minor unit.
    """

    id: str
    kind: str
    amount: Decimal
    currency: str
    recomputed: Decimal | None
    worked_on: date | None
    quantity: Decimal | None
    unit: str | None
    rate: Decimal | None
    rate_row: RateRow | None
    terms_version: int | None
    clause: str | None
    counters: tuple[tuple[str, Decimal, Decimal], ...]
    entry: WorkEntry | None
    source: str
    reverses: str | None
    parts: tuple[PartOfItem, ...]

    @property
    def agrees(self) -> bool:
        placed = sum((part.amount for part in self.parts), Decimal(0))
        return self.recomputed == self.amount and placed == self.amount


@dataclass(frozen=True, slots=True)
class LineExplained:
    """An invoice line or the line of a proposal: its items, and whether they come to what the line says."""

    document: str
    number: str | None
    line: int
    text: str | None
    net: Decimal
    currency: str
    items: tuple[ItemExplained, ...]
    on_line: dict[str, Decimal]

    @property
    def agrees(self) -> bool:
        return sum(self.on_line.values(), Decimal(0)) == self.net and all(each.agrees for each in self.items)


async def explain(db: Connection, name: str) -> LineExplained | ItemExplained:
    """Explain an item by its id, or a line by `INVOICE/LINE` (number or canonical id). Raises NotFound."""
    if "/" in name:
        invoice, _, line = name.rpartition("/")
        if line.isdecimal():
            return await explain_line(db, invoice, int(line))
    found = await explain_items(db, [name])
    if not found:
        raise NotFound(f"there is no item {name}; a line is named INVOICE/LINE, such as ACC-0001/2")
    return found[0]


async def explain_line(db: Connection, invoice: str, line: int) -> LineExplained:
    """Explain one line of an invoice or of a proposal. Raises NotFound."""
    about = {"invoice": invoice, "line": line}
    row = await (await db.execute(LINE, about)).fetchone()
    if row is None or row[3] is None:
        row = await (await db.execute(DRAFT_LINE, about)).fetchone()
    if row is None or row[3] is None:
        row = await (await db.execute(CREDIT_LINE, about)).fetchone()
    if row is None or row[3] is None:
        raise NotFound(f"there is no line {line} of an invoice {invoice}")
    document, number, text, net, currency = row
    on_line = await (await db.execute(ON_LINE, {"document": document, "line": line})).fetchall()
    items = await explain_items(db, [item for item, _ in on_line])
    return LineExplained(document, number, line, text, net, currency, tuple(items), dict(on_line))


async def explain_items(db: Connection, ids: Sequence[str]) -> list[ItemExplained]:
    """Explain items, whole batches at once; those that are not there are left out."""
    rows = await (await db.execute(BY_IDS, {"ids": list(ids)})).fetchall()
    entries = await _entries(db, rows)
    terms = await _terms(db, rows)
    parts: dict[str, list[PartOfItem]] = {}
    there = {"ids": [row[0] for row in rows]}
    for item, _, *rest in await (await db.execute(PARTS, there)).fetchall():
        parts.setdefault(item, []).append(PartOfItem(*rest))
    moved: dict[str, list[Met]] = {}
    for item, *counted in await (await db.execute(CAP_MOVES, there)).fetchall():
        moved.setdefault(item, []).append((counted[0], counted[1], counted[2]))
    spent = {each.cost.currency for each in entries.values() if each.cost is not None}
    days = [each.worked_on for each in entries.values()]
    rates = await exchange.for_pricing(db, terms.values(), days, spent)
    return [
        _explained(row, entries, terms, tuple(parts.get(row[0], ())), tuple(moved.get(row[0], ())), rates)
        for row in rows
    ]


async def disagreements(db: Connection) -> AsyncIterator[LineExplained]:
    """Every line of every invoice and proposal that does not come to what it says, batch by batch."""
    place: tuple[str, int] = ("", 0)
    while True:
        parameters = {"document": place[0], "line": place[1], "limit": AT_ONCE}
        lines = await (await db.execute(ALL_LINES, parameters)).fetchall()
        if not lines:
            return
        for document, line, _ in lines:
            found = await explain_line(db, document, line)
            if not found.agrees:
                yield found
        place = (lines[-1][0], lines[-1][1])


def _explained(
    row: Sequence[Any],
    entries: dict[tuple[str, int], WorkEntry],
    terms: dict[tuple[str, str, int], BillingTerms],
    parts: tuple[PartOfItem, ...],
    moved: tuple[Met, ...],
    rates: exchange.Exchange,
) -> ItemExplained:
    (
        id, kind, engagement, entity, currency, amount, source, source_id, _, reverses, worked_on, quantity, unit,
        rate, rate_id, version, revision, counters, _, told, name, recorded_at, settlement,
    ) = row  # fmt: skip
    if settlement is not None:
        settled = from_plain(ServiceSettlement, settlement)
        told, name = due(settled).amount, settlement_text(settled)
    entry = entries.get((source_id, revision or 0))
    of = entity if kind != "intercompany" or entry is None else entry.legal_entity or entity
    under = terms.get((engagement, of, version))
    met = tuple((each, Decimal(added), Decimal(after)) for each, added, after in counters or ())
    return ItemExplained(
        id=id,
        kind=kind,
        amount=amount,
        currency=currency,
        recomputed=_again(kind, entry, under, met, told, rates.known_at(recorded_at), reversing=reverses is not None),
        worked_on=worked_on,
        quantity=quantity,
        unit=unit,
        rate=rate,
        rate_row=None if under is None else next((each for each in under.rates if each.id == rate_id), None),
        terms_version=version,
        clause=None if under is None else under.clause,
        counters=(*met, *moved),
        entry=entry,
        source=name or source,
        reverses=reverses,
        parts=parts,
    )


def _again(
    kind: str,
    entry: WorkEntry | None,
    terms: BillingTerms | None,
    counters: tuple[tuple[str, Decimal, Decimal], ...],
    told: str | None,
    convert: Convert,
    *,
    reversing: bool,
) -> Decimal | None:
    """The price made again from source and terms; the counters as they stood before the item."""
    if kind in ("milestone", "subscription_period", "service_change", "write_up", "transfer"):
        return None if told is None else Decimal(told)
    if entry is None or terms is None:
        return None
    # Metered work is taken back at what its meter stood at then; anything else at what it was taken for.
    at_the_meter = reversing and any(added and name.startswith(METERS) for name, added, _ in counters)
    if at_the_meter:
        entry = replace(entry, quantity=-entry.quantity)
    rated = Pricer(terms, {name: after - added for name, added, after in counters}, convert).rate(entry)
    if isinstance(rated, tuple):
        return None
    amount = rated.intercompany if kind == "intercompany" else rated.amount
    return -amount if reversing and not at_the_meter and amount is not None else amount


async def _entries(db: Connection, rows: Sequence[Any]) -> dict[tuple[str, int], WorkEntry]:
    wanted = {(row[7], row[16]) for row in rows if row[16] is not None}
    parameters = {"ids": [id for id, _ in wanted], "revisions": [revision for _, revision in wanted]}
    found = await (await db.execute(ENTRIES, parameters)).fetchall()
    return {(row[0], row[1]): work_entry(row) for row in found}


async def _terms(db: Connection, rows: Sequence[Any]) -> dict[tuple[str, str, int], BillingTerms]:
    wanted = {(row[2], row[15]) for row in rows if row[15] is not None}
    parameters = {"engagements": [each for each, _ in wanted], "versions": [version for _, version in wanted]}
    found = await (await db.execute(TERMS, parameters)).fetchall()
    return {(row[0], row[1], row[2]): from_plain(BillingTerms, row[3]) for row in found}
