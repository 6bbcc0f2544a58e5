"""How values look: money with its currency, times with the exact one behind, states as word and shape."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from accord.insight.timeline import Entry
from accord.model.money import Money
from accord.web import words
from accord.web.pictures import story_picture

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money.of("1234567.5", "USD"), "1,234,567.50\u00a0USD"),
        (Money.of(12500000, "JPY"), "12,500,000\u00a0JPY"),
        (Money.of("-0.001", "KWD"), "-0.001\u00a0KWD"),
        (Money.of(0, "EUR"), "0.00\u00a0EUR"),
    ],
)
def test_an_amount_has_its_decimals_and_its_currency(money: Money, text: str) -> None:
    assert words.amount(money) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.3, "under 1 s"), (59, "59 s"), (60, "1 min"), (7199, "119 min"), (7200, "2 h"), (200000, "2 d")],
)
def test_a_span_is_said_in_its_largest_fitting_unit(seconds: float, text: str) -> None:
    assert words.span(seconds).replace("\u00a0", " ") == text


def test_vendor_text_never_becomes_markup() -> None:
    assert "<script>" not in words.state("<script>alert(1)</script>")
    assert "&lt;script&gt;" in words.state("<script>alert(1)</script>")


def test_a_relative_time_keeps_the_exact_one_in_its_title() -> None:
    assert 'title="2026-11-23 09:00:00 UTC"' in words.ago(AT, AT + timedelta(hours=5))
    assert "in 5" in words.ago(AT + timedelta(hours=5), AT)


def test_several_amounts_make_a_sentence() -> None:
    usd, eur = Money.of(1, "USD"), Money.of(2, "EUR")
    assert words.in_one_line([usd]).replace("\u00a0", " ") == "1.00 USD"
    assert words.in_one_line([usd, eur]).replace("\u00a0", " ") == "1.00 USD and 2.00 EUR"
    assert words.in_one_line([]) == "no money"


def test_the_picture_goes_left_to_right_gathers_a_burst_and_breaks_at_long_pauses() -> None:
    def entry(seconds: float, kind: str = "write", type: str = "effect.committed", lane: str = "erp") -> Entry:
        return Entry(AT + timedelta(seconds=seconds), kind, "netsuite", lane, "What", "accord", type=type)

    pause = Entry(AT, "gap", "accord", "accord", "Nothing", "", seconds=90000)
    picture = story_picture(
        [entry(0, "fact", "deal.won", "crm"), entry(1), entry(1.5), entry(2), pause, entry(90002, lane="billing")]
    )
    assert picture is not None
    assert [mark.count for mark in picture.marks] == [1, 3, 1]
    assert [mark.x for mark in picture.marks] == sorted(mark.x for mark in picture.marks)
    assert (picture.marks[0].label, picture.breaks[0].text) == ("Won", "25\u00a0h")
    assert picture.marks[1].href == "#e1"
    assert story_picture([]) is None
