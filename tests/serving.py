"""A server in the test's own process: over its app directly, or over a real port for a browser."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from accord.api.building import build
from accord.api.serving import serve
from accord.connect.vault import open_vault
from accord.db.pool import Pool, transaction
from accord.governance import keys
from accord.governance.state import State
from accord.settings import Settings
from accord.web.pages import add_pages


def now() -> datetime:
    return datetime.now(UTC)


def state_for(pool: Pool, home: Path, port: int = 8321, *, clock: Callable[[], datetime] = now, **more: Any) -> State:
    """The state of a server on this database; `more` settings by name."""
    return State(pool, Settings(home=home, port=port, **more), open_vault(home), clock)


@asynccontextmanager
async def client_of(state: State) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that talks to the app without a socket; a defect of the server is a 500 here too."""
    app = build(state, pages=add_pages)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://accord.test") as client:
            yield client


@asynccontextmanager
async def served(pool: Pool, home: Path, **more: Any) -> AsyncIterator[tuple[State, str]]:
    """A server on a free port of the loopback, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state, stopping = state_for(pool, home, port, **more), asyncio.Event()
    running = asyncio.create_task(serve(state, stopping, pages=add_pages))
    try:
        async with httpx2.AsyncClient() as client:
            for _ in range(200):
                try:
                    await client.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx2.ConnectError:
                    await asyncio.sleep(0.02)
        yield state, f"http://127.0.0.1:{port}"
    finally:
        stopping.set()
        await running


async def key(state: State, *roles: str, entities: tuple[str, ...] = ()) -> dict[str, str]:
    """The header of a new key with these roles."""
    async with transaction(state.pool) as db:
        made = await keys.create_key(db, "tester", roles or ("operate",), entities, now())
    return {"Authorization": f"Bearer {made}"}
