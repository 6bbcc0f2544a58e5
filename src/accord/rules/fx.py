"""One currency into another by a rate whose date, source and age are said. A rate that is not there is a problem with a
name; it is never guessed, carried on without limit or worked out from what happens to be near.

Worked value (features.md 3.4): 10,000.00 EUR are 10,837.00 USD at the approval's rate and 10,912.00 at the invoice's.
The firm's policy decides, so it is part of every conversion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from accord.model.money import Money, Rounding, decimals_of
from accord.model.problem import Problem
from accord.rules.allocation import rounded_to


class RateDate(StrEnum):
    """Which of a unit of work's dates decides its rate; the month's average is that of the month it was worked in."""

    WORKED = "worked_date"
    APPROVAL = "approval_date"
    INVOICE = "invoice_date"
    MONTH_AVERAGE = "month_average"


class RateKind(StrEnum):
    """A rate of one day, or the average its source publishes for a month (told by any day of that month)."""

    DAILY = "daily"
    MONTH_AVERAGE = "month_average"


@dataclass(frozen=True, slots=True)
class Rate:
    """One unit of `base` costs `rate` units of `quote` from `effective_on` on, as `source` published it."""

    base: str
    quote: str
    rate: Decimal
    effective_on: date
    source: str
    kind: RateKind = RateKind.DAILY

    def __post_init__(self) -> None:
        decimals_of(self.base)
        decimals_of(self.quote)
        if not self.rate.is_finite() or self.rate <= 0:
            raise ValueError(f"{self.rate} is not a rate of exchange: {self.base} in {self.quote}")


@dataclass(frozen=True, slots=True)
class RateDatePolicy:
    """How a firm converts. `max_age_days` is how long a daily rate may be carried on (weekends and holidays have none).

    `inverse` allows 1/rate where only the other direction is published. `pivot` is the currency through which two
    published rates may be crossed (EUR for the European Central Bank's table), else None.
    """

    date: RateDate
    source: str
    version: int
    max_age_days: int = 4
    inverse: bool = True
    pivot: str | None = None
    rounding: Rounding = Rounding.HALF_UP


@dataclass(frozen=True, slots=True)
class WorkDates:
    """The dates of a unit of work that a policy may ask for."""

    worked_on: date | None = None
    approved_on: date | None = None
    invoiced_on: date | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """One rate used in a conversion; `inverted` where the published one was turned round."""

    rate: Rate
    inverted: bool

    @property
    def factor(self) -> Fraction:
        return 1 / Fraction(self.rate.rate) if self.inverted else Fraction(self.rate.rate)


@dataclass(frozen=True, slots=True)
class Conversion:
    """An amount in another currency, with all that is needed to reckon it again. `asked_for` is the policy's date."""

    source: Money
    result: Money
    legs: tuple[Leg, ...]
    asked_for: date
    policy: RateDatePolicy

    @property
    def rate(self) -> Decimal:
        """The factor to ten decimals, for people; the result is reckoned from the exact one."""
        return rounded_to(_factor(self.legs), 10)


class ExchangeRates:
    """Published rates, ready to be looked up. Two different rates of one source, pair, kind and day are kept, so that
    asking for them is a problem and not a choice."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        self._rates: dict[tuple[str, str, str, RateKind], dict[date, set[Rate]]] = defaultdict(lambda: defaultdict(set))
        for each in rates:
            day = each.effective_on.replace(day=1) if each.kind is RateKind.MONTH_AVERAGE else each.effective_on
            self._rates[each.source, each.base, each.quote, each.kind][day].add(each)

    def published(self, base: str, quote: str, on: date, policy: RateDatePolicy) -> Rate | Problem | None:
        """The rate that counts on a day under a policy: that day's, or the last one not older than allowed."""
        kind = RateKind.MONTH_AVERAGE if policy.date is RateDate.MONTH_AVERAGE else RateKind.DAILY
        days = self._rates.get((policy.source, base, quote, kind), {})
        if kind is RateKind.MONTH_AVERAGE:
            found = days.get(on.replace(day=1), set())
        else:
            back = (on - timedelta(days=age) for age in range(policy.max_age_days + 1))
            found = next((days[day] for day in back if day in days), set())
        if len({each.rate for each in found}) > 1:
            told = " and ".join(sorted(str(each.rate) for each in found))
            return Problem(
                "rate_ambiguous",
                f"{policy.source} has {told} {quote} for one {base} on {min(each.effective_on for each in found)}.",
                "rate",
                "Take the wrong row out of the rate table.",
            )
        return next(iter(found), None)


def convert(
    amount: Money, currency: str, dates: WorkDates, policy: RateDatePolicy, rates: ExchangeRates
) -> Conversion | Problem:
    """`amount` in `currency` at the rate of the policy's date, or the problem that prevents it.

    Problems: rate_date_missing (the work has no such date yet), rate_missing, rate_ambiguous. Raises UnknownCurrency.
    """
    decimals_of(currency)
    asked_for = _date_of(dates, policy.date)
    if asked_for is None:
        return Problem(
            "rate_date_missing",
            f"{amount} is to be converted by its {policy.date.value.replace('_', ' ')}, which is not known.",
            policy.date.value,
            "Wait until the date is there, or choose another policy for this engagement.",
        )
    if amount.currency == currency:
        return Conversion(amount, amount, (), asked_for, policy)
    legs = _legs(amount.currency, currency, asked_for, policy, rates)
    if isinstance(legs, Problem):
        return legs
    exact = Fraction(amount.amount) * _factor(legs)
    result = Money(rounded_to(exact, decimals_of(currency), policy.rounding), currency)
    return Conversion(amount, result, legs, asked_for, policy)


def by_day(policy: RateDatePolicy, rates: ExchangeRates) -> Callable[[Decimal, str, str, date], Decimal | None]:
    """The policy as a function of amount, currency from, currency to and day, not rounded; None where there is no rate.

    For pricing, which has one day at hand: the caller passes the day that the policy names.
    """

    def converted(amount: Decimal, from_: str, to: str, on: date) -> Decimal | None:
        if from_ == to:
            return amount
        legs = _legs(from_, to, on, policy, rates)
        if isinstance(legs, Problem):
            return None
        factor = Fraction(amount) * _factor(legs)
        return Decimal(factor.numerator) / Decimal(factor.denominator)

    return converted


def _date_of(dates: WorkDates, which: RateDate) -> date | None:
    if which is RateDate.APPROVAL:
        return dates.approved_on
    if which is RateDate.INVOICE:
        return dates.invoiced_on
    return dates.worked_on


def _legs(base: str, quote: str, on: date, policy: RateDatePolicy, rates: ExchangeRates) -> tuple[Leg, ...] | Problem:
    straight = _leg(base, quote, on, policy, rates)
    if isinstance(straight, Leg):
        return (straight,)
    if isinstance(straight, Problem):
        return straight
    if policy.pivot is not None and policy.pivot not in (base, quote):
        into = _leg(base, policy.pivot, on, policy, rates)
        out_of = _leg(policy.pivot, quote, on, policy, rates)
        for each in (into, out_of):
            if isinstance(each, Problem):
                return each
        if isinstance(into, Leg) and isinstance(out_of, Leg):
            return (into, out_of)
    return _missing(base, quote, on, policy)


def _leg(base: str, quote: str, on: date, policy: RateDatePolicy, rates: ExchangeRates) -> Leg | Problem | None:
    found = rates.published(base, quote, on, policy)
    if isinstance(found, Problem):
        return found
    if found is not None:
        return Leg(found, inverted=False)
    turned = rates.published(quote, base, on, policy) if policy.inverse else None
    return Leg(turned, inverted=True) if isinstance(turned, Rate) else turned


def _missing(base: str, quote: str, on: date, policy: RateDatePolicy) -> Problem:
    if policy.date is RateDate.MONTH_AVERAGE:
        when = f"the average of {on:%Y-%m}"
    else:
        when = f"{on} or the {policy.max_age_days} days before"
    return Problem(
        "rate_missing",
        f"{policy.source} has no rate of {base} in {quote} for {when}.",
        "rate",
        "Load the rate, or correct the date it is asked for.",
    )


def _factor(legs: tuple[Leg, ...]) -> Fraction:
    factor = Fraction(1)
    for leg in legs:
        factor *= leg.factor
    return factor
