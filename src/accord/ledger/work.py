"""Takes work in: a changed record becomes its next revision, an unchanged one nothing, a bad one a case by reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accord.engine import statements
from accord.engine.casework import case_row
from accord.engine.identities import Identities
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.model.problem import Problem
from accord.model.work import WorkEntry, WorkProblem, WorkStatus

COLUMNS = (
    "id", "kind", "source", "source_key", "status", "worked_on", "quantity", "unit", "engagement", "legal_entity",
    "worker", "worker_entity", "role", "task", "category", "cost", "cost_currency", "tax_included", "receipt",
    "billable", "note", "approver", "submitted_at", "approved_at", "recorded_as",
)  # fmt: skip
# Where a record was read is no part of what it says: a file that is dropped again under another name changes nothing.
SAID = tuple(name for name in COLUMNS if name not in ("id", "recorded_as"))

ARRIVE = f"""
CREATE TEMPORARY TABLE arriving_work ON COMMIT DROP AS
SELECT 0 AS nth, {", ".join(COLUMNS)} FROM work_entry WITH NO DATA
"""
COPY = f"COPY arriving_work (nth, {', '.join(COLUMNS)}) FROM STDIN"
# A record told twice in one delivery counts as it was told last.
TAKE = f"""
WITH told AS (
    SELECT DISTINCT ON (id) * FROM arriving_work ORDER BY id, nth DESC
), changed AS (
    SELECT t.*, coalesce(c.revision, 0) AS before, c.status AS status_before, c.engagement AS engagement_before,
        c.legal_entity AS entity_before, c.worked_on AS worked_before
    FROM told t LEFT JOIN work_entry c ON c.id = t.id AND c.current
    WHERE c.id IS NULL OR ({", ".join(f"t.{name}" for name in SAID)})
        IS DISTINCT FROM ({", ".join(f"c.{name}" for name in SAID)})
), superseded AS (
    UPDATE work_entry w SET current = false FROM changed c WHERE w.id = c.id AND w.revision = c.before
), written AS (
    INSERT INTO work_entry ({", ".join(COLUMNS)}, revision)
    SELECT {", ".join(COLUMNS)}, before + 1 FROM changed
), queued AS (
    INSERT INTO work_to_rate (entry_id, revision, engagement, legal_entity, worked_on)
    SELECT id, before + 1, engagement, legal_entity, worked_on FROM changed
    WHERE engagement IS NOT NULL AND legal_entity IS NOT NULL AND (status = 'approved'
        OR status_before = 'approved' AND (engagement, legal_entity) = (engagement_before, entity_before))
    UNION ALL
    -- What moved to another engagement is taken back from the first.
    SELECT id, before + 1, engagement_before, entity_before, worked_before FROM changed
    WHERE status_before = 'approved' AND engagement_before IS NOT NULL AND entity_before IS NOT NULL
        AND (engagement, legal_entity) IS DISTINCT FROM (engagement_before, entity_before)
)
SELECT (SELECT count(*) FROM told), count(*) FILTER (WHERE before = 0), count(*) FILTER (WHERE before > 0) FROM changed
"""
KEEP_PROBLEMS = """
INSERT INTO work_problem (source, place, reason, message, cure, hours, given)
SELECT %(source)s, x.place, x.reason, x.message, x.cure, x.hours, x.given
FROM json_to_recordset(%(rows)s::json) AS x (place text, reason text, message text, cure text,
    hours numeric, given jsonb)
ON CONFLICT (source, place, reason) DO UPDATE SET message = excluded.message, cure = excluded.cure,
    hours = excluded.hours, given = excluded.given, settled_at = NULL
WHERE (work_problem.message, work_problem.cure, work_problem.hours, work_problem.given)
    IS DISTINCT FROM (excluded.message, excluded.cure, excluded.hours, excluded.given)
    OR work_problem.settled_at IS NOT NULL
"""
OPEN_PROBLEMS = """
SELECT reason, count(*), coalesce(sum(hours), 0), min(cure),
    (array_agg(place || ': ' || message ORDER BY place))[1:5]
