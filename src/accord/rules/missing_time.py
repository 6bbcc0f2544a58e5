"""Missing time and what it is worth: hours expected and not told, hours told and not approved, at the terms' rates.

Hours that were submitted are priced one by one, as they will be once approved, before caps and retainers. Hours that
nobody told belong to no engagement yet: an hour of them is worth what an hour of the same person brought lately.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from accord.model.money import Money
from accord.model.terms import BillingTerms
from accord.model.work import WorkEntry
from accord.rules.rating import Pricer

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Brought:
    """What the approved hours of one person came to: billable value by currency, of `hours` in all, billable or not."""

    hours: Decimal
    value: Mapping[str, Decimal]


def worth_of_untold(hours: Decimal, brought: Brought | None) -> tuple[Money, ...] | None:
    """`hours` × the person's billable value ÷ all the person's hours, by currency; None where nothing is known."""
    if brought is None or brought.hours <= 0:
        return None
    amounts = (Money(hours * value / brought.hours, currency) for currency, value in sorted(brought.value.items()))
    return tuple(amount.rounded() for amount in amounts if amount)


class UncappedPrices:
    """What entries of one engagement will be worth when they are approved, before caps and retainers."""

    def __init__(self, terms: BillingTerms) -> None:
        self._currency = terms.currency
        self._pricer = Pricer(replace(terms, caps=(), retainer=None))

    def of(self, entry: WorkEntry) -> Money | None:
        """The billable value; zero for what is not billable, None where the terms give no price."""
        rated = self._pricer.rate(entry)
        if isinstance(rated, tuple):
            return None
        billable = sum((part.amount for part in rated.parts if part.disposition != "non_billable"), ZERO)
        return Money(billable, self._currency)
