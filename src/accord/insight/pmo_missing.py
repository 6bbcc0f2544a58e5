"""Missing time: who has not submitted, whose time is not approved, by manager, and what is at stake."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from accord.db import keyset
from accord.engine.shell import Connection
from accord.insight.engagements import sums
from accord.insight.pmo_hours import AVAILABLE, ENTRIES, FREE_TASKS, IS_BILLABLE, WITH_FREE_TASKS, Weeks, time_sources
from accord.ledger import terms as declared
from accord.model.money import Money
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.rules.missing_time import Brought, UncappedPrices, worth_of_untold

# So far back an hour of a person is looked up to say what one is worth.
LOOK_BACK = timedelta(weeks=8)
NOBODY = "nobody"
# So much is reckoned before others of the process have their turn: some milliseconds.
AT_ONCE, TERMS_AT_ONCE = 250, 25

# Per person and week, so that more in one week makes up for nothing in another; then summed for each person.
GAPS = f"""
WITH {AVAILABLE}, {ENTRIES}, told AS (
    SELECT worker, starts_on, hours AS expected, 0 AS approved, 0 AS submitted, 0 AS returned FROM available
    UNION ALL
    SELECT p.worker, p.starts_on, 0, CASE WHEN w.status = 'approved' THEN w.quantity ELSE 0 END,
        CASE WHEN w.status = 'submitted' THEN w.quantity ELSE 0 END,
        CASE WHEN w.status IN ('rejected', 'recalled') THEN w.quantity ELSE 0 END
    FROM entry w JOIN part p ON p.worker = w.worker AND w.worked_on BETWEEN p.lo AND p.hi
), week AS (
    SELECT worker, starts_on, sum(expected) AS expected, sum(approved) AS approved, sum(submitted) AS submitted,
        sum(returned) AS returned, greatest(sum(expected - approved - submitted), 0) AS lacking
    FROM told GROUP BY 1, 2
)"""
BY_PERSON = f"""{GAPS}
SELECT p.worker, p.name, coalesce(p.manager, ''), (SELECT m.name FROM employment m WHERE m.worker = p.manager
        ORDER BY m.valid_from DESC LIMIT 1), p.practice, p.legal_entity, sum(k.expected), sum(k.approved),
    sum(k.submitted), sum(k.returned), sum(k.lacking),
    min(k.starts_on) FILTER (WHERE k.lacking > 0 OR k.submitted > 0)
FROM week k JOIN person p ON p.worker = k.worker
WHERE %(manager)s::text IS NULL OR coalesce(p.manager, '') = %(manager)s
GROUP BY p.worker, p.name, p.manager, p.practice, p.legal_entity
HAVING sum(k.lacking) > 0 OR sum(k.submitted) > 0
ORDER BY coalesce(p.manager, ''), p.worker
"""
WEEKS_OF_ONE = f"""{GAPS}
SELECT k.starts_on, k.expected, k.approved, k.submitted, k.returned, k.lacking
FROM week k WHERE k.worker = %(worker)s ORDER BY k.starts_on
"""
# What the approved hours of these people came to: the price their items have, of billable work alone.
BROUGHT = f"""
WITH {FREE_TASKS}
SELECT w.worker, b.currency, sum(w.quantity), coalesce(sum(b.amount) FILTER (WHERE {IS_BILLABLE}), 0)
FROM work_entry w {WITH_FREE_TASKS}
    LEFT JOIN billable_item b ON b.source_id = w.id AND b.source_revision = w.revision
    AND b.kind = 'time' AND b.reverses IS NULL
    AND (%(entities)s::text[] IS NULL OR b.legal_entity = ANY(%(entities)s))
WHERE w.current AND w.kind = 'time' AND w.status = 'approved' AND w.worker = ANY(%(workers)s)
    AND w.worked_on BETWEEN %(since)s AND %(last_day)s
GROUP BY 1, 2
"""
# Entries that are alike have one price: they are priced once and counted.
SUBMITTED = """
SELECT w.engagement, w.legal_entity, w.worker, w.role, w.task, w.billable, w.worked_on, w.quantity, count(*)
FROM work_entry w
WHERE w.current AND w.kind = 'time' AND w.status = 'submitted' AND w.worker = ANY(%(workers)s)
    AND w.worked_on BETWEEN %(first_day)s AND %(last_day)s
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
OPEN_ENTRIES = """
SELECT w.id, w.worked_on, w.status, w.quantity, w.task, w.note, w.source, w.source_key, w.engagement, w.legal_entity,
    d.body ->> 'name', w.recorded_at
FROM work_entry w LEFT JOIN record d ON d.kind = 'deal' AND d.id = w.engagement
WHERE w.current AND w.kind = 'time' AND w.status IN ('submitted', 'rejected', 'recalled') AND w.worker = %(worker)s
    AND w.worked_on BETWEEN %(first_day)s AND %(last_day)s
ORDER BY w.worked_on, w.id LIMIT 500
"""
# Whoever told time and is no person the firm has declared: nothing is expected of them, so nothing can be missing.
NOT_DECLARED = """
SELECT count(DISTINCT w.worker) FROM work_entry w
WHERE w.current AND w.kind = 'time' AND w.worked_on BETWEEN %(first_day)s AND %(last_day)s AND w.worker IS NOT NULL
    AND NOT EXISTS (SELECT FROM person_spell p WHERE p.worker = w.worker)
"""
FORMULA = (
    "not submitted = Σ over weeks of max(0, contractual hours − holidays − time off − approved − submitted); worth:"
    " hours × what an hour of the same person brought in the eight weeks before the last day. Not approved ="
    " submitted hours; worth: hours × the rate the terms give, before caps."
)


