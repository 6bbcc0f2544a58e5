"""Tables as CSV, row by row as they are read, and never a formula: a spreadsheet runs what begins like one.

Numbers and days that Accord itself reckoned go out as they are, negative ones too; words of vendors and people that
begin with a sign a spreadsheet takes for a formula get an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from starlette.responses import StreamingResponse

from accord.web.rendering import HEADERS

R = TypeVar("R")
Column = tuple[str, Callable[[R], Any]]
PAGE = 1_000  # rows read at once
# What Excel, LibreOffice and Google Sheets begin a formula with; the full-width forms are the same to some of them.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: Any) -> str:
    """One value as a spreadsheet may read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float | datetime | date):
        return value.isoformat() if isinstance(value, date) else str(value)
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text


def as_csv(name: str, columns: Sequence[Column[R]], pages: AsyncIterator[Sequence[R]]) -> StreamingResponse:
    """All rows of all pages as a file `NAME.csv`: UTF-8 with the mark that spreadsheets know it by."""
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(_lines(columns, pages), media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(columns: Sequence[Column[R]], pages: AsyncIterator[Sequence[R]]) -> AsyncIterator[bytes]:
    yield b"\xef\xbb\xbf" + _written([[label for label, _ in columns]])
    async for rows in pages:
        yield _written([[cell(of(row)) for _, of in columns] for row in rows])


def _written(rows: Sequence[Sequence[str]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()
