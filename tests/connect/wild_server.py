"""A server that does to a connection what servers and networks do: answers, drops, halves, stalls, closes when idle."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

CA = trustme.CA()


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    nth_on_connection: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What to do about it. `drop` cuts the connection: before, half-way through or after the answer; `hold` waits."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    drop: str = ""
    hold: float = 0.0


class Wild:
    """`answer(asked)` decides; `asked` is all that came, whole, in order; `connections` how many were opened;
    `met` is set by the first connection, `came` by the first request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self.met = asyncio.Event()
        self.came = asyncio.Event()
        self.answer: Callable[[Asked], Reply] = lambda _: Reply()
        self.url = ""
        self.plain_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.met.set()
        nth = 0
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while asked := await _read(reader, nth := nth + 1):
                self.asked.append(asked)
                self.came.set()
                if not await _write(writer, self.answer(asked)):
                    break
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, nth: int) -> Asked | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body, nth)


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    if reply.hold:
        await asyncio.sleep(reply.hold)
    if reply.drop == "before":
        return False
    headers = {"Content-Type": "application/json", "Content-Length": str(len(reply.body)), **reply.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    whole = f"HTTP/1.1 {reply.status} Said\r\n{head}\r\n".encode() + reply.body
    writer.write(whole[: len(whole) - len(reply.body) // 2] if reply.drop == "half" else whole)
    await writer.drain()
    return not reply.drop


@asynccontextmanager
async def wild_server(folder: Path) -> AsyncIterator[Wild]:
    """Serves on a free port with TLS by `folder`/ca.pem."""
    wild = Wild()
    CA.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    CA.issue_cert("localhost").configure_cert(context)
    server = await asyncio.start_server(wild.serve, "127.0.0.1", 0, ssl=context)
    wild.url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield wild
    finally:
        server.close()
