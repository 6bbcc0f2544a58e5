"""Invoice proposals: what lies in WIP up to a day, gathered into lines by engagement, legal entity and currency.

The identity of a proposal is that of the invoice it becomes: engagement, legal entity, currency, last day of the period
and which one of that period it is. Its lines are what the customer reads; the parts of items point to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.ledger.correcting import propose_credits
from accord.model.identity import canonical_id

PARTS_AT_ONCE = 50_000

# What a proposal is of: engagement, legal entity and currency.
Place = tuple[str, str, str]
NAMES = ("engagement", "legal_entity", "currency")

# Milestones, subscription periods and changed services bill themselves: their stories move them on.
OWN_STORY = ("milestone", "subscription_period", "service_change")

READY = """
SELECT t.engagement, t.legal_entity, t.currency, sum(t.parts)::bigint
FROM ledger_total t
WHERE t.disposition = 'wip' AND t.month <= %(to)s AND t.parts > 0
    AND (%(engagement)s::text IS NULL OR t.engagement = %(engagement)s)
    AND (t.engagement, t.legal_entity, t.currency) > (%(after_engagement)s, %(after_entity)s, %(after_currency)s)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT 1000
"""
# Several runs may share the work: what another one is at is left to it.
ONE_AT_A_TIME = """
SELECT x.engagement, x.legal_entity, x.currency
FROM json_to_recordset(%(rows)s::json) AS x (engagement text, legal_entity text, currency text)
WHERE pg_try_advisory_xact_lock(hashtextextended(
    'proposal of ' || x.engagement || ' ' || x.legal_entity || ' ' || x.currency, 0))
"""
# Asked once the lock is held: a run that held it before may have proposed for the same period.
EARLIER = """
SELECT x.engagement, x.legal_entity, x.currency,
    (SELECT count(*) FROM proposal p WHERE p.engagement = x.engagement AND p.legal_entity = x.legal_entity
        AND p.currency = x.currency AND p.period_to = %(to)s)
FROM json_to_recordset(%(rows)s::json) AS x (engagement text, legal_entity text, currency text)
"""
# What a correction leaves below zero stays in WIP and lessens the next invoice.
PROPOSE = """
WITH wanted AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (id text, engagement text, legal_entity text, currency text)
), terms AS (
    SELECT DISTINCT ON (w.id) w.*, t.customer, coalesce(t.body ->> 'lines_per', 'worker') AS lines_per
    FROM wanted w JOIN billing_terms t ON t.engagement = w.engagement AND t.legal_entity = w.legal_entity
    ORDER BY w.id, t.version DESC
), ready AS (
    SELECT w.id, p.item_id, p.part, p.amount, p.quantity, p.worked_on, i.kind, i.rate, w.lines_per,
        CASE WHEN w.lines_per IN ('worker', 'item') THEN i.worker END AS worker,
        CASE WHEN w.lines_per IN ('role', 'item') THEN i.role END AS role,
        CASE WHEN w.lines_per IN ('task', 'item') THEN i.task END AS task,
        CASE WHEN w.lines_per = 'item' THEN i.id END AS item
    FROM terms w JOIN item_part p ON p.engagement = w.engagement AND p.legal_entity = w.legal_entity
        AND p.currency = w.currency AND p.disposition = 'wip' AND p.worked_on <= %(to)s
    JOIN billable_item i ON i.id = p.item_id AND i.kind <> ALL (%(own_story)s)
), numbered AS (
    SELECT r.*, dense_rank() OVER (PARTITION BY r.id ORDER BY r.kind, r.worker, r.role, r.task, r.rate, r.item) AS line
    FROM ready r
), kept AS (
    SELECT id FROM numbered GROUP BY id HAVING sum(amount) > 0
), line AS (
    SELECT n.id, n.line, n.kind, n.worker, n.role, n.task, n.rate, sum(n.quantity) AS quantity, sum(n.amount) AS net,
        min(n.worked_on) AS first, max(n.worked_on) AS last, count(*) AS parts
    FROM numbered n JOIN kept USING (id) GROUP BY 1, 2, 3, 4, 5, 6, 7
), made AS (
    INSERT INTO proposal (id, engagement, legal_entity, currency, customer, period_from, period_to, net, lines,
        proposed_at, proposed_by)
    SELECT t.id, t.engagement, t.legal_entity, t.currency, t.customer, min(l.first), %(to)s, sum(l.net), count(*),
        %(at)s, %(by)s
    FROM terms t JOIN line l ON l.id = t.id GROUP BY 1, 2, 3, 4, 5
    RETURNING id, net, lines
), lines AS (
    INSERT INTO proposal_line (proposal_id, line, text, kind, worker, role, task, rate, quantity, net, worked_from,
        worked_to)
    SELECT id, line, coalesce(worker, role, task, initcap(replace(kind, '_', ' '))), kind, worker, role, task, rate,
        coalesce(quantity, 1), net, first, last
    FROM line
), moved AS (
    UPDATE item_part p SET disposition = 'draft', document = n.id, line = n.line, entry = 'propose ' || n.id,
        cause = 'proposed', reference = NULL, posted_at = %(at)s
    FROM numbered n JOIN kept k ON k.id = n.id WHERE p.item_id = n.item_id AND p.part = n.part AND p.disposition = 'wip'
    RETURNING p.item_id
)
SELECT (SELECT count(*) FROM made), (SELECT coalesce(sum(lines), 0) FROM made), (SELECT count(*) FROM moved)
"""
RECOUNT = """
WITH counted AS (
    SELECT p.document AS id, p.line, sum(p.amount) AS net, sum(p.quantity) AS quantity, min(p.worked_on) AS first,
        max(p.worked_on) AS last
    FROM item_part p WHERE p.document = ANY(%(ids)s) AND p.disposition = 'draft' GROUP BY 1, 2
), gone AS (
    DELETE FROM proposal_line l WHERE l.proposal_id = ANY(%(ids)s)
        AND NOT EXISTS (SELECT FROM counted c WHERE c.id = l.proposal_id AND c.line = l.line)
), lines AS (
    UPDATE proposal_line l SET net = c.net, quantity = coalesce(c.quantity, l.quantity), worked_from = c.first,
        worked_to = c.last
    FROM counted c WHERE l.proposal_id = c.id AND l.line = c.line
)
UPDATE proposal d SET net = coalesce(s.net, 0), lines = coalesce(s.lines, 0), version = d.version + 1,
    status = CASE WHEN s.id IS NULL THEN 'withdrawn' ELSE d.status END
