"""A conversion says its rate, date and source; a rate that is not there is a problem."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import Money, UnknownCurrency
from accord.model.problem import Problem
from accord.rules.fx import (
    Conversion,
    ExchangeRates,
    Rate,
    RateDate,
    RateDatePolicy,
    RateKind,
    WorkDates,
    by_day,
    convert,
)

WORKED, APPROVED, INVOICED = date(2026, 10, 30), date(2026, 11, 3), date(2026, 11, 23)
DATES = WorkDates(WORKED, APPROVED, INVOICED)
POLICY = RateDatePolicy(RateDate.APPROVAL, "ECB", version=1)


def rate(quote: str, value: str, on: date, *, base: str = "EUR", kind: RateKind = RateKind.DAILY) -> Rate:
    return Rate(base, quote, Decimal(value), on, "ECB", kind)


TABLE = ExchangeRates(
    [
        rate("USD", "1.0800", WORKED),
        rate("USD", "1.0837", APPROVED),
        rate("USD", "1.0912", INVOICED),
        rate("USD", "1.0811", date(2026, 10, 31), kind=RateKind.MONTH_AVERAGE),
        rate("JPY", "163.05", APPROVED),
        rate("KWD", "0.333", APPROVED),
    ]
)


def by(policy: RateDate, amount: Money, currency: str = "USD", dates: WorkDates = DATES) -> Conversion:
    found = convert(amount, currency, dates, replace(POLICY, date=policy), TABLE)
    assert isinstance(found, Conversion)
    return found


def problem(amount: Money, currency: str, dates: WorkDates = DATES, **policy: object) -> Problem:
    found = convert(amount, currency, dates, replace(POLICY, **policy), TABLE)  # type: ignore[arg-type]
    assert isinstance(found, Problem)
    return found


TEN_THOUSAND = Money.of("10000.00", "EUR")


def test_the_worked_conversion_depends_on_the_policy_alone() -> None:
    """features.md 3.4: 10,837.00 by approval, 10,912.00 by invoice, 75.00 apart."""
    approval, invoice = by(RateDate.APPROVAL, TEN_THOUSAND), by(RateDate.INVOICE, TEN_THOUSAND)
    assert str(approval.result) == "10837.00 USD"
    assert str(invoice.result) == "10912.00 USD"
    assert str(invoice.result - approval.result) == "75.00 USD"
    assert (approval.asked_for, approval.legs[0].rate.effective_on, approval.legs[0].rate.source) == (
        APPROVED,
        APPROVED,
        "ECB",
    )


def test_the_worked_date_and_the_average_of_its_month() -> None:
    assert str(by(RateDate.WORKED, TEN_THOUSAND).result) == "10800.00 USD"
    assert str(by(RateDate.MONTH_AVERAGE, TEN_THOUSAND).result) == "10811.00 USD"


def test_a_daily_rate_is_carried_over_a_weekend_and_no_longer() -> None:
    four_days_on = replace(DATES, approved_on=date(2026, 11, 7))
    assert by(RateDate.APPROVAL, TEN_THOUSAND, dates=four_days_on).legs[0].rate.effective_on == APPROVED
    later = problem(TEN_THOUSAND, "USD", replace(DATES, approved_on=date(2026, 11, 8)))
    assert later.code == "rate_missing"
    assert later.message == "ECB has no rate of EUR in USD for 2026-11-08 or the 4 days before."


def test_a_rate_of_the_future_is_no_rate() -> None:
    assert problem(TEN_THOUSAND, "USD", replace(DATES, approved_on=date(2026, 10, 29))).code == "rate_missing"


def test_no_average_of_the_month_is_not_replaced_by_a_daily_rate() -> None:
    found = problem(TEN_THOUSAND, "JPY", date=RateDate.MONTH_AVERAGE)
    assert found.message == "ECB has no rate of EUR in JPY for the average of 2026-10."


def test_a_date_that_is_not_there_yet_is_said() -> None:
    found = problem(TEN_THOUSAND, "USD", WorkDates(worked_on=WORKED), date=RateDate.INVOICE)
    assert (found.code, found.field) == ("rate_date_missing", "invoice_date")


def test_the_other_direction_is_turned_round_only_when_allowed() -> None:
    dollars = Money.of("10837.00", "USD")
    assert str(by(RateDate.APPROVAL, dollars, "EUR").result) == "10000.00 EUR"
    assert by(RateDate.APPROVAL, dollars, "EUR").legs[0].inverted
    assert problem(dollars, "EUR", inverse=False).code == "rate_missing"


def test_two_rates_are_crossed_only_through_the_pivot() -> None:
    dollars = Money.of("1083.70", "USD")
    assert problem(dollars, "JPY").code == "rate_missing"
    crossed = convert(dollars, "JPY", DATES, replace(POLICY, pivot="EUR"), TABLE)
    assert isinstance(crossed, Conversion)
    assert str(crossed.result) == "163050 JPY"
    assert [leg.inverted for leg in crossed.legs] == [True, False]
    assert crossed.rate == Decimal("150.4567684784")


def test_currencies_of_zero_and_three_decimals() -> None:
    assert str(by(RateDate.APPROVAL, Money.of("1.00", "EUR"), "JPY").result) == "163 JPY"
    assert str(by(RateDate.APPROVAL, Money.of("0.01", "EUR"), "KWD").result) == "0.003 KWD"


def test_two_rates_of_one_day_are_a_problem_not_a_choice() -> None:
    table = ExchangeRates([rate("USD", "1.08", APPROVED), rate("USD", "1.09", APPROVED)])
    found = convert(TEN_THOUSAND, "USD", DATES, POLICY, table)
    assert isinstance(found, Problem)
    assert (found.code, found.message) == ("rate_ambiguous", "ECB has 1.08 and 1.09 USD for one EUR on 2026-11-03.")


def test_another_source_is_not_asked() -> None:
    assert problem(TEN_THOUSAND, "USD", source="Fed").code == "rate_missing"


def test_what_is_no_rate_or_no_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="0 is not a rate of exchange"):
        rate("USD", "0", APPROVED)
    with pytest.raises(UnknownCurrency):
        convert(TEN_THOUSAND, "XYZ", DATES, POLICY, TABLE)


@given(units=st.integers(-(10**12), 10**12), value=st.decimals("0.0001", "10000", places=6))
def test_a_conversion_is_within_half_a_minor_unit_of_the_exact_one(units: int, value: Decimal) -> None:
    table = ExchangeRates([rate("KWD", str(value), APPROVED)])
    amount = Money.from_minor(units, "EUR")
    found = convert(amount, "KWD", DATES, POLICY, table)
    assert isinstance(found, Conversion)
    assert abs(found.result.amount - amount.amount * value) <= Decimal("0.0005")


def test_the_same_currency_needs_no_rate() -> None:
    assert by(RateDate.APPROVAL, Money.of("5.00", "USD")).legs == ()


def test_a_policy_is_lent_to_pricing_as_a_function_of_the_day() -> None:
    """Not rounded: what is priced is rounded once, when it is money."""
    converted = by_day(POLICY, TABLE)
    assert converted(Decimal("187.505"), "EUR", "USD", APPROVED) == Decimal("203.1991685")
    assert converted(Decimal(1), "EUR", "EUR", date(1999, 1, 1)) == 1
    assert converted(Decimal(1), "EUR", "USD", date(1999, 1, 1)) is None
