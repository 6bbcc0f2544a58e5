"""What a simulated vendor was asked: how often each kind of call came, and the latest calls one by one."""

from __future__ import annotations

import re
from collections import Counter, deque
from datetime import datetime
from typing import Any

# A segment with a digit is an id, a date or an external id; `v67.0` and `v1` are versions and stay.
_ID = re.compile(r"(?<=/)(?:eid:[^/]*|(?!v\d+(?:\.\d+)?(?:/|$))[^/]*\d[^/]*)")
TEMPLATES = 2_000  # more distinct templates than any vendor has; the rest is counted together
KEPT_CALLS = 1_000


def template(path: str) -> str:
    """The path with its ids replaced: `/v1/invoices/in_1/pay` -> `/v1/invoices/*/pay`."""
    return _ID.sub("*", path)


class Journal:
    """Counts by method, path template and status since the start (or `clear`), and the last `keep` calls.

    Status 0 stands for a connection closed without an answer.
    """

    def __init__(self, keep: int = KEPT_CALLS) -> None:
        self.counts: Counter[tuple[str, str, int]] = Counter()
        self._last: deque[tuple[datetime, str, str, int]] = deque(maxlen=keep)

    def record(self, at: datetime, method: str, path: str, status: int) -> None:
        key = (method, template(path), status)
        if key not in self.counts and len(self.counts) >= TEMPLATES:
            key = (method, "(other)", status)
        self.counts[key] += 1
        self._last.append((at, method, path, status))

    def total(self, method: str = "", path: str = "") -> int:
        """How many calls had this method (any when empty) and a template holding `path`."""
        return sum(
            count for (verb, pattern, _), count in self.counts.items() if method in ("", verb) and path in pattern
        )

    def clear(self) -> None:
        self.counts.clear()
        self._last.clear()

    def as_json(self, last: int = 100) -> dict[str, Any]:
        """`{total, counts: [{method, path, status, count}], last: [{at, method, path, status}]}`, latest last."""
        latest = list(self._last)[-last:] if last > 0 else []
        return {
            "total": sum(self.counts.values()),
            "counts": [
                {"method": method, "path": path, "status": status, "count": count}
                for (method, path, status), count in sorted(self.counts.items())
            ],
            "last": [
                {"at": at.isoformat(), "method": method, "path": path, "status": status}
                for at, method, path, status in latest
            ],
        }
