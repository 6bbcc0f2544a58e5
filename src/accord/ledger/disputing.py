"""Disputes of invoice lines: opened with their evidence, owned, and decided by a person.

The packet is what the firm can show: for each line its items with entry, approval, rate row, terms and clause, and the
amount made again. It is kept as it was when the dispute was opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from accord.engine import eventlog
from accord.engine.shell import Connection, Kept
from accord.engine.turning import fact_row
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.ledger import adjusting
from accord.ledger.crediting import ask_credit, creditable, invoice_named
from accord.ledger.explaining import ItemExplained, LineExplained, explain_line
from accord.ledger.postings import write
from accord.model.billing import Invoice, LineDispute
from accord.model.events import LINE_DISPUTE_CLOSED, LINE_DISPUTE_OPENED, Fact
from accord.model.identity import canonical_id
from accord.model.money import Money, TooManyDecimals
from accord.model.plain import Plain, from_plain, to_plain
from accord.records.knowledge import Records
from accord.rules.receivable import credit_line, credit_of

ANSWER_DAYS = 14
OUTCOMES = ("uphold", "credit", "rebill")

DISPUTED = """
SELECT (l ->> 'line')::integer, sum((l -> 'net' ->> 'amount')::numeric)
FROM record r CROSS JOIN jsonb_array_elements(r.body -> 'lines') AS l
WHERE r.kind = 'line_dispute' AND r.body ->> 'invoice_id' = %(invoice)s AND r.body ->> 'status' = 'open' GROUP BY 1
"""
HOW_MANY = "SELECT count(*) FROM record WHERE kind = 'line_dispute' AND body ->> 'invoice_id' = %(invoice)s"
ONE = """
SELECT d.body, p.body, d.correlation FROM record d
LEFT JOIN record p ON p.kind = 'dispute_packet' AND p.id = d.id
WHERE d.kind = 'line_dispute' AND d.id = %(id)s
    AND (%(entities)s::text[] IS NULL OR d.body ->> 'legal_entity' = ANY(%(entities)s))
"""
LOCKED = ONE + "FOR UPDATE OF d"
LIST = """
SELECT body FROM record WHERE kind = 'line_dispute' AND body ->> 'status' = %(status)s
    AND (%(entities)s::text[] IS NULL OR body ->> 'legal_entity' = ANY(%(entities)s))
