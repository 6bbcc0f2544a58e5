"""What people do with invoice proposals: hold, release, withdraw, write down, transfer, approve with four eyes.

Each is one transaction: the state, the ledger, the audit entry, and for an approval the fact that starts the invoice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.engine import eventlog
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.engine.turning import fact_row
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.ledger import terms as declared
from accord.ledger.postings import MOVE, write
from accord.ledger.proposing import recount
from accord.model.billing import InvoiceProposal, ProposedLine
from accord.model.events import PROPOSAL_APPROVED, Fact
from accord.model.money import Money, allocate
from accord.model.plain import to_plain
from accord.records.knowledge import Records

LOCK = """
SELECT id, engagement, legal_entity, currency, customer, period_from, period_to, status, net, version, proposed_by,
    changed_by
FROM proposal WHERE id = %(id)s FOR UPDATE
"""
LINES = """
SELECT l.line, l.text, l.net, l.quantity, l.kind, l.rate, l.worked_from, l.worked_to FROM proposal_line l
WHERE l.proposal_id = %(id)s ORDER BY l.line
"""
CHANGE = """
UPDATE proposal SET status = %(status)s, reason = %(reason)s, changed_by = coalesce(%(changed_by)s, changed_by),
    approved_by = %(approved_by)s, approved_at = %(approved_at)s, version = version + 1
WHERE id = %(id)s
"""
BACK_TO_WIP = """
UPDATE item_part SET disposition = %(into)s, document = NULL, line = NULL,
    entry = %(entry)s || ' ' || part, cause = %(cause)s, reference = %(by)s, posted_at = %(at)s
WHERE document = %(id)s AND disposition = 'draft' AND (%(line)s::integer IS NULL OR line = %(line)s)
"""
PARTS = """
SELECT p.item_id, p.part, p.amount FROM item_part p
WHERE p.document = %(id)s AND p.disposition = 'draft' AND (%(line)s::integer IS NULL OR p.line = %(line)s)
ORDER BY p.line, p.item_id, p.part FOR UPDATE
"""
# Sent again after an issue: the ids of a proposal's invoice stay, so nothing can be issued twice.
ISSUED = """
UPDATE proposal p SET status = 'issued', version = p.version + 1
FROM record r WHERE p.status = 'approved' AND r.kind = 'invoice' AND r.id = p.id
"""


class _Proposal:
    """A proposal as it stands, its row locked."""

    def __init__(self, row: Sequence[Any]) -> None:
        (
            self.id, self.engagement, self.entity, self.currency, self.customer, self.period_from, self.period_to,
            self.status, self.net, self.version, self.proposed_by, self.changed_by,
        ) = row  # fmt: skip


async def hold(db: Connection, id: str, *, reason: str, by: str, version: int | None = None) -> None:
    """Keep a proposal from being approved until it is released. Raises NotFound, Conflict, UsageError."""
    found = await _locked(db, id, ("draft",), version)
    await _change(db, found, "held", by, "proposal held", reason=_reason(reason))


async def release(db: Connection, id: str, *, by: str, version: int | None = None) -> None:
    """Let a held proposal be approved again."""
    found = await _locked(db, id, ("held",), version)
    await _change(db, found, "draft", by, "proposal released")


async def withdraw(db: Connection, id: str, *, reason: str, by: str, at: datetime, version: int | None = None) -> None:
    """Put all the work of a proposal back into WIP; what is in WIP is proposed again at the next run."""
    found = await _locked(db, id, ("draft", "held"), version)
    await _leave(db, id, "wip", f"withdraw {found.version}", _reason(reason), by, at)
    await _change(db, found, "withdrawn", by, "proposal withdrawn", reason=reason)


async def write_down(
    db: Connection,
    id: str,
    amount: Decimal,
    *,
    line: int | None,
    reason: str,
    by: str,
    at: datetime,
    version: int | None = None,
) -> None:
    """Write part of a line (or of the whole proposal) off: spread over its entries by largest remainder, to the cent.

    Whoever writes down cannot approve the same proposal. Raises UsageError for an amount the line does not have.
    """
    found = await _locked(db, id, ("draft", "held"), version)
    parts = await (await db.execute(PARTS, {"id": id, "line": line})).fetchall()
    there = sum((part[2] for part in parts), Decimal(0))
    if not Decimal(0) < amount <= there:
        raise UsageError(f"between 0 and {there} {found.currency} can be written off here; {amount} was asked for")
    positive = [part for part in parts if part[2] > 0]
    shares = allocate(Money.of(amount, found.currency), [part[2] for part in positive])
    moves = [
        {
            "entry": f"write down {id} {found.version} {part}",
            "item_id": item,
            "out_of": ["draft"],
            "placed_in": "written_off",
            "amount": str(share.amount),
            "reference": by,
            "cause": _reason(reason),
            "posted_at": at.isoformat(),
        }
        for (item, part, _), share in zip(positive, shares, strict=True)
        if share
    ]
    await db.execute(MOVE, {"rows": as_json(moves)})
    await recount(db, [id])
    detail = {"amount": str(amount), "currency": found.currency, "line": line, "reason": reason}
    await _change(db, found, found.status, by, "proposal written down", detail=detail)


async def set_aside(
    db: Connection, id: str, line: int, *, reason: str, by: str, at: datetime, version: int | None = None
) -> None:
    """Hold one line's work: it leaves the proposal and is held, with reason and name, until it is released."""
    found = await _locked(db, id, ("draft", "held"), version)
    moved = await _leave(db, id, "held", f"set aside {found.version}", _reason(reason), by, at, line)
    if not moved:
        raise NotFound(f"proposal {id} has no line {line}")
    await recount(db, [id])
    detail = {"line": line, "reason": reason}
    await _change(db, found, None, by, "line set aside", detail=detail)


