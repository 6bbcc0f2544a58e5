"""A vendor that does next to nothing, to see what the kit does around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.faults import Faults
from accord.sandbox.kit.simulator import Clock, Delivery, Request, Response


class EchoVendor:
    """Answers with what it was asked; `POST /push` makes it push to the address in the body."""

    vendor = "echo"
    own_faults: frozenset[str] = frozenset()

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or ShiftableClock()
        self.random = Random(1)
        self.faults = Faults()
        self.handled: list[Request] = []
        self.inside = 0
        self.most_inside = 0
        self.refuse_above = 1_000
        self.expired = 0
        self.service_seconds = 0.0
        self.queue: list[Delivery] = []
        self.outcomes: list[tuple[str, int | None]] = []

    def enter(self, request: Request) -> Response | None:
        if self.inside >= self.refuse_above:
            return Response(429, b"too many", {"retry-after": "1"})
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        return None

    def leave(self, request: Request) -> None:
        self.inside -= 1

    def handle(self, request: Request) -> Response:
        self.handled.append(request)
        if request.path == "/push":
            number = len(self.outcomes) + len(self.queue) + 1
            self.queue.append(
                Delivery(
                    f"d{number}", request.body.decode(), b'{"n":%d}' % number, "application/json",
                    self.clock.now(), signer=lambda at: {"x-signed-at": at.isoformat()},
                )
            )  # fmt: skip
        return Response(200, request.body or b"{}", {"content-type": "application/json"}, self.service_seconds)

    def expire_tokens(self) -> None:
        self.expired += 1

    def take_deliveries(self) -> list[Delivery]:
        now = self.clock.now()
        due = [each for each in self.queue if each.due_at <= now]
        self.queue = [each for each in self.queue if each.due_at > now]
        return due

    def delivered(self, delivery: Delivery, status: int | None) -> None:
        self.outcomes.append((delivery.delivery_id, status))
        if status is None or status >= 300:
            self.queue.append(
                replace(delivery, attempt=delivery.attempt + 1, due_at=self.clock.now() + timedelta(hours=1))
            )

    def credentials(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url, "key": "k"}

    def dump(self) -> dict[str, Any]:
        return {"request": [{"path": each.path} for each in self.handled], "none": []}

    def admin(self, action: str, arguments: Mapping[str, Any]) -> Any:
        if action == "shift_clock":
            assert isinstance(self.clock, ShiftableClock)
            self.clock.shift(timedelta(seconds=arguments["seconds"]))
            return None
        if action == "say":
            return {"said": arguments["word"]}
        raise ValueError(f"Unknown action {action!r}; known are say, shift_clock.")


@pytest.fixture
def vendor() -> EchoVendor:
    return EchoVendor()


@pytest.fixture
def moment() -> datetime:
    return datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
