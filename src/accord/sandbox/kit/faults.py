"""Faults on demand: what a test or the admin page asks a simulated vendor to do wrong, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from accord.sandbox.kit.simulator import Request, Response

FaultKind = Literal[
    "status",  # answer `status` (with Retry-After when set) without doing the work
    "lose_request",  # close the connection before the work is done
    "lose_answer",  # do the work, then close the connection without an answer
    "never_answer",  # do the work, hold the connection `seconds` long, then close it
    "slow",  # do the work, answer after `seconds`
    "expire_tokens",  # forget every access token, then go on
    "duplicate_events",  # every push is sent twice
    "reorder_events",  # pushes of the next batch go out in reverse
    "delay_events",  # pushes are held back `seconds`
    "drop_events",  # pushes are not sent at all
    "rename_field",  # schema drift: `field` of `object` is now called `to`
    "partial_batch",  # every second member of the next batch call fails with a vendor-typical transient error
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: applies to requests whose method and path match, `times` times, after skipping `after` matches."""

    kind: FaultKind
    method: str = ""
    path: str = ""  # regular expression, searched in the path
    after: int = 0
    times: int = 1
    status: int = 503
    retry_after: float | None = None
    code: str = ""  # the vendor's error code to answer with, where the vendor has one
    seconds: float = 0.0
    object: str = ""
    field: str = ""
    to: str = ""

    def matches(self, request: Request) -> bool:
        return (not self.method or self.method == request.method) and bool(re.search(self.path, request.path))


class Faults:
    """The faults waiting to happen, in the order they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[Fault]:
        return list(self._waiting)

    def any(self) -> bool:
        """Whether any fault waits: the cheap question asked before every request."""
        return bool(self._waiting)

    def take(self, request: Request, *kinds: FaultKind) -> Fault | None:
        """The first waiting fault of these kinds that this request meets, counted down."""
        for index, fault in enumerate(self._waiting):
            if (kinds and fault.kind not in kinds) or not fault.matches(request):
                continue
            if fault.after > 0:
                self._waiting[index] = replace(fault, after=fault.after - 1)
                continue
            self._count_down(index, fault)
            return fault
        return None

    def take_event(self, kind: FaultKind) -> Fault | None:
        """The first waiting push fault of this kind, counted down."""
        for index, fault in enumerate(self._waiting):
            if fault.kind == kind:
                self._count_down(index, fault)
                return fault
        return None

    def _count_down(self, index: int, fault: Fault) -> None:
        if fault.times <= 1:
            del self._waiting[index]
        else:
            self._waiting[index] = replace(fault, times=fault.times - 1)

    @staticmethod
    def lost(response: Response) -> Response:
        """The same work done, the answer never sent."""
        return replace(response, drop=True)
