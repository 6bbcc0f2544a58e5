"""What an obligation earns, period by period."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import CurrenciesDiffer, Money, total
from accord.rules.periods import PeriodsDoNotFollow
from accord.rules.revenue.obligations import Method
from accord.rules.revenue.progress import (
    NotMeasurable,
    Progress,
    cost_to_cost,
    hours,
    milestones,
    recovered_cost,
    straight_line,
)
from accord.rules.revenue.schedule import Evidence, Schedule, schedule
from tests.rules.revenue.contracts import MONTHS, obligation, priced, usd


def figures(found: Schedule) -> list[tuple[str, str, str, str]]:
    """Period, cumulative, revenue of the period and the part caught up."""
    return [
        (row.period.code, str(row.cumulative.amount), str(row.recognised.amount), str(row.caught_up.amount))
        for row in found.rows
    ]


def test_the_worked_cost_to_cost_schedule() -> None:
    """features.md 3.4: 30 % is 150,000; 45 % is 225,000 and 75,000 in the period; the end is 500,000."""
    progress = {
        "2026-01": cost_to_cost(usd(90000), usd(210000)),
        "2026-02": cost_to_cost(usd(180000), usd(220000)),
        "2026-03": cost_to_cost(usd(400000), usd(0)),
    }
    found = schedule(obligation(), [priced()], MONTHS, Evidence(progress=progress))
    assert figures(found) == [
        ("2026-01", "150000.00", "150000.00", "0.00"),
        # 90,000 of 400,000 is 22.5 %: what was done in January is worth 37,500 less than was thought.
        ("2026-02", "225000.00", "75000.00", "-37500.00"),
        ("2026-03", "500000.00", "275000.00", "0.00"),
    ]
    assert [row.progress for row in found.rows] == [Fraction(3, 10), Fraction(9, 20), 1]
    assert found.rows[0].told == "cost 90000.00 USD, to complete 210000.00 USD"


def test_the_worked_onerous_contract_recognises_a_third() -> None:
    progress = {"2026-01": cost_to_cost(usd(180000), usd(360000))}
    found = schedule(obligation(), [priced()], MONTHS, Evidence(progress=progress))
    assert found.recognised == usd("166666.67")


def test_cost_that_shows_no_progress_is_left_out() -> None:
    found = cost_to_cost(usd(120000), usd(210000), not_depicting=usd(30000))
    assert found.fraction == Fraction(3, 10)
    assert "without 30000.00 USD that shows no progress" in found.told


def test_a_contract_too_young_to_be_measured_earns_its_cost() -> None:
    """30,000 of cost in January is 30,000 of revenue; in February 10 % can be told, and the margin is caught up."""
    progress = {"2026-01": recovered_cost(usd(30000), usd(500000)), "2026-02": cost_to_cost(usd(30000), usd(270000))}
    found = schedule(obligation(), [priced()], MONTHS, Evidence(progress=progress))
    assert figures(found) == [
        ("2026-01", "30000.00", "30000.00", "0.00"),
        ("2026-02", "50000.00", "20000.00", "20000.00"),
    ]
    assert recovered_cost(usd(600000), usd(500000)).fraction == 1


def test_hours_as_a_measure() -> None:
    progress = {"2026-01": hours(Decimal(100), Decimal(300)), "2026-02": hours(Decimal(250), Decimal(250))}
    found = schedule(obligation(Method.HOURS), [priced()], MONTHS, Evidence(progress=progress))
    assert figures(found) == [
        ("2026-01", "125000.00", "125000.00", "0.00"),
        ("2026-02", "250000.00", "125000.00", "-25000.00"),
    ]


def test_milestones_as_a_measure_by_their_weight() -> None:
    about = obligation(Method.MILESTONES)
    progress = {"2026-01": milestones(about, ["design"]), "2026-02": milestones(about, ["design", "run"])}
    found = schedule(about, [priced()], MONTHS, Evidence(progress=progress))
    assert figures(found) == [
        ("2026-01", "83333.33", "83333.33", "0.00"),
        ("2026-02", "333333.33", "250000.00", "0.00"),
    ]


def test_a_straight_line_goes_by_days() -> None:
    """A stand-by promise of 365,000 from 1 January to 31 December 2026 earns 1,000 a day."""
    found = schedule(obligation(Method.STRAIGHT_LINE), [priced(365000)], MONTHS, Evidence())
    assert [row.recognised.amount for row in found.rows] == [
        1000 * days for days in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    ]
    assert found.recognised == usd(365000)


def test_a_straight_line_within_its_term() -> None:
    about = obligation(Method.STRAIGHT_LINE, starts_on=date(2026, 2, 15), ends_on=date(2026, 3, 14))
    found = schedule(about, [priced(2800)], MONTHS[:4], Evidence())
    assert [row.recognised.amount for row in found.rows] == [0, 1400, 1400, 0]


def test_as_invoiced_earns_what_may_be_invoiced() -> None:
    """A correction after invoicing lowers the amount to date, and so the period's revenue."""
    to_date = {"2026-02": usd(30000), "2026-04": usd(28000), "2026-05": usd(40000)}
    found = schedule(obligation(Method.AS_INVOICED), [], MONTHS, Evidence(invoiceable_to_date=to_date))
    assert [(code, earned) for code, _, earned, _ in figures(found)] == [
        ("2026-02", "30000.00"),
        ("2026-03", "0.00"),
        ("2026-04", "-2000.00"),
        ("2026-05", "12000.00"),
    ]


