"""The last check of what is unexplained, kept with the age of each thing: pages read it, whatever the firm has billed.

The check itself reads all sources and the whole ledger, so a worker makes it now and then and never a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from time import monotonic

import structlog

from accord.db import keyset
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.model.money import Money
from accord.reconcile.unexplained import Unexplained, unexplained

log = structlog.get_logger()

MOST = 5_000  # of each kind: more than that is one defect, not thousands of things to look at
UNPRICED = "XXX"  # the currency of what cannot be priced

ONE_AT_A_TIME = "SELECT pg_try_advisory_xact_lock(hashtext('accord unexplained'))"
PATIENCE = "SET LOCAL statement_timeout = '600s'"
KEEP = """
WITH found AS (
    SELECT DISTINCT ON (x.subject, x.what) x.* FROM json_to_recordset(%(rows)s::json) AS x (subject text, what text,
        engagement text, legal_entity text, currency text, amount numeric) ORDER BY x.subject, x.what
), healed AS (
    DELETE FROM unexplained_item u WHERE NOT EXISTS (
        SELECT FROM found f WHERE f.subject = u.subject AND f.what = u.what)
)
INSERT INTO unexplained_item AS u (subject, what, engagement, legal_entity, currency, amount, first_seen, last_seen)
SELECT f.subject, f.what, f.engagement, f.legal_entity, f.currency, f.amount, %(now)s, %(now)s FROM found f
ON CONFLICT (subject, what) DO UPDATE SET engagement = excluded.engagement, legal_entity = excluded.legal_entity,
    currency = excluded.currency, amount = excluded.amount, last_seen = excluded.last_seen
"""
NOTE = """
WITH noted AS (
    INSERT INTO unexplained_check (started_at, seconds, found, complete)
    VALUES (%(now)s, %(seconds)s, %(found)s, %(complete)s) RETURNING id
)
DELETE FROM unexplained_check WHERE id < (SELECT id FROM noted) - 1000
"""
LAST = "SELECT started_at, seconds, found, complete FROM unexplained_check ORDER BY id DESC LIMIT 1"
# Absolute amounts: a surplus never hides a loss.
SUMS = """
SELECT u.currency, count(*), coalesce(sum(abs(u.amount)), 0), min(u.first_seen) FROM unexplained_item u
WHERE %(entities)s::text[] IS NULL OR u.legal_entity = ANY(%(entities)s) GROUP BY 1 ORDER BY 1
"""
ROWS = """
SELECT u.subject, u.what, u.engagement, u.legal_entity, u.currency, u.amount, u.first_seen,
    coalesce(abs(u.amount), 0), d.body ->> 'name'
FROM unexplained_item u LEFT JOIN record d ON d.kind = 'deal' AND d.id = u.engagement
WHERE (%(entities)s::text[] IS NULL OR u.legal_entity = ANY(%(entities)s))
    AND (%(currency)s::text IS NULL OR u.currency = %(currency)s)
    AND (%(after)s::numeric IS NULL OR (-coalesce(abs(u.amount), 0), u.subject, u.what)
        > (-%(after)s::numeric, %(after_subject)s, %(after_what)s))
ORDER BY coalesce(abs(u.amount), 0) DESC, u.subject, u.what LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Check:
    """The last check: when, how long it took, how many things it found. `complete` is false when there are more."""

    started_at: datetime
    seconds: float
    found: int
    complete: bool


@dataclass(frozen=True, slots=True)
class UnexplainedSum:
    """What is unexplained in one currency; things without a price have the currency None and no amount."""

    currency: str | None
    count: int
    amount: Decimal
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class UnexplainedRow:
    """One thing. `money` is what the sources have more than the ledger, None where it cannot be priced."""

    subject: str
    what: str
    engagement: str
    legal_entity: str
    money: Money | None
    first_seen: datetime
    engagement_name: str | None


@dataclass(frozen=True, slots=True)
class UnexplainedPage:
    """A page of rows and the cursor of the next one."""

    rows: tuple[UnexplainedRow, ...]
    next: str | None


async def check(db: Connection, now: datetime) -> list[Unexplained] | None:
    """Look at everything and keep what was found, inside the caller's transaction; None when another is at it."""
    held = await (await db.execute(ONE_AT_A_TIME)).fetchone()
    if held is None or not held[0]:
        return None
    await db.execute(PATIENCE)
    began = monotonic()
    found = await unexplained(db, MOST)
    rows = [
        {
            "subject": each.subject,
            "what": each.what,
            "engagement": each.engagement,
            "legal_entity": each.legal_entity,
            "currency": each.currency,
            "amount": None if each.amount is None else str(each.amount),
        }
        for each in found
    ]
    await db.execute(KEEP, {"rows": as_json(rows), "now": now})
    noted = {"now": now, "seconds": monotonic() - began, "found": len(found), "complete": len(found) < MOST}
    await db.execute(NOTE, noted)
    if found:
        log.error("work is unexplained", found=len(found), first=f"{found[0].subject}: {found[0].what}")
    return found


async def last(db: Connection) -> Check | None:
    """The last check; None when there was none yet."""
    row = await (await db.execute(LAST)).fetchone()
    return None if row is None else Check(*row)


async def sums(db: Connection, entities: Sequence[str] | None = None) -> list[UnexplainedSum]:
    """What the last check found, by currency; empty when everything is explained."""
    about = {"entities": None if entities is None else list(entities)}
    rows = await (await db.execute(SUMS, about)).fetchall()
    return [UnexplainedSum(None if row[0] == UNPRICED else row[0], *row[1:]) for row in rows]


async def found(
    db: Connection,
    *,
    entities: Sequence[str] | None = None,
    currency: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> UnexplainedPage:
    """What the last check found, the greatest amount first. Raises CursorNotUnderstood."""
    place = (None, None, None) if cursor is None else keyset.decode(cursor, str, str, str)
    about = {
        "entities": None if entities is None else list(entities),
        "currency": currency,
        "after": None if place[0] is None else keyset.number(place[0]),
        "after_subject": place[1],
        "after_what": place[2],
        "limit": limit + 1,
    }
    rows = await (await db.execute(ROWS, about)).fetchall()
    shown = tuple(
        UnexplainedRow(
            row[0], row[1], row[2], row[3], None if row[5] is None else Money(row[5], row[4]), row[6], row[8]
        )
        for row in rows[:limit]
    )
    more = rows[limit - 1] if len(rows) > limit else None
    return UnexplainedPage(shown, None if more is None else keyset.encode(str(more[7]), more[0], more[1]))
