"""Changes of money after the work: one asks for a credit, refund, write-off or transfer, and another one decides.

An approved one is kept as a canonical object and told as a fact, which starts the story that carries it to billing,
ledger, ERP and CRM. Each verb is one transaction of the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from accord.engine import eventlog
from accord.engine.shell import Connection, Kept
from accord.engine.turning import fact_row
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.ledger.postings import write
from accord.model.events import Fact
from accord.model.money import Money
from accord.model.plain import Plain, to_plain
from accord.records.knowledge import Records

REQUEST = """
INSERT INTO adjustment (id, kind, about, engagement, legal_entity, currency, amount, reason, body, requested_by,
    requested_at)
VALUES (%(id)s, %(kind)s, %(about)s, %(engagement)s, %(entity)s, %(currency)s, %(amount)s, %(reason)s, %(body)s,
    %(by)s, %(at)s)
ON CONFLICT (id) DO NOTHING RETURNING 1
"""
COLUMNS = """
SELECT id, kind, about, engagement, legal_entity, currency, amount, reason, body, status, requested_by, requested_at,
    decided_by, decided_at, decision
FROM adjustment
"""
LOCK = COLUMNS + "WHERE id = %(id)s FOR UPDATE"
LIST = (
    COLUMNS
    + """
WHERE (%(status)s::text IS NULL OR status = %(status)s) AND (%(about)s::text IS NULL OR about = %(about)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(entities)s::text[] IS NULL OR legal_entity = ANY(%(entities)s))
ORDER BY requested_at, id LIMIT %(limit)s
"""
)
DECIDE = """
UPDATE adjustment SET status = %(status)s, decided_by = %(by)s, decided_at = %(at)s, decision = %(decision)s
WHERE id = %(id)s
"""
BACK_TO_WIP = """
UPDATE item_part SET disposition = 'wip', document = NULL, line = NULL, entry = 'refuse ' || %(id)s || ' ' || part,
    cause = %(cause)s, reference = %(by)s, posted_at = %(at)s
WHERE document = %(id)s AND disposition = 'draft'
"""
# The day of a thing is that of its approval.
DATED = ("issued_on", "refunded_on", "written_off_on", "written_up_on", "transferred_on")
WORDS = {
    "credit_note": "credit",
    "refund": "refund",
    "write_off": "write-off",
    "write_up": "write-up",
    "work_transfer": "transfer",
}


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of money as it was asked for, and what was decided. `status` is requested | approved | refused."""

    id: str
    kind: str
    about: str
    engagement: str | None
    legal_entity: str
    currency: str
    amount: Decimal
    reason: str
    body: Plain
    status: str
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision: str | None


async def ask(
    db: Connection,
    kind: str,
    about: str,
    thing: Any,
    amount: Money,
    *,
    engagement: str | None,
    legal_entity: str,
    reason: str,
    by: str,
    at: datetime,
) -> str:
    """Ask for a change; `thing` is the canonical object that it becomes once somebody else approves. Its id.

    Raises UsageError without a reason, Conflict when the same was asked for before.
    """
    row = {
        "id": thing.id,
        "kind": kind,
        "about": about,
        "engagement": engagement,
        "entity": legal_entity,
        "currency": amount.currency,
        "amount": amount.amount,
        "reason": why(reason),
        "body": Jsonb(to_plain(thing)),
        "by": by,
        "at": at,
    }
    if await (await db.execute(REQUEST, row)).fetchone() is None:
        raise Conflict(f"this {WORDS[kind]} was asked for already")
    detail = {"about": about, "amount": str(amount.amount), "currency": amount.currency, "reason": reason}
    await audit.write(db, by, f"{WORDS[kind]} asked for", thing.id, detail)
    return str(thing.id)


async def approve(
    db: Connection, id: str, *, by: str, at: datetime, entities: Sequence[str] | None = None
) -> Adjustment:
    """Approve what somebody else has asked for: it is kept, and its story starts. Raises NotFound, Conflict."""
    found = await _locked(db, id, entities)
    if by == found.requested_by:
        raise Conflict(f"{by} has asked for this {WORDS[found.kind]}; somebody else must approve it")
    thing = {**found.body, "approved_by": by, "status": "approved"}
    thing |= {name: at.date().isoformat() for name in DATED if name in thing}
    await Records(write).keep(db, [Kept(found.kind, id, thing, found.engagement)], at)
    payload = {
        "approved_by": by,
        "invoice_id": thing.get("invoice_id"),
        "about": found.about,
        "reason": found.reason,
        "money": to_plain(Money(found.amount, found.currency)),
    }
    fact = Fact(f"{found.kind}.approved", id, at.isoformat(), by, payload, correlation=found.engagement)
    await eventlog.append(db, [fact_row(fact, found.engagement, None)])
    await _decide(db, found, "approved", by, at, None)
    return found


async def refuse(
    db: Connection, id: str, *, reason: str, by: str, at: datetime, entities: Sequence[str] | None = None
) -> None:
    """Refuse what was asked for, or take back what one has asked for oneself; work that lies on it is WIP again.

    Raises NotFound, Conflict, UsageError.
    """
    found = await _locked(db, id, entities)
    await _decide(db, found, "refused", by, at, why(reason))
    if found.body.get("dispute_id"):  # the dispute behind it is to be decided anew
        again = {"id": found.body["dispute_id"], "outcome": None, "credit_id": None, "decided_by": None}
        await Records(write).keep(db, [Kept("line_dispute", again["id"], again, found.engagement)], at)
    await db.execute(BACK_TO_WIP, {"id": id, "cause": why(reason), "by": by, "at": at})


async def waiting(
    db: Connection,
    *,
    status: str | None = "requested",
    about: str | None = None,
    kind: str | None = None,
    entities: Sequence[str] | None = None,
    limit: int = 200,
) -> list[Adjustment]:
    """Changes that were asked for, the oldest first: those that nobody has decided, or of another status."""
    given = {"status": status, "about": about, "kind": kind, "limit": limit}
    scope = None if entities is None else list(entities)
    return [Adjustment(*row) for row in await (await db.execute(LIST, {**given, "entities": scope})).fetchall()]


def why(text: str) -> str:
    """The reason, trimmed. Raises UsageError when there is none."""
    if not text.strip():
        raise UsageError("say why: a reason is kept with what was done")
    return text.strip()[:500]


async def _locked(db: Connection, id: str, entities: Sequence[str] | None) -> Adjustment:
    row = await (await db.execute(LOCK, {"id": id})).fetchone()
    found = None if row is None else Adjustment(*row)
    if found is None or (entities is not None and found.legal_entity not in entities):
        raise NotFound(f"nobody has asked for {id}")
    if found.status != "requested":
        raise Conflict(f"it was {found.status} by {found.decided_by} already")
    return found


async def _decide(db: Connection, found: Adjustment, status: str, by: str, at: datetime, decision: str | None) -> None:
    await db.execute(DECIDE, {"id": found.id, "status": status, "by": by, "at": at, "decision": decision})
    detail = {"about": found.about, "amount": str(found.amount), "currency": found.currency, "reason": decision}
    await audit.write(db, by, f"{WORDS[found.kind]} {status}", found.id, detail)
