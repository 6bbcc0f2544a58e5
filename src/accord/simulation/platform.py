"""Accord itself as the simulation runs it: worker processes and a server with the platform's own door, each of which
can be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import copy_context
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from accord.api.door import Door, Entrances
from accord.api.shelf import Shelf
from accord.app import House, Outside, prepare_session
from accord.connect.store import Connection
from accord.connect.transport import Wire
from accord.connect.vault import Vault
from accord.engine import statements
from accord.engine.lease import Lease
from accord.engine.story import Process
from accord.engine.worker import Pace
from accord.settings import Settings
from accord.simulation.loop import INCARNATION, Incarnation, Look, VirtualLoop
from accord.simulation.sessions import Server, SimulatedPool
from accord.simulation.vendors import Vendors
from accord.worker_process import Cadence, WorkerProcess

BEAT_SECONDS = Look(1)
CADENCE = Cadence(
    routing=Look(5), rating=Look(30), binding=Look(30), polls=Look(5), pushes=Look(5), take_over=Look(3),
    budgets=Look(5), housekeeping=Look(10), sealing=60.0, months=1e12, promises=1e12, unexplained=1e12,
    reconciling=1e12,
    late=1800.0,
)  # fmt: skip
PACE = Pace(claim=100, in_memory=200, poll_seconds=Look(3), timers_seconds=Look(3), collect_seconds=1e9)
POLL_EVERY_SECONDS = 120.0  # and at every stop of the world
VAULT = Vault([hashlib.sha256(b"simulation").digest()])


def lease_on(server: Server) -> type[Lease]:
    """A lease whose heart is a task of the loop instead of a thread."""

    class VirtualLease(Lease):
        def _start(self) -> None:
            server.leases.append((INCARNATION.get(), self))
            self._task = asyncio.get_running_loop().create_task(self._beats())

        async def _beats(self) -> None:
            session = await server.connect()
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                started = self._clock()
                with contextlib.suppress(psycopg.Error):
                    cursor = await session.execute(statements.BEAT, {"worker": self.worker_id})
                    if not self.beaten(started, cursor.rowcount):
                        return

        def beat_through(self, seconds: float) -> None:
            """It has beaten all the while."""
            self._deadline += seconds

        def end(self) -> None:
            server.leases = [each for each in server.leases if each[1] is not self]
            self._task.cancel()

    return VirtualLease


class SimulatedOutside(Outside):
    """A simulated process's sessions, notices, heart, clock and wires."""

    def __init__(self, house: House, server: Server, vendors: Vendors, loop: VirtualLoop, notices: Notices) -> None:
        super().__init__(house)
        self._server = server
        self._vendors = vendors
        self._notices = notices
        self.monotonic = loop.time

    async def connect(self) -> Any:
        session = await self._server.connect()
        await prepare_session(session)
        return session

    async def register(self, db: Any) -> Lease:
        return await lease_on(self._server).register(db, self._server.url, self.monotonic)

    async def notices(self) -> AsyncIterator[str]:
        mine: asyncio.Queue[str] = asyncio.Queue()
        self._notices.listeners.append(mine)
        try:
            while True:
                yield await mine.get()
        finally:
            self._notices.listeners.remove(mine)

    def wire(self, connection: Connection) -> Wire | None:
        return self._vendors.wire(connection.vendor)


class Notices:
    """Tells every listening process what PostgreSQL has notified."""

    def __init__(self) -> None:
        self.listeners: list[asyncio.Queue[str]] = []

    def tell(self, channels: list[str]) -> None:
        for queue in self.listeners:
            for channel in channels:
                queue.put_nowait(channel)


