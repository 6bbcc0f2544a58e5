"""Work that was set aside goes back to WIP when its reason is settled, and into the next proposal.

An expense that was held as it came, for want of a receipt, meets the limit of its rule and the caps only now.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from accord.engine.shell import Connection
from accord.errors import NotFound
from accord.governance import audit
from accord.ledger import terms as declared
from accord.ledger.part_moves import COLUMNS, Moves, PartThere, move_parts, pricer_of, terms_of, write_counted

HELD = f"""
SELECT {COLUMNS}, p.came_from, w.category FROM item_part p JOIN billable_item i ON i.id = p.item_id
LEFT JOIN work_entry w ON w.id = i.source_id AND w.revision = i.source_revision
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s
    AND p.disposition = 'held' AND p.cause = %(reason)s
ORDER BY p.worked_on, p.item_id, p.part FOR UPDATE OF p
"""


async def release_held(
    db: Connection, engagement: str, entity: str, currency: str, reason: str, *, by: str, at: datetime
) -> int:
    """Let all work of one engagement that is held for this reason go back to WIP, or where its rule and the caps say;
    how many parts of items. Raises NotFound where nothing is held for it.
    """
    about = {"engagement": engagement, "entity": entity, "currency": currency, "reason": reason}
    rows = [
        (PartThere(*columns), came_from, category)
        for *columns, came_from, category in await (await db.execute(HELD, about)).fetchall()
    ]
    if not rows:
        raise NotFound(f"nothing of {engagement} in {entity} is held for that reason now")
    into = {"wip": Moves(), "over_cap": Moves(), "non_billable": Moves()}
    new = [(each, category) for each, came_from, category in rows if came_from == "approved"]
    for each, came_from, _ in rows:
        if came_from != "approved":
            into["wip"].add(each, each.amount, each.quantity, "released")
    entry = f"release {at.isoformat()}"
    if new:
        await _place(db, (engagement, entity), new, into, entry, at)
    for disposition, moves in into.items():
        await move_parts(db, moves, entry, out_of=("held",), into=disposition, by=by, now=at)
    freed = sum((each.amount for each, *_ in rows), Decimal(0))
    detail = {
        "legal_entity": entity, "currency": currency, "reason": reason, "parts": len(rows), "amount": str(freed),
    }  # fmt: skip
    await audit.write(db, by, "held work released", engagement, detail)
    return len(rows)


async def _place(
    db: Connection,
    key: declared.Key,
    rows: list[tuple[PartThere, str | None]],
    into: dict[str, Moves],
    entry: str,
    at: datetime,
) -> None:
    """Where work lies that has met no cap yet, by the newest terms; its counters are written."""
    terms = await terms_of(db, key)
    pricer = await pricer_of(db, terms, [each.worked_on for each, _ in rows])
    counted = Moves()
    for each, category in rows:
        work = replace(each.entry, category=category)
        parts, added = pricer.admit(work, each.amount, each.quantity or Decimal(0))
        for part in parts:
            into[part.disposition].add(each, part.amount, part.quantity, part.why or "released")
        counted.count(each, pricer.counters, added)
    await write_counted(db, counted.notes, pricer.counters, terms.version, entry, at)