def test_a_point_in_time_is_the_acceptance() -> None:
    about = obligation(Method.POINT_IN_TIME)
    before = schedule(about, [priced()], MONTHS[:3], Evidence())
    assert [row.recognised.amount for row in before.rows] == [0, 0, 0]
    after = schedule(about, [priced()], MONTHS[:3], Evidence(accepted_on=date(2026, 2, 28)))
    assert [row.recognised.amount for row in after.rows] == [0, 500000, 0]


def test_a_new_price_counts_for_what_is_done_already() -> None:
    """A bonus of 50,000 that becomes probable in March is earned to the progress reached."""
    progress = {each.code: hours(Decimal(10 * n), Decimal(100 - 10 * n)) for n, each in enumerate(MONTHS[:4], start=1)}
    prices = [priced(), replace(priced(550000), starts_on=date(2026, 3, 31))]
    found = schedule(obligation(Method.HOURS), prices, MONTHS, Evidence(progress=progress))
    assert figures(found) == [
        ("2026-01", "50000.00", "50000.00", "0.00"),
        ("2026-02", "100000.00", "50000.00", "0.00"),
        ("2026-03", "165000.00", "65000.00", "10000.00"),
        ("2026-04", "220000.00", "55000.00", "0.00"),
    ]


class TestClosedPeriods:
    def test_what_is_booked_stays_and_the_first_open_period_catches_up(self) -> None:
        """January closed with 150,000; its cost is corrected afterwards, and February ends where it has to."""
        progress = {
            "2026-01": cost_to_cost(usd(60000), usd(240000)),
            "2026-02": cost_to_cost(usd(180000), usd(220000)),
        }
        closed = {"2026-01": usd(150000)}
        found = schedule(obligation(), [priced()], MONTHS, Evidence(progress=progress), closed)
        assert figures(found) == [
            ("2026-01", "150000.00", "150000.00", "0.00"),
            ("2026-02", "225000.00", "75000.00", "-75000.00"),
        ]
        assert found.rows[0].told == (
            "closed with 150000.00 USD; 100000.00 USD by what is known now: "
            "cost 60000.00 USD, to complete 240000.00 USD"
        )

    def test_late_time_is_earned_in_the_first_open_period(self) -> None:
        to_date = {"2026-01": usd(31000), "2026-02": usd(60000)}
        evidence = Evidence(invoiceable_to_date=to_date)
        found = schedule(obligation(Method.AS_INVOICED), [], MONTHS, evidence, {"2026-01": usd(30000)})
        assert [row.recognised for row in found.rows] == [usd(30000), usd(30000)]

    def test_what_was_booked_right_is_told_as_it_is(self) -> None:
        progress = {"2026-01": cost_to_cost(usd(90000), usd(210000))}
        closed = {"2026-01": usd(150000)}
        [row] = schedule(obligation(), [priced()], MONTHS, Evidence(progress=progress), closed).rows
        assert row.told == "cost 90000.00 USD, to complete 210000.00 USD"

    def test_a_longer_term_is_caught_up_when_the_old_measure_is_kept(self) -> None:
        """Half of a term of two months is gone when it becomes four months: a quarter, and then half."""
        about = obligation(Method.STRAIGHT_LINE, starts_on=date(2026, 1, 1), ends_on=date(2026, 4, 30))
        kept = {"2026-01": straight_line(date(2026, 1, 1), date(2026, 2, 28), date(2026, 1, 31))}
        found = schedule(about, [priced(7080)], MONTHS[:4], Evidence(progress=kept))
        assert [row.recognised.amount for row in found.rows] == [Decimal("3720.00"), -239, 1829, 1770]
        assert found.rows[1].caught_up == usd("-1891.00")


