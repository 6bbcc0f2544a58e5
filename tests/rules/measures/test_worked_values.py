"""Every worked value of a business measure, as people read it (features.md 3.3 and 3.4)."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from accord.model.money import CurrenciesDiffer, Money
from accord.rules.measures import people, quality, receivables, sales
from accord.rules.measures.definition import Measure, NotDefined, Reading, Unit
from accord.rules.measures.people import HoursAtRate
from accord.rules.measures.receivables import MonthOfSales
from accord.rules.measures.sales import EarnedItem, UnbilledItem


def hours(count: str | int) -> Decimal:
    return Decimal(count)


def usd(amount: str | int) -> Money:
    return Money.of(amount, "USD")


AVAILABLE = people.available_hours(contractual=hours(4 * 40), time_off=hours(16), holidays=hours(0)).number
STANDARD = people.standard_value([HoursAtRate(hours(104), usd(200))])
SALES = usd("1800000")
MONTHS = (MonthOfSales(usd("700000"), 30), MonthOfSales(usd("600000"), 31), MonthOfSales(usd("500000"), 31))
RECEIVABLE, CURRENT = usd("1450000"), usd("1200000")
DSO = receivables.dso_simple(RECEIVABLE, SALES, 92)
WIP_DAYS = sales.wip_days(usd("620000"), SALES, 92)


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (people.available_hours(hours(160), hours(16), hours(0)), "144.00 hours"),
        (people.billable_utilization(hours(104), AVAILABLE), "72.22 %"),
        (people.productive_utilization(hours(104), hours(14), AVAILABLE), "81.94 %"),
        (people.billable_utilization_with_submitted(hours(104), hours(8), AVAILABLE), "77.78 %"),
        (people.scheduled_utilization(hours(240), hours(320)), "75.00 %"),
        (STANDARD, "20800.00 USD"),
        (people.billing_realization(usd(18720), usd(20800)), "90.00 %"),
        (people.collection_realization(usd(18000), usd(18720)), "96.15 %"),
        (people.overall_realization(usd(18000), usd(20800)), "86.54 %"),
        (people.effective_rate(usd(18720), hours(104)), "180.00 USD"),
        (people.effective_rate_of_a_fixed_fee(usd(50000), hours(300)), "166.67 USD"),
        (DSO, "74.11 days"),
        (receivables.dso_count_back(RECEIVABLE, MONTHS), "70.30 days"),
        (receivables.dso_of_the_average(usd("1300000"), RECEIVABLE, SALES, 92), "70.28 days"),
        (receivables.best_possible_dso(CURRENT, SALES, 92), "61.33 days"),
        (receivables.average_days_delinquent(RECEIVABLE, CURRENT, SALES, 92), "12.78 days"),
        (WIP_DAYS, "31.69 days"),
        (receivables.lock_up(WIP_DAYS.number, DSO.number), "105.80 days"),
        (receivables.collection_effectiveness(usd("1300000"), SALES, RECEIVABLE, CURRENT), "86.84 %"),
        (sales.backlog(usd(900000), usd(100000), usd(250000)), "550000.00 USD"),
        (sales.backlog_of_a_budget(usd(120000), usd(30000)), "90000.00 USD"),
        (sales.funded_backlog(usd(550000), usd(400000), usd(250000)), "150000.00 USD"),
        (sales.funded_backlog(usd(550000), usd(200000), usd(250000)), "0.00 USD"),
        (sales.unfunded_backlog(usd(550000), usd(150000)), "400000.00 USD"),
        (sales.book_to_bill(usd(1200), usd(1000)), "1.20"),
        (sales.book_to_revenue(usd(1200), usd(960)), "1.25"),
        (sales.direct_cost(usd(60000), usd(5000), usd(10000)), "75000.00 USD"),
        (sales.project_margin(usd(100000), usd(75000)), "25.00 %"),
        (sales.margin_at_completion(usd(500000), usd(180000), usd(220000)), "20.00 %"),
        (sales.margin_erosion(Decimal("0.40"), Decimal("0.20")), "20.00 %"),
        (quality.failure_rate_of_attempts(50, 1000), "5.00 %"),
        (quality.failure_rate_of_records(12, 800), "1.50 %"),
        (quality.first_pass_yield(970, 1000), "97.00 %"),
        (quality.invoice_accuracy(3, 200), "98.50 %"),
        (quality.dispute_rate(usd(18000), usd(900000)), "2.00 %"),
        (quality.disputes_upheld(usd(6000), usd(18000)), "33.33 %"),
    ],
    ids=lambda value: value.definition.id if isinstance(value, Reading) else "",
)
def test_a_worked_value_to_two_decimals(reading: Reading, text: str) -> None:
    assert reading.text == text


def test_overall_realization_is_the_product_of_its_two_parts() -> None:
    billing = people.billing_realization(usd(18720), usd(20800)).number
    collection = people.collection_realization(usd(18000), usd(18720)).number
    assert abs(billing * collection - people.overall_realization(usd(18000), usd(20800)).number) < Decimal("1e-20")


def test_dso_is_best_possible_dso_and_the_delay() -> None:
    best = receivables.best_possible_dso(CURRENT, SALES, 92).number
    late = receivables.average_days_delinquent(RECEIVABLE, CURRENT, SALES, 92).number
    assert abs(best + late - DSO.number) < Decimal("1e-20")


def test_wip_leaves_out_what_lies_over_a_cap() -> None:
    items = [UnbilledItem(usd(1000), date(2026, 11, 2)), UnbilledItem(usd(875), date(2026, 11, 2), over_cap=True)]
    assert sales.wip(items, "USD").text == "1000.00 USD"
    assert sales.wip([], "JPY").text == "0 JPY"


def test_leakage_is_what_nobody_billed_or_explained_in_time() -> None:
    old, young = date(2026, 9, 1), date(2026, 11, 20)
    items = [
        EarnedItem(usd(800), old, billed=usd(700), explained=usd(60)),
        EarnedItem(usd(200), old, billed=usd(230), explained=usd(0)),
        EarnedItem(usd(999), young, billed=usd(0), explained=usd(0)),
    ]
    assert sales.billing_leakage(items, date(2026, 11, 24), 30).text == "4.00 %"
    assert sales.billing_leakage(items[2:], date(2026, 11, 24), 30).undefined_because == (
        "nothing was earned at least 30 days ago"
    )


ZERO = usd(0)


@pytest.mark.parametrize(
    ("reading", "because"),
    [
        (people.billable_utilization(hours(8), hours(0)), "the number of available hours is zero"),
        (people.standard_value([]), "there are no hours, so there is no currency"),
        (people.effective_rate(usd(100), hours(0)), "the number of billed hours is zero"),
        (people.billing_realization(usd(100), ZERO), "standard value is zero"),
        (receivables.dso_simple(RECEIVABLE, ZERO, 92), "the sum of credit sales is zero"),
        (receivables.lock_up(None, Decimal(1)), "WIP days are not defined"),
        (receivables.lock_up(Decimal(1), None), "DSO is not defined"),
        (
            receivables.dso_count_back(usd(2000000), MONTHS),
            "200000.00 USD of the receivables is older than the 3 months given",
        ),
        (
            receivables.dso_count_back(usd(-1), MONTHS),
            "receivables are negative: more is credited or paid than was invoiced",
        ),
        (
            receivables.dso_count_back(usd(5), [MonthOfSales(usd(-10), 30)]),
            "a month has negative sales (-10.00 USD): credits exceed what was invoiced",
        ),
        (sales.project_margin(ZERO, usd(5)), "revenue is zero"),
        (sales.margin_erosion(None, Decimal(1)), "a margin is not defined: the one sold"),
        (quality.invoice_accuracy(0, 0), "the number of invoices is zero"),
    ],
    ids=lambda value: value.definition.id if isinstance(value, Reading) else "",
)
def test_what_has_no_value_says_why(reading: Reading, because: str) -> None:
    assert (reading.value, reading.text) == (None, f"not defined: {because}")
    with pytest.raises(NotDefined, match=re.escape(because)):
        _ = reading.number


@pytest.mark.parametrize(
    ("receivable", "months", "days"),
    [
        (0, MONTHS, "0.00 days"),
        (700000, MONTHS, "30.00 days"),
        (1800000, MONTHS, "92.00 days"),
        (350000, [MonthOfSales(ZERO, 31), *MONTHS], "46.00 days"),
        (0, [], "0.00 days"),
    ],
)
def test_counting_back_at_its_edges(receivable: int, months: Sequence[MonthOfSales], days: str) -> None:
    """A month without sales counts with all its days: what is open is older than it."""
    assert receivables.dso_count_back(usd(receivable), months).text == days


def test_a_reading_tells_its_formula_and_what_went_in() -> None:
    reading = people.billable_utilization(billable=hours(104), available=AVAILABLE)
    assert reading.definition.id == "utilization.billable@1"
    assert reading.definition.formula == "billable approved hours ÷ available hours"
    assert reading.definition.unit is Unit.RATIO
    assert dict(reading.inputs) == {"billable": "104", "available": "144"}
    assert dict(people.standard_value([HoursAtRate(hours(1), usd(1))]).inputs) == {"worked": "1 row"}


@pytest.mark.parametrize(
    ("measured", "inputs"),
    [
        (people.billing_realization, (usd(1), Money.of(1, "EUR"))),
        (receivables.dso_simple, (usd(1), Money.of(1, "EUR"), 92)),
        (sales.wip_days, (usd(1), Money.of(1, "EUR"), 92)),
        (sales.project_margin, (usd(1), Money.of(1, "EUR"))),
    ],
)
def test_two_currencies_have_no_ratio(measured: Measure[...], inputs: tuple[object, ...]) -> None:
    with pytest.raises(CurrenciesDiffer):
        measured(*inputs)
