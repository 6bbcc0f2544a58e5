"""What the columns of a time system's files mean: one declared table per source, with sample rows that prove it. Pure.

A table is data: `TimeFile.from_json` reads a firm's own one through the same constructor and the same samples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as filled
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zoneinfo import available_timezones

from accord.connect.mapping.table import MappingInvalid
from accord.connect.tables.cells import Days, Hours, Numbers, Unit, text
from accord.model.plain import NotReadable, from_plain
from accord.model.work import WorkStatus

Kind = Literal["text", "day", "hours", "choice", "flag"]

# What a column can be. `project` is bound to an engagement by the reference list; `key` is only part of the row's key.
FIELDS: Mapping[str, Kind] = {
    "key": "text",
    "worker": "text",
    "worked_on": "day",
    "hours": "hours",
    "project": "text",
    "task": "text",
    "role": "text",
    "category": "text",
    "status": "choice",
    "billable": "flag",
    "note": "text",
    "approver": "text",
    "approved_on": "day",
    "submitted_on": "day",
    "worker_entity": "text",
}
NEEDED = ("worked_on", "hours", "project")
_FLAGS = ("yes", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: which `field` it is, under which of these `headings` (case and space around do not matter).

    `needed`: a row without it is a problem. `optional`: a file may lack the column. `words` say what each word of a
    status (submitted, approved, rejected, recalled, deleted) or of a flag (yes, no) means, whatever its case.
    """

    field: str
    headings: tuple[str, ...]
    needed: bool = False
    optional: bool = False
    words: dict[str, str] = filled(default_factory=dict)

    def mistakes(self) -> Iterator[str]:
        """What cannot be, in words."""
        if self.field not in FIELDS:
            yield f"{self.field!r} is none of {', '.join(FIELDS)}"
            return
        if not any(each.strip() for each in self.headings):
            yield f"{self.field} has no heading"
        allowed = {"choice": tuple(each.value for each in WorkStatus), "flag": _FLAGS}.get(FIELDS[self.field])
        if allowed is None:
            if self.words:
                yield f"{self.field} takes no words"
        elif not self.words:
            yield f"{self.field} needs words that say what each means"
        elif wrong := sorted(set(self.words.values()) - set(allowed)):
            yield f"{self.field} cannot mean {', '.join(wrong)}; it can mean {', '.join(allowed)}"
        elif len({word.casefold().strip() for word in self.words}) < len(self.words):
            yield f"{self.field} says one word twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One row by its headings, and what it must become: field -> plain value; or the `reason` why it must not be taken,
    with the words that its message must have."""

    cells: dict[str, str]
    gives: dict[str, str] = filled(default_factory=dict)
    reason: str | None = None
    says: str = ""


@dataclass(frozen=True, kw_only=True)
class TimeFile:
    """The files of one source. `key` names the fields that together are the key of a row.

    `days`, `pivot`, `locale`: how days are written (cells.Days); `decimal`, `grouping`: numbers; `unit`, `day_hours`:
    what the hours are counted in. `encoding` is declared only when it is known for sure; `fallback_encoding` is for
    bytes that are no UTF. `sheet` names the sheet of a workbook; the header is looked for in the first `header_within`
    rows; a row whose first cell is `total_row` is the sum of the hours, which is checked. `ignored` headings are known
    and not read; any other unknown one refuses the file. `status` is what a row is without a status column.
    `hours_at_most` a day
    of one row is believed. `file_name` is a pattern with the group `series`, which a file shares with its corrections,
    and perhaps `version`, which counts them; a correction holds the `whole` file anew, or only the `rows` that changed.
    `manifest_needed`: no file is taken before a manifest tells its checksum. `zone` is where its days begin.
    Raises MappingInvalid with every mistake.
    """

    source: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    samples: tuple[Sample, ...]
    version: int = 1
    ignored: tuple[str, ...] = ()
    days: tuple[str, ...] = ("YYYY-MM-DD",)
    pivot: int | None = None
    locale: str = "en"
    decimal: str = "."
    grouping: str = ""
    unit: Unit = "hours"
    day_hours: Decimal = Decimal(8)
    encoding: str | None = None
    fallback_encoding: str = "windows-1252"
    sheet: str | None = None
    header_within: int = 10
    total_row: str | None = None
    status: str | None = None
    hours_at_most: Decimal = Decimal(24)
    zone: str = "UTC"
    corrections: Literal["whole", "rows"] = "whole"
    manifest_needed: bool = False
    file_name: str = r"(?P<series>.+?)(?:[._ -](?:v|corr|correction)[._ -]?(?P<version>\d+))?\.(?:csv|txt|xlsx)"

    def __post_init__(self) -> None:
        mistakes = [*self._mistakes()]
        if mistakes:
            raise MappingInvalid(f"the time files of {self.source} cannot be read so: {'; '.join(mistakes)}")

    @classmethod
    def from_json(cls, path: Path) -> TimeFile:
        """A firm's own table. Raises MappingInvalid; its samples are run by `reading.check_samples`."""
        try:
            return from_plain(cls, json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
        except (OSError, ValueError, NotReadable) as error:
            raise MappingInvalid(f"{path.name} is no table of time files: {error}") from None

    @cached_property
    def by_heading(self) -> Mapping[str, Column]:
        return {_bare(heading): column for column in self.columns for heading in column.headings}

    @cached_property
    def readers(self) -> Mapping[str, Callable[[Any], Any]]:
        """How the cell of each field is read; raises ValueError with the reason."""
        numbers = Numbers(self.decimal, self.grouping)
        days = Days(self.days, self.pivot, self.locale)
        of_kind: dict[str, Callable[[Any], Any]] = {
            "text": text,
            "day": days.read,
            "hours": Hours(numbers, self.unit, self.day_hours).read,
        }
        return {column.field: of_kind.get(FIELDS[column.field]) or _words(column) for column in self.columns}

    @cached_property
    def name_pattern(self) -> re.Pattern[str]:
        return re.compile(self.file_name, re.IGNORECASE)

    def columns_at(self, header: Sequence[Any]) -> dict[int, Column]:
        """Which column stands where. Raises ValueError that names what is missing, unknown or there twice."""
        found: dict[int, Column] = {}
        unknown, twice = [], []
        ignored = {_bare(each) for each in self.ignored}
        for at, cell in enumerate(header):
            heading = _bare("" if cell is None else str(cell))
            column = self.by_heading.get(heading)
            if column is not None:
                if column in found.values():
                    twice.append(str(cell))
                found[at] = column
            elif heading and heading not in ignored:
                unknown.append(str(cell))
        missing = [each.headings[0] for each in self.columns if not each.optional and each not in found.values()]
        problems = [("lacks", missing), ("does not know", unknown), ("has twice", twice)]
        if any(names for _, names in problems):
            raise ValueError("; ".join(f"{what} {', '.join(names)}" for what, names in problems if names))
        return found

    def _mistakes(self) -> Iterator[str]:
        for column in self.columns:
            yield from column.mistakes()
        fields = [column.field for column in self.columns]
        yield from (f"{name} has no column" for name in NEEDED if name not in fields)
        yield from (f"{name} has two columns" for name in sorted({each for each in fields if fields.count(each) > 1}))
        headings = [_bare(each) for column in self.columns for each in column.headings]
        yield from (
            f"two columns are called {each!r}" for each in sorted({h for h in headings if headings.count(h) > 1})
        )
        if not self.key or set(self.key) - set(fields):
            yield f"the key ({', '.join(self.key) or 'none'}) is not made of its columns"
        yield from Days(self.days, self.pivot, self.locale).mistakes()
        if (
            self.decimal not in (".", ",")
            or self.grouping == self.decimal
            or self.grouping not in ("", ".", ",", "'", " ")
        ):
            yield f"numbers cannot be written with {self.decimal!r} and {self.grouping!r}"
        if "status" not in fields and self.status not in [each.value for each in WorkStatus]:
            yield "without a column status, say what status its rows have"
        if self.zone not in available_timezones():
            yield f"there is no time zone {self.zone!r}"
        yield from self._mistakes_of_name()
        if not any(sample.gives for sample in self.samples) or not any(sample.reason for sample in self.samples):
            yield "it needs a sample that is taken and one that is not"

    def _mistakes_of_name(self) -> Iterator[str]:
        try:
            groups = re.compile(self.file_name).groupindex
        except re.error as error:
            yield f"the file name pattern is no pattern: {error}"
        else:
            if "series" not in groups:
                yield "the file name pattern has no group `series`"


def _bare(heading: str) -> str:
    return " ".join(heading.split()).casefold()


def _words(column: Column) -> Callable[[Any], str | None]:
    meanings = {word.casefold().strip(): meaning for word, meaning in column.words.items()}

    def read(value: Any) -> str | None:
        given = text(value)
        if given is None:
            return None
        meaning = meanings.get(given.casefold())
        if meaning is None:
            raise ValueError(f"{given!r} is none of {', '.join(column.words)}")
        return meaning

    return read