@dataclass(frozen=True, slots=True)
class Missing:
    """What one person lacks in the weeks looked at. `lacking` hours are not submitted (`returned` of them were told
    and came back), `submitted` wait for approval. `untold` is None where nothing says what an hour is worth;
    `unpriced` are submitted hours without a rate the reader may see."""

    worker: str
    name: str
    manager: str
    manager_name: str | None
    practice: str | None
    legal_entity: str
    expected: Decimal
    approved: Decimal
    submitted: Decimal
    returned: Decimal
    lacking: Decimal
    oldest_week: date | None
    untold: tuple[Money, ...] | None
    unapproved: tuple[Money, ...]
    unpriced: Decimal

    @property
    def at_stake(self) -> tuple[Money, ...]:
        return sums([*(self.untold or ()), *self.unapproved])


@dataclass(frozen=True, slots=True)
class OfManager:
    """All that is missing below one manager; '' for people who have none."""

    manager: str
    name: str
    people: int
    lacking: Decimal
    submitted: Decimal
    at_stake: tuple[Money, ...]
    not_valued: int


@dataclass(frozen=True, slots=True)
class MissingTime:
    """Missing time of some weeks. `undeclared` people told time and are not known; `sources` are the newest facts."""

    weeks: Weeks
    people: tuple[Missing, ...]
    undeclared: int
    sources: tuple[tuple[str, datetime], ...]

    @property
    def managers(self) -> tuple[OfManager, ...]:
        """By manager, the most hours first."""
        found: dict[str, list[Missing]] = {}
        for each in self.people:
            found.setdefault(each.manager, []).append(each)
        gathered = [_of_manager(manager, people) for manager, people in found.items()]
        return tuple(sorted(gathered, key=lambda each: (-(each.lacking + each.submitted), each.manager)))

    @property
    def lacking(self) -> Decimal:
        return sum((each.lacking for each in self.people), Decimal(0))

    @property
    def submitted(self) -> Decimal:
        return sum((each.submitted for each in self.people), Decimal(0))

    @property
    def at_stake(self) -> tuple[Money, ...]:
        return sums([amount for each in self.people for amount in each.at_stake])


@dataclass(frozen=True, slots=True)
class WeekOfPerson:
    """One week of one person, in hours."""

    monday: date
    expected: Decimal
    approved: Decimal
    submitted: Decimal
    returned: Decimal
    lacking: Decimal


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """One entry that waits for approval or came back. Of another legal entity's work only day and hours are told."""

    id: str
    worked_on: date
    status: str
    hours: Decimal
    task: str | None
    note: str | None
    source: str
    source_key: str
    engagement: str | None
    engagement_name: str | None
    recorded_at: datetime


