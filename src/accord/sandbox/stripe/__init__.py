"""A behavioural simulator of Stripe Billing."""

from __future__ import annotations

from typing import Any

from accord.sandbox.kit.simulator import Clock
from accord.sandbox.stripe.simulator import StripeSimulator

__all__ = ["StripeSimulator", "build"]


def build(*, clock: Clock, seed: int = 1, wall: Clock | None = None, **settings: Any) -> StripeSimulator:
    """A fresh account. `settings` are the keyword arguments of `StripeSimulator`: limits, search lag, retry
    times."""
    return StripeSimulator(clock=clock, seed=seed, wall=wall, **settings)
