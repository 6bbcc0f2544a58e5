"""The front door of a simulated vendor, the same for every driver: faults on demand and the journal of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from inspect import signature
from typing import Any

from accord.sandbox.kit.clock import WallClock
from accord.sandbox.kit.faults import Fault, FaultKind, Faults
from accord.sandbox.kit.journal import Journal
from accord.sandbox.kit.simulator import Clock, Delivery, Request, Response, Simulator

# What a vendor is taken to do by itself unless it says otherwise in `own_faults`: it has its own error bodies,
# its own tokens and schema, and its own order of pushes. Losing and delaying answers is the network's doing.
VENDORS_OWN: frozenset[FaultKind] = frozenset(
    (
        "status", "expire_tokens", "rename_field", "partial_batch",
        "duplicate_events", "reorder_events", "delay_events", "drop_events",
    )
)  # fmt: skip
_DROPPED = Response(status=0, drop=True)


class Front:
    """Wraps one simulator. A driver calls `enter`, then `answer`, waits `service_seconds`, then calls `leave`.

    A vendor may name in an attribute `own_faults` the kinds it handles; the others are applied here. It may have
    a method `expire_tokens()`, which is then called for that fault.
    """

    def __init__(self, simulator: Simulator, *, wall: Clock | None = None, journal: Journal | None = None) -> None:
        self.simulator = simulator
        self.journal = journal or Journal()
        self._wall = wall or WallClock()
        self._faults: Faults = simulator.faults
        own: Iterable[FaultKind] = getattr(simulator, "own_faults", VENDORS_OWN)
        self._own = frozenset(own)
        self._expire: Callable[[], Any] | None = getattr(simulator, "expire_tokens", None)
        self._told: Callable[..., None] = simulator.delivered
        self._told_answers = "body" in signature(simulator.delivered).parameters

    def enter(self, request: Request) -> Response | None:
        """The vendor's refusal at the door, already journalled, or None: then `leave` is owed."""
        refusal = self.simulator.enter(request)
        if refusal is not None:
            self._note(request, refusal)
        return refusal

    def answer(self, request: Request) -> Response:
        """Do the work, with the faults that wait for this request."""
        response = self._faulted(request) if self._faults.any() else self.simulator.handle(request)
        self._note(request, response)
        return response

    def leave(self, request: Request) -> None:
        self.simulator.leave(request)

    def take_deliveries(self) -> list[Delivery]:
        """The pushes due now, with the push faults the vendor leaves to us."""
        due = self.simulator.take_deliveries()
        if due and self._faults.any():
            return self._disturbed(due)
        return due

    def delivered(self, delivery: Delivery, status: int | None, body: bytes | None = None) -> None:
        """Tell the vendor the outcome of one push: None when there was no answer. A vendor for which the words of the
        subscriber count (the Ack in a SOAP answer) takes `body` too."""
        if self._told_answers:
            self._told(delivery, status, body)
        else:
            self._told(delivery, status)

    def _note(self, request: Request, response: Response) -> None:
        status = 0 if response.drop else response.status
        self.journal.record(self._wall.now(), request.method, request.path, status)

    def _faulted(self, request: Request) -> Response:
        take = self._faults.take
        if take(request, "lose_request"):
            return _DROPPED
        if "expire_tokens" not in self._own and take(request, "expire_tokens") and self._expire:
            self._expire()
        if "status" not in self._own and (refused := take(request, "status")):
            return _refusal(refused)
        response = self.simulator.handle(request)
        if take(request, "lose_answer"):
            return Faults.lost(response)
        if late := take(request, "never_answer"):
            return replace(response, drop=True, service_seconds=response.service_seconds + late.seconds)
        if slow := take(request, "slow"):
            return replace(response, service_seconds=response.service_seconds + slow.seconds)
        return response

    def _disturbed(self, due: list[Delivery]) -> list[Delivery]:
        out: list[Delivery] = []
        for delivery in due:
            if self._takes("drop_events"):
                continue
            held = self._takes("delay_events")
            sent = replace(delivery, due_at=delivery.due_at + timedelta(seconds=held.seconds)) if held else delivery
            out += [sent, sent] if self._takes("duplicate_events") else [sent]
        if out and self._takes("reorder_events"):
            out.reverse()
        return out

    def _takes(self, kind: FaultKind) -> Fault | None:
        return None if kind in self._own else self._faults.take_event(kind)


def _refusal(fault: Fault) -> Response:
    headers = {"content-type": "text/plain"}
    if fault.retry_after is not None:
        headers["retry-after"] = f"{fault.retry_after:g}"
    return Response(fault.status, (fault.code or "fault on demand").encode(), headers)
