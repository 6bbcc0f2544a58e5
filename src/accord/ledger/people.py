"""Declares who works when: spells of people, time off, holidays. What says the same as before changes nothing.

Costs of people are written here and nowhere else: no log, audit entry or answer repeats one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.governance import audit
from accord.model.money import Money, TooManyDecimals, UnknownCurrency
from accord.model.people import Calendar, Person, Staffing, TimeOff

LONGEST_ABSENCE = timedelta(days=3 * 366)
FIRST_YEAR, LAST_YEAR = 1990, 2100

DECLARE_PEOPLE = """
INSERT INTO person_spell AS p (worker, valid_from, valid_to, name, legal_entity, manager, role, practice, calendar,
    workdays, hours_per_week, cost_per_hour, cost_currency, declared_by)
SELECT x.worker, x.valid_from, x.valid_to, x.name, x.legal_entity, x.manager, x.role, x.practice, x.calendar,
    x.workdays, x.hours_per_week, x.cost_per_hour, x.cost_currency, %(by)s
FROM json_to_recordset(%(rows)s::json) AS x (worker text, valid_from date, valid_to date, name text, legal_entity text,
    manager text, role text, practice text, calendar text, workdays integer[], hours_per_week numeric,
    cost_per_hour numeric, cost_currency text)
ON CONFLICT (worker, valid_from) DO UPDATE SET valid_to = excluded.valid_to, name = excluded.name,
    legal_entity = excluded.legal_entity, manager = excluded.manager, role = excluded.role,
    practice = excluded.practice, calendar = excluded.calendar, workdays = excluded.workdays,
    hours_per_week = excluded.hours_per_week, cost_per_hour = excluded.cost_per_hour,
    cost_currency = excluded.cost_currency, declared_by = excluded.declared_by, declared_at = clock_timestamp()
WHERE (p.valid_to, p.name, p.legal_entity, p.manager, p.role, p.practice, p.calendar, p.workdays, p.hours_per_week,
    p.cost_per_hour, p.cost_currency) IS DISTINCT FROM (excluded.valid_to, excluded.name, excluded.legal_entity,
    excluded.manager, excluded.role, excluded.practice, excluded.calendar, excluded.workdays, excluded.hours_per_week,
    excluded.cost_per_hour, excluded.cost_currency)
RETURNING worker, valid_from
"""
DECLARE_TIME_OFF = """
INSERT INTO time_off AS t (worker, day, hours, declared_by)
SELECT x.worker, x.day, x.hours, %(by)s
FROM json_to_recordset(%(rows)s::json) AS x (worker text, day date, hours numeric)
ON CONFLICT (worker, day) DO UPDATE SET hours = excluded.hours, declared_by = excluded.declared_by
WHERE t.hours IS DISTINCT FROM excluded.hours
RETURNING worker
"""
DECLARE_HOLIDAYS = """
INSERT INTO holiday AS h (calendar, day, name)
SELECT x.calendar, x.day, x.name FROM json_to_recordset(%(rows)s::json) AS x (calendar text, day date, name text)
ON CONFLICT (calendar, day) DO UPDATE SET name = excluded.name WHERE h.name <> excluded.name
RETURNING calendar
"""
DECLARE_STRATEGIC = """
INSERT INTO reference (list, given, meaning, declared_by)
SELECT 'strategic_task', x.task, 'productive', %(by)s FROM unnest(%(tasks)s::text[]) AS x (task)
ON CONFLICT (list, given, valid_from) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Declared:
    """How many rows said something new: spells of people, days off, holidays."""

    people: int
    days_off: int
    holidays: int


