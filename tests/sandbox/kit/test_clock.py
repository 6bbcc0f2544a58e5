"""Business time runs, can be put forward, and never goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from accord.sandbox.kit.clock import ShiftableClock, WallClock


def test_a_shift_adds_to_real_time() -> None:
    clock = ShiftableClock()
    clock.shift(timedelta(days=30))
    clock.shift(timedelta(days=1))
    ahead = clock.now() - WallClock().now()
    assert timedelta(days=31) - timedelta(seconds=5) < ahead <= timedelta(days=31)
    assert clock.now().tzinfo is UTC
    assert clock.now() > datetime.now(UTC)


def test_time_does_not_go_back() -> None:
    clock = ShiftableClock()
    with pytest.raises(ValueError, match="only goes forward"):
        clock.shift(timedelta(seconds=-1))
