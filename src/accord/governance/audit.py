"""The audit trail of what people change: append-only rows, written in the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accord.engine.intents import as_json
from accord.engine.shell import Connection

WRITE = """
INSERT INTO audit_entry (actor, action, about, detail)
SELECT x.actor, x.action, x.about, x.detail
FROM json_to_recordset(%(rows)s::json) AS x (actor text, action text, about text, detail jsonb)
"""


async def write(db: Connection, actor: str, action: str, about: str, detail: Mapping[str, Any]) -> None:
    """One entry: who did what about which thing, with before and after where there are any."""
    await write_many(db, [{"actor": actor, "action": action, "about": about, "detail": dict(detail)}])


async def write_many(db: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Entries with actor, action, about and detail."""
    if rows:
        await db.execute(WRITE, {"rows": as_json(list(rows))})