FROM unnest(%(ids)s::text[]) AS x (id)
LEFT JOIN (SELECT id, sum(net) AS net, count(*) AS lines FROM counted GROUP BY 1) s ON s.id = x.id
WHERE d.id = x.id
"""


@dataclass(slots=True)
class Proposed:
    """What a run proposed."""

    proposals: int = 0
    lines: int = 0
    parts: int = 0


async def propose(
    db: Connection, period_to: date, *, at: datetime, by: str = "accord", engagement: str | None = None
) -> Proposed:
    """Propose invoices for the work in WIP that was done up to `period_to`, of one engagement or of all.

    Corrections of invoiced work first become credits where the terms say so. One transaction for all of it;
    `propose_some` goes on from a place, for runs that commit on their way. Asking again proposes what has come since.
    """
    total = Proposed()
    place: Place | None = ("", "", "")
    while place is not None:
        some, place = await propose_some(db, period_to, at=at, by=by, engagement=engagement, after=place)
        total.proposals += some.proposals
        total.lines += some.lines
        total.parts += some.parts
    return total


async def propose_some(
    db: Connection,
    period_to: date,
    *,
    at: datetime,
    by: str = "accord",
    engagement: str | None = None,
    after: Place = ("", "", ""),
    parts_at_once: int = PARTS_AT_ONCE,
) -> tuple[Proposed, Place | None]:
    """Propose for the next engagements after a place, about `parts_at_once` parts; and the next place, None at the
    end. Safe to run in several processes at once: each takes what the others are not at."""
    parameters = {
        "to": period_to,
        "engagement": engagement,
        "after_engagement": after[0],
        "after_entity": after[1],
        "after_currency": after[2],
    }
    ready = await (await db.execute(READY, parameters)).fetchall()
    chosen: list[Place] = []
    parts = 0
    for engagement_id, entity, currency, count in ready:
        if chosen and parts + count > parts_at_once:
            break
        chosen.append((engagement_id, entity, currency))
        parts += count
    if not chosen:
        return Proposed(), None
    mine = await _alone(db, chosen, period_to)
    if not mine:
        return Proposed(), chosen[-1]
    await propose_credits(db, mine, at=at, by=by)
    wanted = {"rows": as_json(mine), "to": period_to, "at": at, "by": by, "own_story": list(OWN_STORY)}
    found = await (await db.execute(PROPOSE, wanted, prepare=False)).fetchone()
    assert found is not None
    return Proposed(*map(int, found)), chosen[-1]


async def _alone(db: Connection, keys: Sequence[Place], period_to: date) -> list[dict[str, str]]:
    """Those of these engagements that no other run is at, with the identity of their next proposal."""
    asked = as_json([dict(zip(NAMES, key, strict=True)) for key in keys])
    held = await (await db.execute(ONE_AT_A_TIME, {"rows": asked})).fetchall()
    told = as_json([dict(zip(NAMES, key, strict=True)) for key in held])
    counted = await (await db.execute(EARLIER, {"rows": told, "to": period_to})).fetchall()
    return [
        {
            "id": proposal_id(engagement, entity, currency, period_to, earlier),
            "engagement": engagement,
            "legal_entity": entity,
            "currency": currency,
        }
        for engagement, entity, currency, earlier in counted
    ]


def proposal_id(engagement: str, entity: str, currency: str, period_to: date, earlier: int) -> str:
    """The identity of a proposal and of the invoice it becomes; `earlier` counts those of the same period before it."""
    return canonical_id("invoice", "work", engagement, entity, currency, period_to.isoformat(), str(earlier))


async def recount(db: Connection, ids: Sequence[str]) -> None:
    """Bring the lines and sums of proposals up to what their parts say; one without parts is withdrawn."""
    if ids:
        await db.execute(RECOUNT, {"ids": list(ids)})
