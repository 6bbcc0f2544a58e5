"""What is open, by age: receivables from their due date, WIP from the day it was worked.

Disputed amounts are flagged, not removed; unapplied cash is shown apart, not netted (features.md 3.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from accord.model.money import Money
from accord.rules.measures.definition import Definition, Unit

# The last bucket is open: 121 days and more.
EDGES = (30, 60, 90, 120)

RECEIVABLES = Definition(
    "ageing",
    "receivables",
    1,
    "open amount by days since the due date: current, 1-30, 31-60, 61-90, 91-120, over 120",
    ("open", "as_of"),
    Unit.MONEY,
    "Disputed amounts stay in and are told beside. Unapplied cash is told apart.",
)
WORK_IN_PROGRESS = Definition(
    "ageing",
    "wip",
    1,
    "unbilled value by days since the worked date: 0-30, 31-60, 61-90, 91-120, over 120",
    ("unbilled", "as_of"),
    Unit.MONEY,
)

WORK_BY_MONTH = Definition(
    "ageing",
    "wip_by_month",
    1,
    "unbilled value by days since the last day of the month it was worked in: 0-30, 31-60, 61-90, 91-120, over 120",
    ("unbilled", "as_of"),
    Unit.MONEY,
    "Work is at least as old as its bucket says. Added up by month, so that it is read at once however much there is.",
)


@dataclass(frozen=True, slots=True)
class OpenAmount:
    """An amount whose age counts from `since`: the due date of a receivable, the worked date of WIP."""

    value: Money
    since: date
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """Open amounts of one range of days; `from_day` None is what is not due yet, `to_day` None has no end."""

    label: str
    from_day: int | None
    to_day: int | None
    amount: Money
    disputed: Money
    count: int


@dataclass(frozen=True, slots=True)
class Ageing:
    """All buckets, empty ones too, oldest last. `unapplied` is cash received that pays no invoice yet."""

    definition: Definition
    as_of: date
    buckets: tuple[Bucket, ...]
    unapplied: Money

    @property
    def total(self) -> Money:
        """The open amounts, disputed ones included and unapplied cash not taken off."""
        zero = self.unapplied - self.unapplied
        return sum((each.amount for each in self.buckets), start=zero)


def receivables_ageing(
    open: Iterable[OpenAmount], as_of: date, currency: str, unapplied: Money | None = None
) -> Ageing:
    """An invoice due today is current; it is one day old tomorrow. Raises CurrenciesDiffer."""
    ranges = (("current", None, 0), *_ranges(1))
    buckets = _filled(open, as_of, currency, ranges)
    zero = Money.zero(currency)
    return Ageing(RECEIVABLES, as_of, buckets, zero + (unapplied or zero))


def wip_ageing(unbilled: Iterable[OpenAmount], as_of: date, currency: str) -> Ageing:
    """Work of today is in the first bucket, and so is work dated ahead. Raises CurrenciesDiffer."""
    return Ageing(WORK_IN_PROGRESS, as_of, _filled(unbilled, as_of, currency, _ranges(0)), Money.zero(currency))


@dataclass(frozen=True, slots=True)
class MonthRange:
    """The months of work that are in one bucket: `first` None has no beginning, `last` None no end (work dated ahead).
    Both are first days of months; a range without any month has a `first` after its `last`."""

    label: str
    first: date | None
    last: date | None

    def __contains__(self, month: date) -> bool:
        return (self.first is None or month >= self.first) and (self.last is None or month <= self.last)


def month_ranges(as_of: date) -> tuple[MonthRange, ...]:
    """The buckets of WORK_BY_MONTH on a day, the youngest first. Every month is in exactly one of them."""
    found: list[MonthRange] = []
    last: date | None = None
    for label, _, edge in _ranges(0):
        if edge is None:
            found.append(MonthRange(label, None, last))
            break
        # The oldest month that ended no more than `edge` days ago is the one that holds the day `edge` days ago.
        first = (as_of - timedelta(days=edge)).replace(day=1)
        found.append(MonthRange(label, first, last))
        last = (first - timedelta(days=1)).replace(day=1)
    return tuple(found)


Range = tuple[str, int | None, int | None]


def _ranges(first: int) -> tuple[Range, ...]:
    starts = (first, *(edge + 1 for edge in EDGES[:-1]))
    closed = [(f"{start}-{edge}", start, edge) for start, edge in zip(starts, EDGES, strict=True)]
    return (*closed, (f"over {EDGES[-1]}", EDGES[-1] + 1, None))


def _filled(amounts: Iterable[OpenAmount], as_of: date, currency: str, ranges: Sequence[Range]) -> tuple[Bucket, ...]:
    sums = [[Money.zero(currency), Money.zero(currency)] for _ in ranges]
    counts = [0] * len(ranges)
    for each in amounts:
        age = (as_of - each.since).days
        index = next(i for i, (_, _, last) in enumerate(ranges) if last is None or age <= last)
        sums[index][0] += each.value
        sums[index][1] += each.value if each.disputed else Money.zero(currency)
        counts[index] += 1
    return tuple(
        Bucket(label, first, last, amount, disputed, count)
        for (label, first, last), (amount, disputed), count in zip(ranges, sums, counts, strict=True)
    )
