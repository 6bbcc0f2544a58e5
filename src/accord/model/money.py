"""Money: an exact decimal amount with its currency, rounded in one place by a named rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from math import lcm

from babel.numbers import get_currency_precision, list_currencies


class Rounding(StrEnum):
    """The named rules by which an amount meets the minor unit of its currency."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    DOWN = "down"


_DECIMAL_ROUNDING = {
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
    Rounding.DOWN: ROUND_DOWN,
}


class UnknownCurrency(ValueError):
    """The currency code is not an ISO 4217 code; correct the code at its source."""


class TooManyDecimals(ValueError):
    """The amount has more decimals than its currency has; correct the amount at its source."""


class CurrenciesDiffer(ValueError):
    """Amounts of different currencies cannot be added; convert one by an explicit rate and date first."""


@cache
def _known_currencies() -> frozenset[str]:
    return frozenset(list_currencies())


@cache
def decimals_of(currency: str) -> int:
    """How many decimals the currency has (2 for USD, 0 for JPY, 3 for KWD), by CLDR.

    Raises UnknownCurrency.
    """
    if currency not in _known_currencies():
        raise UnknownCurrency(f"{currency!r} is not an ISO 4217 currency code")
    return get_currency_precision(currency)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount in one currency. Adding two currencies raises CurrenciesDiffer."""

    amount: Decimal
    currency: str

    @classmethod
    def of(cls, amount: Decimal | int | str, currency: str) -> Money:
        """An amount that must already fit the minor unit of its currency.

        Raises UnknownCurrency, TooManyDecimals, or ValueError for what is not a finite number.
        """
        try:
            exact = Decimal(amount)
        except InvalidOperation as error:
            raise ValueError(f"{amount!r} is not a number") from error
        if not exact.is_finite():
            raise ValueError(f"{amount!r} is not a finite number")
        places = decimals_of(currency)
        try:
            fitted = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN)
        except InvalidOperation as error:
            raise ValueError(f"{amount!r} has more digits than can be reckoned with exactly") from error
        if fitted != exact:
            raise TooManyDecimals(f"{amount} {currency} has more than {places} decimals")
        return cls(fitted, currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls.of(0, currency)

    @classmethod
    def from_minor(cls, units: int, currency: str) -> Money:
        """`units` counted in the minor unit: 1050 USD cents, 1050 JPY yen."""
        return cls.of(Decimal(units).scaleb(-decimals_of(currency)), currency)

    @property
    def minor(self) -> int:
        """The amount counted in the minor unit of the currency. Raises TooManyDecimals when it does not fit."""
        scaled = self.amount.scaleb(decimals_of(self.currency))
        if scaled != scaled.to_integral_value():
            raise TooManyDecimals(f"{self} does not fit the minor unit")
        return int(scaled)

    def rounded(self, rule: Rounding = Rounding.HALF_UP) -> Money:
        places = Decimal(1).scaleb(-decimals_of(self.currency))
        return Money(self.amount.quantize(places, rounding=_DECIMAL_ROUNDING[rule]), self.currency)

    def times(self, factor: Decimal | int, rule: Rounding = Rounding.HALF_UP) -> Money:
        return Money(self.amount * factor, self.currency).rounded(rule)

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same_currency(other)
        return self.amount < other.amount

    def __le__(self, other: Money) -> bool:
        self._same_currency(other)
        return self.amount <= other.amount

    def __bool__(self) -> bool:
        return bool(self.amount)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrenciesDiffer(f"{self} and {other}")


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum in `currency`; zero for none. Raises CurrenciesDiffer."""
    result = Money.zero(currency)
    for amount in amounts:
        result = result + amount
    return result


def allocate(amount: Money, weights: Sequence[Decimal]) -> tuple[Money, ...]:
    """Split an amount by weights so that the parts add up to it exactly (largest remainder, earlier part first).

    Source: features.md 3.4, worked values. Raises ValueError for no weights, a negative one, or all zero.
    """
    if not weights or not any(weights) or any(weight < 0 for weight in weights):
        raise ValueError("weights must be given, none negative, not all zero")
    # Whole numbers in the same proportion: a decimal quotient of 28 digits could hand the last unit to the wrong part.
    ratios = [weight.as_integer_ratio() for weight in weights]
    scale = lcm(*(below for _, below in ratios))
    whole_weights = [above * (scale // below) for above, below in ratios]
    units, whole = abs(amount.minor), sum(whole_weights)
    shares = [divmod(units * weight, whole) for weight in whole_weights]
    parts = [part for part, _ in shares]
    by_remainder = sorted(range(len(parts)), key=lambda i: (-shares[i][1], i))
    for index in by_remainder[: units - sum(parts)]:
        parts[index] += 1
    sign = 1 if amount.minor >= 0 else -1
    return tuple(Money.from_minor(sign * part, amount.currency) for part in parts)
