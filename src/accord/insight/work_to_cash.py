"""From work to cash, step by step: how long each step of the invoices of a span of time took, weighted by amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from accord.db import keyset
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.model.money import Money
from accord.rules.measures import latency
from accord.rules.measures.latency import Latency

MOST = 2_000  # invoices that the picture is made of: the newest of the span

# Order and names of the steps, with the measures that define them; the last one is the whole way.
STEPS: tuple[tuple[str, str, Latency], ...] = (
    ("approval", "Work to approval", latency.work_to_approval),
    ("draft", "Approval to proposal", latency.approval_to_draft),
    ("approved", "Proposal to its approval", latency.draft_to_approved),
    ("issued", "Approval to invoice", latency.approved_to_issued),
    ("posted", "Invoice to ERP", latency.issued_to_posted),
    ("paid", "ERP to cash", latency.posted_to_paid),
    ("whole", "Work to cash", latency.work_to_cash),
)

NEWEST = """
    SELECT * FROM receivable r
    WHERE r.issued_on >= %(since)s AND r.status NOT IN ('draft', 'void')
        AND (%(currency)s::text IS NULL OR r.currency = %(currency)s)
        AND (%(entities)s::text[] IS NULL OR r.legal_entity = ANY(%(entities)s))
    ORDER BY r.issued_on DESC, r.invoice_id DESC LIMIT %(most)s
"""
INVOICES = f"""
    SELECT r.invoice_id, r.number, r.engagement, r.legal_entity, r.currency, r.net, r.issued_on, r.issued_at,
        r.paid_at, p.period_from::timestamp AT TIME ZONE 'UTC' AS worked_at, p.proposed_at, n.changed_at AS posted_at,
        coalesce(p.work_approved_at, CASE WHEN p.id IS NULL THEN (
            SELECT max(i.approved_at) FROM item_part q JOIN billable_item i ON i.id = q.item_id
            WHERE q.document = r.invoice_id) END) AS work_approved_at,
        p.approved_at, p.id IS NULL AS without_proposal
    FROM ({NEWEST}) r
    LEFT JOIN proposal p ON p.id = r.invoice_id
    LEFT JOIN record n ON n.kind = 'invoice_posting' AND n.id = r.invoice_id
"""
LASTED = """
    SELECT i.*, s.step, extract(epoch FROM s.until - s.since) AS seconds FROM invoice i
    CROSS JOIN LATERAL (VALUES ('approval', i.worked_at, i.work_approved_at),
        ('draft', i.work_approved_at, i.proposed_at), ('approved', i.proposed_at, i.approved_at),
        ('issued', CASE WHEN i.without_proposal THEN i.work_approved_at ELSE i.approved_at END, i.issued_at),
        ('posted', i.issued_at, i.posted_at), ('paid', i.posted_at, i.paid_at), ('whole', i.worked_at, i.paid_at)
    ) AS s (step, since, until) WHERE s.since IS NOT NULL AND s.until IS NOT NULL
"""
# The nearest rank by amount: the shortest time at which at least that part of all money is through, as the measures
# reckon it; a credit weighs as much as an invoice of its size.
READ = f"""
WITH invoice AS MATERIALIZED ({INVOICES}), lasted AS MATERIALIZED ({LASTED}), weighed AS (
    SELECT l.step, l.currency, l.seconds, abs(l.net) AS weight,
        sum(abs(l.net)) OVER (PARTITION BY l.currency, l.step ORDER BY l.seconds) AS reached,
        sum(abs(l.net)) OVER (PARTITION BY l.currency, l.step) AS whole
    FROM lasted l
)
SELECT currency, step, count(*), min(seconds) FILTER (WHERE reached >= 0.5 * whole AND whole > 0) / 3600,
    min(seconds) FILTER (WHERE reached >= 0.9 * whole AND whole > 0) / 3600, sum(weight)
