"""The flow that is measured, and a worker process for it: `python -m bench.flow URL VENDOR`, then `go`, then `stop`."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import aiohttp
import psycopg
import uvloop

from accord.db import documents
from accord.engine.lease import Lease, leave
from accord.engine.outcomes import Committed, Outcome, Write
from accord.engine.story import Process, effect, process
from accord.engine.worker import Worker
from accord.model.events import Fact
from bench import cpu, waits


@dataclass(frozen=True)
class Thing:
    id: str
    name: str = "a thing of the bench"


@process(starts_on="bench.go")
async def five(fact: Fact) -> str:
    """Five effects, one after the other."""
    for number in range(5):
        await effect("erp", "put", "thing", Thing(f"{fact.subject}-{number}"), "Put a thing")
    return "done"


FLOWS: dict[str, Process] = {"five": five}


class NullVendor:
    """Answers at once."""

    def connection_for(self, role: str, legal_entity: str, on: date) -> str:  # noqa: ARG002
        return "null"

    def batch_size(self, connection: str, kind: str, verb: str) -> int:  # noqa: ARG002
        return 100

    def grace_seconds(self, connection: str, kind: str, verb: str) -> float:  # noqa: ARG002
        return 1.0

    def parallel(self, connection: str) -> int:  # noqa: ARG002
        return 1000

    async def send(self, connection: str, kind: str, verb: str, writes: Sequence[Write]) -> Sequence[Outcome]:  # noqa: ARG002
        return [Committed() for _ in writes]

    async def probe(self, connection: str, kind: str, verb: str, write: Write) -> Outcome:  # noqa: ARG002
        return Committed()

    async def close(self) -> None:
        """Nothing is open."""


class MillisecondVendor(NullVendor):
    """Takes a millisecond, one effect a call."""

    def batch_size(self, connection: str, kind: str, verb: str) -> int:  # noqa: ARG002
        return 1

    async def send(self, connection: str, kind: str, verb: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        await asyncio.sleep(0.001)
        return await super().send(connection, kind, verb, writes)


class HttpVendor(NullVendor):
    """One HTTP call an effect to a stub on this machine."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http: aiohttp.ClientSession | None = None

    def batch_size(self, connection: str, kind: str, verb: str) -> int:  # noqa: ARG002
        return 1

    def parallel(self, connection: str) -> int:  # noqa: ARG002
        return 32

    async def send(self, connection: str, kind: str, verb: str, writes: Sequence[Write]) -> Sequence[Outcome]:  # noqa: ARG002
        if self._http is None:
            self._http = aiohttp.ClientSession()
        async with self._http.put(f"{self._url}/{writes[0].canonical_id}", json=dict(writes[0].body)) as answer:
            await answer.read()
            return [Committed()]

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()


class NoKnowledge:
    """The measured flow reads and keeps nothing."""

    async def read(self, connection: Any, readings: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        return [None for _ in readings]

    async def keep(self, connection: Any, objects: Any, at: Any) -> None:
        """Nothing."""

    async def post(self, connection: Any, entries: Any, at: Any) -> None:
        """Nothing."""


def vendor_of(name: str) -> NullVendor:
    if name.startswith("http:"):
        return HttpVendor(name)
    return {"null": NullVendor, "millisecond": MillisecondVendor}[name]()


async def work(url: str, vendor: str) -> None:
    backends: list[int] = []

    async def connect(name: str = waits.APPLICATION) -> Any:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, application_name=name)
        backends.append(connection.info.backend_pid)
        documents.adopt(connection)
        await connection.execute("SELECT set_config('plan_cache_mode', 'force_generic_plan', false)")
        return connection

    first = await connect("accord bench")
    lease = await Lease.register(first, url)
    system = vendor_of(vendor)
    worker = Worker(connect, FLOWS, system, NoKnowledge(), lease=lease)
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    before = cpu.spent(backends)
    listening = asyncio.create_task(_listen(connect, worker))
    working = asyncio.create_task(worker.run())
    await loop.run_in_executor(None, sys.stdin.readline)
    used = cpu.spent(backends).since(before)
    worker.stop()
    await working
    listening.cancel()
    await system.close()
    lease.end()
    await leave(first, lease.worker_id)
    await first.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = {"mb": peak, "turns": worker.turns, "python": used.python, "postgres": used.postgres}
    print(json.dumps(told), flush=True)


async def _listen(connect: Any, worker: Worker) -> None:
    connection = await connect("accord bench")
    async with connection:
        await connection.execute("LISTEN accord_ready")
        async for _ in connection.notifies():
            worker.wake()


if __name__ == "__main__":
    uvloop.run(work(sys.argv[1], sys.argv[2]))