class Part:
    """One simulated process: started, killed, started again."""

    def __init__(self, name: str, platform: Platform) -> None:
        self.name = name
        self.platform = platform
        self.lives = 0
        self.incarnation: Incarnation | None = None
        self.skew = timedelta(0)
        self.processes: Mapping[str, Process] | None = None
        self.outside: SimulatedOutside
        self.house: House

    @property
    def alive(self) -> bool:
        return self.incarnation is not None and not self.incarnation.dead

    def start(self) -> None:
        self.lives += 1
        self.incarnation = Incarnation(f"{self.name}.{self.lives}")
        self.platform.all_lives.append(self.incarnation)
        context = copy_context()
        context.run(INCARNATION.set, self.incarnation)
        self.house = self.platform.house(lambda: self.platform.now() + self.skew)
        self.outside = self.platform.outside(self.house)
        context.run(asyncio.get_running_loop().create_task, self._run())

    def kill(self) -> None:
        assert self.incarnation is not None
        self.platform.loop.kill(self.incarnation)
        self.platform.server.cut(self.incarnation)

    async def _run(self) -> None:
        raise NotImplementedError


class WorkerPart(Part):
    """`accord worker`."""

    async def _run(self) -> None:
        platform = self.platform
        worker = WorkerProcess(
            self.house,
            pace=PACE,
            poll_seconds=POLL_EVERY_SECONDS,
            outside=self.outside,
            cadence=CADENCE,
            processes=self.processes or platform.processes,
            seed=platform.seed,
        )
        await worker.run()


class ServerPart(Part):
    """`accord serve`, of which only the door for pushes is used."""

    door: Door | None = None

    async def _run(self) -> None:
        shelf = Shelf(self.outside.connect)
        entrances = Entrances(self.house.pool, self.house.vault, self.outside.monotonic)
        self.door = Door(_nothing_behind, look=entrances.of, shelf=shelf, now=self.house.now)

    def kill(self) -> None:
        self.door = None
        super().kill()

    async def take(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes] | None:
        """Hand a push to the door of this life; None when the process dies or is dead."""
        door, life = self.door, self.incarnation
        if door is None or life is None or life.dead:
            return None
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[int, bytes]] = loop.create_future()
        context = copy_context()
        context.run(INCARNATION.set, life)
        context.run(loop.create_task, _ask(door, path, headers, body, done))
        try:
            async with asyncio.timeout(10):
                return await done
        except TimeoutError:
            return None


class Platform:
    """All simulated processes of one seed on one database."""

    def __init__(
        self,
        loop: VirtualLoop,
        server: Server,
        vendors: Vendors,
        *,
        now: Callable[[], datetime],
        processes: Mapping[str, Process],
        seed: int,
        home: Path,
    ) -> None:
        self.loop, self.server, self.vendors = loop, server, vendors
        self.now, self.processes, self.seed = now, processes, seed
        self.all_lives: list[Incarnation] = []
        self.notices = Notices()
        self._settings = Settings(home=home)
        self.web = ServerPart("server", self)
        self.workers = [WorkerPart("first", self), WorkerPart("second", self)]

    def house(self, now: Callable[[], datetime]) -> House:
        async def connect() -> Any:
            session = await self.server.connect()
            await prepare_session(session)
            return session

        pool: Any = SimulatedPool(connect)
        return House(self._settings, self.server.url, pool, VAULT, now)

    def outside(self, house: House) -> SimulatedOutside:
        return SimulatedOutside(house, self.server, self.vendors, self.loop, self.notices)

    def start(self) -> None:
        self.web.start()
        for each in self.workers:
            each.start()


async def _nothing_behind(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001  (an ASGI app)
    raise AssertionError("only pushes come to this door")


async def _ask(door: Door, path: str, headers: Mapping[str, str], body: bytes, done: asyncio.Future[Any]) -> None:
    """One request to the ASGI door."""
    answer: dict[str, Any] = {"status": 500, "body": b""}

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        answer["status"] = message.get("status", answer["status"])
        answer["body"] += message.get("body", b"")

    sent = {"content-length": str(len(body)), **headers}
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
    }
    await door(scope, receive, send)
    if not done.done():
        done.set_result((answer["status"], answer["body"]))
