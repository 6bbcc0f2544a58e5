"""Dates and times as Salesforce writes them: UTC, milliseconds, no colon in the offset. They sort as text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?", re.IGNORECASE)


def stamp(at: datetime) -> str:
    """`2026-11-01T10:20:30.000+0000`. Salesforce keeps whole seconds of the moments it sets itself."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def read_datetime(text: str) -> str | None:
    """A moment in any ISO form the API takes, in the stored form; None when it is none."""
    found = _DATETIME.fullmatch(text)
    if found is None:
        return None
    day, time, fraction, offset = found.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC)
    except ValueError:
        return None
    if offset and offset not in "Zz":
        sign = -1 if offset[0] == "-" else 1
        at -= sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    millis = (fraction or ".")[1:4].ljust(3, "0")
    return at.strftime(f"%Y-%m-%dT%H:%M:%S.{millis}+0000")


def read_date(text: str) -> str | None:
    """A day as `YYYY-MM-DD` (the day of a moment is taken too); None when it is none."""
    day = text[:10]
    if not _DATE.fullmatch(day) or (len(text) > 10 and read_datetime(text) is None):
        return None
    try:
        date.fromisoformat(day)
    except ValueError:
        return None
    return day
