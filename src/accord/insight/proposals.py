"""Invoice proposals as people look at them: what waits, one with its lines and its history, a line explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from accord.db import keyset
from accord.engine.shell import Connection
from accord.errors import NotFound, UsageError
from accord.ledger.explaining import ItemExplained, explain_items
from accord.model.money import Money

OPEN = ("draft", "held", "approved")
STATES = (*OPEN, "issued", "withdrawn")

SUMMARY = """
SELECT p.status, p.currency, count(*), sum(p.net), min(p.proposed_at) FROM proposal p
WHERE p.status IN ('draft', 'held', 'approved') AND (%(entities)s::text[] IS NULL OR p.legal_entity = ANY(%(entities)s))
GROUP BY 1, 2 ORDER BY 2
"""
COLUMNS = """p.id, p.status, p.engagement, d.body ->> 'name', p.legal_entity, p.customer, c.body ->> 'legal_name',
    p.currency, p.net, p.lines, p.period_from, p.period_to, p.proposed_at, p.proposed_by, p.changers, p.approved_by,
    p.approved_at, p.reason, p.version"""
NAMES = """LEFT JOIN record d ON d.kind = 'deal' AND d.id = p.engagement
LEFT JOIN record c ON c.kind = 'customer' AND c.id = p.customer"""
# The open ones have an index of their own, those of one engagement another, and only there the settled ones show: two
# statements, since a plan for both would use neither.
NEXT = f"""
WITH page AS (
    SELECT * FROM proposal p
    WHERE {{which}}
        AND (%(status)s::text IS NULL OR p.status = %(status)s)
        AND (%(currency)s::text IS NULL OR p.currency = %(currency)s)
        AND (%(entities)s::text[] IS NULL OR p.legal_entity = ANY(%(entities)s))
        AND (%(after)s::numeric IS NULL OR (-p.net, p.id) > (-%(after)s::numeric, %(after_id)s))
    ORDER BY p.net DESC, p.id LIMIT %(limit)s
)
SELECT {COLUMNS} FROM page p {NAMES} ORDER BY p.net DESC, p.id
"""
LIST_OPEN = NEXT.format(which="p.status IN ('draft', 'held', 'approved')")
LIST_OF_ENGAGEMENT = NEXT.format(which="p.engagement = %(engagement)s")
ONE = f"""
SELECT {COLUMNS} FROM proposal p {NAMES}
WHERE p.id = %(id)s AND (%(entities)s::text[] IS NULL OR p.legal_entity = ANY(%(entities)s))
"""
LINES = """
SELECT l.line, l.text, l.kind, l.worker, l.role, l.task, l.rate, l.quantity, l.net, l.worked_from, l.worked_to
FROM proposal_line l WHERE l.proposal_id = %(id)s AND l.line > %(after)s ORDER BY l.line LIMIT %(limit)s
"""
WRITTEN_OFF = """
SELECT coalesce(sum(p.amount), 0) FROM item_part p WHERE p.document = %(id)s AND p.disposition = 'written_off'
"""
HISTORY = "SELECT a.at, a.actor, a.action, a.detail FROM audit_entry a WHERE a.about = %(id)s ORDER BY a.id LIMIT 200"
# As the line stands: what was written down has left it.
ON_LINE = """
SELECT p.item_id, sum(p.amount) FROM item_part p
WHERE p.document = %(id)s AND p.line = %(line)s
    AND p.disposition IN ('draft', 'billed', 'collected', 'disputed', 'credited') AND p.item_id > %(after)s
GROUP BY 1 ORDER BY 1 LIMIT %(limit)s
"""
LINE_SUM = """
SELECT count(DISTINCT p.item_id), coalesce(sum(p.amount), 0) FROM item_part p
WHERE p.document = %(id)s AND p.line = %(line)s
    AND p.disposition IN ('draft', 'billed', 'collected', 'disputed', 'credited')
