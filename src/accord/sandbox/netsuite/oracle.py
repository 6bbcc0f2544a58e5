"""The dialect of SuiteQL on top of SQLite: Oracle's date functions and the words SQLite spells otherwise. Pure.

Dates are kept as ISO text, so that they compare as they should, and shown in the account's format only when a column
itself is selected (vendors.md 2.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

_LITERAL = re.compile(r"('(?:[^']|'')*')")
_DISPLAY = re.compile(r"\bBUILTIN\.DF\s*\(\s*((?:(\w+)\.)?(\w+))\s*\)", re.IGNORECASE)
_SOURCE = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)(?:\s+(?:AS\s+)?(?!ON\b|WHERE\b)(\w+))?", re.IGNORECASE)
_OFFSET_FETCH = re.compile(r"\bOFFSET\s+(\d+)\s+ROWS?\s+FETCH\s+(?:FIRST|NEXT)\s+(\d+)\s+ROWS?\s+ONLY\b", re.IGNORECASE)
_FETCH = re.compile(r"\bFETCH\s+(?:FIRST|NEXT)\s+(\d+)\s+ROWS?\s+ONLY\b", re.IGNORECASE)
_SYSDATE = re.compile(r"\b(?:SYSDATE|CURRENT_TIMESTAMP|CURRENT_DATE)\b", re.IGNORECASE)
_TRANSACTION = re.compile(r'(?<!")\btransaction\b(?!")', re.IGNORECASE)
_PARTS = {
    "YYYY": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{1,2})", "DD": r"(?P<day>\d{1,2})", "HH24": r"(?P<hour>\d{1,2})",
    "MI": r"(?P<minute>\d{1,2})", "SS": r"(?P<second>\d{1,2})",
}  # fmt: skip
_STRFTIME = {
    "YYYY": "%Y",
    "MM": "%m",
    "DD": "%d",
    "HH24": "%H",
    "MI": "%M",
    "SS": "%S",
    "MON": "%b",
    "HH": "%I",
    "AM": "%p",
}
_TOKEN = re.compile(r'"([^"]*)"|(YYYY|MON|MM|DD|HH24|HH|MI|SS|AM)|(.)', re.IGNORECASE | re.DOTALL)
_ORDERED = re.compile(r"\border\s+by\b", re.IGNORECASE)


def rewritten(query: str) -> str:
    """The query in SQLite's words; text in quotes is left alone."""
    parts = _LITERAL.split(query.strip().rstrip(";"))
    tables: dict[str, str] = {}
    for table, alias in _SOURCE.findall(_LITERAL.sub("''", query)):
        tables.setdefault("", table.lower())
        tables.setdefault((alias or table).lower(), table.lower())
    return "".join(part if part.startswith("'") else _rewritten(part, tables) for part in parts)


def ordered(query: str) -> bool:
    """Whether the rows have an order that pages can rely on."""
    return bool(_ORDERED.search(_LITERAL.sub("''", query)))


def _rewritten(code: str, tables: Mapping[str, str]) -> str:
    """`tables` are the tables of the query by their aliases; "" is the first, for names without one."""

    def display(found: re.Match[str]) -> str:
        table = tables.get((found[2] or "").lower(), "")
        return f"BUILTIN_DF('{table}.{found[3].lower()}', {found[1]})"

    code = _DISPLAY.sub(display, code)
    code = _OFFSET_FETCH.sub(r"LIMIT \2 OFFSET \1", code)
    code = _FETCH.sub(r"LIMIT \1", code)
    code = _SYSDATE.sub("SYSDATE()", code)
    return _TRANSACTION.sub('"transaction"', code)


def to_char(value: Any, form: str | None = None) -> str | None:
    """TO_CHAR of a date, a timestamp or a number."""
    if value is None or form is None or not isinstance(value, str):
        return None if value is None else str(value)
    return datetime.fromisoformat(value).strftime(_strftime(form))


def to_date(value: str | None, form: str = "YYYY-MM-DD") -> str | None:
    """TO_DATE and TO_TIMESTAMP: ISO text, without the time where the format has none. Raises ValueError."""
    if value is None:
        return None
    found = _reader(form.upper()).fullmatch(value.strip())
    if found is None:
        raise ValueError(f"{value!r} is not in the format {form}")
    given = {name: int(text) for name, text in found.groupdict().items() if text is not None}
    at = datetime(  # noqa: DTZ001  (the account's own time, whose zone SuiteQL never names)
        given["year"], given.get("month", 1), given.get("day", 1), given.get("hour", 0),
        given.get("minute", 0), given.get("second", 0),
    )  # fmt: skip
    return at.strftime("%Y-%m-%d %H:%M:%S") if "hour" in given else at.strftime("%Y-%m-%d")


def account_day(value: bytes) -> str:
    """A date or timestamp column as the account shows it: M/D/YYYY, without the time."""
    year, month, day = value[:10].decode().split("-")
    return f"{int(month)}/{int(day)}/{year}"


def truncated(value: Any, _part: Any = None) -> Any:
    return value[:10] if isinstance(value, str) else int(value) if value is not None else None


def functions() -> list[tuple[str, int, Callable[..., Any]]]:
    """Name, number of arguments (-1 = any) and the function itself."""
    return [
        ("TO_CHAR", -1, to_char),
        ("TO_DATE", -1, to_date),
        ("TO_TIMESTAMP", -1, to_date),
        ("TO_NUMBER", 1, lambda value: None if value is None else float(value)),
        ("TRUNC", -1, truncated),
        ("NVL", 2, lambda value, other: other if value is None else value),
        ("NVL2", 3, lambda value, one, other: other if value is None else one),
    ]


@lru_cache(maxsize=64)
def _strftime(form: str) -> str:
    return "".join(
        quoted if quoted is not None else _STRFTIME.get((token or "").upper(), token or other)
        for quoted, token, other in ((m[1], m[2], m[3]) for m in _TOKEN.finditer(form))
    )


@lru_cache(maxsize=64)
def _reader(form: str) -> re.Pattern[str]:
    text = "".join(
        re.escape(quoted) if quoted is not None else _PARTS.get(token or "", re.escape(token or other))
        for quoted, token, other in ((m[1], m[2], m[3]) for m in _TOKEN.finditer(form))
    )
    return re.compile(text)
