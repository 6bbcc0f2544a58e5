"""Approved work without a price: kept by reason, one case an engagement and reason, tried again when terms change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
SELECT x.entry_id, x.revision, x.engagement, x.legal_entity, x.worked_on, x.reason, x.message, x.cure, x.again
FROM json_to_recordset(%(rows)s::json) AS x (entry_id text, revision integer, engagement text, legal_entity text,
    worked_on date, reason text, message text, cure text, again text)
ON CONFLICT (engagement, legal_entity, worked_on, entry_id, revision)
DO UPDATE SET reason = excluded.reason, message = excluded.message, cure = excluded.cure
"""
# A revision that was overtaken by a newer one waits for nothing any more.
FORGET_OVERTAKEN = """
DELETE FROM work_unpriced u
USING work_entry w, unnest(%(engagements)s::text[], %(entities)s::text[]) AS x (engagement, entity)
WHERE u.engagement = x.engagement AND u.legal_entity = x.entity AND w.id = u.entry_id AND w.revision = u.revision
    AND (NOT w.current OR w.status <> 'approved')
"""
OPEN = """
SELECT u.engagement, u.legal_entity, u.reason, count(*),
    coalesce(sum(w.quantity) FILTER (WHERE w.kind = 'time'), 0), min(u.cure), (array_agg(DISTINCT u.message))[1:5]
FROM unnest(%(engagements)s::text[], %(entities)s::text[]) AS x (engagement, entity)
JOIN work_unpriced u ON u.engagement = x.engagement AND u.legal_entity = x.entity
JOIN work_entry w ON w.id = u.entry_id AND w.revision = u.revision
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
REFRESH = """
UPDATE business_case c SET title = x.title, problems = x.problems
FROM json_to_recordset(%(rows)s::json) AS x (reason text, title text, problems jsonb, subject text)
WHERE c.state = 'open' AND c.process_id IS NULL AND c.subject = x.subject AND c.reason = x.reason
"""
CLOSE = """
UPDATE business_case c SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = 'accord',
    resolution = 'everything has its price'
WHERE c.state = 'open' AND c.process_id IS NULL AND c.subject = ANY(%(subjects)s)
    AND NOT EXISTS (SELECT FROM json_to_recordset(%(open)s::json) AS x (subject text, reason text)
        WHERE x.subject = c.subject AND x.reason = c.reason)
"""

Key = tuple[str, str]


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


async def keep_unpriced(db: Connection, found: Mapping[Key, Iterable[Unpriced]]) -> None:
    """Keep what got no price, by engagement and legal entity, and bring the cases of all these up to date."""
    about = {"engagements": [key[0] for key in found], "entities": [key[1] for key in found]}
    rows = [
        {
            "entry_id": each.entry_id,
            "revision": each.revision,
            "engagement": engagement,
            "legal_entity": entity,
            "worked_on": each.worked_on.isoformat(),
            "reason": each.reason,
            "message": each.message,
            "cure": each.cure,
            "again": each.again,
        }
        for (engagement, entity), some in found.items()
        for each in some
    ]
    if rows:
        await db.execute(KEEP, {"rows": as_json(rows)})
    await db.execute(FORGET_OVERTAKEN, about)
    cases = [
        case_row(
            id=0,
            reason=reason,
            title=f"{count} approved records of {engagement} in {entity} have no price"
            f" ({hours.normalize():f} h): {reason}",
            problems=tuple(Problem(reason, message, cure=cure) for message in messages),
            owner="PMO",
            subject=subject_of(engagement, entity),
            correlation=engagement,
        )
        for engagement, entity, reason, count, hours, cure, messages in await (await db.execute(OPEN, about)).fetchall()
    ]
    open_now = [{"subject": each["subject"], "reason": each["reason"]} for each in cases]
    await db.execute(CLOSE, {"subjects": [subject_of(*key) for key in found], "open": as_json(open_now)})
    if cases:
        await db.execute(REFRESH, {"rows": as_json(cases)})
        identities = Identities(db)
        await identities.ensure(len(cases))
        told = [{**each, "id": identities.take()} for each in cases]
        await db.execute(statements.OPEN_CASES, {"rows": as_json(told)})
