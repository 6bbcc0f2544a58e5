"""Measures of progress, as exact fractions of what is done to what there is to do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from accord.model.money import Money
from accord.rules.revenue.obligations import Obligation


class NotMeasurable(ValueError):
    """Progress cannot be measured from what is given; correct the measurement."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `whole`, in the unit of the measure, with `told` how it came about. Both are kept, so that what was
    done before can be seen against a new whole."""

    done: Fraction
    whole: Fraction
    told: str

    def __post_init__(self) -> None:
        if self.whole <= 0:
            raise NotMeasurable(f"nothing is to be done: {self.told}")
        if not 0 <= self.done <= self.whole:
            raise NotMeasurable(f"what is done does not lie between nothing and all: {self.told}")

    @property
    def fraction(self) -> Fraction:
        return self.done / self.whole


def cost_to_cost(cost_to_date: Money, estimate_to_complete: Money, not_depicting: Money | None = None) -> Progress:
    """Cost incurred to total expected cost. `not_depicting` is cost in it that shows no progress: waste, and material
    bought but not installed (ASC 606-10-55-20 and 21, IFRS 15.B19). Raises NotMeasurable, CurrenciesDiffer."""
    left_out = not_depicting or Money.zero(cost_to_date.currency)
    done = cost_to_date - left_out
    if estimate_to_complete.amount < 0:
        raise NotMeasurable(f"the estimate to complete is {estimate_to_complete}")
    whole = done + estimate_to_complete
    told = f"cost {cost_to_date}, to complete {estimate_to_complete}"
    if left_out:
        told += f", without {left_out} that shows no progress"
    return Progress(Fraction(done.amount), Fraction(whole.amount), told)


def recovered_cost(cost_to_date: Money, price: Money) -> Progress:
    """For a contract too young to be measured: revenue is the cost so far, without a margin, and at most the price.

    Allowed while the cost is expected to be recovered (ASC 606-10-25-37, IFRS 15.45); `cost_to_cost` follows as soon as
    it can be measured. Raises NotMeasurable, CurrenciesDiffer.
    """
    told = f"cost {cost_to_date} will be recovered; progress cannot be measured yet"
    return Progress(Fraction(min(cost_to_date, price).amount), Fraction(price.amount), told)


def hours(worked: Decimal, to_go: Decimal) -> Progress:
    """Hours worked to hours expected. Raises NotMeasurable."""
    if to_go < 0:
        raise NotMeasurable(f"{to_go} hours are to go")
    return Progress(Fraction(worked), Fraction(worked + to_go), f"{worked} hours worked, {to_go} to go")


def milestones(obligation: Obligation, accepted: Collection[str]) -> Progress:
    """Accepted milestones to all of them, by weight. Raises NotMeasurable for one the obligation does not have."""
    weights = {each.id: Fraction(each.weight) for each in obligation.milestones}
    unknown = sorted(set(accepted) - set(weights))
    if unknown:
        raise NotMeasurable(f"{obligation.name} has no milestone {', '.join(unknown)}")
    done = sum((weight for id, weight in weights.items() if id in accepted), Fraction(0))
    told = f"{len(set(accepted))} of {len(weights)} milestones accepted"
    return Progress(done, sum(weights.values(), Fraction(0)), told)


def straight_line(starts_on: date, ends_on: date, as_of: date) -> Progress:
    """Days gone by to days of the term, both ends inclusive. Raises NotMeasurable."""
    whole = (ends_on - starts_on).days + 1
    gone = min(max((as_of - starts_on).days + 1, 0), max(whole, 0))
    return Progress(Fraction(gone), Fraction(whole), f"{gone} of {whole} days from {starts_on} to {ends_on}")
