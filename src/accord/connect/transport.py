"""The transport: one keep-alive HTTP client, and the knowledge of whether a request began to be written.

aiohttp repeats a request by itself when a kept-alive connection turns out to be closed, for GET, PUT, DELETE and others
(client.py, IDEMPOTENT_METHODS; a session-wide switch exists only as a private attribute). A repeat the budget and the
lease know nothing of is not wanted, so a middleware turns the two errors that trigger it into ones that do not.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

import aiohttp
from yarl import URL

from accord.connect.answer import Answer
from accord.connect.authenticator import Outgoing
from accord.connect.egress import Egress
from accord.connect.failures import AnswerUnreadable


class Sending:
    """One attempt: whether its first byte may be out, and whether it went over a connection used before."""

    __slots__ = ("_last_look", "begun", "reused")

    def __init__(self, last_look: Callable[[], None]) -> None:
        self._last_look = last_look
        self.begun = False
        self.reused = False

    def begin(self) -> None:
        """To be called just before the first byte: raises NotSent when nothing may be sent any more."""
        self._last_look()
        self.begun = True


class ConnectionDropped(aiohttp.ClientConnectionError):
    """The connection went away under a request; `reused` connections may have been closed before we wrote."""


class Wire(Protocol):
    """What a session sends over: HTTPS below, or a simulator in the same process for the deterministic simulation.

    `send` calls `sending.begin()` before anything can reach the vendor, raises ConnectionDropped or TimeoutError for an
    answer that does not come, and follows no redirect.
    """

    async def send(self, request: Outgoing, sending: Sending, timeout_seconds: float) -> Answer: ...

    async def close(self) -> None: ...


class Transport:
    """The real one: one HTTP client for one connection. It is made at the first call, inside the running loop."""

    def __init__(self, trust: ssl.SSLContext, max_answer_bytes: int, egress: Egress) -> None:
        self._trust = trust
        self._egress = egress
        self._max_answer_bytes = max_answer_bytes
        self._client: aiohttp.ClientSession | None = None

    async def send(self, request: Outgoing, sending: Sending, timeout_seconds: float) -> Answer:
        """Send once, redirects not followed. Raises what aiohttp raises; `sending` says how far it got."""
        client = self._client or self._open()
        url = URL(request.url, encoded=True)
        self._egress.check_scheme(url.scheme, url.host)
        async with client.request(
            request.method,
            url,
            data=request.body,
            headers=request.headers,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            allow_redirects=False,
            trace_request_ctx=sending,
        ) as response:
            body = await self._read(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, headers, body)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _open(self) -> aiohttp.ClientSession:
        # The shared budget limits concurrency; a second, smaller limit here would hold slots idle. 15 s idle is less
        # than servers usually keep a connection, so it is we who close it and not they under our request.
        connector = aiohttp.TCPConnector(
            ssl=self._trust, limit=0, keepalive_timeout=15.0, socket_factory=self._egress.new_socket
        )
        self._client = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_no_repeat,),
            trace_configs=[_trace()],
            trust_env=False,
        )
        return self._client

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > self._max_answer_bytes:
                response.close()
                raise AnswerUnreadable(f"the answer {response.status} is longer than {self._max_answer_bytes} bytes")
            chunks.append(chunk)
        return b"".join(chunks)


async def _no_repeat(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionDropped(f"{type(error).__name__}: {error}") from None


def _trace() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_reused)
    trace.on_request_headers_sent.append(_about_to_write)
    return trace


async def _reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    context.trace_request_ctx.reused = True


async def _about_to_write(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    """Aiohttp announces the headers before it writes them: the last moment at which nothing is out yet."""
    context.trace_request_ctx.begin()
