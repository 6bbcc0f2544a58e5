"""`accord sandbox`: the simulated vendors alone, over HTTPS, for any client to be tried against.

One process serves all vendors. Measured on two cores with the work of an import (4,500 Stripe calls, 8,800 deals into
Salesforce), one process and one a vendor were equally fast within the noise, since the client has a core to itself
either way. One process starts three times sooner, needs half the memory and gives the vendors one clock; the small
calls wait up to 20 ms for a big collection of Salesforce's, as they would not in processes of their own. Who minds
starts one process a vendor on the same `state_dir`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from accord.sandbox import VENDORS
from accord.sandbox.kit.clock import ShiftableClock, WallClock
from accord.sandbox.kit.serve import Running, serve
from accord.sandbox.kit.simulator import Simulator
from accord.settings import default_home


def run(
    *,
    json_line: bool = False,
    state_dir: Path | None = None,
    ports: Mapping[str, int] | None = None,
    vendors: Sequence[str] | None = None,
    seed: int = 1,
) -> None:
    """Serve until SIGINT or SIGTERM.

    With `json_line` prints one line `{vendor: {url, ca_file, credentials, admin_url}}` and nothing else; that line
    holds secrets. Raises KeyError for an unknown vendor, OSError when a port is taken.
    """
    home = state_dir or default_home() / "sandbox"
    _run_loop(_serve(build(vendors, seed), home, ports or {}, json_line=json_line))


def build(vendors: Sequence[str] | None = None, seed: int = 1) -> list[Simulator]:
    """Fresh simulators (all by default), with one business clock for all of them."""
    clock, wall = ShiftableClock(), WallClock()
    return [VENDORS[vendor](clock=clock, wall=wall, seed=seed) for vendor in vendors or VENDORS]


async def _serve(simulators: Sequence[Simulator], home: Path, ports: Mapping[str, int], *, json_line: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serve(simulators, ports=ports, state_dir=home) as running:
        line = orjson.dumps(running.description()).decode() if json_line else _for_people(running)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        await stop.wait()


def _for_people(running: Running) -> str:
    lines = [f"Certificate authority: {running.ca_file}"]
    for name, served in running.vendors.items():
        lines += [f"{name}: {served.url}", f"  credentials: {served.admin_url}/credentials"]
    return "\n".join([*lines, "Ctrl-C stops the sandbox; what it holds is then forgotten."])


def _run_loop(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform: asyncio's own loop does the same, 20 % dearer
        asyncio.run(work)
    else:
        uvloop.run(work)
