"""Pushes stored and acknowledged a second, beside the same server answering without storing; in one run.

The load comes from a process of its own over keep-alive connections, so that it is not counted as the server's work.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import multiprocessing
import os
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import uvicorn
from fastapi import FastAPI, Request

from accord.api.door import Door, Entrance
from accord.api.shelf import Shelf
from accord.connect.connector import Refusal, Webhook
from accord.connect.signature import REFUSED, hmac_matches
from accord.db import embedded, migrate

CLIENTS = 64
SECONDS = 4.0
ROUNDS = 3
SECRET = b"whsec"
PAD = b'"' + b"x" * 1200 + b'"'  # a push of a billing platform is about this large


def _verify(headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Any], _: datetime) -> Refusal | None:
    return None if hmac_matches([secrets["secret"]], body, [headers.get("x-signature", "")]) else REFUSED


def _ids(_headers: Mapping[str, str], body: bytes) -> list[str]:
    return [body[7:27].decode()]


ENTRANCE = Entrance(Webhook(_verify, _ids, lambda _headers, _body: ()), {"secret": SECRET.decode()}, None)


async def _look(_: str) -> Entrance:
    return ENTRANCE


class _Nowhere:
    """A shelf that stores nothing: what the server can do when it only checks and answers."""

    async def put(self, connection: str, event_id: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Nothing."""


def _plain() -> FastAPI:
    app = FastAPI()

    @app.post("/in/vendor")
    async def take(request: Request) -> dict[str, bool]:
        body = await request.body()
        refusal = _verify(dict(request.headers), body, {"secret": SECRET.decode()}, datetime.now(UTC))
        return {"ok": refusal is None}

    return app


@contextlib.asynccontextmanager
async def _serving(app: Any) -> AsyncIterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = uvicorn.Config(
        app,
        port=port,
        loop="none",
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # the bench's own
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  (uvicorn has a flag, not an event)
        await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    await task


def _load(port: int, seconds: float, answers: Any) -> None:
    """Requests as fast as they are answered, each a new event; how many were answered, and how long each took."""

    async def one(client: int, until: float, taken: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = 0
        while time.perf_counter() < until:
            number += 1
            body = b'{"id":"' + f"{client:06d}{number:014d}".encode() + b'","pad":' + PAD + b"}"
            signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
            lines = ("POST /in/vendor HTTP/1.1", "host: x", f"content-length: {len(body)}", f"x-signature: {signature}")
            head = "\r\n".join([*lines, "", ""])
            began = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            taken.append(time.perf_counter() - began)
        writer.close()

    async def all_of_them() -> tuple[int, list[float]]:
        taken: list[float] = []
        until = time.perf_counter() + seconds
        await asyncio.gather(*(one(client + os.getpid() * 100 % 900_000, until, taken) for client in range(CLIENTS)))
        return len(taken), taken

    import uvloop

    count, taken = uvloop.run(all_of_them())
    taken.sort()
    answers.put((count / seconds, statistics.median(taken), taken[int(len(taken) * 0.99)]))


async def _measure(app: Any) -> tuple[float, float, float]:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    async with _serving(app) as port:
        load = context.Process(target=_load, args=(port, SECONDS, answers))
        load.start()
        found: tuple[float, float, float] = await asyncio.to_thread(answers.get, True, SECONDS + 30)
        await asyncio.to_thread(load.join)
    return found


async def _run(url: str) -> dict[str, Any]:
    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(url, autocommit=True)

    rates: dict[str, list[tuple[float, float, float]]] = {"stored": [], "not_stored": [], "fastapi_route": []}
    shelf = Shelf(connect)

    def at_the_door(shelf: Any) -> Door:
        return Door(_plain(), look=_look, shelf=shelf, now=lambda: datetime.now(UTC))

    for _ in range(ROUNDS):
        rates["fastapi_route"].append(await _measure(_plain()))
        rates["not_stored"].append(await _measure(at_the_door(_Nowhere())))
        rates["stored"].append(await _measure(at_the_door(shelf)))
    await shelf.close()
    async with await connect() as db:
        row = await (await db.execute("SELECT count(*) FROM inbox")).fetchone()
    best = {name: sorted(found)[len(found) // 2] for name, found in rates.items()}
    stored, plain, route = best["stored"], best["not_stored"], best["fastapi_route"]
    return {
        "stored_per_second": round(stored[0]),
        "stored_p50_ms": round(stored[1] * 1000, 1),
        "stored_p99_ms": round(stored[2] * 1000, 1),
        "not_stored_per_second": round(plain[0]),
        "fastapi_route_not_stored_per_second": round(route[0]),
        "ratio_to_same_door_not_storing": round(stored[0] / plain[0], 2),
        "ratio_to_fastapi_route_not_storing": round(stored[0] / route[0], 2),
        "rows": row[0] if row else 0,
        "pushes_per_commit": round((row[0] if row else 0) / max(1, shelf.commits), 1),
    }


def run() -> dict[str, Any]:
    """Measure on the PostgreSQL of ACCORD_DATABASE_URL, or on an embedded one made for this and thrown away.

    The medians of three rounds. The target is 0.6 of the same framework not storing.
    """
    import uvloop

    url = os.environ.get("ACCORD_DATABASE_URL")
    if url:
        return uvloop.run(_on_own_database(url))
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as home:
        url = embedded.ensure_running(Path(home))
        try:
            migrate.upgrade(url)
            return uvloop.run(_run(url))
        finally:
            embedded.stop(Path(home))


async def _on_own_database(server: str) -> dict[str, Any]:
    """A database of the bench's own on that server, so that nobody's inbox is filled."""
    name = f"accord_bench_intake_{os.getpid()}"
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as db:
        await db.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]  # our own name
        try:
            url = psycopg.conninfo.make_conninfo(server, dbname=name)
            await asyncio.to_thread(migrate.upgrade, url)
            return await _run(url)
        finally:
            await db.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]  # our own name


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=2))
