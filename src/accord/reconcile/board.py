"""The reconciliation board: each match with its last run, its breaks by age and amount, and who has attested them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from accord.db import keyset
from accord.engine.shell import Connection
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.reconcile.matches import MATCHES, Match
from accord.reconcile.running import ATTEST

NEVER = (None, 0, 0, 0, False)
# Upper ends in days; the last range is open. A break of today is in the first.
AGES = (("under 1 day", 1), ("1-7 days", 8), ("8-30 days", 31), ("over 30 days", None))

RUNS = """
SELECT DISTINCT ON (match) match, ended_at, ours, theirs, matched, sees FROM reconciliation_run
WHERE match = ANY(%(matches)s) ORDER BY match, id DESC
"""
# Two sides in hours have no money: their unit stands where the others have a currency.
SUMS = """
SELECT b.match, coalesce(b.currency, '') AS currency, count(*), sum(abs(b.difference)), min(b.first_seen),
    count(*) FILTER (WHERE b.attested_by IS NOT NULL),
    count(*) FILTER (WHERE b.first_seen > %(now)s - interval '1 day'),
    count(*) FILTER (WHERE b.first_seen > %(now)s - interval '8 days'),
    count(*) FILTER (WHERE b.first_seen > %(now)s - interval '31 days')
FROM reconciliation_break b
WHERE %(entities)s::text[] IS NULL OR b.legal_entity = ANY(%(entities)s)
GROUP BY 1, 2 ORDER BY 1, 2
"""
ROWS = """
SELECT b.match, b.key, b.legal_entity, b.currency, b.engagement, b.ours, b.theirs, b.difference, b.first_seen, b.owner,
    b.attested_by, b.attestation, d.body ->> 'name'
FROM reconciliation_break b LEFT JOIN record d ON d.kind = 'deal' AND d.id = b.engagement
WHERE (%(entities)s::text[] IS NULL OR b.legal_entity = ANY(%(entities)s))
    AND (%(match)s::text IS NULL OR b.match = %(match)s)
    AND (%(currency)s::text IS NULL OR coalesce(b.currency, '') = %(currency)s)
    AND (NOT %(open)s OR b.attested_by IS NULL)
    AND (%(after)s::numeric IS NULL OR (-abs(b.difference), b.match, b.key)
        > (-%(after)s::numeric, %(after_match)s, %(after_key)s))
ORDER BY abs(b.difference) DESC, b.match, b.key LIMIT %(limit)s
"""
ONE = """
SELECT b.difference, b.attested_by, b.attestation FROM reconciliation_break b
WHERE b.match = %(match)s AND b.key = %(key)s
    AND (%(entities)s::text[] IS NULL OR b.legal_entity = ANY(%(entities)s))
"""


@dataclass(frozen=True, slots=True)
class BreakSum:
    """The breaks of one match in one currency (or unit, `h`): how many, their absolute sum, and how many of each age of
    AGES. Empty text: the sides have no unit."""

    currency: str
    count: int
    amount: Decimal
    oldest_at: datetime
    attested: int
    by_age: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MatchLine:
    """One match. `ran_at` is None before its first run; `sees` is whether that run found its canary."""

    match: str
    says: str
    owner: str
    ran_at: datetime | None
    ours: int
    theirs: int
    matched: int
    sees: bool
    sums: tuple[BreakSum, ...]

    @property
    def breaks(self) -> int:
        return sum(each.count for each in self.sums)


@dataclass(frozen=True, slots=True)
class BreakRow:
    """One break; `ours` or `theirs` is None where that side has no such key."""

    match: str
    key: str
    legal_entity: str | None
    currency: str | None
    engagement: str | None
    ours: Decimal | None
    theirs: Decimal | None
    difference: Decimal
    first_seen: datetime
    owner: str
    attested_by: str | None
    attestation: str | None
    engagement_name: str | None


@dataclass(frozen=True, slots=True)
class BreakPage:
    """A page of breaks and the cursor of the next one."""

    rows: tuple[BreakRow, ...]
    next: str | None


async def board(db: Connection, now: datetime, entities: Sequence[str] | None = None) -> list[MatchLine]:
    """Every match with its last run and what is open of it for these legal entities (None for all)."""
    scope = None if entities is None else list(entities)
    runs = {
        row[0]: row[1:] for row in await (await db.execute(RUNS, {"matches": [m.name for m in MATCHES]})).fetchall()
    }
    found: dict[str, list[BreakSum]] = {}
    for match, currency, count, amount, oldest, attested, *younger in await (
        await db.execute(SUMS, {"now": now, "entities": scope})
    ).fetchall():
        by_age = tuple(after - before for before, after in pairwise((0, *younger, count)))
        found.setdefault(match, []).append(BreakSum(currency, count, amount, oldest, attested, by_age))
    return [_line(each, runs.get(each.name, NEVER), tuple(found.get(each.name, ()))) for each in MATCHES]


def _line(match: Match, run: Sequence[Any], sums: tuple[BreakSum, ...]) -> MatchLine:
    ran_at, ours, theirs, matched, sees = run
    return MatchLine(match.name, match.says, match.owner, ran_at, ours, theirs, matched, sees, sums)


async def breaks(
    db: Connection,
    *,
    match: str | None = None,
    currency: str | None = None,
    only_open: bool = False,
    entities: Sequence[str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> BreakPage:
    """Breaks, the greatest first; `only_open` leaves out what somebody has attested. Raises CursorNotUnderstood."""
    place = (None, None, None) if cursor is None else keyset.decode(cursor, str, str, str)
    about = {
        "entities": None if entities is None else list(entities),
        "match": match,
        "currency": currency,
        "open": only_open,
        "after": None if place[0] is None else keyset.number(place[0]),
        "after_match": place[1],
        "after_key": place[2],
        "limit": limit + 1,
    }
    rows = await (await db.execute(ROWS, about)).fetchall()
    shown = tuple(BreakRow(*row) for row in rows[:limit])
    more = shown[-1] if len(rows) > limit else None
    return BreakPage(shown, None if more is None else keyset.encode(str(abs(more.difference)), more.match, more.key))


async def attest(
    db: Connection,
    match: str,
    key: str,
    difference: Decimal,
    text: str,
    *,
    by: str,
    entities: Sequence[str] | None = None,
) -> None:
    """Say that a break of this difference is known and why it may stand; another difference has to be looked at anew.

    Raises NotFound, Conflict when it is another by now, UsageError without a reason.
    """
    if not text.strip():
        raise UsageError("say why the difference may stand: the reason is kept with your name")
    about = {"match": match, "key": key, "entities": None if entities is None else list(entities)}
    row = await (await db.execute(ONE, about)).fetchone()
    if row is None:
        raise NotFound(f"{match} has no break {key} now; it may have healed")
    said = {"match": match, "key": key, "difference": difference, "by": by, "text": text.strip()[:500]}
    if (await db.execute(ATTEST, said)).rowcount != 1:
        raise Conflict(f"the difference is {row[0]} by now, not {difference}; look at it again")
    before = {"attested_by": row[1], "attestation": row[2]}
    after = {"attested_by": by, "attestation": said["text"], "difference": str(difference)}
    await audit.write(db, by, "break attested", f"{match}: {key}", {"before": before, "after": after})
