"""Serves the app until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn

from accord.api.building import Pages, build
from accord.api.patience import Impatient
from accord.errors import Unavailable
from accord.governance.state import State

DRAIN_SECONDS = 5


async def serve(state: State, stopping: asyncio.Event, *, pages: Pages | None = None) -> None:
    """Listen on the settings' host and port until `stopping` is set; requests under way are finished first.

    Raises Unavailable when the port is taken.
    """
    settings = state.settings
    app = build(state, pages=pages)
    app.state.stopping = stopping  # streams end themselves, so that the drain need not wait for them
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="none",
        http=Impatient,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve())
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    server.should_exit = True
    try:
        await running
    except SystemExit:
        raise Unavailable(
            f"the server could not listen on {settings.host}:{settings.port}; set ACCORD_PORT to a free port"
        ) from None


class _Server(uvicorn.Server):
    """Signals are the caller's to handle: it also has workers to end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
