"""How long the server waits for a client: a head or a body that drips, a head without end and too many connections are
cut off, so that nobody's slowness takes what others need.

Uvicorn itself waits for ever for a request that never ends; only a connection that rests after an answer is timed.
"""

from __future__ import annotations

import resource
from asyncio import Transport
from asyncio.events import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_SECONDS = 10.0  # from the connection, or from the first byte of a further request, to the end of its headers
BODY_SECONDS = 30.0  # a megabyte, the most that is accepted, at 270 kbit/s
MOST_HEAD_BYTES = 65_536
MOST_CONNECTIONS = 2_000


def most_connections() -> int:
    """What the process may have open, less what it needs for itself."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(50, min(MOST_CONNECTIONS, soft - 200))


class Impatient(HttpToolsProtocol):
    """One connection of a client, with an end to every wait for it."""

    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS
    most = most_connections()

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._waiting: TimerHandle | None = None
        self._head_bytes: int | None = 0  # None while no head is being read

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._wait(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_bytes is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._wait(self.head_seconds)

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        self._wait(self.body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._wait(None)
        super().on_message_complete()

    def _wait(self, seconds: float | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = None if seconds is None else self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        """Close the connection, with a word when nothing was answered yet."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()