ORDER BY body ->> 'answer_by', id LIMIT %(limit)s
"""


async def open_dispute(
    db: Connection,
    invoice: str,
    lines: Mapping[int, Decimal | None],
    *,
    reason: str,
    by: str,
    at: datetime,
    owner: str = "finance",
    answer_days: int = ANSWER_DAYS,
    entities: Sequence[str] | None = None,
) -> str:
    """Open a dispute of lines (number, from 1) or parts of them: the net amount of each, None for all that is left.

    Raises NotFound, UsageError for a line or amount that is not there or disputed already, Conflict for an invoice that
    is not issued.
    """
    found = await invoice_named(db, invoice, entities)
    if found.status in ("draft", "void"):
        raise Conflict(f"invoice {invoice} is {found.status}; only what was issued can be disputed")
    if not lines:
        raise UsageError("say which lines are disputed")
    open_already = dict(await (await db.execute(DISPUTED, {"invoice": found.id})).fetchall())
    left = {
        n: Money(each.amount - open_already.get(n, 0), found.currency)
        for n, each in (await creditable(db, found)).items()
    }
    parts = tuple(credit_line(found, n, _part(found, left, n, amount)) for n, amount in sorted(lines.items()))
    net, gross = credit_of(parts, found.currency)
    row = await (await db.execute(HOW_MANY, {"invoice": found.id})).fetchone()
    dispute = LineDispute(
        id=canonical_id("dispute", "lines", found.id, str(row[0] if row else 0)),
        invoice_id=found.id,
        lines=parts,
        net=net,
        amount=gross,
        reason=adjusting.why(reason),
        opened_by=by,
        opened_on=at.date(),
        owner=owner,
        answer_by=at.date() + timedelta(days=answer_days),
        customer_id=found.customer_id,
        legal_entity=found.legal_entity,
        engagement_id=found.engagement_id,
    )
    packet = await _packet(db, found, dispute, at)
    kept = [("line_dispute", dispute.id, to_plain(dispute)), ("dispute_packet", dispute.id, packet)]
    await Records(write).keep(db, [Kept(*each, found.engagement_id) for each in kept], at)
    payload = {
        "invoice_id": found.id,
        "reason": dispute.reason,
        "lines": [each.line for each in parts],
        "money": to_plain(gross),
    }
    await _tell(db, LINE_DISPUTE_OPENED, dispute, payload, by, at)
    return dispute.id


async def show(db: Connection, id: str, entities: Sequence[str] | None = None) -> tuple[LineDispute, Plain]:
    """A dispute and its packet. Raises NotFound."""
    scope = None if entities is None else list(entities)
    row = await (await db.execute(ONE, {"id": id, "entities": scope})).fetchone()
    if row is None:
        raise NotFound(f"there is no dispute {id}")
    return from_plain(LineDispute, row[0]), row[1] or {}


async def disputes(
    db: Connection, *, status: str = "open", entities: Sequence[str] | None = None, limit: int = 200
) -> list[LineDispute]:
    """Disputes of lines, those to be answered first before the others."""
    scope = None if entities is None else list(entities)
    rows = await (await db.execute(LIST, {"status": status, "entities": scope, "limit": limit})).fetchall()
    return [from_plain(LineDispute, row[0]) for row in rows]


async def decide(
    db: Connection,
    id: str,
    outcome: str,
    *,
    note: str,
    by: str,
    at: datetime,
    amounts: Mapping[int, Decimal | None] | None = None,
    entities: Sequence[str] | None = None,
) -> str | None:
    """Decide a dispute: `uphold` the claim, `credit` what is disputed (or other `amounts` of lines), or `rebill` the
    lines as a whole. A credit is asked for by this, and somebody else approves it; its id.

    Raises NotFound, Conflict when it is decided already, UsageError.
    """
    if outcome not in OUTCOMES:
        raise UsageError(f"the outcome is one of {', '.join(OUTCOMES)}; {outcome!r} was given")
    scope = None if entities is None else list(entities)
    row = await (await db.execute(LOCKED, {"id": id, "entities": scope})).fetchone()
    if row is None:
        raise NotFound(f"there is no dispute {id}")
    found = from_plain(LineDispute, row[0])
    if found.status != "open" or found.outcome is not None:
        raise Conflict(f"the dispute is decided already: {found.outcome}")
    decided: Plain = {"id": id, "outcome": outcome, "decided_by": by, "note": adjusting.why(note)}
    if outcome == "uphold":
        await Records(write).keep(db, [Kept("line_dispute", id, decided, row[2])], at)
        await _tell(db, LINE_DISPUTE_CLOSED, found, {"outcome": outcome, "invoice_id": found.invoice_id}, by, at)
        return None
    chosen = amounts or {each.line: each.net.amount for each in found.lines}
    lines = dict.fromkeys(chosen) if outcome == "rebill" else chosen
    credit = await ask_credit(
        db, found.invoice_id, lines, reason=note, by=by, at=at, rebill=outcome == "rebill", dispute=id,
        entities=entities,
    )  # fmt: skip
    await Records(write).keep(db, [Kept("line_dispute", id, {**decided, "credit_id": credit}, row[2])], at)
    await audit.write(db, by, "dispute decided", id, {"outcome": outcome, "credit": credit, "note": note})
    return credit


def _part(invoice: Invoice, left: Mapping[int, Money], line: int, amount: Decimal | None) -> Money:
    if line not in left:
        raise UsageError(f"invoice {invoice.number} has no line {line}; it has {len(left)}")
    try:
        wanted = left[line] if amount is None else Money.of(amount, invoice.currency)
    except TooManyDecimals as error:
        raise UsageError(str(error)) from error
    if not Decimal(0) < wanted.amount <= left[line].amount:
        raise UsageError(f"between 0 and {left[line]} of line {line} can be disputed; {wanted} was given")
    return wanted


async def _tell(db: Connection, type: str, dispute: LineDispute, payload: Plain, by: str, at: datetime) -> None:
    fact = Fact(type, dispute.id, at.isoformat(), by, payload, correlation=dispute.engagement_id)
    await eventlog.append(db, [fact_row(fact, dispute.engagement_id, None)])
    await audit.write(db, by, type.replace("_", " ").replace(".", " "), dispute.id, payload)


async def _packet(db: Connection, invoice: Invoice, dispute: LineDispute, at: datetime) -> Plain:
    explained = [await explain_line(db, invoice.id, invoice.ledger_line(each.line) or 1) for each in dispute.lines]
    return {
        "id": dispute.id,
        "assembled_at": at.isoformat(),
        "invoice": invoice.number or invoice.id,
        "issued_on": None if invoice.issued_on is None else invoice.issued_on.isoformat(),
        "lines": [
            _line(each.line, each.text, invoice, found) for each, found in zip(dispute.lines, explained, strict=True)
        ],
    }


def _line(line: int, text: str, invoice: Invoice, found: LineExplained) -> Plain:
    return {
        "line": line,
        "text": text,
        "net": to_plain(invoice.lines[line - 1].net),
        "agrees": found.agrees,
        "items": [_evidence(each) for each in found.items],
    }


def _evidence(item: ItemExplained) -> dict[str, Any]:
    """What proves an item: who worked when and who approved it, by which rate of which version of which clause."""
    entry = item.entry
    row = item.rate_row
    return {
        "item": item.id,
        "kind": item.kind,
        "amount": str(item.amount),
        "recomputed": None if item.recomputed is None else str(item.recomputed),
        "source": item.source,
        "entry": None if entry is None else {
            "worker": entry.worker,
            "worked_on": entry.worked_on.isoformat(),
            "quantity": str(entry.quantity),
            "unit": entry.unit,
            "task": entry.task,
            "note": entry.note,
            "told_by": f"{entry.source} {entry.source_key}, revision {entry.revision}",
            "recorded_as": entry.recorded_as,
            "approved_by": entry.approver,
            "approved_at": entry.approved_at,
        },
        "rate": None if row is None else {
            "row": row.id,
            "per_hour": to_plain(row.per_hour),
            "valid_from": row.valid_from.isoformat(),
            "clause": row.clause,
        },
        "terms_version": item.terms_version,
        "clause": item.clause,
        "limits": [{"name": name, "used": str(used), "in_all": str(after)} for name, used, after in item.counters],
        "lies": [
            {"disposition": part.disposition, "amount": str(part.amount), "cause": part.cause} for part in item.parts
        ],
    }  # fmt: skip
