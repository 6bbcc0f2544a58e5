"""Accounting periods follow each other without a gap."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.rules.periods import Period, PeriodsDoNotFollow, holding, in_order, months, weeks_445


def test_calendar_months_know_leap_years_and_year_ends() -> None:
    found = months(date(2027, 12, 15), 3)
    assert [(each.code, each.starts_on, each.ends_on, each.days) for each in found] == [
        ("2027-12", date(2027, 12, 1), date(2027, 12, 31), 31),
        ("2028-01", date(2028, 1, 1), date(2028, 1, 31), 31),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29), 29),
    ]


def test_a_year_of_4_4_5() -> None:
    """A quarter is 4, 4 and 5 weeks; the 53rd week of a long year is in its last period."""
    year = weeks_445(date(2026, 2, 2), "FY26")
    assert [each.days // 7 for each in year] == [4, 4, 5] * 4
    assert (year[0].code, year[11].code, year[11].ends_on) == ("FY26-P01", "FY26-P12", date(2027, 1, 31))
    assert weeks_445(date(2026, 2, 2), "FY26", long_year=True)[11].ends_on == date(2027, 2, 7)
    assert [each.days // 7 for each in weeks_445(date(2026, 2, 2), "FY26", (5, 4, 4))][:3] == [5, 4, 4]


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(1, 30))
def test_every_day_lies_in_one_period(first: date, count: int) -> None:
    for calendar in (months(first, count), weeks_445(first, "FY")):
        assert in_order(calendar[::-1]) == calendar
        assert all(
            before.ends_on.toordinal() + 1 == after.starts_on.toordinal() for before, after in pairwise(calendar)
        )
        assert holding(calendar, calendar[0].starts_on) == calendar[0]
        assert holding(calendar, calendar[-1].ends_on) == calendar[-1]
        assert holding(calendar, date(2199, 1, 1)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        [Period(date(2026, 1, 1), date(2026, 1, 31), "a"), Period(date(2026, 2, 2), date(2026, 2, 28), "b")],
        [Period(date(2026, 1, 1), date(2026, 1, 31), "a"), Period(date(2026, 1, 31), date(2026, 2, 28), "b")],
        [Period(date(2026, 1, 1), date(2026, 1, 31), "a"), Period(date(2026, 2, 1), date(2026, 2, 28), "a")],
    ],
)
def test_a_gap_an_overlap_and_a_double_code_are_refused(wrong: list[Period]) -> None:
    with pytest.raises(PeriodsDoNotFollow):
        in_order(wrong)


def test_a_period_does_not_end_before_it_starts() -> None:
    with pytest.raises(PeriodsDoNotFollow, match="before it starts"):
        Period(date(2026, 1, 2), date(2026, 1, 1), "x")
