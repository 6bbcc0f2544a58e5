"""Processes of Accord's own, started by a command that also ends them, each by its own pid."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from accord.errors import Unavailable
from accord.settings import Settings

T = TypeVar("T")

Child = subprocess.Popen[bytes]


def start(settings: Settings, arguments: list[str], **options: Any) -> Child:
    """`accord ARGUMENTS` in the same house; what it says goes to the log folder of ACCORD_HOME."""
    environment = {**os.environ, "ACCORD_HOME": str(settings.home), "ACCORD_PORT": str(settings.port)}
    if settings.database_url is not None:
        environment["ACCORD_DATABASE_URL"] = settings.database_url.get_secret_value()
    log = settings.home / "log"
    log.mkdir(parents=True, exist_ok=True)
    with (log / f"{arguments[0]}.log").open("ab") as errors:
        command = [sys.executable, "-m", "accord.cli", *arguments]
        return subprocess.Popen(command, stderr=errors, env=environment, **options)


def require_free_port(settings: Settings) -> None:
    """Raises Unavailable when another program listens where the server is to: its pages would be taken for ours."""
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind((settings.host, settings.port))
        except OSError as error:
            raise Unavailable(
                f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}): end what is there, "
                "or choose another port with ACCORD_PORT"
            ) from None


def run_to_its_end(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` for what ends its children when SIGTERM cancels it. Raises KeyboardInterrupt then."""
    try:
        return asyncio.run(main)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def end(children: Sequence[Child], seconds: float = 15) -> None:
    """End processes: first asked, then killed."""
    for process in children:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in children:
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