def test_a_period_without_a_measurement_carries_on_and_says_so() -> None:
    progress = {"2026-01": hours(Decimal(1), Decimal(9)), "2026-03": hours(Decimal(3), Decimal(7))}
    found = schedule(obligation(Method.HOURS), [priced(1000)], MONTHS, Evidence(progress=progress))
    assert [row.recognised.amount for row in found.rows] == [100, 0, 200]
    assert found.rows[1].told == "carried on, not measured: 1 hours worked, 9 to go"
    [problem] = found.problems
    assert (problem.code, problem.message) == (
        "progress_not_measured",
        "Build was not measured in 2026-02; the progress before is carried on.",
    )


def test_work_before_there_is_a_price_is_said_and_caught_up() -> None:
    progress = {"2026-01": hours(Decimal(1), Decimal(9)), "2026-02": hours(Decimal(3), Decimal(7))}
    prices = [priced(1000, date(2026, 2, 1))]
    found = schedule(obligation(Method.HOURS), prices, MONTHS, Evidence(progress=progress))
    assert figures(found) == [("2026-02", "300.00", "300.00", "100.00")]
    assert [each.code for each in found.problems] == ["price_missing"]


def test_an_obligation_with_problems_earns_nothing() -> None:
    found = schedule(obligation(criterion=None), [priced()], MONTHS, Evidence())
    assert (found.rows, found.recognised) == ((), None)
    assert [each.code for each in found.problems] == ["criterion_missing"]


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda: cost_to_cost(usd(1), usd(-1)), "the estimate to complete is -1.00 USD"),
        (lambda: cost_to_cost(usd(0), usd(0)), "nothing is to be done"),
        (lambda: cost_to_cost(usd(-5), usd(10)), "does not lie between nothing and all"),
        (lambda: hours(Decimal(5), Decimal(-1)), "-1 hours are to go"),
        (lambda: milestones(obligation(Method.MILESTONES), ["paint"]), "Build has no milestone paint"),
        (lambda: straight_line(date(2026, 2, 1), date(2026, 1, 1), date(2026, 3, 1)), "nothing is to be done"),
    ],
)
def test_what_cannot_be_measured_is_refused(measure: object, message: str) -> None:
    with pytest.raises(NotMeasurable, match=message):
        measure()  # type: ignore[operator]


def test_costs_of_two_currencies_have_no_progress() -> None:
    with pytest.raises(CurrenciesDiffer):
        cost_to_cost(usd(1), Money.of(1, "EUR"))


def test_periods_must_follow_each_other() -> None:
    with pytest.raises(PeriodsDoNotFollow):
        schedule(obligation(), [priced()], [MONTHS[0], MONTHS[2]], Evidence())


STEPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=12)


@given(price=st.integers(0, 10**12), steps=STEPS, currency=st.sampled_from(["USD", "JPY", "KWD"]))
def test_revenue_never_drifts(price: int, steps: list[tuple[int, int]], currency: str) -> None:
    """However often progress is measured, the periods add up to price times progress, and to the price at the end."""
    amount = Money.from_minor(price, currency)
    progress = {
        each.code: Progress(Fraction(done), Fraction(done + to_go + 1), "measured")
        for each, (done, to_go) in zip(MONTHS, steps, strict=False)
    }
    progress[MONTHS[len(progress) - 1].code] = Progress(Fraction(1), Fraction(1), "done")
    prices = [replace(priced(), price=amount)]
    found = schedule(obligation(), prices, MONTHS, Evidence(progress=progress))
    assert total((row.recognised for row in found.rows), currency) == amount
    for row in found.rows:
        assert abs(Fraction(row.cumulative.minor) - amount.minor * row.progress) <= Fraction(1, 2)
