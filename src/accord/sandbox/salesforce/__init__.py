"""A behavioural simulator of a Salesforce org: REST, SOQL, Bulk API 2.0, outbound messages."""

from __future__ import annotations

from typing import Any

from accord.sandbox.kit.simulator import Clock
from accord.sandbox.salesforce.simulator import SalesforceSimulator

__all__ = ["SalesforceSimulator", "build"]


def build(*, clock: Clock, seed: int = 1, wall: Clock | None = None, **settings: Any) -> SalesforceSimulator:
    """A fresh org. `settings` are the keyword arguments of `SalesforceSimulator`."""
    return SalesforceSimulator(clock=clock, seed=seed, wall=wall, **settings)
