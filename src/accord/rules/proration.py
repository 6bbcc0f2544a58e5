"""A recurring service that changes within a period: what is left of the period, and what the change comes to. Pure.

A period is a month from anniversary to anniversary, half-open; a service that starts on the 31st has its anniversary
on the last day of shorter months, as billing platforms anchor it. What is left is counted in whole days from the day of
the change on. Each price is shared out over the days before and after by largest remainder, so that the two parts come
to the whole.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from accord.model.money import Money, allocate, total
from accord.model.recurring import PricedDays, RecurringSchedule


@dataclass(frozen=True, slots=True)
class ServicePeriod:
    """One month of a recurring service, from `starts_on` until before `ends_before`."""

    starts_on: date
    ends_before: date

    @property
    def days(self) -> int:
        return (self.ends_before - self.starts_on).days

    def left(self, on: date) -> int:
        """Days from `on` to the end, `on` included."""
        return max(0, min(self.days, (self.ends_before - on).days))


@dataclass(frozen=True, slots=True)
class Prorated:
    """What a change of price within a period comes to: the unused part of the old price, the same part of the new, and
    the difference, which has to be billed, or credited when it is negative."""

    period: ServicePeriod
    days_left: int
    credit: Money
    charge: Money
    difference: Money


def period_at(starts_on: date, months: int, on: date) -> ServicePeriod | None:
    """The period of a service of so many months in which a day lies; None before it starts and when it is over."""
    passed = months_begun(starts_on, on) - 1
    return period(starts_on, passed) if 0 <= passed < months else None


def months_begun(starts_on: date, on: date) -> int:
    """How many periods of a service have begun on a day, that day's included; below 1 before it starts."""
    passed = (on.year - starts_on.year) * 12 + on.month - starts_on.month
    return passed + 1 if on >= anniversary(starts_on, passed) else passed


def period(starts_on: date, passed: int) -> ServicePeriod:
    """The period that begins when so many months have passed."""
    return ServicePeriod(anniversary(starts_on, passed), anniversary(starts_on, passed + 1))


def prorated(before: Money, after: Money, period: ServicePeriod, on: date) -> Prorated:
    """A change of the monthly price on a day of a period that was billed at the price `before`.

    Raises CurrenciesDiffer when the two prices cannot be compared.
    """
    left = period.left(on)
    credit, charge = (allocate(each, [Decimal(period.days - left), Decimal(left)])[1] for each in (before, after))
    return Prorated(period, left, credit, charge, charge - credit)


def priced_days(schedule: RecurringSchedule, of: ServicePeriod) -> tuple[PricedDays, ...]:
    """A period by its monthly prices, in order of days."""
    within = {each.from_on for each in schedule.changes if of.starts_on < each.from_on < of.ends_before}
    bounds = (of.starts_on, *sorted(within), of.ends_before)
    return tuple(_merged(_days(schedule, first, before) for first, before in pairwise(bounds)))


def worth(days: Sequence[PricedDays]) -> Money:
    """What a period comes to: the price it begins with, and what each change within it comes to by itself."""
    whole = ServicePeriod(days[0].from_on, days[-1].ends_before)
    changes = (prorated(before.monthly, after.monthly, whole, after.from_on) for before, after in pairwise(days))
    return days[0].monthly + total((each.difference for each in changes), days[0].monthly.currency)


def value_of(schedule: RecurringSchedule) -> Money:
    """What all periods of a service come to, those to come included."""
    values = (worth(priced_days(schedule, each)) for each in periods_of(schedule))
    return total(values, schedule.monthly.currency)


def periods_of(schedule: RecurringSchedule) -> Iterator[ServicePeriod]:
    """All periods of a service, in order."""
    return (period(schedule.starts_on, passed) for passed in range(schedule.months_now))


def _days(schedule: RecurringSchedule, first: date, before: date) -> PricedDays:
    holding = schedule.change_on(first)
    return PricedDays(first, before, schedule.monthly_on(first), None if holding is None else holding.change_order)


def _merged(days: Iterator[PricedDays]) -> Iterator[PricedDays]:
    """Days that follow each other at one price are one."""
    held = next(days)
    for each in days:
        if each.monthly == held.monthly:
            held = PricedDays(held.from_on, each.ends_before, held.monthly, held.change_order)
        else:
            yield held
            held = each
    yield held


def anniversary(starts_on: date, months: int) -> date:
    """The day so many months later, the last one of a month that has no such day."""
    year, month = divmod(starts_on.month - 1 + months, 12)
    year, month = starts_on.year + year, month + 1
    return date(year, month, min(starts_on.day, monthrange(year, month)[1]))
