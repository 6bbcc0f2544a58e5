"""How the hours of people are used: utilization by person and by practice, with what is submitted as a band."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from accord.db import keyset
from accord.engine.shell import Connection
from accord.insight.pmo_hours import AVAILABLE, ENTRIES, FREE_TASKS, IS_BILLABLE, WITH_FREE_TASKS, time_sources
from accord.rules.measures import people
from accord.rules.measures.definition import Reading

ZERO = Decimal(0)

BY_PERSON = f"""
WITH {AVAILABLE}, {FREE_TASKS}, {ENTRIES}, strategic AS (
    SELECT DISTINCT given AS task FROM reference WHERE list = 'strategic_task'
), told AS (
    SELECT worker, contractual, time_off, holidays, hours, 0 AS billable, 0 AS strategic, 0 AS other, 0 AS submitted,
        0 AS entries
    FROM available
    UNION ALL
    SELECT w.worker, 0, 0, 0, 0, CASE WHEN w.status = 'approved' AND {IS_BILLABLE} THEN w.quantity ELSE 0 END,
        CASE WHEN w.status = 'approved' AND NOT {IS_BILLABLE} AND s.task IS NOT NULL THEN w.quantity ELSE 0 END,
        CASE WHEN w.status = 'approved' AND NOT {IS_BILLABLE} AND s.task IS NULL THEN w.quantity ELSE 0 END,
        CASE WHEN w.status = 'submitted' AND {IS_BILLABLE} THEN w.quantity ELSE 0 END, 1
    FROM entry w JOIN part p ON p.worker = w.worker AND w.worked_on BETWEEN p.lo AND p.hi
    {WITH_FREE_TASKS} LEFT JOIN strategic s ON s.task = w.task
    WHERE w.status IN ('approved', 'submitted')
), summed AS (
    SELECT worker, sum(contractual) AS contractual, sum(time_off) AS time_off, sum(holidays) AS holidays,
        sum(hours) AS hours, sum(billable) AS billable, sum(strategic) AS strategic, sum(other) AS other,
        sum(submitted) AS submitted, sum(entries) AS entries
    FROM told GROUP BY 1
)
SELECT p.worker, p.name, p.practice, p.manager, p.legal_entity, s.contractual, s.time_off, s.holidays, s.hours,
    s.billable, s.strategic, s.other, s.submitted
FROM person p JOIN summed s ON s.worker = p.worker
WHERE (%(practice)s::text IS NULL OR coalesce(p.practice, '') = %(practice)s) AND (s.hours > 0 OR s.entries > 0)
ORDER BY p.worker
"""


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a period: what was available, and of what was told the billable, strategic and other approved hours,
    and the billable ones that are submitted and not approved."""

    contractual: Decimal = ZERO
    time_off: Decimal = ZERO
    holidays: Decimal = ZERO
    available: Decimal = ZERO
    billable: Decimal = ZERO
    strategic: Decimal = ZERO
    other: Decimal = ZERO
    submitted: Decimal = ZERO

    def __add__(self, more: Hours) -> Hours:
        return Hours(*(getattr(self, name) + getattr(more, name) for name in self.__slots__))

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Billable, the upper edge of its band, and productive utilization."""
        return (
            people.billable_utilization(self.billable, self.available),
            people.billable_utilization_with_submitted(self.billable, self.submitted, self.available),
            people.productive_utilization(self.billable, self.strategic, self.available),
        )


@dataclass(frozen=True, slots=True)
class OfPerson:
    """The hours of one person."""

    worker: str
    name: str
    practice: str | None
    manager: str | None
    legal_entity: str
    hours: Hours


@dataclass(frozen=True, slots=True)
class OfPractice:
    """The hours of all people of a practice; '' for those who have none."""

    practice: str
    people: int
    hours: Hours


@dataclass(frozen=True, slots=True)
class Utilization:
    """Utilization of a range of days, both included. `sources` are the newest facts of each source of its hours."""

    first_day: date
    last_day: date
    people: tuple[OfPerson, ...]
    sources: tuple[tuple[str, datetime], ...]

    @property
    def whole(self) -> Hours:
        return _sum(each.hours for each in self.people)

    @property
    def practices(self) -> tuple[OfPractice, ...]:
        """By practice, the most available hours first."""
        found: dict[str, list[Hours]] = {}
        for each in self.people:
            found.setdefault(each.practice or "", []).append(each.hours)
        gathered = [OfPractice(practice, len(hours), _sum(hours)) for practice, hours in found.items()]
        return tuple(sorted(gathered, key=lambda each: (-each.hours.available, each.practice)))


async def utilization(
    db: Connection,
    first_day: date,
    last_day: date,
    *,
    entities: Sequence[str] | None = None,
    practice: str | None = None,
) -> Utilization:
    """The people of the legal entities, by worker; `practice` '' is people who have none."""
    about = {
        "starts": [first_day], "ends": [last_day], "first_day": first_day, "last_day": last_day, "practice": practice,
        "entities": None if entities is None else list(entities),
    }  # fmt: skip
    rows = await (await db.execute(BY_PERSON.encode(), about)).fetchall()
    found = tuple(
        OfPerson(worker, name, team, manager, entity, Hours(*hours))
        for worker, name, team, manager, entity, *hours in rows
    )
    return Utilization(first_day, last_day, found, await time_sources(db, first_day, last_day))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of people and the cursor of the next one."""

    people: tuple[OfPerson, ...]
    next: str | None


def page_of(found: Utilization, cursor: str | None, limit: int) -> Page:
    """One page of the people, after a cursor. Pure. Raises CursorNotUnderstood."""
    after = "" if cursor is None else keyset.decode(cursor, str)[0]
    rest = [each for each in found.people if each.worker > after]
    some = tuple(rest[:limit])
    return Page(some, keyset.encode(some[-1].worker) if len(rest) > limit else None)


def _sum(hours: Iterable[Hours]) -> Hours:
    return sum(hours, start=Hours())
