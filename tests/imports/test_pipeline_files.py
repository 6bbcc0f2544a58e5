"""Files into rows: what fits together is taken, the rest is listed with file, line and reason."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.imports.pipeline_columns import FILES
from accord.imports.pipeline_files import PipelineUnreadable, levels, read_pipeline
from accord.model.money import Money

from .conftest import Write


def test_rows_are_typed(write_pipeline: Write) -> None:
    pipeline = read_pipeline(write_pipeline())
    assert pipeline.rejections == ()
    deal = pipeline.opportunities[0]
    assert (deal.line, deal.id, deal.won, deal.closed_on, deal.value) == (
        2, "WON00001", True, date(2017, 3, 1), Money.of(4514, "USD"),
    )  # fmt: skip
    assert pipeline.opportunities[3].account is None
    assert pipeline.products == ("GTX Pro", "MG Special")
    assert [[each.name for each in level] for level in levels(pipeline.accounts)] == [
        ["Betatech", "Acme Corporation"],
        ["Codehow"],
    ]


@pytest.mark.parametrize(
    ("file", "row", "reason"),
    [
        ("sales_pipeline", "X,Moses Frase,GTXPro,Codehow,Won,,31-02-17,1,,Q1 2017",
         "close_date '31-02-17' is no day of the calendar when read as DD-MM-YY"),
        ("sales_pipeline", "X,Moses Frase,GTXPro,Codehow,Won,,2017-12-31,e,,",
         "close_date '2017-12-31' is not a day written DD-MM-YY; close_value 'e' is not a number with a decimal point"),
        ("sales_pipeline", "X,Moses Frase,GTXPro,Codehow,Won,,03-01-17,1,,Q2 2017",
         "close_quarter does not hold close_date 2017-01-03"),
        ("sales_pipeline", "X,Moses Frase,GTXPro,Codehow,Won,02-03-17,01-03-17,1,Q1 2017,Q1 2017",
         "close_date 2017-03-01 is before engage_date 2017-03-02"),
        ("sales_pipeline", "X,Moses Frase,GTXPro,Codehow,Won,,,,,",
         "deal_stage is Won but close_date and close_value is empty"),
        ("sales_pipeline", "X,Moses Frase,GTXPro,,Engaging,,,5,,", "deal_stage is Engaging but close_value is given"),
        ("sales_pipeline", "X,Moses Frase,GTXPro,Nobody,Prospecting,,,,,",
         "account 'Nobody' is no account that could be read"),
        ("sales_pipeline", "X,Nobody,GTXPro,,Prospecting,,,,,", "sales_agent 'Nobody' is nobody who could be read"),
        ("sales_pipeline", "X,Moses Frase", "has 2 fields instead of 10"),
        ("sales_pipeline", ",Moses Frase,,,Prospecting,,,,,", "opportunity_id is empty; product is empty"),
        ("accounts", "Orphan,,,,,,Nobody", "subsidiary_of 'Nobody' is no account that could be read"),
        ("accounts", "Selfish,,,,,,Selfish", "subsidiary_of goes in a circle: Selfish > Selfish"),
        ("sales_teams", "New Person,Boss,North", "regional_office 'North' is none of Central, East, West"),
        ("products", "Thing,T,5.005", "sales_price 5.005 USD has more than 2 decimals"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_is_rejected_with_its_line(
    write_pipeline: Write, file: str, row: str, reason: str
) -> None:
    folder = write_pipeline(**{file: [row]})
    pipeline = read_pipeline(folder)
    last = len((folder / f"{file}.csv").read_text().splitlines())
    assert [(each.file, each.line, each.reason) for each in pipeline.rejections] == [(f"{file}.csv", last, reason)]
    assert len(pipeline.opportunities) == 5


def test_a_circle_of_subsidiaries_takes_what_hangs_on_it_along(write_pipeline: Write) -> None:
    """None of them can be placed, and no deal of theirs can be loaded."""
    folder = write_pipeline(
        accounts=["A,,,,,,B", "B,,,,,,A", "C,,,,,,A", "D,,,,,,Gone", "E,,,,,,D"],
        sales_pipeline=["X,Moses Frase,GTXPro,C,Prospecting,,,,,"],
    )
    assert [(each.line, each.reason) for each in read_pipeline(folder).rejections] == [
        (5, "subsidiary_of goes in a circle: A > B > A"),
        (6, "subsidiary_of goes in a circle: B > A > B"),
        (7, "subsidiary_of goes in a circle: C > A > B > A"),
        (8, "subsidiary_of 'Gone' is no account that could be read"),
        (9, "subsidiary_of 'Gone' is no account that could be read (through D)"),
        (7, "account 'C' is no account that could be read"),
    ]


def test_of_two_rows_with_one_key_none_is_taken(write_pipeline: Write) -> None:
    """Keys that differ by case alone are one key to Salesforce."""
    folder = write_pipeline(sales_pipeline=["won00002,Moses Frase,GTXPro,Codehow,Won,,01-03-17,7,,Q1 2017"])
    pipeline = read_pipeline(folder)
    assert [(each.line, each.reason) for each in pipeline.rejections] == [
        (3, "opportunity_id 'WON00002' is also on line 7"),
        (7, "opportunity_id 'won00002' is also on line 3"),
    ]
    assert [each.id for each in pipeline.opportunities] == ["WON00001", "LOST0001", "ENGAGE01", "PROSPEC1"]


def test_lines_are_counted_as_an_editor_does(write_pipeline: Write) -> None:
    """A quoted name over two lines and an empty line move all that follows."""
    folder = write_pipeline(accounts=['"Two\nLines",,,,,,', "", "Bad,,old,,,,"])
    pipeline = read_pipeline(folder)
    assert [(each.line, each.reason) for each in pipeline.rejections] == [
        (8, "year_established 'old' is not a whole number")
    ]
    assert "Two\nLines" in [each.name for each in pipeline.accounts]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("product,series\r\n", r"has the columns \['product', 'series'\]"),
        ("", r"has the columns \[\]"),
        ('product,series,sales_price\r\n"GTX,G,5\r\n', "unexpected end of data"),
    ],
)
def test_a_file_of_another_shape_is_refused_as_a_whole(write_pipeline: Write, content: str, problem: str) -> None:
    folder = write_pipeline(products=content)
    if not content:
        (folder / "products.csv").write_bytes(b"")
    with pytest.raises(PipelineUnreadable, match=problem):
        read_pipeline(folder)


def test_a_file_in_another_encoding_is_refused(write_pipeline: Write) -> None:
    folder = write_pipeline()
    (folder / "accounts.csv").write_bytes((folder / "accounts.csv").read_bytes() + "Café,,,,,,\r\n".encode("cp1252"))
    with pytest.raises(PipelineUnreadable, match=r"accounts\.csv cannot be read as UTF-8"):
        read_pipeline(folder)


def test_a_missing_file_is_named(write_pipeline: Write) -> None:
    folder = write_pipeline()
    (folder / "sales_teams.csv").unlink()
    with pytest.raises(PipelineUnreadable, match=r"There is no sales_teams\.csv"):
        read_pipeline(folder)


def test_a_byte_order_mark_is_no_part_of_the_first_column(write_pipeline: Write) -> None:
    folder = write_pipeline()
    (folder / "products.csv").write_bytes(b"\xef\xbb\xbf" + (folder / "products.csv").read_bytes())
    assert read_pipeline(folder).products == ("GTX Pro", "MG Special")


@given(parents=st.lists(st.integers(0, 7), min_size=1, max_size=8))
def test_whatever_the_subsidiaries_the_taken_ones_stand_parents_first(
    parents: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Parent 0 means none. Taken or rejected, no account is lost; a taken one has its parent before it."""
    folder = tmp_path_factory.mktemp("forest")
    rows = [f"a{number},,,,,,{f'a{parent}' if parent else ''}" for number, parent in enumerate(parents, start=1)]
    for file, columns in FILES.items():
        lines = [",".join(column.name for column in columns), *(rows if file == "accounts.csv" else [])]
        (folder / file).write_text("\n".join(lines) + "\n")
    pipeline = read_pipeline(folder)
    assert len(pipeline.accounts) + len(pipeline.rejections) == len(parents)
    seen: set[str] = set()
    for account in pipeline.accounts:
        assert account.subsidiary_of is None or account.subsidiary_of in seen
        seen.add(account.name)
    assert [each for level in levels(pipeline.accounts) for each in level] == list(pipeline.accounts)


def test_the_real_pipeline_is_read_whole(real_pipeline: Path) -> None:
    pipeline = read_pipeline(real_pipeline)
    assert pipeline.rejections == ()
    assert (len(pipeline.accounts), len(pipeline.catalogue), len(pipeline.agents)) == (85, 7, 35)
    assert Counter(deal.stage for deal in pipeline.opportunities) == {
        "Won": 4238, "Lost": 2473, "Engaging": 1589, "Prospecting": 500,
    }  # fmt: skip
    won = [deal for deal in pipeline.opportunities if deal.won]
    assert sum(deal.value.amount for deal in won if deal.value) == 10_005_534
    assert sum(deal.product == "GTXPro" for deal in won) == 729
    assert [len(level) for level in levels(pipeline.accounts)] == [70, 15]
    assert sum(deal.account is None for deal in pipeline.opportunities) == 1425
