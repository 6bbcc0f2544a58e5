"""Work that came into the ledger after its period was closed: the policy decides, and what it decided is written down.

| policy | what becomes of it |
|---|---|
| next period | booked in the first period that is open |
| accrue and reverse | accrued when the period was closed, reversed and booked in the next |
| reopen | a case asks to open the period again; booked there once two people have agreed |

The day of the work stays what it was: only `booked_in` says in which period it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from accord.engine import statements
from accord.engine.casework import case_row
from accord.engine.identities import Identities
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.governance import audit
from accord.model.money import Money
from accord.model.problem import Problem
from accord.reconcile.calendar import LateWork, Standing

# A batch that is being rated shows only when it is written; no statement of it takes longer than a minute.
OVERLAP = timedelta(minutes=5)

ANY_CLOSED = """
SELECT looked_to FROM late_look WHERE EXISTS (SELECT FROM accounting_period WHERE state = 'closed')
"""
DECIDE = """
WITH late AS (
    SELECT i.id, i.engagement, i.legal_entity, p.period, p.late_work AS policy, i.amount, i.currency,
        a.amount AS accrued, a.reversed_in, (
            SELECT n.period FROM accounting_period n
            WHERE n.legal_entity = p.legal_entity AND n.state <> 'closed' AND n.starts_on > p.ends_on
            ORDER BY n.starts_on LIMIT 1) AS next
    FROM billable_item i
    JOIN accounting_period p ON p.legal_entity = i.legal_entity AND p.state = 'closed'
        AND coalesce(i.worked_on, (i.approved_at AT TIME ZONE 'UTC')::date) BETWEEN p.starts_on AND p.ends_on
        AND i.recorded_at > p.closed_at
    LEFT JOIN period_accrual a ON a.legal_entity = p.legal_entity AND a.period = p.period AND a.entry_id = i.source_id
    WHERE i.recorded_at > %(since)s
)
INSERT INTO late_work (item_id, legal_entity, period, policy, outcome, booked_in, amount, currency, engagement, accrued,
    decided_at)
SELECT id, legal_entity, period, policy,
    CASE WHEN policy = 'reopen' THEN 'asked to reopen ' || period
        WHEN policy = 'accrue_and_reverse' AND accrued IS NOT NULL
            THEN 'accrued in ' || period || ', reversed and booked in ' || coalesce(next, reversed_in)
        WHEN policy = 'accrue_and_reverse'
            THEN 'not known when ' || period || ' was closed: booked in ' || coalesce(next, 'the next period')
        ELSE 'booked in ' || coalesce(next, 'the next period') END,
    CASE WHEN policy <> 'reopen' THEN coalesce(next, reversed_in) END, amount, currency, engagement, accrued, %(now)s
FROM late ON CONFLICT (item_id) DO NOTHING
RETURNING legal_entity, period, policy, currency, amount
"""
LOOKED = "UPDATE late_look SET looked_to = greatest(looked_to, %(now)s)"
# One case for each period and currency, with all that waits for it to be opened again.
ASKED = """
SELECT currency, count(*), sum(amount) FROM late_work
WHERE legal_entity = %(entity)s AND period = %(period)s AND policy = 'reopen' AND booked_in IS NULL
GROUP BY 1 ORDER BY 1
"""
REFRESH = """
UPDATE business_case c SET title = x.title, problems = x.problems, amount = x.amount
FROM json_to_recordset(%(rows)s::json) AS x (reason text, title text, problems jsonb, amount numeric, subject text)
WHERE c.state = 'open' AND c.process_id IS NULL AND c.subject = x.subject AND c.reason = x.reason
"""
REOPENED = """
UPDATE late_work SET booked_in = period, outcome = 'period ' || period || ' was opened again, booked in it'
WHERE legal_entity = %(entity)s AND period = %(period)s AND policy = 'reopen' AND booked_in IS NULL
"""
SETTLED = """
UPDATE business_case SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = %(by)s,
    resolution = 'the period was opened again'
