"""Runs matches: set-based, breaks kept with their age, and a canary in each run that must be seen.

A canary is one pair of rows that differ on purpose. A run that does not report it cannot be trusted when it is silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog

from accord.engine.shell import Connection
from accord.reconcile.matches import MATCHES, Match

log = structlog.get_logger()

CANARY = "canary"

# The queries of a match are Accord's own text; values go in as parameters.
COMPARE = """
CREATE TEMPORARY TABLE compared ON COMMIT DROP AS
WITH ours AS MATERIALIZED (
    {ours}
), theirs (key, amount, legal_entity, currency, engagement, changed_at) AS MATERIALIZED (
    {theirs}
), both_sides AS (
    SELECT coalesce(o.key, t.key) AS key, coalesce(o.legal_entity, t.legal_entity) AS legal_entity,
        coalesce(o.currency, t.currency) AS currency, coalesce(o.engagement, t.engagement) AS engagement,
        o.amount AS ours, t.amount AS theirs, o.key IS NOT NULL AS is_ours, t.key IS NOT NULL AS is_theirs,
        o.currency IS DISTINCT FROM t.currency AND o.key IS NOT NULL AND t.key IS NOT NULL AS other_currency,
        greatest(o.changed_at, t.changed_at) AS changed_at
    FROM (SELECT * FROM ours UNION ALL SELECT %(canary)s, 1, NULL, NULL, NULL, NULL) o
    FULL JOIN (
        SELECT * FROM theirs UNION ALL SELECT %(canary)s, 3 + 2 * %(tolerance)s::numeric, NULL, NULL, NULL, NULL
    ) t ON t.key = o.key
)
SELECT * FROM both_sides WHERE changed_at IS NULL OR changed_at < %(settled)s
"""
COUNT = """
SELECT count(*) FILTER (WHERE is_ours), count(*) FILTER (WHERE is_theirs),
    count(*) FILTER (WHERE is_ours AND is_theirs AND NOT other_currency AND abs(ours - theirs) <= %(tolerance)s),
    bool_or(key = %(canary)s AND abs(ours - theirs) > %(tolerance)s)
FROM compared
"""
KEEP = """
WITH broken AS (
    SELECT key, legal_entity, currency, engagement, ours, theirs, coalesce(ours, 0) - coalesce(theirs, 0) AS difference
    FROM compared
    WHERE key <> %(canary)s AND (NOT is_ours OR NOT is_theirs OR other_currency OR abs(ours - theirs) > %(tolerance)s)
), kept AS (
    INSERT INTO reconciliation_break AS b (match, key, legal_entity, currency, engagement, ours, theirs, difference,
        first_seen, last_seen, owner)
    SELECT %(match)s, key, legal_entity, currency, engagement, ours, theirs, difference, %(now)s, %(now)s, %(owner)s
    FROM broken
    ON CONFLICT (match, key) DO UPDATE SET ours = excluded.ours, theirs = excluded.theirs,
        difference = excluded.difference, last_seen = excluded.last_seen,
        -- An attestation is of one difference: another one has to be looked at anew.
        attested_by = CASE WHEN b.difference = excluded.difference THEN b.attested_by END,
        attestation = CASE WHEN b.difference = excluded.difference THEN b.attestation END
    RETURNING 1
), healed AS (
    DELETE FROM reconciliation_break WHERE match = %(match)s AND key NOT IN (SELECT key FROM broken)
)
SELECT count(*) FROM kept
"""
# Who has the lock looks anew: another may have run them while it was waited for.
DUE = """
SELECT pg_try_advisory_xact_lock(hashtextextended('nightly reconciliation', 0))
    AND NOT EXISTS (SELECT FROM reconciliation_run WHERE started_at > %(since)s)
