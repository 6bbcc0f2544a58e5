"""Stripe's rate limits: requests a second for the account and for each endpoint (vendors.md section 4)."""

from __future__ import annotations

from datetime import datetime

from accord.sandbox.stripe.refusals import Refused, too_many


class RateLimits:
    """Counts requests in whole seconds of the wall clock. None switches a limit off."""

    def __init__(self, per_second: int | None, per_endpoint_per_second: int | None) -> None:
        self.per_second = per_second
        self.per_endpoint_per_second = per_endpoint_per_second
        self.refused = 0
        self._second = 0
        self._account = 0
        self._endpoints: dict[str, int] = {}

    def check(self, endpoint: str, now: datetime) -> Refused | None:
        """Count one request; the refusal, when it is one too many. A refused request does not count."""
        second = int(now.timestamp())
        if second != self._second:
            self._second, self._account = second, 0
            self._endpoints.clear()
        here = self._endpoints.get(endpoint, 0)
        if self.per_second is not None and self._account >= self.per_second:
            return self._refusal("global-rate")
        if self.per_endpoint_per_second is not None and here >= self.per_endpoint_per_second:
            return self._refusal("endpoint-rate")
        self._account += 1
        self._endpoints[endpoint] = here + 1
        return None

    def _refusal(self, reason: str) -> Refused:
        self.refused += 1
        return too_many(reason)
