"""The clocks of a running sandbox: real time, and business time that can be shifted ahead of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class WallClock:
    """Real time, for what no shift of the business clock may touch: token life, signatures, rate limits."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ShiftableClock:
    """Business time: runs as fast as real time, and can be put forward by any stretch. Never goes back."""

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        self.offset = offset

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def shift(self, by: timedelta) -> None:
        """Put the clock forward. Raises ValueError for a stretch backwards."""
        if by < timedelta(0):
            raise ValueError("The clock only goes forward.")
        self.offset += by
