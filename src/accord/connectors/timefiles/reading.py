"""Rows of a time file as work or as problems, one at a time. A bad row never stops the good ones after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from accord.connect.mapping.table import MappingInvalid
from accord.connect.tables.cells import plain
from accord.connect.tables.delimited import DELIMITERS, delimited_rows, ends_whole, first_rows
from accord.connect.tables.encoding import Encoding, encoding_of
from accord.connect.tables.failures import ColumnsUnknown, CountWrong, FileTruncated
from accord.connect.tables.sheets import check_package, sheet_rows
from accord.connectors.timefiles.mapping import NEEDED, Column, Sample, TimeFile
from accord.ledger.bindings import Binding, Bindings
from accord.ledger.work_files import ReadRow, place
from accord.model.identity import canonical_id
from accord.model.plain import to_plain
from accord.model.work import WorkEntry, WorkKind, WorkProblem, WorkStatus

Cells = Sequence[Any]

CURES = {
    "row_unreadable": "Correct the row at its source and send the file again.",
    "hours_not_believed": "Correct the hours at their source, or split them by day.",
    "project_not_bound": "Say in the reference list time_project which engagement it is.",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose columns are understood. `header_line` is where they stand; `encoding` is None for a workbook."""

    path: Path
    name: str
    encoding: Encoding | None
    delimiter: str | None
    header_line: int
    columns: Mapping[int, Column]


def open_time_file(path: Path, table: TimeFile, *, name: str | None = None) -> Opened:
    """Understand a file as a whole: encoding, delimiter, columns. `name` is what people know it as.

    Raises FileNotTaken in its kinds: NotDecodable, FileTruncated, ColumnsUnknown, SheetRefused.
    """
    name = name or path.name
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith((b"PK", bytes.fromhex("d0cf11e0"))):
        check_package(path)
        line, columns = _header(name, table, [list(islice(sheet_rows(path, table.sheet), table.header_within))])
        return Opened(path, name, None, None, line, columns)
    encoding = encoding_of(path, declared=table.encoding, fallback=table.fallback_encoding)
    heads = [first_rows(path, encoding.name, delimiter, table.header_within) for delimiter in DELIMITERS]
    best = max(range(len(heads)), key=lambda at: _known(table, heads[at]))
    line, columns = _header(name, table, [heads[best]])
    return Opened(path, name, encoding, DELIMITERS[best], line, columns)


def read_rows(opened: Opened, table: TimeFile, bindings: Bindings) -> Iterator[ReadRow]:
    """Every row after the header. Raises FileTruncated, and CountWrong when the file's own total is another."""
    hours = Decimal(0)
    width = max(opened.columns) + 1
    whole = opened.encoding is None or ends_whole(opened.path, opened.encoding.name)
    for line, cells, last in _marked(_cells(opened, table)):
        if line <= opened.header_line:
            continue
        if last and not whole and len(cells) < width:
            raise FileTruncated(f"{opened.name} ends in the middle of line {line}.")
        if table.total_row is not None and plain(cells[0]).strip().casefold() == table.total_row.casefold():
            _check_total(opened, table, line, cells, hours)
            continue
        row = read_row(line, cells, opened, table, bindings)
        hours += row.hours or 0
        yield row


def read_row(line: int, cells: Cells, opened: Opened, table: TimeFile, bindings: Bindings) -> ReadRow:
    """One row as work, or as the problem with all that is wrong with it."""
    told, wrong = _values(cells, opened.columns, table)
    key = _key(told, table)
    given = {column.headings[0]: plain(cells[at]) for at, column in opened.columns.items() if at < len(cells)}

    def problem(reason: str, message: str) -> ReadRow:
        where = place(opened.name, line)
        return ReadRow(line, key, WorkProblem(reason, message, where, CURES[reason], told.get("hours"), given))

    if wrong:
        return problem("row_unreadable", "; ".join(wrong))
    hours = told["hours"]
    if hours < 0 or hours > table.hours_at_most:
        return problem("hours_not_believed", f"{hours} h on one day are not believed; at most {table.hours_at_most} h")
    bound = bindings.of(told["project"], told["worked_on"])
    if bound is None:
        return problem("project_not_bound", f"nobody has said which engagement project {told['project']} is")
    assert key is not None
    return ReadRow(line, key, _entry(key, told, table, bound, place(opened.name, line)))


def check_samples(table: TimeFile) -> None:
    """Read the samples of a table as a file would be. Raises MappingInvalid that names every sample that is wrong."""
    wrong = [f"sample {n}: {said}" for n, sample in enumerate(table.samples, 1) if (said := _wrong(sample, table))]
    if wrong:
        raise MappingInvalid(f"the samples of {table.source} do not hold: {'; '.join(wrong)}")


