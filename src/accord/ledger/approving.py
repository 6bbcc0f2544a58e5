"""What people do with invoice proposals: hold, release, withdraw, write down, transfer, approve with four eyes.

Each is one transaction: the state, the ledger, the audit entry, and for an approval the fact that starts the invoice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.engine import eventlog
from accord.engine.shell import Connection, Kept
from accord.engine.turning import fact_row
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.ledger import terms as declared
from accord.ledger.postings import write
from accord.ledger.proposing import recount
from accord.ledger.writing_down import PARTS_HELD_FAST, shares, write_off
from accord.model.billing import InvoiceProposal, ProposedLine
from accord.model.events import PROPOSAL_APPROVED, Fact
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.records.knowledge import Records

LOCK = """
SELECT id, engagement, legal_entity, currency, customer, period_from, period_to, status, net, version, proposed_by,
    changers
FROM proposal WHERE id = %(id)s FOR UPDATE
"""
LINES = """
SELECT l.line, l.text, l.net, l.quantity, l.kind, l.rate, l.worked_from, l.worked_to FROM proposal_line l
WHERE l.proposal_id = %(id)s ORDER BY l.line
"""
# An invoice counts its lines without gaps, so what lies on a line bears the number that the customer will read. What
# another line still has is taken by way of a number below zero.
NUMBERED = """
WITH numbered AS (
    SELECT l.line, row_number() OVER (ORDER BY l.line) AS number FROM proposal_line l WHERE l.proposal_id = %(id)s
)
"""
RENUMBER = (
    NUMBERED
    + """
UPDATE item_part p SET line = n.number FROM numbered n
WHERE p.document = %(id)s AND p.disposition = 'draft' AND p.line = n.line AND n.number <> n.line
""",
    NUMBERED
    + """
UPDATE proposal_line l SET line = -n.number FROM numbered n
WHERE l.proposal_id = %(id)s AND l.line = n.line AND n.number <> n.line
""",
    "UPDATE proposal_line SET line = -line WHERE proposal_id = %(id)s AND line < 0",
)
CHANGE = """
UPDATE proposal SET status = %(status)s, reason = %(reason)s, version = version + 1 WHERE id = %(id)s
"""
# Everybody who changes an amount is kept: a second change must not let the first one's author approve.
CHANGED_BY = """
UPDATE proposal SET changed_by = %(by)s,
    changers = CASE WHEN %(by)s = ANY (changers) THEN changers ELSE changers || %(by)s::text END
WHERE id = %(id)s
"""
APPROVE = """
UPDATE proposal SET status = 'approved', approved_by = %(by)s, approved_at = %(at)s, version = version + 1,
    work_approved_at = (SELECT max(i.approved_at) FROM item_part p JOIN billable_item i ON i.id = p.item_id
        WHERE p.document = %(id)s AND p.disposition = 'draft')
WHERE id = %(id)s
"""
BACK_TO_WIP = """
UPDATE item_part SET disposition = %(into)s, document = NULL, line = NULL,
    entry = %(entry)s || ' ' || part, cause = %(cause)s, reference = %(by)s, posted_at = %(at)s
WHERE document = %(id)s AND disposition = 'draft' AND (%(line)s::integer IS NULL OR line = %(line)s)
"""
# Sent again after an issue: the ids of a proposal's invoice stay, so nothing can be issued twice.
ISSUED = """
UPDATE proposal p SET status = 'issued', version = p.version + 1
FROM record r WHERE p.status = 'approved' AND r.kind = 'invoice' AND r.id = p.id
"""


class ProposalChanged(Conflict):
    """The proposal has changed since it was read; read it again."""


class _Proposal:
    """A proposal as it stands, its row locked."""

    def __init__(self, row: Sequence[Any]) -> None:
        (
            self.id, self.engagement, self.entity, self.currency, self.customer, self.period_from, self.period_to,
            self.status, self.net, self.version, self.proposed_by, self.changers,
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
    why = _reason(reason)
    parts = await (await db.execute(PARTS_HELD_FAST, {"id": id, "line": line})).fetchall()
    spread = shares(amount, found.currency, parts)
    await write_off(db, spread, entry=f"write down {id} {found.version}", reason=why, by=by, at=at)
    await recount(db, [id])
    detail = {"amount": str(amount), "currency": found.currency, "line": line, "reason": reason}
    await _note_change(db, found, by, "proposal written down", detail)


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
    await _note_change(db, found, by, "line set aside", detail)


async def approve(db: Connection, id: str, *, by: str, at: datetime, version: int | None = None) -> InvoiceProposal:
    """Approve a proposal: from here it is locked and becomes an invoice.

    The one who approves has neither proposed it nor changed its amount. Raises NotFound, Conflict.
    """
    found = await _locked(db, id, ("draft",), version)
    if by in (found.proposed_by, *found.changers):
        raise Conflict(f"{by} has changed this proposal; somebody else must approve it")
    terms = (await declared.latest(db, [(found.engagement, found.entity)]))[found.engagement, found.entity]
    rows = await _lines(db, id)
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
    await Records(write).keep(db, [Kept("invoice_proposal", id, body, found.engagement)], at)
    payload = {"approved_by": by, "lines": len(rows), "money": to_plain(proposal.net)}
    fact = Fact(PROPOSAL_APPROVED, id, at.isoformat(), by, payload, correlation=found.engagement)
    await eventlog.append(db, [fact_row(fact, found.engagement, None)])
    await db.execute(APPROVE, {"id": id, "by": by, "at": at})
    await audit.write(db, by, "proposal approved", id, {"before": found.status, "after": "approved"})
    return proposal


async def _lines(db: Connection, id: str) -> list[Any]:
    """The lines of a proposal, numbered from 1 without gaps: some may have been emptied by what was taken back."""
    rows = await (await db.execute(LINES, {"id": id})).fetchall()
    if [row[0] for row in rows] == list(range(1, len(rows) + 1)):
        return rows
    for statement in RENUMBER:
        await db.execute(statement, {"id": id})
    return await (await db.execute(LINES, {"id": id})).fetchall()


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
        raise ProposalChanged("the proposal has changed since you read it; read it again")
    if found.status not in expected:
        raise Conflict(f"the proposal is {found.status}; this can be done while it is {' or '.join(expected)}")
    return found


async def _leave(
    db: Connection, id: str, into: str, entry: str, reason: str, by: str, at: datetime, line: int | None = None
) -> int:
    parameters = {"id": id, "into": into, "entry": f"{entry} {id}", "cause": reason, "by": by, "at": at, "line": line}
    return (await db.execute(BACK_TO_WIP, parameters)).rowcount


async def _change(
    db: Connection, found: _Proposal, status: str, by: str, action: str, *, reason: str | None = None
) -> None:
    await db.execute(CHANGE, {"id": found.id, "status": status, "reason": reason})
    await audit.write(db, by, action, found.id, {"before": found.status, "after": status, "reason": reason})


async def _note_change(db: Connection, found: _Proposal, by: str, action: str, detail: dict[str, Any]) -> None:
    """The amount is another now; its state is what the recount made of it."""
    await db.execute(CHANGED_BY, {"id": found.id, "by": by})
    await audit.write(db, by, action, found.id, {"before": found.status, **detail})


def _reason(text: str) -> str:
    if not text.strip():
        raise UsageError("say why: a reason is kept with what was done")
    return text.strip()[:500]
