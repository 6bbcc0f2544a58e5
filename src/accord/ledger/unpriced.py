"""Approved work without a price: kept by reason, one case an engagement and reason, tried again when terms change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from accord.engine import statements
from accord.engine.casework import case_row
from accord.engine.identities import Identities
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.model.problem import Problem

KEEP = """
INSERT INTO work_unpriced (entry_id, revision, engagement, legal_entity, worked_on, reason, message, cure,
    again)
SELECT x.entry_id, x.revision, %(engagement)s, %(entity)s, x.worked_on, x.reason, x.message, x.cure, x.again
FROM json_to_recordset(%(rows)s::json) AS x (entry_id text, revision integer, worked_on date, reason text, message text,
    cure text, again text)
ON CONFLICT (engagement, legal_entity, worked_on, entry_id, revision)
DO UPDATE SET reason = excluded.reason, message = excluded.message, cure = excluded.cure
"""
# A revision that was overtaken by a newer one waits for nothing any more.
FORGET_OVERTAKEN = """
DELETE FROM work_unpriced u USING work_entry w
WHERE u.engagement = %(engagement)s AND u.legal_entity = %(entity)s AND w.id = u.entry_id AND w.revision = u.revision
    AND (NOT w.current OR w.status <> 'approved')
"""
OPEN = """
SELECT u.reason, count(*), coalesce(sum(w.quantity) FILTER (WHERE w.kind = 'time'), 0), min(u.cure),
    (array_agg(DISTINCT u.message))[1:5]
FROM work_unpriced u JOIN work_entry w ON w.id = u.entry_id AND w.revision = u.revision
WHERE u.engagement = %(engagement)s AND u.legal_entity = %(entity)s GROUP BY u.reason ORDER BY u.reason
"""
REFRESH = """
UPDATE business_case c SET title = x.title, problems = x.problems
FROM json_to_recordset(%(rows)s::json) AS x (reason text, title text, problems jsonb, subject text)
WHERE c.state = 'open' AND c.process_id IS NULL AND c.subject = x.subject AND c.reason = x.reason
"""
CLOSE = """
UPDATE business_case SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = 'accord',
    resolution = 'everything has its price'
WHERE state = 'open' AND process_id IS NULL AND subject = %(subject)s AND NOT reason = ANY(%(open)s)
"""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A revision that could not be priced, and why. `again` says why it was to get its price anew, if it had one."""

    entry_id: str
    revision: int
    worked_on: date
    reason: str
    message: str
    cure: str | None
    again: str | None = None

    @classmethod
    def of(
        cls, entry_id: str, revision: int, worked_on: date, problems: tuple[Problem, ...], again: str | None = None
    ) -> Unpriced:
        first = problems[0]
        message = " ".join(each.message for each in problems)
        return cls(entry_id, revision, worked_on, first.code, message, first.cure, again)

    @classmethod
    def without_terms(cls, entry_id: str, revision: int, worked_on: date, again: str | None = None) -> Unpriced:
        message = "The engagement has no billing terms."
        cure = "Declare its terms: `accord terms declare`."
        return cls(entry_id, revision, worked_on, "terms_missing", message, cure, again)


def subject_of(engagement: str, entity: str) -> str:
    """What the cases of an engagement's work in a legal entity are about."""
    return f"work of {engagement} in {entity}"


async def keep_unpriced(db: Connection, key: tuple[str, str], found: Iterable[Unpriced]) -> None:
    """Keep what got no price, and bring the cases of the engagement up to date."""
    about = {"engagement": key[0], "entity": key[1]}
    rows = [
        {
            "entry_id": each.entry_id,
            "revision": each.revision,
            "worked_on": each.worked_on.isoformat(),
            "reason": each.reason,
            "message": each.message,
            "cure": each.cure,
            "again": each.again,
        }
        for each in found
    ]
    if rows:
        await db.execute(KEEP, {**about, "rows": as_json(rows)})
    await db.execute(FORGET_OVERTAKEN, about)
    subject = subject_of(*key)
    cases = [
        case_row(
            id=0,
            reason=reason,
            title=f"{count} approved records of {key[0]} in {key[1]} have no price ({hours.normalize():f} h): {reason}",
            problems=tuple(Problem(reason, message, cure=cure) for message in messages),
            owner="PMO",
            subject=subject,
            correlation=key[0],
        )
        for reason, count, hours, cure, messages in await (await db.execute(OPEN, about)).fetchall()
    ]
    await db.execute(CLOSE, {"subject": subject, "open": [each["reason"] for each in cases]})
    if cases:
        await db.execute(REFRESH, {"rows": as_json(cases)})
        identities = Identities(db)
        await identities.ensure(len(cases))
        told = [{**each, "id": identities.take()} for each in cases]
        await db.execute(statements.OPEN_CASES, {"rows": as_json(told)})
