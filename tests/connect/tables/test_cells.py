"""Numbers, hours and days as sources write them, and what must not be read."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.connect.tables.cells import Broken, Days, Hours, Merged, Numbers, plain, text

POINT = Numbers()
COMMA = Numbers(decimal=",", grouping=".")
SPACED = Numbers(decimal=",", grouping=" ")


@pytest.mark.parametrize(
    ("numbers", "given_text", "value"),
    [
        (POINT, "7.5", "7.5"),
        (POINT, " 0 ", "0"),
        (POINT, "-1.75", "-1.75"),
        (COMMA, "1.234,50", "1234.50"),
        (COMMA, "7,5", "7.5"),
        (COMMA, "1234,5", "1234.5"),
        (SPACED, "1 234,5", "1234.5"),
        (SPACED, "1\u202f234,5", "1234.5"),
    ],
)
def test_a_number_is_read_as_it_was_declared(numbers: Numbers, given_text: str, value: str) -> None:
    assert str(numbers.read(given_text)) == value


@pytest.mark.parametrize(
    ("numbers", "given_text"),
    [(POINT, "7,5"), (POINT, "1,234.5"), (COMMA, "7.5"), (COMMA, "1.23,4"), (POINT, "1e3"), (POINT, "NaN"),
     (POINT, "7.5h"), (POINT, "\u0667"), (SPACED, "1  234")],
)  # fmt: skip
def test_a_number_written_otherwise_is_refused_not_guessed(numbers: Numbers, given_text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        numbers.read(given_text)


@given(st.decimals(min_value=-999_999, max_value=999_999, places=2))
def test_whatever_is_written_with_a_comma_comes_back(value: Decimal) -> None:
    written = f"{value:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")
    assert COMMA.read(written) == value


def test_a_sheet_keeps_fifteen_digits_and_no_noise_beyond() -> None:
    assert str(POINT.read(7.1000000000000005)) == "7.1"
    assert POINT.read(3) == 3
    with pytest.raises(ValueError, match="is not a number"):
        POINT.read(float("inf"))
    with pytest.raises(ValueError, match="is not a number"):
        POINT.read(True)


@pytest.mark.parametrize(
    ("cell", "hours"),
    [("7:30", "7.5"), ("0:20", "0.333333"), (timedelta(hours=30), "30"), (time(1, 15), "1.25"), ("2.25", "2.25")],
)
def test_time_on_a_clock_or_as_a_duration_becomes_hours(cell: object, hours: str) -> None:
    assert str(Hours().read(cell)) == hours


def test_minutes_and_days_become_hours() -> None:
    assert str(Hours(unit="minutes").read("90")) == "1.5"
    assert str(Hours(unit="days", day_hours=Decimal("7.5")).read("2")) == "15"


def test_hours_that_a_merged_cell_gives_to_several_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="several rows"):
        Hours().read(Merged(7.5))


@pytest.mark.parametrize(
    ("days", "given_text", "value"),
    [
        (Days(("DD-MMM-YY",), pivot=68), "02-Nov-04", date(2004, 11, 2)),
        (Days(("DD-MMM-YY",), pivot=68), "02-Nov-68", date(2068, 11, 2)),
        (Days(("DD-MMM-YY",), pivot=68), "02-Nov-69", date(1969, 11, 2)),
        (Days(("D.M.YYYY", "D.M.YY"), pivot=30), "3.1.26", date(2026, 1, 3)),
        (Days(("D.M.YYYY", "D.M.YY"), pivot=30), "03.01.2026", date(2026, 1, 3)),
        (Days(("D. MMM YYYY",), locale="de"), "3. März 2026", date(2026, 3, 3)),
        (Days(("D. MMM YYYY",), locale="de"), "3. Dez. 2026", date(2026, 12, 3)),
        (Days(), datetime(2026, 3, 3, 12), date(2026, 3, 3)),
        (Days(), " ", None),
    ],
)
def test_a_day_is_read_by_its_declared_pattern(days: Days, given_text: object, value: date | None) -> None:
    assert days.mistakes() == []
    assert days.read(given_text) == value


@pytest.mark.parametrize(
    "given_text", ["31-Feb-04", "02-11-04", "2004-11-02", "02-Okt-04", "2-Nov-04", "02-Nov-2004", 38293]
)
def test_a_day_that_is_none_or_written_otherwise_is_refused(given_text: object) -> None:
    with pytest.raises(ValueError):
        Days(("DD-MMM-YY",), pivot=68).read(given_text)


@pytest.mark.parametrize(
    ("days", "mistake"),
    [
        (Days(("DD.MM.YY",)), "declare a pivot"),
        (Days(("DD.MM",)), "one year"),
        (Days(("DD.MM.YY",), pivot=100), "between 0 and 99"),
        (Days(locale="xx_nowhere"), "no locale"),
    ],
)
def test_a_declaration_that_cannot_be_is_named(days: Days, mistake: str) -> None:
    assert any(mistake in each for each in days.mistakes())


def test_text_keeps_its_spelling_and_loses_the_space_around() -> None:
    assert text("  Söhne & Co ") == "Söhne & Co"
    assert text(Merged("Ada")) == "Ada"
    assert text("  ") is None
    with pytest.raises(ValueError, match="no text"):
        text("a\x00b")
    with pytest.raises(ValueError, match="nobody calculated"):
        text(Broken("is a formula that nobody calculated"))
    assert plain("a\x00b") == "a\ufffdb"