async def approve(db: Connection, id: str, *, by: str, at: datetime, version: int | None = None) -> InvoiceProposal:
    """Approve a proposal: from here it is locked and becomes an invoice.

    The one who approves has neither proposed it nor changed its amount. Raises NotFound, Conflict.
    """
    found = await _locked(db, id, ("draft",), version)
    if by in (found.proposed_by, found.changed_by):
        raise Conflict(f"{by} has changed this proposal; somebody else must approve it")
    terms = (await declared.latest(db, [(found.engagement, found.entity)]))[found.engagement, found.entity]
    rows = await (await db.execute(LINES, {"id": id})).fetchall()
    currency = found.currency
    proposal = InvoiceProposal(
        id=id,
        engagement_id=found.engagement,
        legal_entity=found.entity,
        customer_id=found.customer,
        currency=currency,
        period_from=found.period_from,
        period_to=found.period_to,
        lines=tuple(
            ProposedLine(f"{id}-{line}", text, Money(net, currency), quantity, unit_of(kind), rate, first, last)
            for line, text, net, quantity, kind, rate, first, last in rows
        ),
        net=Money(found.net, currency),
        terms_days=terms.terms_days,
        approved_by=by,
        approved_at=at.isoformat(),
    )
    body = to_plain(proposal)
    await Records(write).keep(db, [("invoice_proposal", id, body, found.engagement)], at)
    payload = {"approved_by": by, "lines": len(rows), "money": to_plain(proposal.net)}
    fact = Fact(PROPOSAL_APPROVED, id, at.isoformat(), by, payload, correlation=found.engagement)
    await eventlog.append(db, [fact_row(fact, found.engagement, None)])
    await _change(db, found, "approved", None, "proposal approved", approved_by=by, approved_at=at, actor=by)
    return proposal


async def note_issued(db: Connection) -> int:
    """Mark approved proposals whose invoice is issued; how many."""
    return (await db.execute(ISSUED)).rowcount


def unit_of(kind: str) -> str:
    """The unit in which a line of this kind counts."""
    return {"time": "h", "usage": "unit"}.get(kind, "item")


async def _locked(db: Connection, id: str, expected: tuple[str, ...], version: int | None) -> _Proposal:
    row = await (await db.execute(LOCK, {"id": id})).fetchone()
    if row is None:
        raise NotFound(f"there is no proposal {id}")
    found = _Proposal(row)
    if version is not None and found.version != version:
        raise Conflict("the proposal has changed since you read it; read it again")
    if found.status not in expected:
        raise Conflict(f"the proposal is {found.status}; this can be done while it is {' or '.join(expected)}")
    return found


async def _leave(
    db: Connection, id: str, into: str, entry: str, reason: str, by: str, at: datetime, line: int | None = None
) -> int:
    parameters = {"id": id, "into": into, "entry": f"{entry} {id}", "cause": reason, "by": by, "at": at, "line": line}
    return (await db.execute(BACK_TO_WIP, parameters)).rowcount


async def _change(
    db: Connection,
    found: _Proposal,
    status: str | None,
    changed_by: str | None,
    action: str,
    *,
    reason: str | None = None,
    approved_by: str | None = None,
    approved_at: datetime | None = None,
    actor: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    if status is not None:
        await db.execute(
            CHANGE,
            {
                "id": found.id,
                "status": status,
                "reason": reason,
                # Holding changes no amount, so it keeps nobody from approving.
                "changed_by": changed_by if action in ("proposal written down", "line set aside") else None,
                "approved_by": approved_by,
                "approved_at": approved_at,
            },
        )
    told = {"before": found.status, "after": status or found.status, "reason": reason, **(detail or {})}
    await audit.write(db, actor or changed_by or "accord", action, found.id, told)


def _reason(text: str) -> str:
    if not text.strip():
        raise UsageError("say why: a reason is kept with what was done")
    return text.strip()[:500]