FROM work_problem WHERE source = %(source)s AND settled_at IS NULL GROUP BY reason ORDER BY reason
"""
REFRESH = """
UPDATE business_case c SET title = x.title, problems = x.problems
FROM json_to_recordset(%(rows)s::json) AS x (reason text, title text, problems jsonb, subject text)
WHERE c.state = 'open' AND c.process_id IS NULL AND c.subject = x.subject AND c.reason = x.reason
"""
CLOSE = """
UPDATE business_case SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = 'accord',
    resolution = 'the records were told anew'
WHERE state = 'open' AND process_id IS NULL AND subject = %(subject)s AND NOT reason = ANY(%(open)s)
"""
SETTLE = """
UPDATE work_problem SET settled_at = clock_timestamp()
WHERE source = %(source)s AND settled_at IS NULL AND place = ANY(%(places)s)
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a delivery came to: `told` records, of which `new` and `revised` were written; the rest says nothing new."""

    told: int
    new: int
    revised: int
    problems: int

    @property
    def unchanged(self) -> int:
        return self.told - self.new - self.revised


async def take(
    connection: Connection, entries: Iterable[WorkEntry], problems: Iterable[WorkProblem], *, source: str
) -> Taken:
    """Take a delivery of `source` in, inside the caller's transaction.

    The revision of an entry is found here: the one it bears is not looked at. Approved work that is bound to an
    engagement is queued for its price, and so is what was approved before and is not any more. Problems become one case
    by reason with a count, and are settled with `settle`. Raises UniqueViolation when the same record is taken by two
    at once: take it again.
    """
    await connection.execute(ARRIVE)
    async with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for nth, each in enumerate(entries):
            await copy.write_row((nth, *_row(each)))
    found = await (await connection.execute(TAKE)).fetchone()
    await connection.execute("DROP TABLE arriving_work")
    assert found is not None
    bad = [
        {
            "place": each.where,
            "reason": each.reason,
            "message": each.message,
            "cure": each.cure,
            "hours": None if each.hours is None else str(each.hours),
            "given": each.given,
        }
        for each in problems
    ]
    if bad:
        await connection.execute(KEEP_PROBLEMS, {"source": source, "rows": as_json(bad)})
    await show_problems(connection, source)
    await connection.execute("NOTIFY accord_work")
    told, new, revised = found
    return Taken(told, new, revised, len(bad))


async def settle(connection: Connection, source: str, places: list[str]) -> None:
    """These records were told anew, or are gone: what was wrong with them is settled."""
    await connection.execute(SETTLE, {"source": source, "places": places})
    await show_problems(connection, source)


async def show_problems(connection: Connection, source: str) -> None:
    """One case by reason with what is open now; the case of a reason that has nothing open any more is closed."""
    subject = f"work from {source}"
    rows = await (await connection.execute(OPEN_PROBLEMS, {"source": source})).fetchall()
    cases = [
        case_row(
            id=0,
            reason=reason,
            title=f"{count} records of work from {source} could not be taken ({hours.normalize():f} h): {reason}",
            problems=tuple(Problem(reason, message, cure=cure) for message in messages),
            owner="PMO",
            subject=subject,
        )
        for reason, count, hours, cure, messages in rows
    ]
    await connection.execute(CLOSE, {"subject": subject, "open": [each["reason"] for each in cases]})
    if not cases:
        return
    await connection.execute(REFRESH, {"rows": as_json(cases)})
    identities = Identities(connection)
    await identities.ensure(len(cases))
    await connection.execute(
        statements.OPEN_CASES, {"rows": as_json([{**each, "id": identities.take()} for each in cases])}
    )


def _row(entry: WorkEntry) -> tuple[object, ...]:
    approved = entry.status is WorkStatus.APPROVED
    return (
        entry.id,
        entry.kind.value,
        entry.source,
        entry.source_key,
        entry.status.value,
        entry.worked_on,
        entry.quantity,
        entry.unit,
        entry.engagement_id,
        entry.legal_entity,
        entry.worker,
        entry.worker_entity,
        entry.role,
        entry.task,
        entry.category,
        None if entry.cost is None else entry.cost.amount,
        None if entry.cost is None else entry.cost.currency,
        None if entry.tax_included is None else entry.tax_included.amount,
        entry.receipt,
        entry.billable,
        entry.note,
        entry.approver,
        entry.submitted_at,
        entry.approved_at if approved else None,
        entry.recorded_as,
    )
