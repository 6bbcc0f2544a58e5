"""The transaction price: fixed and variable consideration, the constraint, and its allocation to obligations.

ASC 606-10-32-5 to 45, IFRS 15.50 to 90.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from accord.model.money import Money, decimals_of
from accord.rules.allocation import rounded_to, share_out
from accord.rules.revenue.obligations import Obligation


class Estimate(StrEnum):
    """How variable consideration is estimated: the one that predicts better (ASC 606-10-32-8, IFRS 15.53)."""

    EXPECTED_VALUE = "expected_value"
    MOST_LIKELY = "most_likely_amount"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An amount that may come of it, with its probability (0.8 is 80 %); negative for a penalty or a rebate."""

    amount: Money
    probability: Decimal


@dataclass(frozen=True, slots=True)
class VariableConsideration:
    """A bonus, penalty, rebate or usage fee. `belongs_to` is the obligation it relates to alone, with `evidence` that
    it does (ASC 606-10-32-40); else it is shared out like the rest."""

    id: str
    name: str
    outcomes: tuple[Outcome, ...]
    estimate: Estimate
    belongs_to: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """From which probability a firm holds that no significant reversal will come: US GAAP says probable, IFRS highly
    probable. Neither gives a number, so the firm's policy does, with its version."""

    threshold: Decimal
    version: int

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"{self.threshold} is no probability to hold a price by")


@dataclass(frozen=True, slots=True)
class Included:
    """What of a variable consideration is in the price: the estimate, and what the constraint leaves of it."""

    id: str
    estimate: Money
    included: Money
    belongs_to: str | None

    @property
    def constrained(self) -> Money:
        return self.estimate - self.included


@dataclass(frozen=True, slots=True)
class TransactionPrice:
    fixed: Money
    variable: tuple[Included, ...] = ()

    @property
    def total(self) -> Money:
        return sum((each.included for each in self.variable), start=self.fixed)


@dataclass(frozen=True, slots=True)
class AllocatedPrice:
    """One obligation's part of the price: by stand-alone price (`shared`), and what belongs to it alone."""

    obligation: Obligation
    shared: Money
    alone: Money

    @property
    def total(self) -> Money:
        return self.shared + self.alone


class ProbabilitiesDoNotAddUp(ValueError):
    """The probabilities of the outcomes are not between 0 and 1 with a sum of 1; correct the estimate."""


class ObligationUnknown(ValueError):
    """Variable consideration belongs to an obligation that the contract does not have; correct the reference."""


def transaction_price(
    fixed: Money, variable: Sequence[VariableConsideration], constraint: Constraint
) -> TransactionPrice:
    """The price, each variable part estimated and constrained. Raises ProbabilitiesDoNotAddUp, CurrenciesDiffer."""
    return TransactionPrice(fixed, tuple(constrain(each, constraint) for each in variable))


def constrain(variable: VariableConsideration, constraint: Constraint) -> Included:
    """The estimate, but no more than the highest amount that is reached with at least the threshold's probability."""
    chances = [each.probability for each in variable.outcomes]
    if not chances or sum(chances) != 1 or any(not 0 <= each <= 1 for each in chances):
        raise ProbabilitiesDoNotAddUp(f"{variable.name}: {', '.join(map(str, chances)) or 'no outcomes'}")
    estimate = _estimate(variable)
    safe = [
        each.amount
        for each in variable.outcomes
        if sum(other.probability for other in variable.outcomes if each.amount <= other.amount) >= constraint.threshold
    ]
    return Included(variable.id, estimate, min(estimate, max(safe)), variable.belongs_to)


def allocate_price(price: TransactionPrice, obligations: Sequence[Obligation]) -> tuple[AllocatedPrice, ...]:
    """The price to obligations by stand-alone selling price, to the last minor unit (largest remainder), so that a
    discount falls on all in proportion. Raises ObligationUnknown; ValueError when no obligation has a price."""
    alone = {each.id: Money.zero(price.fixed.currency) for each in obligations}
    shared = price.fixed
    for each in price.variable:
        if each.belongs_to is None:
            shared = shared + each.included
        elif each.belongs_to in alone:
            alone[each.belongs_to] = alone[each.belongs_to] + each.included
        else:
            raise ObligationUnknown(f"{each.id} belongs to {each.belongs_to}")
    parts = share_out(shared, {each.id: each.stand_alone_price.amount for each in obligations})
    return tuple(
        AllocatedPrice(obligation, part.amount, alone[obligation.id])
        for obligation, part in zip(obligations, parts, strict=True)
    )


def residual_price(total: Money, observed: Sequence[Money]) -> Money:
    """The stand-alone price of what has no observable one: the total less the observed prices of the others.

    Allowed only where its price varies widely or is not set yet (ASC 606-10-32-34 c). Raises ValueError when nothing is
    left.
    """
    rest = sum((-each for each in observed), start=total)
    if rest.amount <= 0:
        raise ValueError(f"nothing is left of {total} for a residual price: estimate it in another way")
    return rest


def _estimate(variable: VariableConsideration) -> Money:
    currency = variable.outcomes[0].amount.currency
    if variable.estimate is Estimate.MOST_LIKELY:
        # Of two equally likely amounts the lower one: the constraint asks for caution.
        return min(variable.outcomes, key=lambda each: (-each.probability, each.amount.amount)).amount
    exact = sum((Fraction(each.amount.amount) * Fraction(each.probability) for each in variable.outcomes), Fraction(0))
    return Money(rounded_to(exact, decimals_of(currency)), currency)
