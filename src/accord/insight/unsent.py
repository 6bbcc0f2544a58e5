"""Writes of money that no system has confirmed: those that wait, and those that may or may not have happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accord.db import keyset
from accord.engine.shell import Connection
from accord.engine.states import EffectState
from accord.model.money import Money

# Only what is not over has a row here, however much was ever sent.
SUMS = """
SELECT e.connection, e.kind, e.currency, count(*), coalesce(sum(e.amount), 0), min(w.since),
    count(*) FILTER (WHERE e.state = %(unknown)s)
FROM waiting_effect w JOIN effect e ON e.id = w.effect_id
WHERE e.amount IS NOT NULL AND e.currency IS NOT NULL
    AND (%(entities)s::text[] IS NULL OR e.body ->> 'legal_entity' = ANY(%(entities)s))
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
ROWS = """
SELECT e.id, e.label, e.connection, e.kind, e.state = %(unknown)s, e.amount, e.currency, w.since, w.reason,
    e.correlation, d.body ->> 'name', e.process_id
FROM waiting_effect w JOIN effect e ON e.id = w.effect_id
LEFT JOIN record d ON d.kind = 'deal' AND d.id = e.correlation
WHERE e.amount IS NOT NULL AND e.currency IS NOT NULL
    AND (%(entities)s::text[] IS NULL OR e.body ->> 'legal_entity' = ANY(%(entities)s))
    AND (%(connection)s::text IS NULL OR e.connection = %(connection)s)
    AND (%(kind)s::text IS NULL OR e.kind = %(kind)s)
    AND (%(currency)s::text IS NULL OR e.currency = %(currency)s)
    AND (%(after)s::timestamptz IS NULL OR (w.since, w.effect_id) > (%(after)s, %(after_id)s))
ORDER BY w.since, w.effect_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Unsent:
    """Writes of one kind to one system; `unknown` of them may have happened."""

    connection: str
    kind: str
    count: int
    money: Money
    oldest_at: datetime
    unknown: int


@dataclass(frozen=True, slots=True)
class UnsentRow:
    """One write that is not confirmed; `why` it waits."""

    effect: int
    label: str
    connection: str
    kind: str
    unknown: bool
    money: Money
    since: datetime
    why: str
    engagement: str | None
    engagement_name: str | None
    process: int


@dataclass(frozen=True, slots=True)
class UnsentPage:
    """A page of writes and the cursor of the next one."""

    rows: tuple[UnsentRow, ...]
    next: str | None


async def unsent(db: Connection, entities: Sequence[str] | None = None) -> list[Unsent]:
    """What waits, by system, kind and currency."""
    about = {"unknown": int(EffectState.UNKNOWN), "entities": None if entities is None else list(entities)}
    rows = await (await db.execute(SUMS, about)).fetchall()
    return [Unsent(row[0], row[1], row[3], Money(row[4], row[2]), row[5], row[6]) for row in rows]


async def unsent_rows(
    db: Connection,
    *,
    connection: str | None = None,
    kind: str | None = None,
    currency: str | None = None,
    entities: Sequence[str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> UnsentPage:
    """The writes themselves, the longest waiting first. Raises CursorNotUnderstood."""
    after, id = (None, None) if cursor is None else keyset.decode(cursor, str, int)
    about = {
        "unknown": int(EffectState.UNKNOWN),
        "connection": connection,
        "kind": kind,
        "currency": currency,
        "entities": None if entities is None else list(entities),
        "after": None if after is None else keyset.moment(after),
        "after_id": id,
        "limit": limit + 1,
    }
    found = await (await db.execute(ROWS, about)).fetchall()
    rows = tuple(UnsentRow(*(*row[:5], Money(row[5], row[6]), *row[7:])) for row in found[:limit])
    return UnsentPage(rows, keyset.encode(rows[-1].since.isoformat(), rows[-1].effect) if len(found) > limit else None)
