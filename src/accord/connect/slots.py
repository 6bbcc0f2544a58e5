"""The shared budget as a session sees it: a slot to hold during a call, and a word when the vendor is overloaded."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol


class Slots(Protocol):
    """A connection's budget. `slot` waits until one more call may run; it raises NotSent when it will not be soon."""

    def slot(self, endpoint: str) -> AbstractAsyncContextManager[object]:
        """Hold one place for one call; `endpoint` names the vendor's rate bucket ("" = none of its own)."""
        ...

    def overloaded(self, retry_after_seconds: float | None) -> None:
        """The vendor answered that there were too many calls; None when it did not say how long to wait."""
        ...


class Unlimited:
    """A budget without limits, for tests and for vendors that have none."""

    def slot(self, endpoint: str) -> AbstractAsyncContextManager[object]:  # noqa: ARG002  (no bucket to choose)
        return nullcontext()

    def overloaded(self, retry_after_seconds: float | None) -> None:
        """Nothing to shrink."""
