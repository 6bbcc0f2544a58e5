"""A recurring service that changes within a period, to the last cent and day."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import CurrenciesDiffer, Money
from accord.rules.proration import ServicePeriod, period_at, prorated

DECEMBER = ServicePeriod(date(2026, 12, 1), date(2027, 1, 1))


@pytest.mark.parametrize(
    ("starts_on", "on", "period"),
    [
        (date(2026, 1, 15), date(2026, 1, 15), (date(2026, 1, 15), date(2026, 2, 15))),
        (date(2026, 1, 15), date(2026, 2, 14), (date(2026, 1, 15), date(2026, 2, 15))),
        (date(2026, 1, 31), date(2026, 2, 27), (date(2026, 1, 31), date(2026, 2, 28))),
        (date(2026, 1, 31), date(2026, 2, 28), (date(2026, 2, 28), date(2026, 3, 31))),
        (date(2026, 1, 15), date(2026, 12, 31), (date(2026, 12, 15), date(2027, 1, 15))),
        (date(2026, 1, 15), date(2026, 1, 14), None),
        (date(2026, 1, 15), date(2027, 1, 14), (date(2026, 12, 15), date(2027, 1, 15))),
        (date(2026, 1, 15), date(2027, 1, 15), None),
    ],
)
def test_the_period_of_a_day(starts_on: date, on: date, period: tuple[date, date] | None) -> None:
    assert period_at(starts_on, 12, on) == (None if period is None else ServicePeriod(*period))


@pytest.mark.parametrize(
    ("before", "after", "on", "credit", "charge", "difference"),
    [
        ("1000.00 EUR", "1200.00 EUR", date(2026, 12, 14), "580.65", "696.77", "116.12"),
        ("1200.00 EUR", "1000.00 EUR", date(2026, 12, 14), "696.77", "580.65", "-116.12"),
        ("1000.00 EUR", "1200.00 EUR", date(2026, 12, 1), "1000.00", "1200.00", "200.00"),
        ("1000.00 EUR", "1200.00 EUR", date(2026, 12, 31), "32.26", "38.71", "6.45"),
        ("1000.00 EUR", "0.00 EUR", date(2026, 12, 14), "580.65", "0.00", "-580.65"),
        ("100000 JPY", "120000 JPY", date(2026, 12, 14), "58065", "69677", "11612"),
        ("100.000 KWD", "120.000 KWD", date(2026, 12, 14), "58.065", "69.677", "11.612"),
    ],
)
def test_worked_values(before: str, after: str, on: date, credit: str, charge: str, difference: str) -> None:
    found = prorated(Money.of(*before.split()), Money.of(*after.split()), DECEMBER, on)
    assert [str(each.amount) for each in (found.credit, found.charge, found.difference)] == [credit, charge, difference]


def test_two_currencies_have_no_difference() -> None:
    with pytest.raises(CurrenciesDiffer):
        prorated(Money.of("1.00", "EUR"), Money.of("1.00", "USD"), DECEMBER, date(2026, 12, 14))


@given(st.integers(0, 10**9), st.integers(0, 30))
def test_what_was_used_and_what_is_left_come_to_the_whole(cents: int, day: int) -> None:
    """Credited from a day on and charged anew at the same price from that day on, nothing changes."""
    monthly = Money.from_minor(cents, "EUR")
    found = prorated(monthly, monthly, DECEMBER, date(2026, 12, 1 + day))
    assert not found.difference
    assert Money.zero("EUR") <= found.credit <= monthly
    assert abs(found.credit.minor * 31 - cents * found.days_left) < 31
