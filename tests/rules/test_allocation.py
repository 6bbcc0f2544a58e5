"""A total is shared out to the last minor unit."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import Money, Rounding, allocate, total
from accord.rules.allocation import NothingToShareBy, WhenAllZero, by_progress, evenly, portion, share_out

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
WEIGHTS = st.lists(
    st.decimals(0, 10**15, allow_nan=False, allow_infinity=False, places=9), min_size=1, max_size=12
).filter(any)


def amounts(found: tuple[Money, ...]) -> list[str]:
    return [str(each.amount) for each in found]


@pytest.mark.parametrize(
    ("amount", "currency", "weights", "parts"),
    [
        ("100.00", "USD", "1 1 1", "33.34 33.33 33.33"),
        ("1000.00", "USD", "120 60 40", "545.45 272.73 181.82"),
        ("900000.00", "USD", "600 250 150", "540000.00 225000.00 135000.00"),
        ("100", "JPY", "1 1 1", "34 33 33"),
        ("100.000", "KWD", "1 1 1", "33.334 33.333 33.333"),
        ("-100.00", "USD", "1 1 1", "-33.34 -33.33 -33.33"),
        ("0.01", "USD", "0 1 1", "0.00 0.01 0.00"),
        ("0.00", "USD", "1 2", "0.00 0.00"),
        ("0.05", "USD", "0.5 0.5", "0.03 0.02"),
    ],
)
def test_the_worked_allocations_hold(amount: str, currency: str, weights: str, parts: str) -> None:
    named = {index: Decimal(weight) for index, weight in enumerate(weights.split())}
    found = share_out(Money.of(amount, currency), named)
    assert amounts(tuple(each.amount for each in found)) == parts.split()


@given(units=st.integers(-(10**15), 10**15), weights=WEIGHTS, currency=CURRENCIES)
def test_parts_add_up_and_each_lies_within_one_unit_of_its_share(
    units: int, weights: list[Decimal], currency: str
) -> None:
    amount = Money.from_minor(units, currency)
    parts = share_out(amount, dict(enumerate(weights)))
    unit = Fraction(Money.from_minor(1, currency).amount)
    assert total((each.amount for each in parts), currency) == amount
    assert sum(each.exact for each in parts) == Fraction(amount.amount)
    assert all(abs(each.rounding) < unit for each in parts)
    assert all(not each.amount for each in parts if each.weight == 0)


@given(units=st.integers(0, 10**9), weights=st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(any))
def test_of_two_equal_weights_the_earlier_gets_the_unit_left_over(units: int, weights: list[int]) -> None:
    parts = [
        each.amount.minor for each in share_out(Money.from_minor(units, "EUR"), dict(enumerate(map(Decimal, weights))))
    ]
    for first, one in enumerate(weights):
        for second in range(first + 1, len(weights)):
            if weights[second] == one:
                assert 0 <= parts[first] - parts[second] <= 1


def test_the_last_unit_goes_by_the_exact_remainder() -> None:
    """Two shares of 10^14 + 1 cents that differ only beyond the 28th digit: the larger one gets the cent."""
    weights = [Decimal("3333333333333333.3333333333333"), Decimal("3333333333333333.3333333333334")]
    small, large = allocate(Money.from_minor(10**14 + 1, "EUR"), weights)
    assert (small.minor, large.minor) == (50000000000000, 50000000000001)


def test_weights_that_are_all_zero_need_a_word() -> None:
    weights = {"a": Decimal(0), "b": Decimal(0), "c": Decimal(0)}
    ten = Money.of("10.00", "EUR")
    with pytest.raises(NothingToShareBy, match="all of 3 weights are zero"):
        share_out(ten, weights)
    even = share_out(ten, weights, when_all_zero=WhenAllZero.EVENLY)
    assert amounts(tuple(each.amount for each in even)) == ["3.34", "3.33", "3.33"]
    first = share_out(ten, weights, when_all_zero=WhenAllZero.TO_THE_FIRST)
    assert amounts(tuple(each.amount for each in first)) == ["10.00", "0.00", "0.00"]


def test_even_parts_put_the_larger_first() -> None:
    assert amounts(evenly(Money.of("0.05", "USD"), 3)) == ["0.02", "0.02", "0.01"]
    with pytest.raises(ValueError, match="weights must be given"):
        evenly(Money.of(1, "USD"), 0)


@pytest.mark.parametrize(
    ("amount", "fraction", "rule", "part"),
    [
        ("0.03", Fraction(5, 6), Rounding.HALF_UP, "0.03"),
        ("0.03", Fraction(5, 6), Rounding.HALF_EVEN, "0.02"),
        ("0.03", Fraction(1, 2), Rounding.HALF_EVEN, "0.02"),
        ("0.03", Fraction(5, 6), Rounding.DOWN, "0.02"),
        ("-0.03", Fraction(5, 6), Rounding.HALF_UP, "-0.03"),
        ("500000.00", Fraction(1, 3), Rounding.HALF_UP, "166666.67"),
    ],
)
def test_a_portion_is_rounded_from_its_exact_value(amount: str, fraction: Fraction, rule: Rounding, part: str) -> None:
    assert str(portion(Money.of(amount, "EUR"), fraction, rule).amount) == part


@given(
    units=st.integers(-(10**12), 10**12),
    steps=st.lists(st.fractions(0, 1), max_size=10),
    currency=CURRENCIES,
)
def test_what_is_earned_by_progress_ends_at_the_total(units: int, steps: list[Fraction], currency: str) -> None:
    amount = Money.from_minor(units, currency)
    assert total(by_progress(amount, [*steps, Fraction(1)]), currency) == amount