"""
ENTITY_OF_ITEM = "SELECT i.legal_entity FROM billable_item i WHERE i.id = %(id)s"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Proposals of one status in one currency; `status` is draft (waits for approval), held or approved (its invoice is
    being made)."""

    status: str
    count: int
    net: Money
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal as its row says. `changers` have changed its amount, so that none of them may approve it."""

    id: str
    status: str
    engagement: str
    engagement_name: str | None
    legal_entity: str
    customer_id: str
    customer: str | None
    currency: str
    net: Money
    lines: int
    period_from: date
    period_to: date
    proposed_at: datetime
    proposed_by: str
    changers: tuple[str, ...]
    approved_by: str | None
    approved_at: datetime | None
    reason: str | None
    version: int

    @property
    def open(self) -> bool:
        return self.status in ("draft", "held")

    def may_be_approved_by(self, actor: str) -> bool:
        """Four eyes: nobody approves what they proposed or changed."""
        return self.status == "draft" and actor not in (self.proposed_by, *self.changers)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of proposals and the cursor of the next one."""

    rows: tuple[Proposal, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line, as the customer will read it. `rate` is per hour or unit; None for what has no single one."""

    line: int
    text: str
    kind: str
    worker: str | None
    role: str | None
    task: str | None
    rate: Decimal | None
    quantity: Decimal
    net: Decimal
    worked_from: date | None
    worked_to: date | None


@dataclass(frozen=True, slots=True)
class Happening:
    """What somebody did with a proposal."""

    at: datetime
    actor: str
    action: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Detail:
    """One proposal with a page of its lines, what was written off it, and its history."""

    proposal: Proposal
    lines: tuple[Line, ...]
    next: str | None
    written_off: Money
    history: tuple[Happening, ...]


@dataclass(frozen=True, slots=True)
class LineShown:
    """One line with a page of its items, each priced anew. `placed` is what all its items come to."""

    proposal: Proposal
    line: Line
    count: int
    placed: Decimal
    items: tuple[tuple[ItemExplained, Decimal], ...]
    next: str | None

    @property
    def agrees(self) -> bool:
        """Whether the line is the sum of its items, and each of those shown its price made again."""
        return self.placed == self.line.net and all(item.agrees for item, _ in self.items)


async def waiting(db: Connection, entities: Sequence[str] | None = None) -> list[Waiting]:
    """What is open, by status and currency."""
    rows = await (await db.execute(SUMMARY, {"entities": _scope(entities)})).fetchall()
    return [Waiting(status, count, Money(net, currency), oldest) for status, currency, count, net, oldest in rows]


async def list_proposals(
    db: Connection,
    *,
    status: str | None = None,
    currency: str | None = None,
    engagement: str | None = None,
    entities: Sequence[str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """Open proposals, the greatest first; with an engagement all of it, settled ones too.

    Raises UsageError, CursorNotUnderstood.
    """
    if status is not None and status not in STATES:
        raise UsageError(f"the status is one of {', '.join(STATES)}; {status!r} was asked for")
    after, id = (None, None) if cursor is None else keyset.decode(cursor, str, str)
    about = {
        "status": status,
        "currency": currency,
        "engagement": engagement,
        "entities": _scope(entities),
        "after": None if after is None else keyset.number(after),
        "after_id": id,
        "limit": limit + 1,
    }
    query = LIST_OPEN if engagement is None else LIST_OF_ENGAGEMENT
    found = await (await db.execute(query, about)).fetchall()
    rows = tuple(_proposal(row) for row in found[:limit])
    return Page(rows, keyset.encode(str(rows[-1].net.amount), rows[-1].id) if len(found) > limit else None)


async def proposal(db: Connection, id: str, entities: Sequence[str] | None = None) -> Proposal:
    """One proposal. Raises NotFound, also for one of a legal entity that the reader may not see."""
    row = await (await db.execute(ONE, {"id": id, "entities": _scope(entities)})).fetchone()
    if row is None:
        raise NotFound(f"there is no proposal {id}")
    return _proposal(row)


async def show(
    db: Connection, id: str, entities: Sequence[str] | None = None, *, cursor: str | None = None, limit: int = 100
) -> Detail:
    """One proposal with its lines. Raises NotFound, CursorNotUnderstood."""
    found = await proposal(db, id, entities)
    (after,) = (0,) if cursor is None else keyset.decode(cursor, int)
    rows = await (await db.execute(LINES, {"id": id, "after": after, "limit": limit + 1})).fetchall()
    lines = tuple(Line(*row) for row in rows[:limit])
    written = await (await db.execute(WRITTEN_OFF, {"id": id})).fetchone()
    history = await (await db.execute(HISTORY, {"id": id})).fetchall()
    return Detail(
        proposal=found,
        lines=lines,
        next=keyset.encode(lines[-1].line) if len(rows) > limit else None,
        written_off=Money(written[0] if written else Decimal(0), found.currency),
        history=tuple(Happening(*row) for row in history),
    )


async def one_line(db: Connection, id: str, line: int, entities: Sequence[str] | None = None) -> tuple[Proposal, Line]:
    """One line of a proposal. Raises NotFound."""
    found = await proposal(db, id, entities)
    row = await (await db.execute(LINES, {"id": id, "after": line - 1, "limit": 1})).fetchone()
    if row is None or row[0] != line:
        raise NotFound(f"proposal {id} has no line {line}")
    return found, Line(*row)


async def explain_line(
    db: Connection,
    id: str,
    line: int,
    entities: Sequence[str] | None = None,
    *,
    cursor: str | None = None,
    limit: int = 50,
) -> LineShown:
    """A line back to its entries, rates, clauses and caps. Raises NotFound, CursorNotUnderstood."""
    found, shown = await one_line(db, id, line, entities)
    (after,) = ("",) if cursor is None else keyset.decode(cursor, str)
    about = {"id": id, "line": line, "after": after, "limit": limit + 1}
    on_line = await (await db.execute(ON_LINE, about)).fetchall()
    here = dict(on_line[:limit])
    whole = await (await db.execute(LINE_SUM, about)).fetchone()
    assert whole is not None
    explained = await explain_items(db, list(here))
    following = keyset.encode(on_line[limit - 1][0]) if len(on_line) > limit else None
    return LineShown(found, shown, whole[0], whole[1], tuple((each, here[each.id]) for each in explained), following)


async def explain_item(db: Connection, id: str, entities: Sequence[str] | None = None) -> ItemExplained:
    """One item back to its source. Raises NotFound, also for one of a legal entity the reader may not see."""
    row = await (await db.execute(ENTITY_OF_ITEM, {"id": id})).fetchone()
    found = await explain_items(db, [id]) if row and (entities is None or row[0] in entities) else []
    if not found:
        raise NotFound(f"there is no item {id}")
    return found[0]


def _scope(entities: Sequence[str] | None) -> list[str] | None:
    return None if entities is None else list(entities)


def _proposal(row: Sequence[Any]) -> Proposal:
    id, status, engagement, name, entity, customer, legal_name, currency, net, *rest = row
    lines, first, last, proposed_at, proposed_by, changers, approved_by, approved_at, reason, version = rest
    return Proposal(
        id=id,
        status=status,
        engagement=engagement,
        engagement_name=name,
        legal_entity=entity,
        customer_id=customer,
        customer=legal_name,
        currency=currency,
        net=Money(net, currency),
        lines=lines,
        period_from=first,
        period_to=last,
        proposed_at=proposed_at,
        proposed_by=proposed_by,
        changers=tuple(changers),
        approved_by=approved_by,
        approved_at=approved_at,
        reason=reason,
        version=version,
    )
