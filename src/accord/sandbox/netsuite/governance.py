"""The account's concurrency limit, shared by every API (vendors.md 2.5)."""

from __future__ import annotations

from typing import Any

from accord.sandbox.kit.simulator import Response
from accord.sandbox.netsuite.refusals import TOO_MANY, Refused, login_refused

# Some clients saw a slow 401 instead of a 429 when an account was overloaded (vendors.md 2.5).
SLOW_REFUSAL_SECONDS = 6.0


class Governance:
    """Counts the requests under way. `answer` says what one too many gets: too_many (429) or slow_login (401, late)."""

    def __init__(self, limit: int = 5, *, code: str = "CONCURRENCY_LIMIT_EXCEEDED", answer: str = "too_many") -> None:
        self.limit, self.code, self.answer = limit, code, answer
        self.slow_seconds = SLOW_REFUSAL_SECONDS
        self.under_way = 0
        self.most = 0
        self.refused = 0

    def enter(self) -> Response | None:
        if self.under_way >= self.limit:
            self.refused += 1
            return self._refusal()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        return None

    def leave(self) -> None:
        self.under_way = max(0, self.under_way - 1)

    def limits(self) -> dict[str, Any]:
        """`GET /services/rest/system/v1/governanceLimits`."""
        return {
            "limitType": "accountLimit",
            "accountConcurrencyLimit": self.limit,
            "accountUnallocatedConcurrencyLimit": self.limit,
        }

    def _refusal(self) -> Response:
        if self.answer == "slow_login":
            late = login_refused().response()
            return Response(late.status, late.body, late.headers, service_seconds=self.slow_seconds)
        return Refused(429, self.code, TOO_MANY).response()