async def missing_time(
    db: Connection, weeks: Weeks, *, entities: Sequence[str] | None = None, manager: str | None = None
) -> MissingTime:
    """Everyone whose time of these weeks is missing, by manager and worker; `manager` '' is people without one.

    People are those of the legal entities; so are engagements, when it comes to what hours are worth.
    """
    about = {**weeks.parameters(entities), "manager": manager}
    rows = await (await db.execute(BY_PERSON.encode(), about)).fetchall()
    workers = {row[0] for row in rows}
    brought = await _brought(db, [row[0] for row in rows if row[10]], weeks, entities)
    unapproved, unpriced = await _unapproved(db, workers, weeks, entities)
    people = tuple(
        _missing(
            row,
            worth_of_untold(row[10], brought.get(row[0])) if row[10] else (),
            sums(unapproved.get(row[0], [])),
            unpriced.get(row[0], Decimal(0)),
        )
        for row in rows
    )
    strangers = await (await db.execute(NOT_DECLARED, about)).fetchone()
    # Who is not declared belongs to no legal entity, so only who sees all of them is told.
    undeclared = strangers[0] if strangers and entities is None else 0
    return MissingTime(weeks, people, undeclared, await time_sources(db, weeks.first_day, weeks.last_day))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of people and the cursor of the next one."""

    people: tuple[Missing, ...]
    next: str | None


def page_of(found: MissingTime, cursor: str | None, limit: int) -> Page:
    """One page of what was found, after a cursor. Pure. Raises CursorNotUnderstood."""
    after = None if cursor is None else keyset.decode(cursor, str, str)
    rest = [each for each in found.people if after is None or (each.manager, each.worker) > after]
    some = tuple(rest[:limit])
    return Page(some, keyset.encode(some[-1].manager, some[-1].worker) if len(rest) > limit else None)


async def weeks_of(db: Connection, worker: str, weeks: Weeks, entities: Sequence[str] | None) -> list[WeekOfPerson]:
    """The weeks of one person; none for one whom the reader may not see."""
    about = {**weeks.parameters(entities), "worker": worker}
    return [WeekOfPerson(*row) for row in await (await db.execute(WEEKS_OF_ONE.encode(), about)).fetchall()]


async def open_entries(db: Connection, worker: str, weeks: Weeks, entities: Sequence[str] | None) -> list[OpenEntry]:
    """What one person told and nobody has approved, at most 500 entries."""
    about = {**weeks.parameters(entities), "worker": worker}
    return [_entry(row, entities) for row in await (await db.execute(OPEN_ENTRIES, about)).fetchall()]


def _entry(row: Sequence[Any], entities: Sequence[str] | None) -> OpenEntry:
    id, day, status, hours, task, note, source, key, engagement, entity, name, at = row
    if entities is not None and entity is not None and entity not in entities:
        return OpenEntry(id, day, status, hours, None, None, source, key, None, "work for another legal entity", at)
    return OpenEntry(id, day, status, hours, task, note, source, key, engagement, name or engagement, at)


async def _brought(
    db: Connection, workers: Sequence[str], weeks: Weeks, entities: Sequence[str] | None
) -> Mapping[str, Brought]:
    if not workers:
        return {}
    since = weeks.last_day - LOOK_BACK
    about = {"workers": list(workers), "since": since, "last_day": weeks.last_day,
             "entities": None if entities is None else list(entities)}  # fmt: skip
    hours: dict[str, Decimal] = {}
    values: dict[str, dict[str, Decimal]] = {}
    for worker, currency, told, value in await (await db.execute(BROUGHT.encode(), about)).fetchall():
        hours[worker] = hours.get(worker, Decimal(0)) + told
        if currency is not None:
            values.setdefault(worker, {})[currency] = value
    return {worker: Brought(told, values.get(worker, {})) for worker, told in hours.items()}


async def _unapproved(
    db: Connection, workers: Iterable[str], weeks: Weeks, entities: Sequence[str] | None
) -> tuple[dict[str, list[Money]], dict[str, Decimal]]:
    about = {**weeks.parameters(entities), "workers": list(workers)}
    rows = await (await db.execute(SUBMITTED, about)).fetchall()
    seen = {(row[0], row[1]) for row in rows if row[0] is not None and (entities is None or row[1] in entities)}
    prices = await _prices(db, sorted(seen))
    amounts: dict[str, list[Money]] = {}
    unpriced: dict[str, Decimal] = {}
    for nth, (engagement, entity, worker, role, task, billable, day, hours, count) in enumerate(rows):
        if nth % AT_ONCE == 0:
            await asyncio.sleep(0)  # others of this process go on meanwhile
        known = prices.get((engagement, entity))
        entry = WorkEntry(
            "", 1, WorkKind.TIME, "", "", WorkStatus.SUBMITTED, day, hours, engagement, entity, worker, role=role,
            task=task, billable=billable,
        )  # fmt: skip
        value = None if known is None else known.of(entry)
        if value is None:
            unpriced[worker] = unpriced.get(worker, Decimal(0)) + hours * count
        elif value:
            amounts.setdefault(worker, []).append(Money(value.amount * count, value.currency))
    return amounts, unpriced


async def _prices(db: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], UncappedPrices]:
    found: dict[tuple[str, str], UncappedPrices] = {}
    for first in range(0, len(keys), TERMS_AT_ONCE):
        some = await declared.latest(db, keys[first : first + TERMS_AT_ONCE])
        found |= {key: UncappedPrices(terms) for key, terms in some.items()}
    return found


def _missing(
    row: Sequence[Any], untold: tuple[Money, ...] | None, unapproved: tuple[Money, ...], unpriced: Decimal
) -> Missing:
    worker, name, manager, manager_name, practice, entity, expected, approved, submitted, returned, lacking, oldest = (
        row
    )
    return Missing(
        worker, name, manager, manager_name, practice, entity, expected, approved, submitted, returned, lacking, oldest,
        untold, unapproved, unpriced,
    )  # fmt: skip


def _of_manager(manager: str, people: Sequence[Missing]) -> OfManager:
    return OfManager(
        manager=manager,
        name=people[0].manager_name or manager or NOBODY,
        people=len(people),
        lacking=sum((each.lacking for each in people), Decimal(0)),
        submitted=sum((each.submitted for each in people), Decimal(0)),
        at_stake=sums([amount for each in people for amount in each.at_stake]),
        not_valued=sum(1 for each in people if each.untold is None or each.unpriced),
    )
