"""The counters of caps, retainers, meters and fees as they stand in the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from accord.engine.intents import as_json
from accord.engine.shell import Connection

# In one order, so that nobody waits for another in a ring.
STANDING = "SELECT name, used FROM billing_counter WHERE name = ANY(%(names)s) ORDER BY name FOR UPDATE"
COUNT = """
INSERT INTO billing_counter (name, used)
SELECT x.name, x.used FROM json_to_recordset(%(rows)s::json) AS x (name text, used numeric)
ON CONFLICT (name) DO UPDATE SET used = excluded.used
"""


async def counted(db: Connection, names: Iterable[str]) -> dict[str, Decimal]:
    """What these counters stand at, locked until the transaction ends; those that count nothing yet are left out."""
    wanted = sorted({*names})
    return dict(await (await db.execute(STANDING, {"names": wanted})).fetchall()) if wanted else {}


async def count(db: Connection, used: Mapping[str, Decimal]) -> None:
    """Write what counters have come to."""
    if used:
        rows = [{"name": name, "used": str(amount)} for name, amount in sorted(used.items())]
        await db.execute(COUNT, {"rows": as_json(rows)})
