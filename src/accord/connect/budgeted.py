"""The engine's shared budget as a session's slots: what cannot start soon surely was not sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from accord.connect.connector import Limits
from accord.connect.failures import NotSent
from accord.engine.budget import Budget, BudgetClosed, Rates
from accord.engine.outcomes import Outcome


class BudgetedSlots:
    """A connection's `Slots` and the switchboard's `Budget` in one."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.meter = budget.meter

    def parallel(self) -> int:
        return self.budget.parallel()

    @asynccontextmanager
    async def slot(self, endpoint: str) -> AsyncIterator[None]:
        try:
            async with self.budget.slot(endpoint):
                yield
        except BudgetClosed as closed:
            raise NotSent(str(closed), retry_after_seconds=closed.retry_after_seconds, overload=True) from None

    def overloaded(self, retry_after_seconds: float | None) -> None:
        self.budget.overloaded(retry_after_seconds)

    def outcome(self, outcome: Outcome) -> None:
        self.budget.outcome(outcome)


def rates_of(limits: Limits, config: Mapping[str, Any]) -> Rates:
    """The vendor's limits with this connection's own (`limits` in its settings: a vendor raises them on request)."""
    own = dict(config.get("limits") or {})
    concurrency = own.get("concurrency", limits.concurrency)
    return Rates(
        concurrency=None if concurrency is None else int(concurrency),
        per_second=_rate(own.get("per_second", limits.per_second)),
        per_endpoint_per_second=_rate(own.get("per_endpoint_per_second", limits.per_endpoint_per_second)),
        per_day=own.get("per_day", limits.per_day),
    )


def _rate(value: Any) -> float | None:
    return None if value is None else float(value)
