"""How the firm's hours are used and what they bring: utilization, realization, effective rate (features.md 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from accord.model.money import Money
from accord.rules.measures.definition import NotDefined, Unit, measure, ratio

AVAILABLE = "the number of available hours"


@dataclass(frozen=True, slots=True)
class HoursAtRate:
    """Hours worked at one standard rate."""

    hours: Decimal
    standard_rate: Money


@measure(
    "available_hours",
    "contractual",
    "contractual hours − time off − holidays",
    Unit.HOURS,
    note="The denominator of every utilization.",
)
def available_hours(contractual: Decimal, time_off: Decimal, holidays: Decimal) -> Decimal:
    return contractual - time_off - holidays


@measure(
    "utilization",
    "billable",
    "billable approved hours ÷ available hours",
    Unit.RATIO,
    note="By worked date. Hours submitted and not yet approved are the band above it (billable_with_submitted).",
)
def billable_utilization(billable: Decimal, available: Decimal) -> Decimal:
    return ratio(billable, available, AVAILABLE)


@measure(
    "utilization",
    "billable_with_submitted",
    "(billable approved hours + billable hours submitted and not yet approved) ÷ available hours",
    Unit.RATIO,
    note="The upper edge of billable utilization: what it will be if all that is submitted is approved.",
)
def billable_utilization_with_submitted(billable: Decimal, submitted: Decimal, available: Decimal) -> Decimal:
    return ratio(billable + submitted, available, AVAILABLE)


@measure(
    "utilization",
    "productive",
    "(billable approved hours + strategic non-billable hours) ÷ available hours",
    Unit.RATIO,
)
def productive_utilization(billable: Decimal, strategic: Decimal, available: Decimal) -> Decimal:
    return ratio(billable + strategic, available, AVAILABLE)


@measure(
    "utilization",
    "scheduled",
    "booked billable hours ÷ available hours, of future weeks",
    Unit.RATIO,
)
def scheduled_utilization(booked: Decimal, available: Decimal) -> Decimal:
    return ratio(booked, available, AVAILABLE)


@measure("standard_value", "hours", "Σ hours × standard rate", Unit.MONEY)
def standard_value(worked: Sequence[HoursAtRate]) -> Money:
    if not worked:
        raise NotDefined("there are no hours, so there is no currency")
    values = [Money(each.hours * each.standard_rate.amount, each.standard_rate.currency) for each in worked]
    return sum(values[1:], start=values[0])


@measure("realization", "billing", "billed net of write-downs ÷ standard value", Unit.RATIO)
def billing_realization(billed: Money, standard: Money) -> Decimal:
    return ratio(billed, standard, "standard value")


@measure("realization", "collection", "collected ÷ billed net of write-downs", Unit.RATIO)
def collection_realization(collected: Money, billed: Money) -> Decimal:
    return ratio(collected, billed, "the billed amount")


@measure(
    "realization",
    "overall",
    "collected ÷ standard value",
    Unit.RATIO,
    note="The product of billing and collection realization.",
)
def overall_realization(collected: Money, standard: Money) -> Decimal:
    return ratio(collected, standard, "standard value")


@measure("effective_rate", "billed", "billed fees ÷ billed hours", Unit.MONEY)
def effective_rate(billed: Money, hours: Decimal) -> Money:
    return Money(ratio(billed.amount, hours, "the number of billed hours"), billed.currency)


@measure("effective_rate", "fixed_fee", "recognised revenue ÷ hours worked", Unit.MONEY)
def effective_rate_of_a_fixed_fee(revenue: Money, hours: Decimal) -> Money:
    return Money(ratio(revenue.amount, hours, "the number of hours worked"), revenue.currency)
