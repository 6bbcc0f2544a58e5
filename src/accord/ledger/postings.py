"""Writes ledger entries and answers where the money is. PostgreSQL itself refuses what does not balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.ledger.dispositions import Disposition

WRITE_ITEMS = """
INSERT INTO billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id, approved_at)
SELECT x.id, x.kind, x.engagement, x.legal_entity, x.currency, x.amount, x.source, x.source_id, x.approved_at
FROM json_to_recordset(%(rows)s::json) AS x (id text, kind text, engagement text, legal_entity text, currency text,
    amount numeric, source text, source_id text, approved_at timestamptz)
ON CONFLICT (id) DO NOTHING
"""
# In the order given: an item may be approved, billed and collected in one turn.
MOVE = "SELECT ledger_move(%(rows)s::json)"
# What goes to another engagement leaves room under the caps of its own.
LEAVES_ROOM = """
INSERT INTO cap_to_fit (engagement, legal_entity, transferred)
SELECT DISTINCT i.engagement, i.legal_entity, true FROM billable_item i WHERE i.id = ANY(%(items)s) ORDER BY 1, 2
ON CONFLICT (engagement, legal_entity) DO UPDATE SET transferred = true
"""
# What was approved is counted from the items, not from the postings: the two are compared, so a lost posting shows.
STANDING = """
WITH approved AS (
    SELECT legal_entity, currency, sum(amount) AS value FROM billable_item
    WHERE %(engagement)s::text IS NULL OR engagement = %(engagement)s GROUP BY 1, 2
), placed AS (
    SELECT legal_entity, currency, disposition, sum(amount) AS value FROM item_part
    WHERE %(engagement)s::text IS NULL OR engagement = %(engagement)s GROUP BY 1, 2, 3
)
SELECT coalesce(a.legal_entity, p.legal_entity), coalesce(a.currency, p.currency), coalesce(a.value, 0),
    p.disposition, p.value
FROM approved a FULL JOIN placed p ON p.legal_entity = a.legal_entity AND p.currency = a.currency
ORDER BY 1, 2, 4
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """The ledger of one legal entity and currency: approved = sum of dispositions + unexplained."""

    legal_entity: str
    currency: str
    approved: Decimal
    dispositions: dict[str, Decimal]

    @property
    def unexplained(self) -> Decimal:
        return self.approved - sum(self.dispositions.values(), Decimal(0))


async def write(connection: Connection, entries: Sequence[tuple[str, tuple[Any, ...], tuple[Any, ...]]]) -> None:
    """Write entries (entry name, items, moves) inside the caller's transaction; one written before stays as it is.

    Raises psycopg.errors.IntegrityConstraintViolation for a move of what is not there (billed twice), one that is not
    allowed, and parts that are not their item.
    """
    items = {item["id"]: item for _, items, _ in entries for item in items}
    if items:
        await connection.execute(WRITE_ITEMS, {"rows": as_json(list(items.values()))}, prepare=True)
    rows = [move for _, _, moves in entries for move in moves]
    if rows:
        await connection.execute(MOVE, {"rows": as_json(rows)}, prepare=True)
    gone = [row["item_id"] for row in rows if row.get("placed_in") == Disposition.TRANSFERRED]
    if gone:
        await connection.execute(LEAVES_ROOM, {"items": gone})


async def standing(connection: Connection, engagement: str | None = None) -> list[Standing]:
    """Where approved value is, per legal entity and currency, for one engagement or the whole firm."""
    cursor = await connection.execute(STANDING, {"engagement": engagement})
    found: dict[tuple[str, str], Standing] = {}
    for entity, currency, approved, disposition, value in await cursor.fetchall():
        row = found.setdefault((entity, currency), Standing(entity, currency, approved, {}))
        if disposition is not None and value:
            row.dispositions[disposition] = value
    return list(found.values())