"""
NOTE = """
INSERT INTO reconciliation_run (started_at, ended_at, match, ours, theirs, matched, breaks, sees)
VALUES (%(started)s, clock_timestamp(), %(match)s, %(ours)s, %(theirs)s, %(matched)s, %(breaks)s, %(sees)s)
"""
BREAKS = """
SELECT match, key, legal_entity, currency, engagement, ours, theirs, difference, first_seen, owner, attested_by
FROM reconciliation_break WHERE %(match)s::text IS NULL OR match = %(match)s
ORDER BY abs(difference) DESC, match, key LIMIT %(limit)s
"""
ATTEST = """
UPDATE reconciliation_break SET attested_by = %(by)s, attestation = %(text)s
WHERE match = %(match)s AND key = %(key)s AND difference = %(difference)s
"""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a match came to. `sees` is whether its canary was found: without it, no breaks means nothing."""

    match: str
    says: str
    ours: int
    theirs: int
    matched: int
    breaks: int
    sees: bool

    @property
    def agrees(self) -> bool:
        return self.sees and not self.breaks


@dataclass(frozen=True, slots=True)
class Break:
    """A difference. `ours` or `theirs` is None where that side has no such key."""

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


async def reconcile(
    db: Connection, now: datetime, matches: Sequence[Match] = MATCHES, *, at_rest: bool = False
) -> list[Reconciled]:
    """Run matches inside the caller's transaction: one snapshot of both sides each.

    What changed a moment ago is looked at by the next run; `at_rest` says that nothing is on its way and all counts.
    """
    await db.execute("SET LOCAL statement_timeout = '600s'")
    await db.execute("SET LOCAL work_mem = '64MB'")
    return [await _run(db, now, each, at_rest=at_rest) for each in matches]


async def reconcile_if_due(
    db: Connection, now: datetime, *, every: timedelta = timedelta(hours=24)
) -> list[Reconciled] | None:
    """Run all matches unless they ran less than `every` ago, or another process is at it; inside the caller's
    transaction. None when nothing was run."""
    due = await (await db.execute(DUE, {"since": now - every})).fetchone()
    if due is None or not due[0]:
        return None
    return await reconcile(db, now)


async def _run(db: Connection, now: datetime, match: Match, *, at_rest: bool) -> Reconciled:
    settling = timedelta(seconds=-1 if at_rest else match.settles_in_seconds)  # the clock here may be a little behind
    parameters: dict[str, Any] = {
        "canary": CANARY,
        "tolerance": match.tolerance,
        "settled": now - settling,
        "match": match.name,
        "owner": match.owner,
        "now": now,
    }
    await db.execute(COMPARE.format(ours=match.ours, theirs=match.theirs), parameters, prepare=False)
    counted = await (await db.execute(COUNT, parameters, prepare=False)).fetchone()
    kept = await (await db.execute(KEEP, parameters, prepare=False)).fetchone()
    await db.execute("DROP TABLE compared")
    assert counted is not None
    assert kept is not None
    ours, theirs, matched, sees = counted
    result = Reconciled(match.name, match.says, ours - 1, theirs - 1, matched, kept[0], bool(sees))
    if not result.sees:
        log.error("a reconciliation is blind: it does not see its canary", match=match.name)
    counts = {"ours": result.ours, "theirs": result.theirs, "matched": matched, "breaks": result.breaks}
    await db.execute(NOTE, {**counts, "started": now, "match": match.name, "sees": result.sees})
    return result


async def breaks(db: Connection, match: str | None = None, limit: int = 200) -> list[Break]:
    """The breaks that are open, the greatest first."""
    rows = await (await db.execute(BREAKS, {"match": match, "limit": limit})).fetchall()
    return [Break(*row) for row in rows]


async def attest(db: Connection, match: str, key: str, difference: Decimal, *, by: str, text: str) -> bool:
    """Say that a break is known and why it may stand, until its difference changes; False when it is another by now."""
    parameters = {"match": match, "key": key, "difference": difference, "by": by, "text": text}
    return (await db.execute(ATTEST, parameters)).rowcount == 1
