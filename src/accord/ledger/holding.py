"""Work that was set aside goes back to WIP when its reason is settled, and into the next proposal."""

from __future__ import annotations

from datetime import datetime

from accord.engine.shell import Connection
from accord.errors import NotFound
from accord.governance import audit

RELEASE = """
WITH freed AS (
    UPDATE item_part p SET disposition = 'wip', document = NULL, line = NULL, entry = %(entry)s || ' ' || p.part,
        cause = 'released', reference = %(by)s, posted_at = %(at)s
    WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s
        AND p.disposition = 'held' AND p.cause = %(reason)s
    RETURNING p.amount
)
SELECT count(*), coalesce(sum(amount), 0) FROM freed
"""


async def release_held(
    db: Connection, engagement: str, entity: str, currency: str, reason: str, *, by: str, at: datetime
) -> int:
    """Let all work of one engagement that is held for this reason go back to WIP; how many parts of items.

    Raises NotFound where nothing is held for it.
    """
    about = {"engagement": engagement, "entity": entity, "currency": currency, "reason": reason, "by": by, "at": at}
    row = await (await db.execute(RELEASE, {**about, "entry": f"release {at.isoformat()}"})).fetchone()
    if row is None or not row[0]:
        raise NotFound(f"nothing of {engagement} in {entity} is held for that reason now")
    detail = {"legal_entity": entity, "currency": currency, "reason": reason, "parts": row[0], "amount": str(row[1])}
    await audit.write(db, by, "held work released", engagement, detail)
    return int(row[0])
