"""Files become work row by row: what is wrong with a row is said of it, what is wrong with all of it too."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from accord.connect.tables.encoding import Encoding
from accord.connect.tables.failures import ColumnsUnknown, CountWrong, FileTruncated, NotDecodable, SheetRefused
from accord.connectors.timefiles.legacy import LEGACY
from accord.connectors.timefiles.mapping import Column, TimeFile
from accord.connectors.timefiles.reading import open_time_file, read_rows
from accord.ledger.work_files import ReadRow
from accord.model.work import WorkEntry, WorkProblem, WorkStatus

from .conftest import BOUND, HEADER, ROWS, Drop, lines, workbook


def read(path: Path, table: TimeFile = LEGACY) -> list[ReadRow]:
    return list(read_rows(open_time_file(path, table), table, BOUND))


def problem(row: ReadRow) -> WorkProblem:
    assert isinstance(row.found, WorkProblem)
    return row.found


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("windows-1252", Encoding("windows-1252", "fallback")),
        ("utf-8", Encoding("utf-8", "utf-8")),
        ("utf-8-sig", Encoding("utf-8-sig", "mark")),
        ("utf-16", Encoding("utf-16", "mark")),
    ],
)
def test_the_same_rows_in_each_encoding_are_the_same_work(drop: Drop, encoding: str, found: Encoding) -> None:
    path = drop("zeit.csv", encoding=encoding)
    assert open_time_file(path, LEGACY).encoding == found
    first, second, third = read(path)
    assert isinstance(first.found, WorkEntry)
    assert (first.line, first.key, first.found.worker) == (2, "1", "Jörg Müßig")
    assert (first.found.worked_on, first.found.quantity) == (date(2026, 3, 2), Decimal("7.5"))
    assert (first.found.engagement_id, first.found.legal_entity) == ("DEA-1", "DE")
    assert first.found.recorded_as == "zeit.csv line 2"
    assert second.found.worked_on == date(2026, 3, 2)  # type: ignore[union-attr]
    assert third.found.status is WorkStatus.SUBMITTED  # type: ignore[union-attr]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_the_one_that_makes_known_columns(drop: Drop, delimiter: str) -> None:
    path = drop("zeit.csv", text=lines(*ROWS, delimiter=delimiter))
    assert open_time_file(path, LEGACY).delimiter == delimiter
    assert len(read(path)) == 3


def test_a_comma_may_be_delimiter_and_decimal_mark_where_cells_are_quoted(drop: Drop) -> None:
    quoted = [[f'"{cell}"' for cell in row] for row in ROWS]
    rows = read(drop("zeit.csv", text=lines(*quoted, delimiter=",")))
    assert rows[0].hours == Decimal("7.5")


def test_lines_before_the_header_and_the_order_of_columns_do_not_matter(drop: Drop) -> None:
    turned = [list(reversed(row)) for row in (HEADER, *ROWS)]
    text = "Zeiten März 2026\r\n\r\n" + lines(*turned[1:], header=turned[0])
    rows = read(drop("zeit.csv", text=text))
    assert [row.line for row in rows] == [4, 5, 6]
    assert rows[0].key == "1"


def test_a_workbook_says_the_same_as_its_text(folder: Path) -> None:
    path = workbook(
        folder / "zeit.xlsx",
        [HEADER, ["1", "Jörg Müßig", date(2026, 3, 2), 7.5, "P-1", "freigegeben", date(2026, 3, 3)],
         [2, "Eva Groß", date(2026, 3, 2), timedelta(hours=8), "P-1", "Freigegeben", "3.3.26"]],
    )  # fmt: skip
    first, second = read(path)
    assert (first.key, first.hours) == ("1", Decimal("7.5"))
    assert (second.key, second.hours) == ("2", Decimal(8))
    assert first.found.recorded_as == "zeit.xlsx line 2"  # type: ignore[union-attr]


def test_a_bad_row_says_all_that_is_wrong_and_the_good_ones_go_on(drop: Drop) -> None:
    bad = ["", "Eva Groß", "31.2.26", "7.5", "P-1", "vielleicht", ""]
    rows = read(drop("zeit.csv", ROWS[0], bad, ROWS[1]))
    assert [isinstance(row.found, WorkEntry) for row in rows] == [True, False, True]
    found = problem(rows[1])
    assert (found.reason, found.where, rows[1].key) == ("row_unreadable", "zeit.csv line 3", None)
    for words in ("Beleg is empty", "no day of the calendar", "is not a number", "is none of erfasst"):
        assert words in found.message
    assert found.given["Datum"] == "31.2.26"


def test_hours_nobody_works_in_a_day_are_not_believed(drop: Drop) -> None:
    rows = read(drop("zeit.csv", [*ROWS[0][:3], "24", *ROWS[0][4:]], ["9", *ROWS[0][1:3], "24,25", *ROWS[0][4:]],
                     ["8", *ROWS[0][1:3], "-1", *ROWS[0][4:]]))  # fmt: skip
    assert isinstance(rows[0].found, WorkEntry)
    assert [problem(row).reason for row in rows[1:]] == ["hours_not_believed", "hours_not_believed"]
    assert problem(rows[1]).hours == Decimal("24.25")


def test_a_project_that_nobody_bound_is_a_problem_with_its_hours(drop: Drop) -> None:
    [row] = read(drop("zeit.csv", [*ROWS[0][:4], "p-1", *ROWS[0][5:]]))
    assert (problem(row).reason, problem(row).hours, row.key) == ("project_not_bound", Decimal("7.5"), "1")


def test_unknown_and_missing_columns_are_named_together(drop: Drop) -> None:
    header = ["Beleg", "Wer", "Datum", "Stunden", "Projekt", "Status", "Datum"]
    with pytest.raises(ColumnsUnknown, match="lacks Mitarbeiter; does not know Wer; has twice Datum"):
        read(drop("zeit.csv", text=lines(*ROWS, header=header)))
    with pytest.raises(ColumnsUnknown, match="lacks Beleg"):
        read(drop("zeit.csv", text="nothing\nhere\n"))


def test_declared_columns_of_no_interest_are_left_alone(drop: Drop) -> None:
    rows = [[*row, "KST 12"] for row in ROWS]
    assert len(read(drop("zeit.csv", text=lines(*rows, header=[*HEADER, "Kostenstelle"])))) == 3


@pytest.mark.parametrize("cut", [10, 30])
def test_a_file_that_ends_in_the_middle_of_a_row_is_cut_off(drop: Drop, cut: int) -> None:
    path = drop("zeit.csv", text=lines(*ROWS)[:-cut])
    with pytest.raises(FileTruncated, match=r"zeit\.csv ends in the middle of line 4"):
        read(path)


def test_a_file_whose_last_line_is_whole_needs_no_newline(drop: Drop) -> None:
    assert len(read(drop("zeit.csv", text=lines(*ROWS).rstrip()))) == 3


def test_an_empty_file_is_cut_off_and_one_with_a_header_alone_is_not(drop: Drop) -> None:
    with pytest.raises(FileTruncated, match="is empty"):
        read(drop("zeit.csv", text=""))
    assert read(drop("zeit.csv", text=lines())) == []


def test_the_total_of_the_file_is_checked(drop: Drop) -> None:
    total = ["Summe", "", "", "23,5", "", "", ""]
    assert len(read(drop("zeit.csv", *ROWS, total))) == 3
    with pytest.raises(CountWrong, match=r"line 4 says 23\.5 h in all, its rows come to 15\.5 h"):
        read(drop("zeit.csv", *ROWS[:2], total))


def test_bytes_that_are_no_text_refuse_the_file(drop: Drop) -> None:
    path = drop("zeit.csv")
    path.write_bytes(path.read_bytes() + b"\x81\x8d")
    with pytest.raises(NotDecodable):
        read(path)


def test_what_only_looks_like_a_workbook_is_refused(folder: Path) -> None:
    path = folder / "zeit.xlsx"
    path.write_bytes(b"PK\x03\x04" + b"x" * 50)
    with pytest.raises(FileTruncated):
        read(path)
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 50)
    with pytest.raises(SheetRefused):
        read(path)


def test_keys_of_several_columns_are_never_one_by_accident(drop: Drop) -> None:
    table = replace(
        LEGACY,
        key=("worker", "key"),
        columns=tuple(c if c.field != "key" else Column(field="key", headings=("Beleg",)) for c in LEGACY.columns),
    )
    rows = [["b/1", "a", *ROWS[0][2:]], ["1", "a/b", *ROWS[0][2:]]]
    assert [row.key for row in read(drop("zeit.csv", *rows), table)] == ["a/b//1", "a//b/1"]


def test_a_long_file_is_read_in_little_memory(drop: Drop) -> None:
    path = drop("zeit.csv", *([str(n), *ROWS[0][1:]] for n in range(20_000)))
    opened = open_time_file(path, LEGACY)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_rows(opened, LEGACY, BOUND))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 3_000_000 < path.stat().st_size * 3
