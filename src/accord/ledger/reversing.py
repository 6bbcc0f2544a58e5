"""Takes back what a revision has overtaken: an item of the opposite amount, and never a change of the first.

What is not invoiced yet lies in `reversed` afterwards, both sides of it. What is invoiced stays where it is; its
opposite goes to WIP and lessens the next invoice, or becomes a credit note, as the terms say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.ledger.proposing import recount

# Fields that make the price: a revision that changes none of them leaves its item as it is.
PRICED = (
    "status", "worked_on", "quantity", "unit", "engagement", "legal_entity", "worker", "worker_entity", "role", "task",
    "category", "cost", "cost_currency", "tax_included", "receipt", "billable",
)  # fmt: skip

STANDING = f"""
SELECT i.id, i.source_id, i.source_revision, i.amount,
    coalesce(i.counters, '[]') || coalesce((
        SELECT jsonb_agg(jsonb_build_array(m.counter, m.added::text, m.reached::text)) FROM cap_move m
        WHERE m.item_id = i.id), '[]'),
    (SELECT ({", ".join(f"o.{name}" for name in PRICED)})
        IS NOT DISTINCT FROM ({", ".join(f"n.{name}" for name in PRICED)})
     FROM work_entry o, work_entry n
     WHERE o.id = i.source_id AND o.revision = i.source_revision AND n.id = i.source_id AND n.current),
    EXISTS (SELECT FROM item_part p WHERE p.item_id = i.id AND p.disposition = 'transferred')
FROM billable_item i
WHERE i.source_id = ANY(%(entries)s) AND i.engagement = %(engagement)s AND i.kind IN ('time', 'expense', 'usage',
    'intercompany') AND i.reverses IS NULL AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)
ORDER BY i.id
"""
# A draft that is approved is locked: the customer's invoice is being made of it.
TAKE_BACK = """
WITH old AS (
    SELECT p.*, p.disposition IN ('wip', 'held', 'over_cap', 'non_billable', 'intercompany', 'drawn')
        OR (p.disposition = 'draft' AND d.status IN ('draft', 'held')) AS open
    FROM item_part p LEFT JOIN proposal d ON d.id = p.document WHERE p.item_id = ANY(%(items)s)
), item AS (
    INSERT INTO billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id, approved_at,
        reverses, worked_on, quantity, unit, rate, rate_id, terms_version, source_revision, worker, role, task, cause)
    SELECT i.id || '-R', i.kind, i.engagement, i.legal_entity, i.currency, -i.amount, i.source, i.source_id, %(now)s,
        i.id, i.worked_on, -i.quantity, i.unit, i.rate, i.rate_id, i.terms_version, i.source_revision, i.worker, i.role,
        i.task, 'overtaken by a revision'
    FROM billable_item i WHERE i.id = ANY(%(items)s)
)
SELECT item_id, part, open, disposition, document FROM old ORDER BY item_id, part
"""
OPPOSITE = """
INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity, worked_on,
    entry, cause, posted_at)
SELECT p.item_id || '-R', p.part, p.engagement, p.legal_entity, p.currency,
    CASE WHEN x.open OR p.disposition IN ('credited', 'written_off', 'reversed') THEN 'reversed' ELSE 'wip' END,
    -p.amount, -p.quantity, p.worked_on, 'rated', 'overtaken by a revision', %(now)s
FROM json_to_recordset(%(parts)s::json) AS x (item_id text, part integer, open boolean)
JOIN item_part p ON p.item_id = x.item_id AND p.part = x.part
"""
CLOSE = """
UPDATE item_part p SET disposition = 'reversed', document = NULL, line = NULL, entry = 'overtaken ' || p.part,
    cause = 'overtaken by a revision', posted_at = %(now)s
FROM json_to_recordset(%(parts)s::json) AS x (item_id text, part integer, open boolean)
WHERE p.item_id = x.item_id AND p.part = x.part AND x.open
"""


@dataclass(slots=True)
class Reversal:
    """What was taken back: how many `items`, what that gives back of each counter; entries whose price does not change
    (`unchanged`) and those that only a person can take back (`stuck`)."""

    items: int = 0
    given_back: dict[str, Decimal] = field(default_factory=dict)
    unchanged: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)


async def reverse(
    db: Connection, key: tuple[str, str], entries: Sequence[str], now: datetime, *, again: Collection[str] = ()
) -> Reversal:
    """Take back the items of these entries' earlier revisions in one engagement, inside the caller's transaction.

    Those in `again` are taken back although their source says the same: their terms, or their invoice, say otherwise.
    """
    result = Reversal()
    rows = await (await db.execute(STANDING, {"entries": list(entries), "engagement": key[0]})).fetchall()
    items: list[str] = []
    for id, entry, _, _, met, same, transferred in rows:
        if same and entry not in again:
            result.unchanged.add(entry)
        elif transferred:
            result.stuck.add(entry)
        else:
            items.append(id)
            for name, added, _ in met or ():
                result.given_back[name] = result.given_back.get(name, Decimal(0)) + Decimal(added)
    if not items:
        return result
    result.items = len(items)
    parts = await (await db.execute(TAKE_BACK, {"items": items, "now": now})).fetchall()
    told = [{"item_id": item, "part": part, "open": opened} for item, part, opened, _, _ in parts]
    await db.execute(OPPOSITE, {"parts": as_json(told), "now": now})
    await db.execute(CLOSE, {"parts": as_json(told), "now": now})
    await recount(db, sorted({document for *_, opened, place, document in parts if opened and place == "draft"}))
    return result
