"""Money keeps every minor unit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import (
    CurrenciesDiffer,
    Money,
    Rounding,
    TooManyDecimals,
    UnknownCurrency,
    allocate,
    total,
)


def amounts(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        ("100.00", (1, 1, 1), "33.34 33.33 33.33"),
        ("1000.00", (120, 60, 40), "545.45 272.73 181.82"),
        ("900000.00", (600, 250, 150), "540000.00 225000.00 135000.00"),
    ],
)
def test_the_worked_allocations_hold(amount: str, weights: tuple[int, ...], parts: str) -> None:
    """features.md 3.4: largest remainder, to the last cent."""
    found = allocate(Money.of(amount, "EUR"), [Decimal(weight) for weight in weights])
    assert tuple(str(part.amount) for part in found) == amounts(parts)


@given(
    units=st.integers(-(10**12), 10**12),
    weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
)
def test_the_parts_of_an_allocation_add_up(units: int, weights: list[int], currency: str) -> None:
    """Whatever the weights, and for currencies of zero, two and three decimals."""
    amount = Money.from_minor(units, currency)
    parts = allocate(amount, [Decimal(weight) for weight in weights])
    assert total(parts, currency) == amount
    shares = [Decimal(units) * weight / sum(weights) for weight in weights]
    assert all(abs(part.minor - share) < 1 for part, share in zip(parts, shares, strict=True))


@pytest.mark.parametrize("weights", [[], [Decimal(0)], [Decimal(1), Decimal(-1)]])
def test_weights_without_a_share_are_refused(weights: list[Decimal]) -> None:
    with pytest.raises(ValueError, match="weights"):
        allocate(Money.of(1, "USD"), weights)


def test_yen_have_no_decimals_and_dinars_three() -> None:
    assert Money.of("1050", "JPY").minor == 1050
    assert Money.of("1.050", "KWD").minor == 1050
    with pytest.raises(TooManyDecimals):
        Money.of("10.5", "JPY")


def test_an_unknown_currency_is_named() -> None:
    with pytest.raises(UnknownCurrency, match="'XYZ'"):
        Money.of("1", "XYZ")


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "abc"])
def test_what_is_no_number_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="number"):
        Money.of(amount, "USD")


def test_currencies_do_not_mix() -> None:
    with pytest.raises(CurrenciesDiffer):
        Money.of(1, "USD") + Money.of(1, "EUR")
    with pytest.raises(CurrenciesDiffer):
        assert Money.of(1, "USD") < Money.of(1, "EUR")


def test_rounding_is_named() -> None:
    half = Money(Decimal("0.125"), "USD")
    assert str(half.rounded().amount) == "0.13"
    assert str(half.rounded(Rounding.HALF_EVEN).amount) == "0.12"
    assert str(half.rounded(Rounding.DOWN).amount) == "0.12"


def test_the_worked_conversion_holds() -> None:
    """features.md 3.4: the rate's date decides; the difference is 75.00."""
    euros = Money.of("10000.00", "EUR")
    approval, invoice = euros.times(Decimal("1.0837")), euros.times(Decimal("1.0912"))
    assert (approval.amount, invoice.amount, (invoice - approval).amount) == (
        Decimal("10837.00"),
        Decimal("10912.00"),
        75,
    )


def test_an_amount_of_too_many_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="more digits than can be reckoned with"):
        Money.of("1e30", "USD")
