"""What an org may do in a day and at once: the daily API requests and the requests that run long (vendors.md 1.7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from accord.sandbox.kit.simulator import Clock, Request
from accord.sandbox.salesforce.refusals import Refused

# Enterprise Edition: 100,000 and 1,000 for each of 15 licences (vendor documentation, not re-checked).
DAILY_REQUESTS = 115_000
# A request counts as long-running after 20 s; a production org may have 25 of them (same source).
LONG_SECONDS = 20.0
LONG_RUNNING = 25


class ApiLimits:
    """Counts by the wall clock: 24 hours rolling, in buckets of an hour."""

    def __init__(self, wall: Clock) -> None:
        self._wall = wall
        self.daily_requests = DAILY_REQUESTS
        self.long_running = LONG_RUNNING
        self.long_seconds = LONG_SECONDS
        self._buckets: dict[datetime, int] = {}
        self._running: dict[int, datetime] = {}
        self.peak = 0  # the most requests ever worked on at once

    @property
    def used(self) -> int:
        return sum(self._buckets.values())

    @property
    def header(self) -> str:
        return f"api-usage={self.used}/{self.daily_requests}"

    def count(self) -> None:
        """One more request. Raises Refused: the daily limit."""
        now = self._wall.now()
        oldest = now - timedelta(hours=24)
        for hour in [each for each in self._buckets if each <= oldest]:
            del self._buckets[hour]
        if self.used >= self.daily_requests:
            raise Refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)
        hour = now.replace(minute=0, second=0, microsecond=0)
        self._buckets[hour] = self._buckets.get(hour, 0) + 1

    def enter(self, request: Request) -> None:
        """A request begins. Raises Refused: too many that run long."""
        now = self._wall.now()
        long = sum((now - since).total_seconds() >= self.long_seconds for since in self._running.values())
        if long >= self.long_running:
            words = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
            raise Refused("REQUEST_LIMIT_EXCEEDED", words, status=403)
        self._running[id(request)] = now
        self.peak = max(self.peak, len(self._running))

    def leave(self, request: Request) -> None:
        self._running.pop(id(request), None)

    def shown(self) -> dict[str, Any]:
        """The body of `GET limits`."""
        left = max(0, self.daily_requests - self.used)
        plenty = {"Max": 15_000, "Remaining": 15_000}
        return {
            "DailyApiRequests": {"Max": self.daily_requests, "Remaining": left},
            "DailyBulkApiBatches": plenty,
            "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000},
            "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},
            "ConcurrentAsyncGetReportInstances": {"Max": 200, "Remaining": 200},
            "DataStorageMB": {"Max": 1024, "Remaining": 1000},
            "FileStorageMB": {"Max": 1024, "Remaining": 1024},
        }
