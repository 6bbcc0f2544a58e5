"""Accord's schedule beside the ERP's."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import Money, total
from accord.rules.revenue.comparison import Booked, DifferenceKind, differences
from accord.rules.revenue.schedule import Row
from tests.rules.revenue.contracts import MONTHS, usd


def row(amount: int | str, month: int = 0, id: str = "OBL-1") -> Row:
    earned = usd(amount)
    return Row(id, MONTHS[month], earned, Fraction(1), earned, earned, usd(0), "")


def booked(amount: int | str, month: int = 0, id: str = "OBL-1", reference: str = "JE-1") -> Booked:
    return Booked(id, MONTHS[month].code, usd(amount), reference)


def test_agreement_is_no_difference() -> None:
    assert differences([row(100), row(0, 1)], [booked(60), booked(40, reference="JE-2")]) == []


@pytest.mark.parametrize(
    ("rows", "entries", "kinds"),
    [
        ([row(100)], [], ["missing_in_erp"]),
        ([], [booked(100)], ["only_in_erp"]),
        ([row(100)], [booked(90)], ["amount"]),
        ([row(100), row(50, 1)], [booked(50), booked(100, 1)], ["timing", "timing"]),
        ([row(100)], [booked(100, 1)], ["timing", "timing"]),
        ([row(100), row(50, 1)], [booked(50), booked(99, 1)], ["amount", "amount"]),
        ([row(100, id="OBL-2")], [booked(100)], ["only_in_erp", "missing_in_erp"]),
    ],
)
def test_each_difference_has_its_kind(rows: list[Row], entries: list[Booked], kinds: list[str]) -> None:
    assert [each.kind.value for each in differences(rows, entries)] == kinds


def test_a_difference_names_both_sides_and_the_entries() -> None:
    [found] = differences([row(100)], [booked(60, reference="JE-2"), booked(30)])
    assert (found.ours, found.erp, found.by, found.references) == (usd(100), usd(90), usd(-10), ("JE-1", "JE-2"))


def test_a_cent_may_be_tolerated() -> None:
    cent = Money.of("0.01", "USD")
    assert differences([row(100)], [booked("100.01")], cent) == []
    assert [each.by for each in differences([row(100)], [booked("99.98")], cent)] == [usd("-0.02")]


def test_another_currency_is_a_difference_without_an_amount() -> None:
    euros = Booked("OBL-1", MONTHS[0].code, Money.of(100, "EUR"), "JE-1")
    [found] = differences([row(100)], [euros])
    assert (found.kind, found.by, found.erp) == (DifferenceKind.CURRENCY, None, euros.amount)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11), st.integers(-50, 50)), max_size=20),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11), st.integers(-50, 50)), max_size=20),
)
def test_the_differences_add_up_to_the_difference_of_the_totals(
    ours: list[tuple[int, int, int]], theirs: list[tuple[int, int, int]]
) -> None:
    rows = [row(amount, month, f"OBL-{id}") for id, month, amount in ours]
    entries = [booked(amount, month, f"OBL-{id}") for id, month, amount in theirs]
    found = differences(rows, entries)
    apart = total((each.amount for each in entries), "USD") - total((each.recognised for each in rows), "USD")
    assert total((each.by for each in found if each.by is not None), "USD") == apart