def _wrong(sample: Sample, table: TimeFile) -> str | None:
    headings = list(sample.cells)
    try:
        columns = {at: table.by_heading[" ".join(name.split()).casefold()] for at, name in enumerate(headings)}
    except KeyError as error:
        return f"there is no column {error}"
    opened = Opened(Path("sample"), "sample", None, None, 0, columns)
    project = sample.cells.get(next(each.headings[0] for each in table.columns if each.field == "project"), "")
    anything = Bindings({project.strip(): ((date.min, Binding("DEA-SAMPLE", "XX")),)})
    found = read_row(1, list(sample.cells.values()), opened, table, anything).found
    if isinstance(found, WorkProblem):
        if sample.reason != found.reason or sample.says not in found.message:
            return f"is {found.reason} ({found.message}), not {sample.reason or 'taken'} {sample.says}".rstrip()
        return None
    if sample.reason is not None:
        return f"is taken, not {sample.reason}"
    became = {name: str(value) for name, value in to_plain(found).items()}
    other = [f"{name} is {became.get(name)!r}, not {value!r}" for name, value in sample.gives.items()
             if became.get(name) != value]  # fmt: skip
    return "; ".join(other) or None


def _header(name: str, table: TimeFile, heads: Sequence[Sequence[tuple[int, Cells]]]) -> tuple[int, dict[int, Column]]:
    """The row that is the header: the one that knows most columns."""
    rows = [*chain.from_iterable(heads)]
    if not rows:
        raise FileTruncated(f"{name} is empty.")
    line, cells = max(rows, key=lambda row: _known(table, [row]))
    try:
        return line, table.columns_at(cells)
    except ValueError as error:
        raise ColumnsUnknown(f"{name} {error}. Its line {line} was read as the header.") from None


def _known(table: TimeFile, rows: Sequence[tuple[int, Cells]]) -> int:
    """How many columns the best of these rows knows."""
    return max(
        (sum(" ".join(plain(cell).split()).casefold() in table.by_heading for cell in cells) for _, cells in rows),
        default=0,
    )


def _cells(opened: Opened, table: TimeFile) -> Iterator[tuple[int, Cells]]:
    if opened.encoding is None:
        return sheet_rows(opened.path, table.sheet)
    assert opened.delimiter is not None
    return delimited_rows(opened.path, opened.encoding.name, opened.delimiter)


def _marked(rows: Iterator[tuple[int, Cells]]) -> Iterator[tuple[int, Cells, bool]]:
    """The rows, each with whether it is the last."""
    before = next(rows, None)
    for row in rows:
        assert before is not None
        yield *before, False
        before = row
    if before is not None:
        yield *before, True


def _check_total(opened: Opened, table: TimeFile, line: int, cells: Cells, hours: Decimal) -> None:
    at = next(at for at, column in opened.columns.items() if column.field == "hours")
    try:
        told = table.readers["hours"](cells[at] if at < len(cells) else None)
    except ValueError as error:
        raise CountWrong(f"{opened.name} line {line}: the total {error}.") from None
    if told is not None and told != hours:
        raise CountWrong(f"{opened.name} line {line} says {told} h in all, its rows come to {hours} h.")


def _values(cells: Cells, columns: Mapping[int, Column], table: TimeFile) -> tuple[dict[str, Any], list[str]]:
    """What each column says, and everything that is wrong, each with the column's heading."""
    told: dict[str, Any] = {}
    wrong: list[str] = []
    for at, column in columns.items():
        try:
            value = table.readers[column.field](cells[at] if at < len(cells) else None)
        except ValueError as error:
            wrong.append(f"{column.headings[0]} {error}")
            continue
        if value is None and (column.needed or column.field in NEEDED or column.field in table.key):
            wrong.append(f"{column.headings[0]} is empty")
        told[column.field] = value
    extra = [plain(cell) for cell in cells[max(columns) + 1 :] if plain(cell).strip()]
    if extra and not table.ignored:
        wrong.append(f"has {len(extra)} more cells than columns, such as {extra[0]!r}")
    return told, wrong


def _key(told: Mapping[str, Any], table: TimeFile) -> str | None:
    """The key of a row: its fields with `/` between; a `/` of their own is doubled, so that no two keys are one."""
    parts = [told.get(name) for name in table.key]
    if any(part is None for part in parts):
        return None
    return "/".join(str(to_plain(part)).replace("/", "//") for part in parts)


def _entry(key: str, told: Mapping[str, Any], table: TimeFile, bound: Binding, where: str) -> WorkEntry:
    status = WorkStatus(str(told.get("status") or table.status))
    return WorkEntry(
        id=canonical_id("work", table.source, key),
        revision=1,
        kind=WorkKind.TIME,
        source=table.source,
        source_key=key,
        status=status,
        worked_on=told["worked_on"],
        quantity=told["hours"],
        engagement_id=bound.engagement_id,
        legal_entity=bound.legal_entity,
        worker=told.get("worker"),
        worker_entity=told.get("worker_entity"),
        role=told.get("role"),
        task=told.get("task"),
        category=told.get("category"),
        billable=told.get("billable") != "no",
        note=told.get("note"),
        approver=told.get("approver"),
        submitted_at=_instant(told.get("submitted_on"), table),
        approved_at=_instant(told.get("approved_on"), table) if status is WorkStatus.APPROVED else None,
        recorded_as=where,
    )


def _instant(day: date | None, table: TimeFile) -> str | None:
    """The beginning of a day where the source is."""
    return None if day is None else datetime.combine(day, time(), ZoneInfo(table.zone)).isoformat()
