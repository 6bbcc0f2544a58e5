"""CSV as Bulk API 2.0 reads and writes it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accord.sandbox.salesforce.fields import Field, written_number
from accord.sandbox.salesforce.refusals import Refused

_DELIMITERS = {"COMMA": ",", "SEMICOLON": ";", "TAB": "\t", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}


@dataclass(frozen=True, slots=True)
class Dialect:
    delimiter_name: str = "COMMA"
    line_ending: str = "LF"

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Dialect:
        """From a job's columnDelimiter and lineEnding. Raises Refused."""
        made = cls(str(body.get("columnDelimiter") or "COMMA"), str(body.get("lineEnding") or "LF"))
        if made.delimiter_name not in _DELIMITERS or made.line_ending not in _ENDINGS:
            raise Refused("INVALIDJOB", "columnDelimiter or lineEnding is not valid")
        return made

    @property
    def delimiter(self) -> str:
        return _DELIMITERS[self.delimiter_name]


def read_rows(text: str, dialect: Dialect) -> tuple[list[str], list[list[str]]]:
    """Header and lines. Raises Refused for content that is not CSV."""
    try:
        lines = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter) if row]
    except csv.Error as error:
        raise Refused("CLIENT_INPUT_ERROR", f"The content is not CSV: {error}") from None
    if not lines:
        raise Refused("CLIENT_INPUT_ERROR", "The content has no header")
    return [name.strip() for name in lines[0]], lines[1:]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], dialect: Dialect) -> bytes:
    """Every cell in quotes, as the vendor's result files are."""
    out = io.StringIO()
    ending = _ENDINGS[dialect.line_ending]
    writer = csv.writer(out, delimiter=dialect.delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def cell(value: Any, column: Field) -> str:
    """A stored value in a result file; moments end in Z here, unlike in JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return written_number(value)
    text = str(value)
    return text.replace("+0000", "Z") if column.type == "datetime" else text
