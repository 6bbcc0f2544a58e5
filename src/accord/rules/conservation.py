"""The law of hour to cash: what was approved is what lies in dispositions, and the rest is said to be unexplained.

Both sides are given by the caller from independent places: approvals from the source records, dispositions from the
ledger. Reckoning both from the ledger would only show that the ledger agrees with itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from accord.model.money import Money

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where the law holds: one engagement, legal entity, currency and day of approval. Dispositions count to the day on
    which their item was approved, whenever they were posted, so that a day's line never moves to another."""

    engagement: str
    legal_entity: str
    currency: str
    day: date


@dataclass(frozen=True, slots=True)
class Approved:
    """One approved unit of work as its source has it; negative for a correction or a withdrawn approval."""

    place: Place
    item: str
    value: Money

    def __post_init__(self) -> None:
        _same_currency(self.place, self.value)


@dataclass(frozen=True, slots=True)
class Placed:
    """What the ledger holds of one item in one disposition."""

    place: Place
    item: str
    disposition: str
    value: Money

    def __post_init__(self) -> None:
        _same_currency(self.place, self.value)


class PlacedInAnotherCurrency(ValueError):
    """A value is told for a place of another currency; correct where it was read from."""


@dataclass(frozen=True, slots=True)
class Balance:
    """One place: approved = sum of the dispositions + unexplained, to the cent.

    `unexplained_items` names each item that does not balance with its difference. Two of them can cancel out:
    `unexplained` is then zero and the place is not in balance all the same.
    """

    place: Place
    approved: Money
    dispositions: Mapping[str, Money]
    unexplained_items: Mapping[str, Money]

    @property
    def unexplained(self) -> Money:
        """Positive: approved value that is nowhere. Negative: value that nobody approved."""
        return self.approved - sum(self.dispositions.values(), start=Money.zero(self.place.currency))

    @property
    def balances(self) -> bool:
        return not self.unexplained and not self.unexplained_items


def balances(approved: Iterable[Approved], placed: Iterable[Placed]) -> list[Balance]:
    """One balance per place that either side knows, in the order of places.

    Memory grows with the items given: ask for one engagement, entity or day at a time. An item approved twice, or
    placed in two dispositions, is the sum.
    """
    values: dict[Place, Decimal] = defaultdict(Decimal)
    lies: dict[Place, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    differences: dict[Place, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for each in approved:
        values[each.place] += each.value.amount
        differences[each.place][each.item] += each.value.amount
    for part in placed:
        lies[part.place][part.disposition] += part.value.amount
        differences[part.place][part.item] -= part.value.amount
    return [
        Balance(
            place,
            Money(values.get(place, ZERO), place.currency),
            _money(lies.get(place, {}), place.currency),
            {item: value for item, value in _money(differences[place], place.currency).items() if value},
        )
        for place in sorted(differences)
    ]


def unexplained(found: Iterable[Balance]) -> dict[tuple[str, str], Money]:
    """The unexplained value by legal entity and currency: what finance sees first. Zero is said, not left out."""
    sums: dict[tuple[str, str], Money] = {}
    for each in found:
        key = (each.place.legal_entity, each.place.currency)
        sums[key] = sums.get(key, Money.zero(each.place.currency)) + each.unexplained
    return sums


def _money(amounts: Mapping[str, Decimal], currency: str) -> dict[str, Money]:
    return {name: Money(amount, currency) for name, amount in sorted(amounts.items())}


def _same_currency(place: Place, value: Money) -> None:
    if place.currency != value.currency:
        raise PlacedInAnotherCurrency(f"{value} in a place of {place.currency}")
