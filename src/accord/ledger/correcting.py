"""Corrections of invoiced work under the policy `credit_note`: what lessens an invoice line becomes a credit of it.

A correction takes an item back by one of the opposite amount and prices it anew. Where the two together come to less
than the line says, they go onto a credit note that somebody approves; where they come to more, onto the next invoice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.ledger import adjusting
from accord.model.billing import CreditLine, CreditNote, Invoice
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.plain import from_plain
from accord.rules.receivable import credit_line, credit_of

# By source record: what was taken back of one line of one invoice, and what stands in its place, both still in WIP.
CORRECTED = """
WITH wanted AS (
    SELECT x.engagement, x.legal_entity, t.corrections
    FROM json_to_recordset(%(rows)s::json) AS x (engagement text, legal_entity text)
    CROSS JOIN LATERAL (SELECT b.body ->> 'corrections' AS corrections FROM billing_terms b
        WHERE b.engagement = x.engagement AND b.legal_entity = x.legal_entity ORDER BY b.version DESC LIMIT 1) t
), taken_back AS (
    SELECT i.source_id, i.engagement, i.legal_entity, min(a.document) AS document, min(a.line) AS line,
        count(DISTINCT (a.document, a.line)) AS places, sum(p.amount) AS amount,
        json_agg(json_build_array(p.item_id, p.part)) AS parts
    FROM wanted w
    JOIN billable_item i ON i.reverses IS NOT NULL AND i.engagement = w.engagement AND i.legal_entity = w.legal_entity
    JOIN item_part p ON p.item_id = i.id AND p.disposition = 'wip'
    JOIN item_part a ON a.item_id = i.reverses AND a.part = p.part
        AND a.disposition IN ('billed', 'collected', 'disputed')
    WHERE w.corrections = 'credit_note'
    GROUP BY 1, 2, 3
), anew AS (
    SELECT b.source_id, sum(p.amount) AS amount, json_agg(json_build_array(p.item_id, p.part)) AS parts
    FROM taken_back b
    JOIN billable_item i ON i.source_id = b.source_id AND i.engagement = b.engagement AND i.reverses IS NULL
        AND i.legal_entity = b.legal_entity AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)
    JOIN item_part p ON p.item_id = i.id AND p.disposition = 'wip'
    GROUP BY 1
)
SELECT b.document, b.line, b.amount + coalesce(n.amount, 0), b.parts, n.parts
FROM taken_back b LEFT JOIN anew n ON n.source_id = b.source_id
WHERE b.places = 1 AND b.amount + coalesce(n.amount, 0) < 0
ORDER BY b.document, b.line, b.source_id
"""
INVOICES = "SELECT id, body FROM record WHERE kind = 'invoice' AND id = ANY(%(ids)s) ORDER BY id FOR UPDATE"
HOW_MANY = """
SELECT about, count(*) FROM adjustment WHERE kind = 'credit_note' AND about = ANY(%(ids)s) GROUP BY 1
"""
ONTO_THE_NOTE = """
UPDATE item_part p SET disposition = 'draft', document = x.document, line = x.line, entry = 'propose ' || x.document,
    cause = 'correction of an invoiced line', reference = NULL, posted_at = %(at)s
FROM json_to_recordset(%(rows)s::json) AS x (item_id text, part integer, document text, line integer)
WHERE p.item_id = x.item_id AND p.part = x.part AND p.disposition = 'wip'
"""
REASON = "work was corrected after it was invoiced"


async def propose_credits(db: Connection, keys: Sequence[dict[str, Any]], *, at: datetime, by: str) -> list[str]:
    """Ask for the credits that corrections of these engagements and legal entities call for; their ids."""
    rows = await (await db.execute(CORRECTED, {"rows": as_json(list(keys))}, prepare=False)).fetchall()
    if not rows:
        return []
    ids = sorted({row[0] for row in rows})
    bodies = await (await db.execute(INVOICES, {"ids": ids})).fetchall()
    counts = dict(await (await db.execute(HOW_MANY, {"ids": ids})).fetchall())
    made, moves = [], []
    for id, body in bodies:
        invoice = from_plain(Invoice, body)
        mine = [row for row in rows if row[0] == id]
        note = _note(invoice, mine, counts.get(id, 0), at, by)
        about: dict[str, Any] = {"engagement": invoice.engagement_id, "legal_entity": invoice.legal_entity}
        made.append(await adjusting.ask(db, "credit_note", id, note, note.amount, **about, reason=REASON, by=by, at=at))
        places = {each.line: n for n, each in enumerate(note.lines, 1)}
        for _, line, _, taken_back, anew in mine:
            for item, part in (*taken_back, *(anew or ())):
                moves.append({"item_id": item, "part": part, "document": note.id, "line": places[line]})
    await db.execute(ONTO_THE_NOTE, {"rows": as_json(moves), "at": at})
    return made


def _note(invoice: Invoice, rows: Sequence[Any], earlier: int, at: datetime, by: str) -> CreditNote:
    sums: dict[int, Decimal] = defaultdict(Decimal)
    for _, line, amount, _, _ in rows:
        sums[line] -= amount
    lines = tuple(_line(invoice, line, Money(amount, invoice.currency)) for line, amount in sorted(sums.items()))
    net, gross = credit_of(lines, invoice.currency)
    return CreditNote(
        id=canonical_id("credit_note", invoice.id, str(earlier)),
        invoice_id=invoice.id,
        amount=gross,
        reason=REASON,
        issued_on=at.date(),
        lines=lines,
        net=net,
        customer_id=invoice.customer_id,
        legal_entity=invoice.legal_entity,
        engagement_id=invoice.engagement_id,
        status="requested",
        from_work=True,
        requested_by=by,
    )


def _line(invoice: Invoice, line: int, net: Money) -> CreditLine:
    """A line of the credit; more than the line itself is left to the story's check, where a person sees it."""
    if line <= len(invoice.lines) and invoice.lines[line - 1].net:
        return credit_line(invoice, line, net)
    return replace(credit_line(invoice, 1, net), line=line)
