"""The hours people are there for, and the hours they told: common tables for statements about people, set-based.

`span` is one or more ranges of days, given as `starts` and `ends`; `entities` limits people to legal entities. A `part`
is what of a range lies in one spell of a person: hours told count there, not before, after or for another legal entity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from accord.engine.shell import Connection

# Days are counted once for each calendar, pattern of workdays and range, not for each person: there are few of those.
# What belongs together is appended and summed rather than joined: PostgreSQL cannot know how many rows come out of
# these tables, and would join them row by row.
AVAILABLE = """
span AS (
    SELECT * FROM unnest(%(starts)s::date[], %(ends)s::date[]) AS s (starts_on, ends_on)
), part AS (
    SELECT e.*, s.starts_on, e.hours_per_week / cardinality(e.workdays) AS per_day,
        greatest(e.valid_from, s.starts_on) AS lo, least(e.ends_on, s.ends_on) AS hi
    FROM employment e JOIN span s ON e.valid_from <= s.ends_on AND (e.ends_on IS NULL OR e.ends_on >= s.starts_on)
    WHERE %(entities)s::text[] IS NULL OR e.legal_entity = ANY(%(entities)s)
), workday AS (
    SELECT p.calendar, p.workdays, p.lo, p.hi, d::date AS day, h.day IS NOT NULL AS closed
    FROM (SELECT DISTINCT calendar, workdays, lo, hi FROM part) p
    CROSS JOIN LATERAL generate_series(p.lo, p.hi, interval '1 day') d
    LEFT JOIN holiday h ON h.calendar = p.calendar AND h.day = d::date
    WHERE extract(isodow FROM d)::integer = ANY(p.workdays)
), counted AS (
    SELECT calendar, workdays, lo, hi, count(*) AS days, count(*) FILTER (WHERE closed) AS closed
    FROM workday GROUP BY 1, 2, 3, 4
), available AS (
    SELECT worker, starts_on, round(sum(contractual), 2) AS contractual, round(sum(holidays), 2) AS holidays,
        round(sum(time_off), 2) AS time_off, round(sum(contractual - holidays - time_off), 2) AS hours
    FROM (
        SELECT p.worker, p.starts_on, p.per_day * c.days AS contractual, p.per_day * c.closed AS holidays, 0 AS time_off
        FROM part p JOIN counted c ON (c.calendar, c.workdays, c.lo, c.hi) = (p.calendar, p.workdays, p.lo, p.hi)
        UNION ALL
        SELECT p.worker, p.starts_on, 0, 0, least(coalesce(t.hours, p.per_day), p.per_day)
        FROM part p JOIN time_off t ON t.worker = p.worker AND t.day BETWEEN p.lo AND p.hi
        JOIN workday w ON (w.calendar, w.workdays, w.lo, w.hi, w.day) = (p.calendar, p.workdays, p.lo, p.hi, t.day)
            AND NOT w.closed
    ) hours GROUP BY 1, 2
), person AS (
    SELECT DISTINCT ON (worker) worker, name, manager, practice, role, legal_entity FROM part
    ORDER BY worker, valid_from DESC
)"""
# The time of these days, read by its index before it is matched with people: a look for each person would read it all.
ENTRIES = """
entry AS MATERIALIZED (
    SELECT w.worker, w.worked_on, w.status, w.quantity, w.billable, w.engagement, w.legal_entity, w.task
    FROM work_entry w
    WHERE w.current AND w.kind = 'time' AND w.worked_on BETWEEN %(first_day)s AND %(last_day)s
)"""
# The terms in force say which tasks nobody pays for; who told an entry may say so too.
FREE_TASKS = """
free_task AS (
    SELECT DISTINCT t.engagement, t.legal_entity, f.task
    FROM (SELECT DISTINCT ON (engagement, legal_entity) engagement, legal_entity, body FROM billing_terms
          ORDER BY engagement, legal_entity, version DESC) t
    CROSS JOIN LATERAL jsonb_array_elements_text(t.body -> 'non_billable_tasks') AS f (task)
)"""
WITH_FREE_TASKS = """LEFT JOIN free_task f ON f.engagement = w.engagement AND f.legal_entity = w.legal_entity
        AND f.task = w.task"""
IS_BILLABLE = "(w.billable AND w.engagement IS NOT NULL AND f.task IS NULL)"

# What the hours of a range of days were told by, and when each source told of them last.
SOURCES = """
SELECT source, max(recorded_at) FROM work_entry w
WHERE w.current AND w.kind = 'time' AND w.worked_on BETWEEN %(first_day)s AND %(last_day)s GROUP BY 1 ORDER BY 1
"""


async def time_sources(db: Connection, first_day: date, last_day: date) -> tuple[tuple[str, datetime], ...]:
    """Each source of time of these days with its newest fact about them."""
    rows = await (await db.execute(SOURCES, {"first_day": first_day, "last_day": last_day})).fetchall()
    return tuple((source, at) for source, at in rows)


@dataclass(frozen=True, slots=True)
class Weeks:
    """Whole weeks from Monday to Sunday."""

    first_day: date
    last_day: date

    @classmethod
    def until(cls, today: date, weeks: int) -> Weeks:
        """The last `weeks` weeks that are over."""
        monday = today - timedelta(days=today.weekday())
        return cls(monday - timedelta(weeks=weeks), monday - timedelta(days=1))

    @property
    def mondays(self) -> list[date]:
        count = ((self.last_day - self.first_day).days + 1) // 7
        return [self.first_day + timedelta(weeks=nth) for nth in range(count)]

    def parameters(self, entities: Sequence[str] | None) -> dict[str, Any]:
        """What the statements about single weeks take."""
        return {
            "starts": self.mondays,
            "ends": [each + timedelta(days=6) for each in self.mondays],
            "first_day": self.first_day,
            "last_day": self.last_day,
            "entities": None if entities is None else list(entities),
        }
