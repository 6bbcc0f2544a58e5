"""A contract that will lose money: the part of the loss that is not in the margin yet is provided for at once.

US GAAP 605-35-25-45 to 49 (for contracts in its scope, by contract) and IFRS by IAS 37.66 to 69.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from accord.model.money import Money


class Framework(StrEnum):
    US_GAAP = "us_gaap"
    IFRS = "ifrs"


@dataclass(frozen=True, slots=True)
class Outlook:
    """A contract at a period's end: its price, what is recognised, its cost so far and to complete.

    `exit_cost` is what not fulfilling it would cost (penalties, compensation), where it can be left at all. `in_scope`
    says whether ASC 605-35 covers the contract: a contract to design, build or make to the customer's specification
    does, a mere service contract does not.
    """

    price: Money
    recognised: Money
    cost_to_date: Money
    estimate_to_complete: Money
    exit_cost: Money | None = None
    in_scope: bool = True


@dataclass(frozen=True, slots=True)
class Provision:
    """`expected_loss` over the whole contract, the part of it already `in_margin`, and the `provision` for the rest,
    each zero or more. `told` says by which rule."""

    expected_loss: Money
    in_margin: Money
    provision: Money
    told: str


def provision(outlook: Outlook, framework: Framework) -> Provision:
    """The provision at a period's end; its movement is the difference to the one before. Raises CurrenciesDiffer."""
    zero = Money.zero(outlook.price.currency)
    expected = max(outlook.cost_to_date + outlook.estimate_to_complete - outlook.price, zero)
    in_margin = max(min(outlook.cost_to_date - outlook.recognised, expected), zero)
    if framework is Framework.IFRS:
        return _by_ias_37(outlook, expected, in_margin)
    if not expected:
        return Provision(zero, zero, zero, "no loss is expected")
    if not outlook.in_scope:
        return Provision(expected, in_margin, zero, "a loss is expected, but ASC 605-35 does not cover the contract")
    return Provision(expected, in_margin, expected - in_margin, "expected loss less what is in the margin (605-35)")


def _by_ias_37(outlook: Outlook, expected: Money, in_margin: Money) -> Provision:
    """What is still to come decides: revenue recognised ahead of cost can make the rest onerous on its own."""
    zero = Money.zero(outlook.price.currency)
    fulfil = max(outlook.estimate_to_complete - (outlook.price - outlook.recognised), zero)
    if not fulfil:
        return Provision(expected, in_margin, zero, "revenue to come covers the cost to complete")
    if outlook.exit_cost is not None and outlook.exit_cost < fulfil:
        return Provision(expected, in_margin, outlook.exit_cost, "leaving costs less than fulfilling (IAS 37.68)")
    return Provision(expected, in_margin, fulfil, "cost to complete less revenue to come (IAS 37.68)")
