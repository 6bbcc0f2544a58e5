"""Rows of a delimited text file, one at a time, with the line each begins at."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from accord.connect.tables.failures import FileNotTaken, FileTruncated

DELIMITERS = (",", ";", "\t", "|")
# A cell longer than this is an unclosed quote that swallows the rest of the file.
CELL_LIMIT = 131_072


def delimited_rows(path: Path, encoding: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every row that is not empty; lines count from 1 as an editor shows them, and a quoted cell may
    go over several. Raises FileTruncated for a quote that is never closed, FileNotTaken."""
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        line = 1
        try:
            for cells in reader:
                if any(cells):
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            if "unexpected end" in str(error) or "field larger" in str(error):
                raise FileTruncated(f"{path.name} ends inside the quoted cell of line {line}.") from error
            raise FileNotTaken(f"{path.name} line {line} is not delimited by {delimiter!r}: {error}.") from error


def ends_whole(path: Path, encoding: str) -> bool:
    """Whether the last line is ended: one that is not may have been cut off."""
    newline = "\n".encode(encoding if not encoding.endswith("16") else "utf-16-le").removeprefix(b"\xef\xbb\xbf")
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 4))
        tail = file.read()
    return tail.endswith((newline, newline[::-1]))


def first_rows(path: Path, encoding: str, delimiter: str, count: int) -> list[tuple[int, list[str]]]:
    """The first rows, as far as they can be read so: with a delimiter that is not the file's, that may not be far."""
    rows: list[tuple[int, list[str]]] = []
    with contextlib.suppress(FileNotTaken):
        rows.extend(islice(delimited_rows(path, encoding, delimiter), count))
    return rows
