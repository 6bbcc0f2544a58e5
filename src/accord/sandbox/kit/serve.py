"""Simulated vendors over HTTPS, each on a port of its own: sockets, TLS, time and pushes around the pure cores."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from aiohttp.web_request import BaseRequest

from accord.sandbox.kit.admin import Admin
from accord.sandbox.kit.certificates import Authority, authority
from accord.sandbox.kit.clock import WallClock
from accord.sandbox.kit.deliverer import Deliverer
from accord.sandbox.kit.front import Front
from accord.sandbox.kit.journal import Journal
from accord.sandbox.kit.simulator import Clock, Request, Response, Simulator

BODY_LIMIT = 110 * 1024 * 1024  # Salesforce Bulk takes 100 MB of CSV in one upload; a little more for its clothes
STOP_SECONDS = 1.0  # how long answers under way are waited for when the sandbox stops


@dataclass(frozen=True, slots=True)
class Served:
    """One vendor being served. `url` is its origin without a slash at the end."""

    simulator: Simulator
    url: str
    ca_file: Path
    admin_url: str
    journal: Journal
    deliverer: Deliverer

    def description(self) -> dict[str, Any]:
        """`{url, ca_file, credentials, admin_url}`: all a foreign client needs to log in."""
        return {
            "url": self.url,
            "ca_file": str(self.ca_file),
            "credentials": self.simulator.credentials(self.url),
            "admin_url": self.admin_url,
        }


@dataclass(frozen=True, slots=True)
class Running:
    """The vendors being served, by name, and the CA they are proven by."""

    ca_file: Path
    vendors: dict[str, Served] = field(default_factory=dict)

    def __getitem__(self, vendor: str) -> Served:
        return self.vendors[vendor]

    def description(self) -> dict[str, Any]:
        return {name: served.description() for name, served in self.vendors.items()}


@asynccontextmanager
async def serve(
    simulators: Sequence[Simulator],
    *,
    host: str = "127.0.0.1",
    ports: Mapping[str, int] | None = None,
    state_dir: Path,
    wall: Clock | None = None,
    trust_file: Path | None = None,
) -> AsyncIterator[Running]:
    """Serve every simulator until the block is left.

    `ports` by vendor name; a vendor not named gets a free one. `state_dir` keeps the CA from run to run.
    Pushes trust that CA, the system's, and those in `trust_file` (PEM). Raises OSError when a port is taken.
    """
    ca = authority(state_dir)
    trust = ca.client_context()
    if trust_file is not None:
        trust.load_verify_locations(cafile=str(trust_file))
    running = Running(ca.ca_file)
    doors: list[_Door] = []
    try:
        for simulator in simulators:
            door = _Door(simulator, ca, trust, wall or WallClock())
            doors.append(door)
            running.vendors[simulator.vendor] = await door.open(host, (ports or {}).get(simulator.vendor, 0))
        yield running
    finally:
        for door in doors:
            await door.close()


class _Door:
    """The socket side of one vendor."""

    def __init__(self, simulator: Simulator, ca: Authority, trust: ssl.SSLContext, wall: Clock) -> None:
        self._ca = ca
        self._front = Front(simulator, wall=wall)
        self._token = secrets.token_urlsafe(24)
        self._admin = Admin(self._front, self._token)
        self._deliverer = Deliverer(self._front, wall=wall, trust=trust)
        self._web = web.Server(self._answer, request_factory=self._request, access_log=None)
        self._listening: asyncio.Server | None = None
        self._delivering: asyncio.Task[None] | None = None

    async def open(self, host: str, port: int) -> Served:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            self._web, host, port, ssl=self._ca.server_context(host), backlog=1024
        )
        self._delivering = asyncio.create_task(self._deliverer.run())
        shown = f"[{host}]" if ":" in host else host
        url = f"https://{shown}:{self._listening.sockets[0].getsockname()[1]}"
        return Served(
            simulator=self._front.simulator,
            url=url,
            ca_file=self._ca.ca_file,
            admin_url=f"{url}/_admin/{self._token}",
            journal=self._front.journal,
            deliverer=self._deliverer,
        )

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        self._web.pre_shutdown()
        await self._web.shutdown(STOP_SECONDS)
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> BaseRequest:
        loop = asyncio.get_running_loop()
        return BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT)

    async def _answer(self, asked: BaseRequest) -> web.StreamResponse:
        request = await _read(asked)
        if request.path.startswith("/_admin/"):
            response = self._admin.answer(request)
            self._deliverer.wake()
            return _written(response)
        response = self._front.enter(request) or await self._worked(request)
        if response.drop:
            if asked.transport is not None:
                asked.transport.abort()
            return web.Response()  # the aiohttp protocol wants one; it goes nowhere
        return _written(response)

    async def _worked(self, request: Request) -> Response:
        try:
            response = self._front.answer(request)
            if request.method not in ("GET", "HEAD"):
                self._deliverer.wake()
            if response.service_seconds > 0:
                await asyncio.sleep(response.service_seconds)
            return response
        finally:
            self._front.leave(request)


async def _read(asked: BaseRequest) -> Request:
    target = asked._message.path  # noqa: SLF001 - the target as sent: OAuth signatures are over it, not over a tidied one
    raw_path, _, raw_query = target.partition("?")
    headers = {name.lower(): value for name, value in asked.headers.items()}
    return Request(
        method=asked.method,
        path=unquote(raw_path) if "%" in raw_path else raw_path,
        query=tuple(parse_qsl(raw_query, keep_blank_values=True)) if raw_query else (),
        headers=headers,
        body=await asked.read() if asked.body_exists else b"",
        host=headers.get("host", ""),
        raw_target=target,
    )


def _written(response: Response) -> web.Response:
    return web.Response(status=response.status, body=response.body, headers=response.headers)
