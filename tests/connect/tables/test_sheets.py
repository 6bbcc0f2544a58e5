"""Sheets: what cells hold, what merges stand for, and packages that are built to do harm."""

from __future__ import annotations

import re
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from accord.connect.tables import sheets
from accord.connect.tables.cells import Broken, Days, Hours, Merged
from accord.connect.tables.failures import FileTruncated, SheetRefused
from accord.connect.tables.sheets import check_package, sheet_rows


def workbook(path: Path, rows: list[list[Any]], merges: tuple[str, ...] = (), title: str = "Time") -> Path:
    book = openpyxl.Workbook()
    page = book.active
    page.title = title
    for row in rows:
        page.append(row)
    for each in merges:
        page.merge_cells(each)
    book.save(path)
    return path


def rewritten(path: Path, part: str, old: str, new: str) -> Path:
    """The workbook with one of its parts changed, as a program less careful than openpyxl would write it."""
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    changed, count = re.subn(old, new, parts[part].decode(), count=1)
    assert count == 1
    parts[part] = changed.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, body in parts.items():
            package.writestr(name, body)
    return path


SHEET = "xl/worksheets/sheet1.xml"
EMPTY = r"<v ?/?>(?:</v>)?"


def test_days_numbers_and_durations_keep_what_they_are(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "t.xlsx",
        [["Person", "Day", "Hours", "Clock"], ["Ada", date(2026, 3, 2), 7.1, timedelta(hours=7, minutes=30)]],
    )
    [header, (line, cells)] = sheet_rows(path)
    assert header == (1, ["Person", "Day", "Hours", "Clock"])
    assert (line, cells[0]) == (2, "Ada")
    assert Days().read(cells[1]) == date(2026, 3, 2)
    assert str(Hours().read(cells[2])) == "7.1"
    assert str(Hours().read(cells[3])) == "7.5"


def test_a_day_counted_from_1904_is_the_same_day(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append([datetime(2026, 3, 2)])
    book.save(path)
    assert [Days().read(cells[0]) for _, cells in sheet_rows(path)] == [date(2026, 3, 2)]


def test_a_merge_down_the_column_stands_for_every_row_and_across_for_none(tmp_path: Path) -> None:
    rows = [["Person", "Task", "Hours"], ["Ada", "build", 1], [None, "test", 2], [None, "ship", 3], ["Bob", None, 4]]
    path = workbook(tmp_path / "t.xlsx", rows, merges=("A2:A4", "A5:B5"))
    found = dict(sheet_rows(path))
    assert found[2] == ["Ada", "build", 1]
    assert found[3] == [Merged("Ada"), "test", 2]
    assert found[4] == [Merged("Ada"), "ship", 3]
    assert found[5] == ["Bob", None, 4]


def test_a_formula_gives_its_calculated_value_or_says_that_there_is_none(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", [["Hours"], ["=3+4"], ["=1/0"], [5]])
    found = dict(sheet_rows(path))
    assert isinstance(found[2][0], Broken)
    assert "nobody calculated" in found[2][0].why
    path = rewritten(path, SHEET, rf"<f>3\+4</f>{EMPTY}", "<f>3+4</f><v>7</v>")
    path = rewritten(path, SHEET, rf'<c r="A3"><f>1/0</f>{EMPTY}', '<c r="A3" t="e"><f>1/0</f><v>#DIV/0!</v>')
    found = dict(sheet_rows(path))
    assert found[2] == [7]
    assert found[3] == [Broken("is a formula whose result is #DIV/0!")]


def test_empty_rows_are_left_out_and_lines_are_those_of_the_sheet(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", [["a"], [], [None], ["b"]])
    assert list(sheet_rows(path)) == [(1, ["a"]), (4, ["b"])]


def test_the_named_sheet_is_read_and_one_that_is_not_there_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", [["a"]], title="March")
    assert list(sheet_rows(path, "March")) == [(1, ["a"])]
    with pytest.raises(SheetRefused, match="no sheet 'April'; it has March"):
        list(sheet_rows(path, "April"))


def test_a_bomb_is_refused_before_anything_of_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(SHEET, b"\0" * 40_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(SheetRefused, match=r"unpacks xl/worksheets/sheet1\.xml from"):
        check_package(path)


def test_many_parts_and_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "t.xlsx", [["a"]])
    monkeypatch.setattr(sheets, "UNPACKED_LIMIT", 3_000)
    with pytest.raises(SheetRefused, match="unpacks"):
        check_package(path)
    monkeypatch.setattr(sheets, "PARTS_LIMIT", 2)
    with pytest.raises(SheetRefused, match="parts"):
        check_package(path)


def test_entities_in_the_xml_are_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", [["a"]])
    rewritten(path, SHEET, "<worksheet", '<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet')
    with pytest.raises(SheetRefused, match="entities"):
        list(sheet_rows(path))


def test_a_cut_off_workbook_a_protected_one_and_a_text_are_told_apart(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", [["a"]])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FileTruncated):
        list(sheet_rows(path))
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 100)
    with pytest.raises(SheetRefused, match="password or an old"):
        list(sheet_rows(path))
    path.write_text("a,b\n")
    with pytest.raises(SheetRefused, match="no XLSX"):
        list(sheet_rows(path))


def test_too_many_marks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MARKS_LIMIT", 1)
    path = workbook(tmp_path / "t.xlsx", [["=1"], ["=2"], ["=3"]])
    with pytest.raises(SheetRefused, match="more than 1 cells"):
        list(sheet_rows(path))
