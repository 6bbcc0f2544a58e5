"""The fields of records: what a value looks like on the wire, in the account, and in SuiteQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from accord.sandbox.netsuite.refusals import invalid

Kind = Literal["text", "whole", "number", "money", "flag", "day", "instant", "ref", "choice", "duration"]
Row = dict[str, Any]
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # NUL and half of a surrogate pair are no text in any encoding
_CLOCK = re.compile(r"(?P<sign>-?)(?P<hours>\d{1,5}):(?P<minutes>[0-5]\d)")
_TOO_LARGE = 10**15  # what a JSON number still carries to the cent
_MOST_DECIMALS = 8
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
COLUMN_TYPES: Mapping[Kind, str] = {
    "text": "TEXT", "whole": "INTEGER", "number": "NUMERIC", "money": "NUMERIC", "flag": "TEXT", "day": "NSDATE",
    "instant": "NSTIMESTAMP", "ref": "INTEGER", "choice": "TEXT", "duration": "NUMERIC",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `target` is the record type a reference points to, or one of several, as `job|customer`; `options` the
    ids and names of an enumeration; `computed` fields are read-only and, as in NetSuite, unknown to SuiteQL."""

    kind: Kind
    target: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    required: bool = False
    computed: bool = False
    column: str = ""


def text(*, required: bool = False, column: str = "") -> Field:
    return Field("text", required=required, column=column)


def money(*, computed: bool = False, column: str = "") -> Field:
    return Field("money", computed=computed, column=column)


def number() -> Field:
    return Field("number")


def whole() -> Field:
    return Field("whole")


def flag() -> Field:
    return Field("flag")


def day() -> Field:
    return Field("day")


def ref(target: str, *, required: bool = False, column: str = "") -> Field:
    return Field("ref", target=target, required=required, column=column)


def duration(*, required: bool = False) -> Field:
    """Hours, which the record API writes as H:MM."""
    return Field("duration", required=required)


def choice(**options: str) -> Field:
    return Field("choice", options=options)


def read_scalar(kind: Kind, value: Any, path: str) -> Any:
    """The value as the account keeps it: Decimal, bool, ISO text. Raises Refused (INVALID_CONTENT)."""
    match kind:
        case "text" if isinstance(value, str) and not _NO_TEXT.search(value):
            return value
        case "flag" if isinstance(value, bool):
            return value
        case "day" if isinstance(value, str):
            return _day(value, path)
        case "instant" if isinstance(value, str):
            return _instant(value, path)
        case "whole" if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _TOO_LARGE:
            return value
        case "number" | "money" if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
            return _number(value, path)
        case "duration" if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
            return _duration(value, path)
    raise invalid(path)


def show_scalar(kind: Kind, value: Any) -> Any:
    """The value as JSON carries it: amounts are plain JSON numbers."""
    if kind in ("money", "number"):
        return int(value) if value == value.to_integral_value() else float(value)
    return clock_hours(value) if kind == "duration" else value


def clock_hours(hours: Decimal) -> str:
    """7.5 hours are 7:30, and half an hour less than nothing is -0:30."""
    minutes = int((abs(hours) * 60).to_integral_value())
    return f"{'-' if hours < 0 else ''}{minutes // 60}:{minutes % 60:02}"


def stored_number(value: Decimal) -> str:
    """A number as SQLite's NUMERIC columns take it without a loss of digits."""
    return format(value, "f")


def _day(value: str, path: str) -> str:
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        raise invalid(path, "The date must be in the format YYYY-MM-DD.") from None


def _instant(value: str, path: str) -> str:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise invalid(path, "The date must be in the ISO 8601 format.") from None
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise invalid(path, "The date is out of range.")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _duration(value: int | Decimal | str, path: str) -> Decimal:
    """Hours as H:MM or as a number; kept to the minute."""
    clock = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if clock is None:
        return (_number(value, path) * 60).quantize(Decimal(1)) / 60
    minutes = int(clock["hours"]) * 60 + int(clock["minutes"])
    return Decimal(-minutes if clock["sign"] else minutes) / 60


def _number(value: int | Decimal | str, path: str) -> Decimal:
    try:
        exact = Decimal(value)
    except InvalidOperation:
        raise invalid(path) from None
    if not exact.is_finite() or abs(exact) >= _TOO_LARGE or exact.as_tuple().exponent < -_MOST_DECIMALS:  # type: ignore[operator]
        raise invalid(path)
    return exact
