"""A small drop of a made-up time system, in each format and encoding it may come in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from accord.ledger.bindings import Binding, Bindings, ProjectRow

HEADER = ["Beleg", "Mitarbeiter", "Datum", "Stunden", "Projekt", "Status", "Freigabe am"]
ROWS = [
    ["1", "Jörg Müßig", "02.03.2026", "7,5", "P-1", "freigegeben", "03.03.2026"],
    ["2", "Eva Groß", "2.3.26", "8", "P-1", "freigegeben", "3.3.26"],
    ["3", "Eva Groß", "3.3.26", "8", "P-2", "erfasst", ""],
]
PROJECTS = [ProjectRow("P-1", Binding("DEA-1", "DE")), ProjectRow("P-2", Binding("DEA-2", "DE"))]
BOUND = Bindings.out_of(PROJECTS)

Drop = Callable[..., Path]


def lines(*rows: list[str], header: list[str] | None = None, delimiter: str = ";", end: str = "\r\n") -> str:
    return end.join([delimiter.join(row) for row in (header or HEADER, *rows)]) + end


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made


@pytest.fixture
def drop(folder: Path) -> Drop:
    """Writes a file into the folder: rows, or the whole text."""

    def write(name: str, *rows: list[str], text: str | None = None, encoding: str = "windows-1252") -> Path:
        path = folder / name
        path.write_bytes((lines(*(rows or ROWS)) if text is None else text).encode(encoding))
        return path

    return write


def workbook(path: Path, rows: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path
