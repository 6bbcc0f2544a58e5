"""Ages of receivables and of work in progress."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import CurrenciesDiffer, Money, total
from accord.rules.measures.ageing import OpenAmount, month_ranges, receivables_ageing, wip_ageing

TODAY = date(2026, 11, 24)


def usd(amount: int) -> Money:
    return Money.of(amount, "USD")


def aged(days: int, amount: int = 1, *, disputed: bool = False) -> OpenAmount:
    return OpenAmount(usd(amount), TODAY - timedelta(days=days), disputed)


@pytest.mark.parametrize(
    ("days", "label"),
    [
        (-5, "current"),
        (0, "current"),
        (1, "1-30"),
        (30, "1-30"),
        (31, "31-60"),
        (60, "31-60"),
        (61, "61-90"),
        (90, "61-90"),
        (91, "91-120"),
        (120, "91-120"),
        (121, "over 120"),
        (4000, "over 120"),
    ],
)
def test_the_bucket_of_a_receivable_counts_from_its_due_date(days: int, label: str) -> None:
    found = receivables_ageing([aged(days)], TODAY, "USD")
    assert [each.label for each in found.buckets if each.count] == [label]


@pytest.mark.parametrize(("days", "label"), [(-1, "0-30"), (0, "0-30"), (30, "0-30"), (31, "31-60"), (121, "over 120")])
def test_the_bucket_of_work_counts_from_the_day_it_was_worked(days: int, label: str) -> None:
    found = wip_ageing([aged(days)], TODAY, "USD")
    assert [each.label for each in found.buckets if each.count] == [label]
    assert [each.label for each in found.buckets] == ["0-30", "31-60", "61-90", "91-120", "over 120"]


def test_disputed_amounts_stay_in_and_unapplied_cash_stays_apart() -> None:
    found = receivables_ageing([aged(10, 100), aged(20, 50, disputed=True)], TODAY, "USD", unapplied=usd(30))
    [bucket] = [each for each in found.buckets if each.count]
    assert (bucket.amount, bucket.disputed, bucket.count) == (usd(150), usd(50), 2)
    assert (found.total, found.unapplied) == (usd(150), usd(30))


@given(st.lists(st.tuples(st.integers(-400, 400), st.integers(-(10**6), 10**6)), max_size=40))
def test_every_amount_is_in_one_bucket(rows: list[tuple[int, int]]) -> None:
    amounts = [aged(days, amount) for days, amount in rows]
    for found in (receivables_ageing(amounts, TODAY, "USD"), wip_ageing(amounts, TODAY, "USD")):
        assert found.total == total((each.value for each in amounts), "USD")
        assert sum(each.count for each in found.buckets) == len(amounts)


def test_another_currency_is_refused() -> None:
    with pytest.raises(CurrenciesDiffer):
        receivables_ageing([aged(1)], TODAY, "EUR")
    with pytest.raises(CurrenciesDiffer):
        receivables_ageing([], TODAY, "EUR", unapplied=usd(1))


@pytest.mark.parametrize("as_of", [date(2026, 11, 28), date(2026, 3, 1), date(2024, 2, 29), date(2026, 1, 31)])
def test_every_month_is_in_the_one_bucket_that_the_age_of_its_last_day_says(as_of: date) -> None:
    ranges = month_ranges(as_of)
    assert [each.label for each in ranges] == [each.label for each in wip_ageing([], as_of, "EUR").buckets]
    for back in range(-2, 16):
        year, month = divmod(as_of.year * 12 + as_of.month - 1 - back, 12)
        first = date(year, month + 1, 1)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        aged = wip_ageing([OpenAmount(Money.of(1, "EUR"), last)], as_of, "EUR")
        [expected] = [each.label for each in aged.buckets if each.count]
        assert [each.label for each in ranges if first in each] == [expected]