async def declare(db: Connection, staffing: Staffing, *, by: str) -> Declared:
    """Declare people, their absence and holidays, inside the caller's transaction. Raises UsageError."""
    people = {(each.worker, each.valid_from): _spell(each) for each in staffing.people}
    days = {(each["worker"], each["day"]): each for span in staffing.time_off for each in _days(span)}
    holidays = {(each["calendar"], each["day"]): each for span in staffing.calendars for each in _public(span)}
    for own in staffing.holidays:
        holidays[own.calendar, own.day.isoformat()] = {
            "calendar": own.calendar, "day": own.day.isoformat(), "name": own.name
        }  # fmt: skip
    changed = await _write(db, DECLARE_PEOPLE, list(people.values()), by)
    off = await _write(db, DECLARE_TIME_OFF, list(days.values()), by)
    closed = await _write(db, DECLARE_HOLIDAYS, list(holidays.values()), by)
    if staffing.strategic_tasks:
        await db.execute(DECLARE_STRATEGIC, {"tasks": list(staffing.strategic_tasks), "by": by})
    entries = [
        {"actor": by, "action": "person declared", "about": worker, "detail": {"valid_from": since.isoformat()}}
        for worker, since in changed
    ]
    if off or closed:
        detail = {"days_off": len(off), "holidays": len(closed)}
        entries.append({"actor": by, "action": "absence declared", "about": "people", "detail": detail})
    await audit.write_many(db, entries)
    return Declared(len(changed), len(off), len(closed))


async def _write(db: Connection, statement: str, rows: list[dict[str, Any]], by: str) -> list[Any]:
    if not rows:
        return []
    found: list[Any] = await (await db.execute(statement.encode(), {"rows": as_json(rows), "by": by})).fetchall()
    return found


def _spell(person: Person) -> dict[str, Any]:
    if not person.worker.strip() or not person.legal_entity.strip():
        raise UsageError("each person needs `worker` and `legal_entity`")
    about = f"{person.worker} from {person.valid_from}"
    if person.valid_to is not None and person.valid_to < person.valid_from:
        raise UsageError(f"{about}: valid_to {person.valid_to} is before valid_from; it is the last day of the spell")
    if not 0 <= person.hours_per_week <= 168:
        raise UsageError(f"{about}: {person.hours_per_week} hours do not fit a week")
    if not person.workdays or not set(person.workdays) <= set(range(1, 8)):
        raise UsageError(f"{about}: workdays are numbers from 1 (Monday) to 7, at least one")
    cost = _cost(person.cost_per_hour, about)
    return {
        "worker": person.worker,
        "valid_from": person.valid_from.isoformat(),
        "valid_to": None if person.valid_to is None else person.valid_to.isoformat(),
        "name": person.name,
        "legal_entity": person.legal_entity,
        "manager": person.manager,
        "role": person.role,
        "practice": person.practice,
        "calendar": person.calendar,
        "workdays": sorted(set(person.workdays)),
        "hours_per_week": str(person.hours_per_week),
        "cost_per_hour": None if cost is None else str(cost.amount),
        "cost_currency": None if cost is None else cost.currency,
    }


def _cost(cost: Money | None, about: str) -> Money | None:
    try:
        return None if cost is None else Money.of(cost.amount, cost.currency)
    except (UnknownCurrency, TooManyDecimals) as error:
        # The error of an amount repeats it; who reads this may not see costs.
        raise UsageError(f"{about}: cost_per_hour does not fit a currency that is known") from error


def _days(span: TimeOff) -> Iterator[dict[str, Any]]:
    if not timedelta(0) <= span.ends_on - span.starts_on <= LONGEST_ABSENCE:
        raise UsageError(f"{span.worker}: time off from {span.starts_on} to {span.ends_on} is no span of up to 3 years")
    if span.hours_per_day is not None and not 0 <= span.hours_per_day <= 24:
        raise UsageError(f"{span.worker}: {span.hours_per_day} hours off do not fit a day")
    hours = None if span.hours_per_day is None else str(span.hours_per_day)
    for nth in range((span.ends_on - span.starts_on).days + 1):
        yield {"worker": span.worker, "day": (span.starts_on + timedelta(nth)).isoformat(), "hours": hours}


def _public(span: Calendar) -> Iterator[dict[str, Any]]:
    import holidays  # half a second, so only when a calendar is declared

    if not FIRST_YEAR <= span.first_year <= span.last_year <= LAST_YEAR:
        raise UsageError(f"calendar {span.calendar}: the years are between {FIRST_YEAR} and {LAST_YEAR}")
    try:
        found: dict[date, str] = holidays.country_holidays(
            span.country, subdiv=span.subdivision, years=range(span.first_year, span.last_year + 1)
        )
    except NotImplementedError as error:
        where = " ".join(each for each in (span.country, span.subdivision) if each)
        message = f"calendar {span.calendar}: the holidays of {where} are not known; list them instead"
        raise UsageError(message) from error
    for day, name in found.items():
        yield {"calendar": span.calendar, "day": day.isoformat(), "name": name}
