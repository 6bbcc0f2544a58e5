"""A recurring service that changes within a period: what is left of the period, and what the change comes to. Pure.

A period is a month from anniversary to anniversary, half-open; a service that starts on the 31st has its anniversary
on the last day of shorter months, as billing platforms anchor it. What is left is counted in whole days from the day of
the change on. Each price is shared out over the days before and after by largest remainder, so that the two parts come
to the whole.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from accord.model.money import Money, allocate


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
    passed = (on.year - starts_on.year) * 12 + on.month - starts_on.month
    if on < _anniversary(starts_on, passed):
        passed -= 1
    if not 0 <= passed < months:
        return None
    return ServicePeriod(_anniversary(starts_on, passed), _anniversary(starts_on, passed + 1))


def prorated(before: Money, after: Money, period: ServicePeriod, on: date) -> Prorated:
    """A change of the monthly price on a day of a period that was billed at the price `before`.

    Raises CurrenciesDiffer when the two prices cannot be compared.
    """
    left = period.left(on)
    credit, charge = (allocate(each, [Decimal(period.days - left), Decimal(left)])[1] for each in (before, after))
    return Prorated(period, left, credit, charge, charge - credit)


def _anniversary(starts_on: date, months: int) -> date:
    year, month = divmod(starts_on.month - 1 + months, 12)
    year, month = starts_on.year + year, month + 1
    return date(year, month, min(starts_on.day, monthrange(year, month)[1]))