FROM weighed GROUP BY 1, 2
"""
COUNT = f"SELECT i.currency, count(*) FROM ({NEWEST}) i GROUP BY 1 ORDER BY 1"
ROWS = f"""
WITH invoice AS MATERIALIZED ({INVOICES}), lasted AS ({LASTED})
SELECT l.invoice_id, l.number, l.engagement, d.body ->> 'name', l.legal_entity, l.currency, l.net, l.issued_on,
    l.seconds / 3600, l.seconds
FROM lasted l LEFT JOIN record d ON d.kind = 'deal' AND d.id = l.engagement
WHERE l.step = %(step)s
    AND (%(after)s::numeric IS NULL OR (-l.seconds, l.invoice_id) > (-%(after)s::numeric, %(after_id)s))
ORDER BY l.seconds DESC, l.invoice_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way: how many invoices went it, half and nine tenths of their money within how many hours."""

    name: str
    label: str
    count: int
    median_hours: Decimal | None
    p90_hours: Decimal | None
    amount: Money
    formula: str
    note: str


@dataclass(frozen=True, slots=True)
class Way:
    """All steps of the invoices issued since a day in one currency. `cut` says that only the newest MOST were read."""

    currency: str
    since: date
    invoices: int
    steps: tuple[Step, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class StepRow:
    """How long one step of one invoice took."""

    invoice_id: str
    number: str | None
    engagement: str | None
    engagement_name: str | None
    legal_entity: str
    net: Money
    issued_on: date | None
    hours: Decimal


@dataclass(frozen=True, slots=True)
class StepPage:
    """A page of invoices and the cursor of the next one."""

    rows: tuple[StepRow, ...]
    next: str | None


async def ways(
    db: Connection, as_of: date, *, days: int = 90, currency: str | None = None, entities: Sequence[str] | None = None
) -> list[Way]:
    """The way from work to cash of the invoices of the last `days` days, for each currency."""
    since = as_of - timedelta(days=days)
    about = _about(since, currency, entities)
    counts = await (await db.execute(COUNT, about)).fetchall()
    found = {(row[0], row[1]): row[2:] for row in await (await db.execute(READ, about)).fetchall()}
    cut = sum(count for _, count in counts) >= MOST
    nothing = (0, None, None, Decimal(0))
    return [
        Way(
            unit, since, count, tuple(_step(*each, unit, found.get((unit, each[0]), nothing)) for each in STEPS), cut
        )
        for unit, count in counts
    ]  # fmt: skip


async def slowest(
    db: Connection,
    as_of: date,
    step: str,
    *,
    days: int = 90,
    currency: str | None = None,
    entities: Sequence[str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> StepPage:
    """The invoices behind one step, the slowest first. Raises UsageError, CursorNotUnderstood."""
    known = [name for name, _, _ in STEPS]
    if step not in known:
        raise UsageError(f"the step is one of {', '.join(known)}; {step!r} was asked for")
    after, id = (None, None) if cursor is None else keyset.decode(cursor, str, str)
    place = {"after": None if after is None else keyset.number(after), "after_id": id, "limit": limit + 1}
    about = {**_about(as_of - timedelta(days=days), currency, entities), **place, "step": step}
    found = await (await db.execute(ROWS, about)).fetchall()
    rows = tuple(StepRow(*(*row[:5], Money(row[6], row[5]), *row[7:9])) for row in found[:limit])
    return StepPage(rows, keyset.encode(str(found[limit - 1][9]), rows[-1].invoice_id) if len(found) > limit else None)


def _about(since: date, currency: str | None, entities: Sequence[str] | None) -> dict[str, object]:
    return {
        "since": since,
        "currency": currency,
        "entities": None if entities is None else list(entities),
        "most": MOST,
    }


def _step(
    name: str,
    label: str,
    measure: Latency,
    currency: str,
    row: tuple[int, Decimal | None, Decimal | None, Decimal],
) -> Step:
    definition = measure.median_by_amount.definition
    count, median, p90, amount = row
    return Step(name, label, count, median, p90, Money(amount, currency), definition.formula, definition.note)
