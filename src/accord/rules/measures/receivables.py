"""How long money takes to arrive: days sales outstanding in three methods, delinquency, collection, lock-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from accord.model.money import Money
from accord.rules.measures.definition import NotDefined, Unit, measure, ratio

SALES = "the sum of credit sales"


@dataclass(frozen=True, slots=True)
class MonthOfSales:
    """Credit sales of one month and how many days it has."""

    sales: Money
    days: int


@measure("dso", "simple", "receivables ÷ credit sales of the period × days of the period", Unit.DAYS)
def dso_simple(receivable: Money, sales: Money, days: int) -> Decimal:
    return _days(receivable, sales, days)


@measure(
    "dso",
    "average_balance",
    "(opening + closing receivables) ÷ 2 ÷ credit sales of the period × days of the period",
    Unit.DAYS,
    note="Evens out a single large invoice near the period's end.",
)
def dso_of_the_average(opening: Money, closing: Money, sales: Money, days: int) -> Decimal:
    return _days(opening + closing, sales, days) / 2


@measure(
    "dso",
    "count_back",
    "take the latest month's credit sales from receivables and count its days, then the month's before, until the rest"
    " is part of a month: that part of its days",
    Unit.DAYS,
    note="Months from the latest to the oldest. Less distorted by seasons than the simple method.",
)
def dso_count_back(receivable: Money, latest_first: Sequence[MonthOfSales]) -> Decimal:
    rest, days = receivable, Decimal(0)
    zero = receivable - receivable
    if rest < zero:
        raise NotDefined("receivables are negative: more is credited or paid than was invoiced")
    for month in latest_first:
        if month.sales < zero:
            raise NotDefined(f"a month has negative sales ({month.sales}): credits exceed what was invoiced")
        if rest <= month.sales:
            return days + (month.days * ratio(rest, month.sales, SALES) if rest else 0)
        rest, days = rest - month.sales, days + month.days
    if not rest:
        return days
    raise NotDefined(f"{rest} of the receivables is older than the {len(latest_first)} months given")


@measure(
    "dso",
    "best_possible",
    "receivables not yet overdue ÷ credit sales of the period × days of the period",
    Unit.DAYS,
    note="What DSO would be if every customer paid on the due date.",
)
def best_possible_dso(current: Money, sales: Money, days: int) -> Decimal:
    return _days(current, sales, days)


@measure(
    "average_days_delinquent", "simple", "DSO (simple) − best possible DSO", Unit.DAYS, note="How late customers pay."
)
def average_days_delinquent(receivable: Money, current: Money, sales: Money, days: int) -> Decimal:
    return _days(receivable - current, sales, days)


@measure(
    "collection_effectiveness",
    "index",
    "(opening receivables + sales − closing receivables) ÷ (opening receivables + sales − closing receivables not yet"
    " overdue)",
    Unit.RATIO,
    note="100 %: all that was due was collected.",
)
def collection_effectiveness(opening: Money, sales: Money, closing: Money, closing_current: Money) -> Decimal:
    return ratio(opening + sales - closing, opening + sales - closing_current, "what could be collected")


@measure("lock_up", "simple", "WIP days + DSO (simple)", Unit.DAYS, note="From work done to cash.")
def lock_up(wip_days: Decimal | None, dso: Decimal | None) -> Decimal:
    if wip_days is None or dso is None:
        raise NotDefined("WIP days are not defined" if wip_days is None else "DSO is not defined")
    return wip_days + dso


def _days(receivable: Money, sales: Money, days: int) -> Decimal:
    # The product comes first: rounding a quotient of 28 digits before it would show in the last of them.
    return ratio(Money(receivable.amount * days, receivable.currency), sales, SALES)
