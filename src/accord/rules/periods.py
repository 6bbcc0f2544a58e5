"""Accounting periods: calendar months and the 4-4-5 calendars of firms that count weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

WEEK = timedelta(weeks=1)


class PeriodsDoNotFollow(ValueError):
    """Accounting periods overlap or leave a gap; correct the calendar."""


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """One accounting period of a legal entity, from `starts_on` to `ends_on`, both inclusive. `code` is as the books
    name it (2026-11, FY26-P02)."""

    starts_on: date
    ends_on: date
    code: str

    def __post_init__(self) -> None:
        if self.ends_on < self.starts_on:
            raise PeriodsDoNotFollow(f"{self.code} ends on {self.ends_on}, before it starts on {self.starts_on}")

    def __contains__(self, day: date) -> bool:
        return self.starts_on <= day <= self.ends_on

    @property
    def days(self) -> int:
        return (self.ends_on - self.starts_on).days + 1


def months(first: date, count: int) -> tuple[Period, ...]:
    """`count` calendar months from the one that holds `first`."""
    firsts = [
        date(first.year + (first.month - 1 + n) // 12, (first.month - 1 + n) % 12 + 1, 1) for n in range(count + 1)
    ]
    return tuple(Period(start, end - timedelta(days=1), f"{start:%Y-%m}") for start, end in pairwise(firsts))


def weeks_445(
    starts_on: date, label: str, pattern: Sequence[int] = (4, 4, 5), *, long_year: bool = False
) -> tuple[Period, ...]:
    """The twelve periods of a fiscal year of 52 weeks, a quarter being `pattern` weeks; a `long_year` has a 53rd week
    in its last period. `label` names the year: FY26 gives FY26-P01 to FY26-P12."""
    lengths = [*pattern] * 4
    lengths[-1] += long_year
    found, start = [], starts_on
    for number, weeks in enumerate(lengths, start=1):
        found.append(Period(start, start + weeks * WEEK - timedelta(days=1), f"{label}-P{number:02}"))
        start += weeks * WEEK
    return tuple(found)


def in_order(periods: Sequence[Period]) -> tuple[Period, ...]:
    """Periods by date. Raises PeriodsDoNotFollow for an overlap, a gap or two of one code."""
    ordered = tuple(sorted(periods))
    for before, after in pairwise(ordered):
        if after.starts_on != before.ends_on + timedelta(days=1):
            raise PeriodsDoNotFollow(
                f"{after.code} starts on {after.starts_on}; {before.code} ends on {before.ends_on}"
            )
    if len({each.code for each in ordered}) < len(ordered):
        raise PeriodsDoNotFollow("two periods have the same code")
    return ordered


def holding(periods: Sequence[Period], day: date) -> Period | None:
    """The period that holds a day, or None where the calendar does not reach it."""
    return next((each for each in periods if day in each), None)
