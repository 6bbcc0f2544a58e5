"""How many decimals Stripe gives a currency, where that is not what CLDR says. Money crosses in the minor
unit."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import list_currencies

from accord.model.money import Money, decimals_of

# docs.stripe.com/currencies: zero-decimal and three-decimal currencies; every other one has two, also ISK and UGX.
_NONE = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
_THREE = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))


def decimals_at_stripe(currency: str) -> int:
    return 0 if currency in _NONE else 3 if currency in _THREE else 2


DIFFERENT = {
    code: decimals_at_stripe(code) for code in list_currencies() if decimals_at_stripe(code) != decimals_of(code)
}


def money_of(units: int, currency: str) -> Money:
    """An amount as Stripe counts it. Raises UnknownCurrency, TooManyDecimals."""
    code = currency.upper()
    return Money.of(Decimal(units).scaleb(-decimals_at_stripe(code)), code)


def units_of(amount: Money) -> int:
    """An amount counted as Stripe counts it."""
    return int(amount.amount.scaleb(decimals_at_stripe(amount.currency)).to_integral_exact())
