"""Room under caps and in retainers that work leaves when it is taken back or goes elsewhere, and who may want it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Self

from accord.engine.shell import Connection
from accord.ledger import terms as declared
from accord.ledger.counting import counted
from accord.ledger.part_moves import write_counted
from accord.rules.rating.counters import Counters
from accord.rules.rating.pricer import NEARLY

ENTRY = "transferred"
# A cap of the customer is shared by all engagements that name it; what one leaves, another may wait for.
AGAIN = """
WITH told AS (
    SELECT * FROM unnest(%(engagements)s::text[], %(entities)s::text[], %(rooms)s::boolean[], %(taken)s::boolean[],
        %(redrawn)s::boolean[], %(shared)s::boolean[]) AS x (engagement, legal_entity, room, taken, redrawn, shared)
), concerned AS (
    SELECT engagement, legal_entity, room, taken, redrawn FROM told
    UNION ALL
    SELECT o.engagement, o.legal_entity, x.room, x.taken, false FROM told x
    JOIN billing_terms b ON b.engagement = x.engagement AND b.legal_entity = x.legal_entity
    JOIN billing_terms o ON o.customer = b.customer WHERE x.shared
)
INSERT INTO cap_to_fit (engagement, legal_entity, exceeded, redrawn)
SELECT c.engagement, c.legal_entity, bool_or(c.taken), bool_or(c.redrawn) FROM concerned c
WHERE c.redrawn OR EXISTS (
    SELECT FROM ledger_total t WHERE t.engagement = c.engagement AND t.legal_entity = c.legal_entity AND t.parts > 0
        AND (c.room AND t.disposition = 'over_cap' OR c.taken AND t.disposition IN ('wip', 'draft')))
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (engagement, legal_entity) DO UPDATE SET
    exceeded = cap_to_fit.exceeded OR excluded.exceeded, redrawn = cap_to_fit.redrawn OR excluded.redrawn
"""
# What went to another engagement and still takes room here; what its item has taken of each cap, and how much of the
# item took it. What lies over a cap, or is drawn, takes none.
GONE = """
SELECT p.item_id, p.part, p.amount, n.counter, n.used, (
    SELECT sum(q.amount) FROM item_part q WHERE q.item_id = p.item_id
        AND q.disposition NOT IN ('over_cap', 'drawn', 'non_billable')
        AND (q.disposition <> 'transferred' OR q.came_from <> 'over_cap' AND NOT EXISTS (
            SELECT FROM cap_move m WHERE m.item_id = q.item_id AND m.part = q.part AND m.entry = %(entry)s)))
FROM item_part p JOIN billable_item i ON i.id = p.item_id
CROSS JOIN LATERAL (
    SELECT x.counter, sum(x.added) AS used FROM (
        SELECT each ->> 0 AS counter, (each ->> 1)::numeric AS added
        FROM jsonb_array_elements(coalesce(i.counters, '[]')) AS each
        UNION ALL SELECT m.counter, m.added FROM cap_move m WHERE m.item_id = i.id
    ) x WHERE starts_with(x.counter, 'cap ') GROUP BY 1
) n
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.disposition = 'transferred'
    AND p.came_from <> 'over_cap' AND n.used <> 0
    AND NOT EXISTS (SELECT FROM cap_move m WHERE m.item_id = p.item_id AND m.part = p.part AND m.entry = %(entry)s)
ORDER BY 1, 2, 4
"""


@dataclass(frozen=True, slots=True)
class Room:
    """What work that goes away does to an engagement: it leaves `room` under caps, had made room that others have
    `taken`, stood against a retainer (`redrawn`), or met a cap that other engagements of the customer share."""

    engagement: str
    legal_entity: str
    room: bool
    taken: bool
    redrawn: bool
    shared: bool

    @classmethod
    def left_by(cls, key: declared.Key, amount: Decimal, counters: Iterable[str]) -> Self:
        """By work of this amount that had met these counters."""
        met = {*counters}
        caps = {name for name in met if name.startswith("cap ")}
        own = f"cap {key[0]} {key[1]} "
        return cls(
            *key,
            room=bool(caps) and amount > 0,
            taken=bool(caps) and amount < 0,
            redrawn=any(name.startswith("retainer ") for name in met),
            shared=not all(name.startswith(own) for name in caps),
        )


async def fit_again(db: Connection, rooms: Collection[Room]) -> None:
    """Have the engagements concerned fitted again, inside the caller's transaction."""
    told = {each for each in rooms if each.room or each.taken or each.redrawn}
    if not told:
        return
    about = {
        "engagements": [each.engagement for each in told],
        "entities": [each.legal_entity for each in told],
        "rooms": [each.room for each in told],
        "taken": [each.taken for each in told],
        "redrawn": [each.redrawn for each in told],
        "shared": [each.shared for each in told],
    }
    await db.execute(AGAIN, about)


async def give_back_transferred(db: Connection, key: declared.Key, version: int, now: datetime) -> None:
    """What was transferred to other engagements takes no room of the caps here any more."""
    about = {"engagement": key[0], "entity": key[1], "entry": ENTRY}
    gone = await (await db.execute(GONE, about)).fetchall()
    counters = Counters.of(await counted(db, (row[3] for row in gone)))
    notes: list[dict[str, Any]] = []
    for item, part, amount, name, used, of in gone:
        back = used if amount == of else (used * amount / of).quantize(NEARLY, rounding=ROUND_HALF_UP)
        counters.add(name, -back)
        notes.append({"item_id": item, "part": part, "counter": name, "added": -back, "reached": counters.of_key(name)})
    await write_counted(db, notes, counters, version, ENTRY, now, once=True)
    await fit_again(db, [left for row in gone if (left := Room.left_by(key, row[2], [row[3]])).shared])
