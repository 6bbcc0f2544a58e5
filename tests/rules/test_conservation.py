"""Approved value is in dispositions, and what is not is named with its amount."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import Money, allocate, total
from accord.rules.conservation import Approved, Place, Placed, PlacedInAnotherCurrency, balances, unexplained

PLACE = Place("ENG-1", "US", "USD", date(2026, 11, 2))
WORKED = {"billed": "850", "non_billable": "60", "written_off": "20", "over_cap": "15", "wip": "40", "held": "10"}


def usd(amount: str) -> Money:
    return Money.of(amount, "USD")


def test_the_worked_balance_leaves_five_unexplained() -> None:
    """features.md 3.4: approved 1,000 = 850 + 60 + 20 + 15 + 40 + 10 + unexplained 5."""
    placed = [Placed(PLACE, "ITM-1", name, usd(value)) for name, value in WORKED.items()]
    [found] = balances([Approved(PLACE, "ITM-1", usd("1000"))], placed)
    assert found.unexplained == usd("5")
    assert found.unexplained_items == {"ITM-1": usd("5")}
    assert {name: each.amount for name, each in found.dispositions.items()} == {
        name: Decimal(value) for name, value in WORKED.items()
    }
    assert unexplained([found]) == {("US", "USD"): usd("5")}


def test_two_differences_that_cancel_out_are_seen() -> None:
    approved = [Approved(PLACE, "ITM-1", usd("100")), Approved(PLACE, "ITM-2", usd("100"))]
    placed = [Placed(PLACE, "ITM-1", "wip", usd("95")), Placed(PLACE, "ITM-2", "wip", usd("105"))]
    [found] = balances(approved, placed)
    assert not found.unexplained
    assert not found.balances
    assert found.unexplained_items == {"ITM-1": usd("5"), "ITM-2": usd("-5")}


def test_value_that_nobody_approved_is_negative_and_days_do_not_mix() -> None:
    later = replace(PLACE, day=date(2026, 11, 3))
    found = balances([Approved(PLACE, "ITM-1", usd("7"))], [Placed(later, "ITM-1", "wip", usd("7"))])
    assert [(each.place.day, each.unexplained) for each in found] == [(PLACE.day, usd("7")), (later.day, usd("-7"))]
    assert [each.balances for each in found] == [False, False]


def test_a_place_of_another_currency_is_refused() -> None:
    with pytest.raises(PlacedInAnotherCurrency, match="EUR in a place of USD"):
        Approved(PLACE, "ITM-1", Money.of(1, "EUR"))


PLACES = st.builds(
    Place,
    st.sampled_from(["ENG-1", "ENG-2"]),
    st.sampled_from(["US", "DE"]),
    st.sampled_from(["USD", "JPY", "KWD"]),
    st.dates(date(2026, 1, 1), date(2026, 1, 3)),
)
DISPOSITIONS = ("billed", "wip", "held")
ITEMS = st.lists(st.tuples(PLACES, st.integers(-(10**9), 10**9), st.tuples(*[st.integers(1, 9)] * 3)), max_size=20)


@given(ITEMS, st.data())
def test_a_dropped_disposition_shows_with_its_amount_and_nothing_else(
    items: list[tuple[Place, int, tuple[int, ...]]], data: st.DataObject
) -> None:
    approved, placed = [], []
    for number, (place, units, weights) in enumerate(items):
        value = Money.from_minor(units, place.currency)
        approved.append(Approved(place, f"ITM-{number}", value))
        parts = allocate(value, [Decimal(each) for each in weights])
        placed += [
            Placed(place, f"ITM-{number}", name, part) for name, part in zip(DISPOSITIONS, parts, strict=True) if part
        ]
    found = balances(approved, placed)
    assert all(each.balances for each in found)
    assert total((each.approved for each in found if each.place.currency == "JPY"), "JPY") == total(
        (each.value for each in approved if each.place.currency == "JPY"), "JPY"
    )
    if placed:
        lost = placed.pop(data.draw(st.integers(0, len(placed) - 1)))
        assert [
            (each.place, dict(each.unexplained_items)) for each in balances(approved, placed) if not each.balances
        ] == [(lost.place, {lost.item: lost.value})]
