"""`accord demo`: starts everything, plays the story, checks it, prints the address, and stays up."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from accord.app import House, open_house, open_switchboard
from accord.db.pool import transaction
from accord.demo import timesheets
from accord.demo.checks import held, summarise
from accord.demo.children import Child, end, require_free_port, run_to_its_end, start
from accord.demo.progress import Stage
from accord.demo.pushes import subscribe
from accord.demo.setup import connect_sandbox
from accord.demo.story import Places, Story
from accord.demo.world import World
from accord.errors import CheckFailed, Unavailable, UsageError
from accord.governance import keys
from accord.settings import Settings

START_SECONDS = 60
STEPS = 15


def run(*, once: bool, json_file: Path | None) -> None:
    """Play the story. Raises CheckFailed when a check does not hold, UsageError when `json_file` cannot be written."""
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {json_file.absolute().parent} to write the summary to; make it first")
    run_to_its_end(_run(Settings(), once=once, json_file=json_file))


async def _run(settings: Settings, *, once: bool, json_file: Path | None) -> None:
    console = Console(stderr=True)
    started = time.monotonic()
    # Vendors of its own, so that earlier demonstrations in this database stay as they are.
    seed = secrets.randbelow(2**31)
    require_free_port(settings)
    async with open_house(settings) as house, processes(house, seed=seed) as sandbox:
        drop = await timesheets.prepare(house)
        base_url = await start_platform(house, sandbox)
        async with (
            await open_switchboard(house) as switchboard,
            World(sandbox, switchboard.session("salesforce")) as world,
        ):
            before = await held(world)
            with Stage(house.pool, STEPS, console=console) as stage:
                async with portal(house) as tell:
                    told = await Story(world, stage, house.now().date(), Places(drop, tell)).play()
            summary = await summarise(house, world, told, before)
        summary["seconds"] = round(time.monotonic() - started, 1)
        if json_file is not None:
            await asyncio.to_thread(json_file.write_text, json.dumps(summary, indent=2, default=str) + "\n")
        failed = sorted(name for name, holds in summary["checks"].items() if not holds)
        console.print(
            f"{len(summary['checks']) - len(failed)} of {len(summary['checks'])} checks hold, {summary['seconds']} s"
        )
        if failed:
            raise CheckFailed(f"these checks do not hold: {', '.join(failed)}")
        if not once:
            console.print(f"\nLook at it: {base_url}\n(Ctrl-C ends it)", soft_wrap=True)
            await asyncio.Event().wait()


@asynccontextmanager
async def portal(house: House) -> AsyncIterator[Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[None]]]:
    """Tells work by a push, as a portal with a key of its own does; the key is revoked with the block."""
    async with transaction(house.pool) as db:
        key = await keys.create_key(db, "expense portal", ["operate"], [], house.now())
        principal = await keys.find(db, key)
    base_url = f"http://{house.settings.host}:{house.settings.port}"

    async def tell(source: str, entries: Sequence[Mapping[str, Any]]) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{base_url}/api/system/v1/work/{source}"
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, json={"entries": entries}, headers=headers) as answer,
        ):
            told = await answer.text()
            if answer.status != 200 or json.loads(told)["problems"]:
                raise CheckFailed(f"{source} was answered {answer.status}: {told[:500]}")

    try:
        yield tell
    finally:
        if principal is not None:
            async with transaction(house.pool) as db:
                await keys.revoke(db, principal.id, "demo", house.now())


_children: list[Child] = []


@asynccontextmanager
async def processes(house: House, *, seed: int = 1) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """The simulated vendors as a process of their own; every process started is ended with the block, also when this
    one is asked to end by SIGTERM."""
    loop, block = asyncio.get_running_loop(), asyncio.current_task()
    assert block is not None
    loop.add_signal_handler(signal.SIGTERM, block.cancel)
    try:
        yield await asyncio.to_thread(start_sandbox, house.settings, seed)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        await asyncio.to_thread(end, list(_children))
        _children.clear()


def start_sandbox(settings: Settings, seed: int) -> dict[str, dict[str, Any]]:
    """Start `accord sandbox --json`; what it says of each vendor."""
    process = child(settings, ["sandbox", "--json", "--seed", str(seed)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise Unavailable("the simulated vendors did not start; see the log folder in ACCORD_HOME")
    places: dict[str, dict[str, Any]] = json.loads(line)
    return places


def child(settings: Settings, arguments: list[str], **options: Any) -> Child:
    """A process of Accord's own that ends with the block of `processes`."""
    started = start(settings, arguments, **options)
    _children.append(started)
    return started


async def start_platform(house: House, sandbox: Mapping[str, Mapping[str, Any]], *, workers: int = 1) -> str:
    """Connect the simulated vendors, start server and workers, subscribe to pushes; the address of the pages."""
    polls = {name: {"poll_seconds": 1.0} for name in sandbox}
    push_secrets = await connect_sandbox(house, sandbox, settings=polls, anew=True)
    base_url = f"http://{house.settings.host}:{house.settings.port}"
    await subscribe(house, sandbox, base_url, push_secrets)
    for _ in range(workers):
        child(house.settings, ["worker"])
    child(house.settings, ["serve"])
    await _answers(base_url)
    return await sign_in_address(house, base_url)


async def sign_in_address(house: House, base_url: str) -> str:
    """The address of the pages with a sign-in token that works once; the demonstration hides no cost."""
    from accord.web.sign_in import one_time_address

    address: str = await one_time_address(house.pool, base_url, house.now(), ("operate", "costs"))
    return address


async def _answers(base_url: str) -> None:
    async with aiohttp.ClientSession() as http:
        for _ in range(START_SECONDS * 10):
            try:
                async with http.get(f"{base_url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise Unavailable(f"the server did not answer within {START_SECONDS} s; see the log folder in ACCORD_HOME")
