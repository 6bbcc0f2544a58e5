"""Rows of an XLSX sheet, one at a time: calculated values, days, durations, and what merged cells stand for.

The sheet is read twice: a first pass over its XML finds merged ranges and formulas that nobody calculated, which come
after, or are lost to, whoever reads cells in a stream.
"""

from __future__ import annotations

import warnings
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import ParseError  # only the name of the error; defusedxml does the reading

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from accord.connect.tables.cells import Broken, Merged
from accord.connect.tables.failures import FileTruncated, SheetRefused

# A million rows of twenty columns of time come to about 800 MB of XML.
UNPACKED_LIMIT = 1_500_000_000
# Texts that cells share have to be in memory together.
SHARED_LIMIT = 100_000_000
PARTS_LIMIT = 2_000
# XML of rows packs 10 to 30 times; 1,000 times is the most that deflate does, and only bombs come near it.
RATIO_LIMIT = 150
RATIO_FROM = 5_000_000
# Merged ranges and uncalculated formulas are kept in memory.
MARKS_LIMIT = 100_000
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@dataclass(slots=True)
class _Marks:
    """`down` is {first row: [(column, last row)]} of vertical merges; `uncalculated` are cells whose formula has no
    value."""

    down: defaultdict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    uncalculated: set[tuple[int, int]] = field(default_factory=set)
    count: int = 0


def sheet_rows(path: Path, sheet: str | None = None) -> Iterator[tuple[int, list[Any]]]:
    """(row number, cells) of every row that is not empty, of the named sheet or the first. Cells are None, text, int,
    float, bool, days, durations, Merged or Broken. Raises SheetRefused, FileTruncated."""
    # openpyxl costs half a second that a program without sheets does not need
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    check_package(path)
    try:
        # Opened here, because openpyxl leaves open what it cannot load.
        with path.open("rb") as file:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of styles and extensions that openpyxl does not keep; none is read
                book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            yield from _rows(path, book, sheet)
    except (ParseError, KeyError, ValueError, InvalidFileException, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, DefusedXmlException) or isinstance(error.__cause__, DefusedXmlException):
            raise SheetRefused(f"{path.name} declares entities in its XML, which no honest workbook does.") from error
        raise SheetRefused(f"{path.name} is no readable workbook: {error}. Have it saved and sent again.") from error


def check_package(path: Path) -> None:
    """Raises SheetRefused for what is no XLSX or unpacks to far more than it should, FileTruncated for a cut-off one.

    Nothing is unpacked for it: a package's own directory tells the sizes, and zipfile reads no more than that.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if head == _OLE:
        raise SheetRefused(f"{path.name} is protected by a password or an old .xls; save it as plain .xlsx.")
    if not head.startswith(b"PK"):
        raise SheetRefused(f"{path.name} is no XLSX workbook.")
    try:
        with zipfile.ZipFile(path) as package:
            parts = package.infolist()
    except zipfile.BadZipFile as error:
        raise FileTruncated(f"{path.name} ends before the directory of its parts.") from error
    if len(parts) > PARTS_LIMIT:
        raise SheetRefused(f"{path.name} has {len(parts)} parts; at most {PARTS_LIMIT} are read.")
    for part in parts:
        limit = SHARED_LIMIT if part.filename.lower().endswith("sharedstrings.xml") else UNPACKED_LIMIT
        if part.file_size > limit or _swells(part):
            raise SheetRefused(
                f"{path.name} unpacks {part.filename} from {part.compress_size:,} to {part.file_size:,} bytes."
            )
    if (total := sum(part.file_size for part in parts)) > UNPACKED_LIMIT:
        raise SheetRefused(f"{path.name} unpacks to {total:,} bytes; at most {UNPACKED_LIMIT:,} are read.")


def _swells(part: zipfile.ZipInfo) -> bool:
    return part.file_size > RATIO_FROM and part.file_size > RATIO_LIMIT * max(part.compress_size, 1)


def _rows(path: Path, book: Any, sheet: str | None) -> Iterator[tuple[int, list[Any]]]:
    if sheet is not None and sheet not in book.sheetnames:
        raise SheetRefused(f"{path.name} has no sheet {sheet!r}; it has {', '.join(book.sheetnames)}.")
    page = book[sheet] if sheet is not None else book.worksheets[0]
    with zipfile.ZipFile(path) as package, package.open(_part_of(page)) as xml:
        marks = _marks(path, xml)
    stretched: dict[int, tuple[int, Any]] = {}
    # The declared dimension of a sheet is only a claim; without it rows are as wide as they are.
    page.reset_dimensions()
    for number, row in enumerate(_in_batches(page.iter_rows()), start=1):
        cells = [_value(cell, (number, column), marks) for column, cell in enumerate(row, start=1)]
        cells = _filled(number, cells, stretched)
        for column, last in marks.down.get(number, ()):
            stretched[column] = (last, cells[column - 1] if column <= len(cells) else None)
        if any(cell not in (None, "") for cell in cells):
            yield number, cells


def _in_batches(rows: Iterator[Any]) -> Iterator[Any]:
    """The rows, read a thousand at a time without the warnings about cells that are no days."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = list(islice(rows, 1000))
        if not batch:
            return
        yield from batch


def _part_of(page: Any) -> str:
    """The name of a sheet's part in the package: openpyxl knows it and has no public word for it."""
    return str(page._worksheet_path)  # noqa: SLF001


def _marks(path: Path, xml: IO[bytes]) -> _Marks:
    from openpyxl.utils.cell import coordinate_to_tuple, range_boundaries

    marks = _Marks()
    events = iterparse(xml, events=("start", "end"), forbid_dtd=True)
    _, root = next(events)
    for event, element in events:
        if event != "end":
            continue
        if element.tag == f"{_NS}c" and element.find(f"{_NS}f") is not None and _valueless(element):
            marks.uncalculated.add(coordinate_to_tuple(element.get("r", "A1")))
        elif element.tag == f"{_NS}mergeCell":
            left, top, _, bottom = range_boundaries(element.get("ref", "A1"))
            if left is not None and top is not None and bottom is not None and bottom > top:
                marks.down[top].append((left, bottom))
                marks.count += 1
        elif element.tag in (f"{_NS}row", f"{_NS}sheetData"):
            element.clear()
            root.clear()
        if marks.count + len(marks.uncalculated) > MARKS_LIMIT:
            raise SheetRefused(f"{path.name} merges or leaves uncalculated more than {MARKS_LIMIT:,} cells.")
    return marks


def _valueless(element: Any) -> bool:
    value = element.find(f"{_NS}v")
    return value is None or value.text is None


def _value(cell: Any, at: tuple[int, int], marks: _Marks) -> Any:
    value = cell.value
    if value is None and at in marks.uncalculated:
        return Broken("is a formula that nobody calculated; save the workbook in a spreadsheet program")
    if getattr(cell, "data_type", None) == "e":
        return Broken(f"is a formula whose result is {value}")
    return value


def _filled(number: int, cells: list[Any], stretched: dict[int, tuple[int, Any]]) -> list[Any]:
    """The cells, with what merges further up stretch into this row."""
    for column in [column for column, (last, _) in stretched.items() if last < number]:
        del stretched[column]
    if stretched:
        cells = [*cells, *[None] * (max(stretched) - len(cells))]
    for column, (_, value) in stretched.items():
        cells[column - 1] = Merged(value)
    return cells
