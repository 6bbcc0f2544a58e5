"""The shape every simulated vendor has: a synchronous core with no socket, thread or clock of its own.

A simulator is driven by handing it a `Request`; it answers with a `Response`. What it would send by itself
(webhooks, outbound messages) it leaves in `deliveries`. The HTTPS server in `serve.py` is one driver of that core,
the deterministic simulation is another: both see the same behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from accord.sandbox.kit.faults import Faults


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as a vendor sees it.

    `path` is decoded and has no query; `query` keeps order and repeats; header names are lower-case.
    `host` is what the client called (`localhost:8443`), for absolute links and OAuth signatures.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    host: str = "localhost"
    raw_target: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer. `service_seconds` is how long the vendor works on it (it occupies a concurrency slot
    for that time); `drop` closes the connection without an answer although the work was done."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    service_seconds: float = 0.0
    drop: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One push from the vendor to a subscriber: due at `due_at` (vendor clock), tried again on anything but 2xx.

    `signer` is called with the time of each attempt and gives that attempt's headers, because vendors sign the
    moment of sending.
    """

    delivery_id: str
    url: str
    body: bytes
    content_type: str
    due_at: datetime
    signer: Any = None
    attempt: int = 1


class Clock(Protocol):
    """The vendor's own clock: aware UTC."""

    def now(self) -> datetime: ...


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when told; the HTTPS server uses a running one that can be shifted the same way."""

    at: datetime

    def now(self) -> datetime:
        return self.at


class Simulator(Protocol):
    """What `serve.py`, the tests and the deterministic simulation need of one vendor.

    `enter` is asked before `handle` and may refuse (concurrency limits, quotas); every `enter` that returned None is
    paired with one `leave`, after `service_seconds` have passed.
    """

    vendor: str
    clock: Clock
    random: Random
    faults: Faults

    def enter(self, request: Request) -> Response | None: ...

    def handle(self, request: Request) -> Response: ...

    def leave(self, request: Request) -> None: ...

    def take_deliveries(self) -> list[Delivery]:
        """Hand over (and forget) the pushes that have become due by `clock.now()`."""
        ...

    def delivered(self, delivery: Delivery, status: int | None) -> None:
        """Tell the outcome of one push (None: no answer); the simulator may queue another attempt.

        A vendor that reads what the subscriber said takes a third argument, `body: bytes | None = None`."""
        ...

    def credentials(self, base_url: str) -> dict[str, Any]:
        """All a foreign client needs to log in (keys, secrets, account ids, private keys in PEM)."""
        ...

    def dump(self) -> dict[str, Any]:
        """State by kind: `{kind: [object, ...]}`, JSON-ready, for tests and the demo's checks."""
        ...

    def admin(self, action: str, arguments: Mapping[str, Any]) -> Any:
        """Vendor-side happenings a person or the world causes (approve a milestone, pay an invoice, ...)."""
        ...
