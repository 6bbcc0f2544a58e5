"""A behavioural simulator of a NetSuite account."""

from __future__ import annotations

from typing import Any

from accord.sandbox.kit.simulator import Clock
from accord.sandbox.netsuite.firm import Firm
from accord.sandbox.netsuite.simulator import NetSuiteSimulator

__all__ = ["Firm", "NetSuiteSimulator", "build"]


def build(
    *, clock: Clock, seed: int = 1, firm: Firm | None = None, wall: Clock | None = None, **settings: Any
) -> NetSuiteSimulator:
    """A fresh account. `settings` are the keyword arguments of `NetSuiteSimulator`: limits, pace, time zone, forms."""
    return NetSuiteSimulator(clock=clock, seed=seed, firm=firm, wall=wall, **settings)
