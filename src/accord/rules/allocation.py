"""A total shared out to the last minor unit, so that every part explains itself and the parts add up to the total.

Largest remainder (features.md 3.4, worked values): everybody gets the whole minor units of their exact share, and the
units left over go to the largest remainders, the earlier part first where two are equal. No float, no rounded share:
all is reckoned in whole numbers and fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Generic, TypeVar

from accord.model.money import Money, Rounding, allocate, decimals_of

Key = TypeVar("Key")


class NothingToShareBy(ValueError):
    """Every weight is zero, so the total has no share to go to; say what is to happen then, or give weights."""


class WhenAllZero(StrEnum):
    """What becomes of a total whose weights are all zero."""

    REFUSE = "refuse"
    EVENLY = "evenly"
    TO_THE_FIRST = "to_the_first"


@dataclass(frozen=True, slots=True)
class Part(Generic[Key]):
    """One part of an allocation. `exact` is the share in the currency's unit before it met the minor unit; `rounding`
    is what the minor unit added to or took from it, always less than one minor unit."""

    key: Key
    weight: Decimal
    exact: Fraction
    amount: Money

    @property
    def rounding(self) -> Fraction:
        return Fraction(self.amount.amount) - self.exact


def share_out(
    amount: Money, weights: Mapping[Key, Decimal], *, when_all_zero: WhenAllZero = WhenAllZero.REFUSE
) -> tuple[Part[Key], ...]:
    """Split `amount` by weights, in their order; a weight of zero gets nothing.

    Raises NothingToShareBy for weights that are all zero (unless said otherwise), ValueError for no or negative ones.
    """
    used = dict(weights)
    if used and not any(used.values()):
        if when_all_zero is WhenAllZero.REFUSE:
            raise NothingToShareBy(f"{amount} cannot be shared out: all of {len(used)} weights are zero")
        evenly = when_all_zero is WhenAllZero.EVENLY
        used = {key: Decimal(evenly or index == 0) for index, key in enumerate(used)}
    parts = allocate(amount, tuple(used.values()))
    whole = sum(map(Fraction, used.values()), Fraction(0))
    return tuple(
        Part(key, weight, Fraction(amount.amount) * Fraction(weight) / whole, part)
        for (key, weight), part in zip(used.items(), parts, strict=True)
    )


def evenly(amount: Money, count: int) -> tuple[Money, ...]:
    """`count` parts as equal as the minor unit allows, the larger ones first. Raises ValueError for no parts."""
    return allocate(amount, (Decimal(1),) * count)


def portion(amount: Money, fraction: Fraction, rule: Rounding = Rounding.HALF_UP) -> Money:
    """`fraction` of an amount, rounded to the minor unit from the exact value.

    A quotient such as 5/6 has no exact decimal: 5/6 of 0.03 is 0.025 and rounds up, where the decimal 0.8333... of it
    would round down.
    """
    exact = Fraction(amount.amount) * fraction
    return Money(rounded_to(exact, decimals_of(amount.currency), rule), amount.currency)


def rounded_to(exact: Fraction, places: int, rule: Rounding = Rounding.HALF_UP) -> Decimal:
    """A fraction as a decimal of so many places; halves go away from zero under HALF_UP, as for every Decimal."""
    scaled = abs(exact) * 10**places
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    if rest and rule is not Rounding.DOWN:
        beyond_half = 2 * rest - scaled.denominator
        whole += beyond_half > 0 or (beyond_half == 0 and (rule is Rounding.HALF_UP or whole % 2 == 1))
    return Decimal(whole if exact >= 0 else -whole).scaleb(-places)


def by_progress(amount: Money, progress: Sequence[Fraction], rule: Rounding = Rounding.HALF_UP) -> tuple[Money, ...]:
    """The part of each step when the total is earned by cumulative `progress` (0 to 1): what is due so far, rounded,
    less what was given before. Nothing drifts, and progress that falls gives a negative part."""
    parts, before = [], Money.zero(amount.currency)
    for reached in progress:
        due = portion(amount, reached, rule)
        parts.append(due - before)
        before = due
    return tuple(parts)
