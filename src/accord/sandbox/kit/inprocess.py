"""A simulated vendor driven without a socket: the same faults and journal, time only as the caller moves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from accord.sandbox.kit.front import Front
from accord.sandbox.kit.journal import Journal
from accord.sandbox.kit.simulator import Clock, Delivery, Request, Response, Simulator


class NoAnswer(Exception):
    """The connection was closed without an answer; whether the work was done is not known."""


@dataclass(slots=True)
class Call:
    """One call under way. The work is done; `response` is what the caller will see after `service_seconds`, and
    the vendor counts the call as running until `finish()`."""

    request: Request
    response: Response
    _front: Front | None

    @property
    def service_seconds(self) -> float:
        return self.response.service_seconds

    def finish(self) -> Response:
        """End the call, once. Raises NoAnswer when the connection is closed instead of an answer."""
        front, self._front = self._front, None
        if front is not None:
            front.leave(self.request)
        if self.response.drop:
            raise NoAnswer(f"{self.request.method} {self.request.path}")
        return self.response


class InProcess:
    """Talks to one simulator as an HTTP client would. `begin` and `Call.finish` let a virtual clock pass between
    request and answer; `send` does both at once."""

    def __init__(self, simulator: Simulator, *, wall: Clock | None = None) -> None:
        self._front = Front(simulator, wall=wall or simulator.clock)
        self.simulator = simulator

    @property
    def journal(self) -> Journal:
        return self._front.journal

    def begin(self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Call:
        """`url` may be absolute or begin with the path."""
        request = request_for(method, url, headers or {}, body)
        refusal = self._front.enter(request)
        if refusal is not None:
            return Call(request, refusal, None)
        try:
            return Call(request, self._front.answer(request), self._front)
        except BaseException:
            self._front.leave(request)
            raise

    def send(self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
        """The answer at once. Raises NoAnswer."""
        return self.begin(method, url, headers, body).finish()

    def take_deliveries(self) -> list[Delivery]:
        """The pushes due now; tell each outcome by `delivered`."""
        return self._front.take_deliveries()

    def delivered(self, delivery: Delivery, status: int | None, body: bytes | None = None) -> None:
        self._front.delivered(delivery, status, body)


def request_for(method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Request:
    """The request a vendor would see for this call."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Request(
        method=method,
        path=unquote(parts.path) or "/",
        query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
        headers={"host": parts.netloc or "localhost", **{name.lower(): value for name, value in headers.items()}},
        body=body,
        host=parts.netloc or "localhost",
        raw_target=target,
    )
