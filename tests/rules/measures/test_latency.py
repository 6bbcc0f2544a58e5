"""Latencies as median and 90th percentile, each row once or by amount."""

import statistics
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import Money
from accord.rules.measures import latency
from accord.rules.measures.latency import Span

START = datetime(2026, 11, 2, 9, tzinfo=UTC)


def span(hours: float | None, amount: str | None = None, currency: str = "USD") -> Span:
    ended = None if hours is None else START + timedelta(hours=hours)
    return Span(START, ended, None if amount is None else Money.of(amount, currency))


INVOICES = [span(2, "100"), span(4, "100"), span(6, "100"), span(8, "100"), span(240, "9600")]


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (latency.invoice_latency.median(INVOICES), "6.00 hours"),
        (latency.invoice_latency.p90(INVOICES), "240.00 hours"),
        (latency.invoice_latency.median_by_amount(INVOICES), "240.00 hours"),
        (latency.invoice_latency.p90_by_amount([span(1, "90"), span(9, "10")]), "1.00 hours"),
        (latency.invoice_latency.median_by_amount([span(1, "10"), span(5, "-30"), span(9, "15")]), "5.00 hours"),
        (latency.approval_latency.median([span(1), span(2), span(3), span(4)]), "2.00 hours"),
        (latency.activation_time.p90([span(hours) for hours in range(1, 11)]), "9.00 hours"),
        (latency.dispute_cycle.median([span(24), span(None)]), "24.00 hours"),
        (latency.approval_latency.median([span(-3)]), "-3.00 hours"),
        (latency.mean_time_to_resolve([span(1), span(2), span(None)]), "1.50 hours"),
    ],
)
def test_a_latency_in_hours(reading: latency.Measure[...], text: str) -> None:
    assert reading.text == text


def test_one_large_late_invoice_shows_by_amount_only() -> None:
    """The median of five invoices is 6 hours; half of the money waited 240."""
    assert latency.invoice_latency.median(INVOICES).number == 6
    assert latency.invoice_latency.median_by_amount(INVOICES).number == 240


def test_money_hours_count_what_is_open_until_now() -> None:
    now = START + timedelta(hours=10)
    spans = [span(2, "1000"), span(None, "500"), span(None)]
    assert latency.money_hours(spans, now, "USD").text == "7000.00 USD\N{NO-BREAK SPACE}h"


@pytest.mark.parametrize(
    ("reading", "because"),
    [
        (latency.approval_latency.median([]), "there are no rows"),
        (latency.approval_latency.median([span(None), span(None)]), "none of 2 has ended"),
        (latency.approval_latency.p90_by_amount([span(1)]), "no row has an amount to weigh by"),
        (
            latency.invoice_latency.p90_by_amount([span(1, "1"), span(1, "1", "EUR")]),
            "the amounts have several currencies; ask for one, or convert them first",
        ),
        (latency.mean_time_to_resolve([span(None)]), "none of 1 has ended"),
    ],
)
def test_no_value_has_its_reason(reading: latency.Measure[...], because: str) -> None:
    assert reading.undefined_because == because


def test_the_formula_names_basis_and_percentile() -> None:
    told = latency.invoice_latency.p90_by_amount.definition
    assert told.id == "invoice_latency.from_approval_p90_by_amount@1"
    assert told.formula == ("90th percentile of t(invoice issued) − max(t(approval) of its lines), weighted by amount")


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_the_median_is_the_lower_one_of_two(hours: list[int]) -> None:
    found = latency.approval_latency.median([span(each) for each in hours])
    assert found.number == statistics.median_low(hours)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 20)), min_size=1, max_size=20))
def test_an_amount_weighs_as_many_rows_of_one_as_it_has_units(rows: list[tuple[int, int]]) -> None:
    weighted = [span(hours, str(units)) for hours, units in rows]
    repeated = [span(hours) for hours, units in rows for _ in range(units)]
    for by_amount, by_row in (
        (latency.dispute_cycle.median_by_amount, latency.dispute_cycle.median),
        (latency.dispute_cycle.p90_by_amount, latency.dispute_cycle.p90),
    ):
        assert by_amount(weighted).value == by_row(repeated).value


def test_microseconds_are_exact() -> None:
    exact = latency.approval_latency.median([Span(START, START + timedelta(microseconds=36), None)])
    assert exact.number == Decimal("0.00000001")
