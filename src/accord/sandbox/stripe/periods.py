"""Billing periods: whole intervals counted from an anchor, so that the 31st does not drift."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

SECONDS = {"day": 86_400, "week": 7 * 86_400}
_MONTHS = {"month": 1, "year": 12}


def boundary(anchor: int, interval: str, count: int, number: int) -> int:
    """The end of the `number`-th period of `count` intervals after the anchor (Unix seconds, UTC)."""
    start = datetime.fromtimestamp(anchor, UTC)
    if interval in SECONDS:
        return int((start + timedelta(seconds=SECONDS[interval] * count * number)).timestamp())
    months = start.year * 12 + start.month - 1 + _MONTHS[interval] * count * number
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def periods_until(anchor: int, interval: str, count: int, now: int) -> list[tuple[int, int]]:
    """The periods from the anchor up to and with the one `now` lies in; at least one."""
    found: list[tuple[int, int]] = []
    start, number = anchor, 1
    while True:
        end = boundary(anchor, interval, count, number)
        found.append((start, end))
        if end > now:
            return found
        start, number = end, number + 1


def period_after(anchor: int, interval: str, count: int, start: int) -> tuple[int, int]:
    """The period that begins at the boundary `start`."""
    days = (start - anchor) // 86_400
    width = {"day": 1, "week": 7, "month": 31, "year": 366}[interval] * count
    number = max(0, days // width)
    while boundary(anchor, interval, count, number) <= start:
        number += 1
    return start, boundary(anchor, interval, count, number)
