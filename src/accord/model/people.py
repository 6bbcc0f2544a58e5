"""People as the firm staffs them: hours, manager, practice, legal entity and cost, each from a day on; days off.

What time is expected from whom follows from this, and so does every utilization. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from accord.model.money import Money

MONDAY_TO_FRIDAY = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Person:
    """One spell of a person's work, from `valid_from` to `valid_to` (its last day) or to the next spell.

    `worker` and `manager` are names as the time systems tell them. `hours_per_week` are spread evenly over `workdays`
    (1 is Monday); `calendar` names the holidays. `cost_per_hour` is the loaded cost, shown only with the permission
    for it.
    """

    worker: str
    name: str
    legal_entity: str
    hours_per_week: Decimal
    valid_from: date
    valid_to: date | None = None
    manager: str | None = None
    role: str | None = None
    practice: str | None = None
    calendar: str = ""
    workdays: tuple[int, ...] = MONDAY_TO_FRIDAY
    cost_per_hour: Money | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TimeOff:
    """Days, both included, on which a person does not work: whole ones, or `hours_per_day` of each (0
    takes a day off back). Why is nobody's matter here."""

    worker: str
    starts_on: date
    ends_on: date
    hours_per_day: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar that has the public holidays of a country (ISO 3166, such as DE) or of a part of it (such as BY)."""

    calendar: str
    country: str
    first_year: int
    last_year: int
    subdivision: str | None = None


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day off for everyone of a calendar, beside the public ones."""

    calendar: str
    day: date
    name: str


@dataclass(frozen=True, slots=True)
class Staffing:
    """What is declared at once. `strategic_tasks` count as productive though nobody pays for them."""

    people: tuple[Person, ...] = ()
    time_off: tuple[TimeOff, ...] = ()
    calendars: tuple[Calendar, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    strategic_tasks: tuple[str, ...] = ()
