"""`accord up`, `serve`, `worker`, `sandbox`: what runs until it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import Sequence

from accord.app import PATIENCE_SECONDS, open_house
from accord.cli.logs import configure
from accord.demo.children import Child, end, require_free_port, start
from accord.errors import NotFound, Unavailable
from accord.settings import Settings
from accord.worker_process import WorkerProcess


def run_worker(poll_seconds: float | None) -> None:
    """One worker until SIGINT or SIGTERM; calls under way get their outcome first."""
    settings = Settings()
    configure(settings)
    _run(_worker(settings, poll_seconds))


async def _worker(settings: Settings, poll_seconds: float | None) -> None:
    async with open_house(settings, patience=PATIENCE_SECONDS) as house:
        process = WorkerProcess(house, poll_seconds=poll_seconds)
        _on_interrupt(process.stop)
        await process.run()


def run_server() -> None:
    """The server until SIGINT or SIGTERM."""
    settings = Settings()
    configure(settings)
    _run(_server(settings))


async def _server(settings: Settings) -> None:
    from accord.api.serving import serve
    from accord.governance.state import State
    from accord.web.pages import add_pages

    async with open_house(settings, patience=PATIENCE_SECONDS) as house:
        stopping = asyncio.Event()
        _on_interrupt(stopping.set)
        state = State(pool=house.pool, settings=house.settings, vault=house.vault, now=house.now)
        await serve(state, stopping, pages=add_pages)


def run_up(workers: int) -> None:
    """Server and workers as processes of their own; when one ends, all end."""
    settings = Settings()
    require_free_port(settings)
    configure(settings)
    running = [start(settings, command) for command in (["serve"], *[["worker"]] * workers)]
    try:
        _wait_for_first(running)
    except KeyboardInterrupt:
        pass
    finally:
        end(running)


def _wait_for_first(running: Sequence[Child]) -> None:
    while True:
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout=0.2)
                raise Unavailable(f"a process of `accord up` ended by itself (exit {code}); see the log folder")


def run_sandbox(*, as_json: bool, vendors: list[str] | None, seed: int) -> None:
    """The simulated vendors until interrupted."""
    from accord.sandbox import VENDORS
    from accord.sandbox.main import run

    unknown = [vendor for vendor in vendors or () if vendor not in VENDORS]
    if unknown:
        raise NotFound(f"there is no simulator of {', '.join(unknown)}; there are {', '.join(VENDORS)}")
    settings = Settings()
    run(json_line=as_json, state_dir=settings.home / "sandbox", vendors=vendors, seed=seed)


def _on_interrupt(stop: object) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)  # type: ignore[arg-type]


def _run(main: object) -> None:
    import uvloop

    uvloop.run(main)  # type: ignore[arg-type]
