"""A firm at work: simulated vendors, server and workers as processes of their own, and a pipeline that is loaded."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from accord.app import open_house, open_switchboard
from accord.cli.importing import SETTLED
from accord.demo.children import Child, end, start
from accord.demo.play import start_sandbox
from accord.demo.running import SETTINGS, firm
from accord.demo.setup import connect_sandbox
from accord.demo.world import World
from accord.imports.crm_pipeline import load
from accord.imports.pipeline_files import Pipeline, read_pipeline
from accord.imports.salesforce_client import SalesforceClient
from accord.invariants import check_settled
from accord.settings import Settings
from accord.simulation.holdings import holdings
from tests.e2e.commands import free_port
from tests.e2e.subset import real_pipeline

REST_SECONDS = 240
UNREACHABLE_SECONDS = 60
OPEN_EFFECTS = "SELECT count(*) FROM effect WHERE state IN (0, 1, 4)"
DATABASE_GONE = (psycopg.OperationalError, psycopg.InterfaceError)


@dataclass
class Scene:
    """Everything of one fault test. Children are ended by their own pid."""

    settings: Settings
    url: str
    pipeline: Pipeline
    world: World
    crm: SalesforceClient
    push_secrets: Mapping[str, str]
    workers: list[Child] = field(default_factory=list)
    server: Child | None = None
    deaths: int = 0
    started_at: float = field(default_factory=time.monotonic)

    @property
    def won(self) -> list[str]:
        return [each.id for each in self.pipeline.opportunities if each.won]

    def hire(self, count: int = 1) -> None:
        self.workers += [start(self.settings, ["worker"]) for _ in range(count)]

    def serve(self) -> None:
        self.server = start(self.settings, ["serve"])

    def kill(self, process: Child) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.deaths += 1

    def kill_worker(self, index: int) -> None:
        """SIGKILL and, as a service manager would, a new one at once."""
        self.kill(self.workers[index])
        self.workers[index] = start(self.settings, ["worker"])

    def kill_server(self) -> None:
        assert self.server is not None
        self.kill(self.server)
        self.serve()

    def ask(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Rows; a database that is away is asked again for a minute."""
        deadline = time.monotonic() + UNREACHABLE_SECONDS
        while True:
            try:
                with psycopg.connect(self.url, connect_timeout=5) as db:
                    return db.execute(query, parameters).fetchall()
            except DATABASE_GONE:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def standing(self) -> dict[str, int]:
        row = self.ask(SETTLED, {"numbers": self.won})[0]
        return dict(zip(("won", "started", "activated", "parked"), row, strict=True))

    async def load(self) -> None:
        report = await load(self.crm, self.pipeline, at_once=1)
        assert not report.rejections

    async def rest(self, seconds: float = REST_SECONDS) -> dict[str, int]:
        """Until every won deal is a project or a case and every effect has ended."""
        deadline, wanted = time.monotonic() + seconds, len(self.won)
        while True:
            seen = await asyncio.to_thread(self.standing)
            open_effects = (await asyncio.to_thread(self.ask, OPEN_EFFECTS))[0][0]
            if seen["won"] == seen["started"] == seen["activated"] + seen["parked"] == wanted and not open_effects:
                return seen
            assert time.monotonic() < deadline, f"{seen}, {open_effects} effects open, {wanted} won, after {seconds} s"
            await asyncio.sleep(0.5)

    async def prove(self, what: str, **figures: Any) -> None:
        """Come to rest, ask every invariant with what the vendors hold, and print the figures."""
        seen = await self.rest()
        states: Mapping[str, Any] = {name: await self.world.state(name) for name in SETTINGS}
        held = holdings(states)
        broken = await asyncio.to_thread(check_settled, self.ask, held)
        assert not broken, "\n".join(map(str, broken[:20]))
        keys = [(each.connection, each.kind, each.key) for each in held if each.key]
        twice = len(keys) - len(set(keys))
        assert twice == 0
        told = {**seen, "objects": len(keys), "duplicates": twice, "kills": self.deaths, **figures}
        seconds = time.monotonic() - self.started_at
        print(f"\n  {what}: {', '.join(f'{name} {value}' for name, value in told.items())}; {seconds:.0f} s")


def slice_of(deals: int) -> Pipeline:
    """Deals taken evenly from the whole real pipeline, with every account."""
    whole = read_pipeline(real_pipeline())
    step = max(1, len(whole.opportunities) // deals)
    return replace(whole, opportunities=whole.opportunities[::step][:deals])


@asynccontextmanager
async def scene(home: Path, url: str | None, *, deals: int = 300, workers: int = 3) -> AsyncIterator[Scene]:
    """Vendors, connections and workers; `url` None is the embedded database of `home`."""
    secret = None if url is None else SecretStr(url)
    settings = Settings(home=home, port=free_port(), database_url=secret)
    pipeline = await asyncio.to_thread(slice_of, deals)
    vendors, sandbox = await asyncio.to_thread(_vendors, settings)
    here: Scene | None = None
    try:
        async with open_house(settings) as house:
            secrets = await connect_sandbox(house, sandbox, settings=SETTINGS, firm=firm(pipeline.products))
            switchboard, address = await open_switchboard(house), house.url
        session = switchboard.session("salesforce")
        async with World(sandbox, session) as world:
            here = Scene(settings, address, pipeline, world, SalesforceClient(session), secrets)
            here.hire(workers)
            try:
                yield here
            finally:
                await switchboard.close()
    finally:
        children = [] if here is None else [*here.workers, *([here.server] if here.server else [])]
        for process in children:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
        await asyncio.to_thread(end, [*children, *vendors])


def _vendors(settings: Settings) -> tuple[list[subprocess.Popen[bytes]], dict[str, dict[str, Any]]]:
    from accord.demo import play

    places = start_sandbox(settings, 1)
    started = list(play._children)  # noqa: SLF001  (they are ours to end)
    play._children.clear()  # noqa: SLF001
    return started, places


async def until(true: Callable[[], bool], what: str, *, within: float) -> None:
    """Wait until something is so; AssertionError when it is not within so many seconds."""
    deadline = time.monotonic() + within
    while not await asyncio.to_thread(true):
        assert time.monotonic() < deadline, f"no {what} after {within} s"
        await asyncio.sleep(0.2)