WHERE state = 'open' AND process_id IS NULL AND reason = 'late_work' AND subject LIKE %(subject)s
"""
LATE = """
SELECT item_id, period, policy, outcome, booked_in, amount, currency, engagement, accrued, decided_at
FROM late_work WHERE legal_entity = %(entity)s AND (%(period)s::text IS NULL OR period = %(period)s)
ORDER BY decided_at DESC, item_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Late:
    """One item that came after its period was closed. `booked_in` is the period it counts in, None while nobody has
    opened its own again; `accrued` what was accrued for it at closing."""

    item_id: str
    period: str
    policy: LateWork
    outcome: str
    booked_in: str | None
    amount: Decimal
    currency: str
    engagement: str | None
    accrued: Decimal | None
    decided_at: datetime


async def decide_late(db: Connection, now: datetime) -> int:
    """Decide about every late item there is by now, inside the caller's transaction; how many were new."""
    row = await (await db.execute(ANY_CLOSED)).fetchone()
    if row is None:
        return 0
    decided = await (await db.execute(DECIDE, {"since": row[0] - OVERLAP, "now": now})).fetchall()
    await db.execute(LOOKED, {"now": now})
    sums: dict[tuple[str, str, str, str], tuple[int, Decimal]] = {}
    for *key, amount in decided:
        count, total = sums.get((key[0], key[1], key[2], key[3]), (0, Decimal(0)))
        sums[key[0], key[1], key[2], key[3]] = (count + 1, total + amount)
    await audit.write_many(
        db,
        [
            {
                "actor": "accord",
                "action": "late work decided",
                "about": f"period {entity} {period}",
                "detail": {"policy": policy, "items": count, "amount": str(total), "currency": currency},
            }
            for (entity, period, policy, currency), (count, total) in sorted(sums.items())
        ],
    )
    for entity, period in sorted({key[:2] for key in sums if key[2] == LateWork.REOPEN}):
        await _ask_to_reopen(db, entity, period)
    return len(decided)


async def _ask_to_reopen(db: Connection, entity: str, period: str) -> None:
    rows = await (await db.execute(ASKED, {"entity": entity, "period": period})).fetchall()
    cure = f"Open {period} again with two people (`accord close reopen`), or change the policy of late work."
    cases = [
        case_row(
            id=0,
            reason="late_work",
            title=f"{count} items of {period} in {entity} came after it was closed",
            problems=(Problem("late_work", f"{Money(amount, currency)} waits for {period}.", "period", cure),),
            owner="finance",
            money=Money(amount, currency),
            subject=f"{_subject(entity, period)} in {currency}",
        )
        for currency, count, amount in rows
    ]
    await db.execute(REFRESH, {"rows": as_json(cases)})
    identities = Identities(db)
    await identities.ensure(len(cases))
    numbered = [{**each, "id": identities.take()} for each in cases]
    await db.execute(statements.OPEN_CASES, {"rows": as_json(numbered)})


async def book_reopened(db: Connection, of: Standing, *, by: str) -> int:
    """What waited for this period to be opened again counts in it from now; how many items."""
    about = {"entity": of.legal_entity, "period": of.period}
    count = (await db.execute(REOPENED, about)).rowcount
    await db.execute(SETTLED, {"by": by, "subject": f"{_subject(of.legal_entity, of.period)} in %"})
    return count


async def list_late(db: Connection, entity: str, period: str | None = None, limit: int = 200) -> Sequence[Late]:
    """Late items of an entity, the last decided first."""
    about = {"entity": entity, "period": period, "limit": limit}
    rows = await (await db.execute(LATE, about)).fetchall()
    return [Late(row[0], row[1], LateWork(row[2]), *row[3:]) for row in rows]


def _subject(entity: str, period: str) -> str:
    return f"late work of {period} in {entity}"
