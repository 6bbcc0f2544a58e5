"""Vendors that do what a test tells them, and a workshop that runs workers on a test's own database."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import psycopg

from accord.db import documents
from accord.engine import eventlog, lease, router
from accord.engine.lease import Lease
from accord.engine.outcomes import Absent, Committed, Outcome, Unknown, Write
from accord.engine.shell import Changed, NotBound
from accord.engine.story import Process, ReadPolicy, effect
from accord.engine.turning import fact_row
from accord.engine.worker import Pace, Worker
from accord.model.events import Fact

LOST = "the vendor does it and its answer is lost"
VANISHED = "the request is lost on the way"
PATIENCE_SECONDS = 15.0


@dataclass(frozen=True)
class Thing:
    id: str
    name: str = "thing"


def put(id: str, name: str = "thing", **more: Any) -> Any:
    return effect("erp", "put", "thing", Thing(id, name), f"Put {id}", **more)


class Scripted:
    """The engine's `Vendors`. By default every write is done; `script[canonical_id]` says otherwise, write by write:
    an outcome, LOST, VANISHED, or something to await first. `done` is what the vendor holds, in order."""

    def __init__(self, *, parallel: int = 50, batch: int = 10, grace: float = 0.05) -> None:
        self.script: defaultdict[str, deque[Any]] = defaultdict(deque)
        self.probes: defaultdict[str, deque[Any]] = defaultdict(deque)
        self.limit = parallel
        self.batch = batch
        self.grace = grace
        self.sent: list[Write] = []
        self.probed: list[Write] = []
        self.done: list[Write] = []
        self.paused: set[str] = set()
        self.under_way: Counter[str] = Counter()
        self.most_under_way = 0

    def objects(self) -> dict[str, Any]:
        return {write.canonical_id: dict(write.body) for write in self.done}

    def times(self, id: str) -> int:
        return sum(write.canonical_id == id for write in self.done)

    def connection_for(self, role: str, legal_entity: str, on: date) -> str:
        if role == "nobody":
            raise NotBound("no connection plays the role 'nobody'")
        return role

    def batch_size(self, connection: str, kind: str, verb: str) -> int:
        return self.batch

    def grace_seconds(self, connection: str, kind: str, verb: str) -> float:
        return self.grace

    def parallel(self, connection: str) -> int:
        return 0 if connection in self.paused else self.limit

    async def send(self, connection: str, kind: str, verb: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        self.sent.extend(writes)
        self.under_way[connection] += 1
        self.most_under_way = max(self.most_under_way, self.under_way[connection])
        try:
            return [await self._send(write) for write in writes]
        finally:
            self.under_way[connection] -= 1

    async def _send(self, write: Write) -> Outcome:
        script = self.script[write.canonical_id]
        step = script.popleft() if script else None
        if callable(step):
            await step()
            step = script.popleft() if script else None
        if step is VANISHED:
            return Unknown("connection reset")
        if step is None or step is LOST or isinstance(step, Committed):
            self.done.append(write)
        if step is LOST:
            return Unknown("time-out")
        return Committed(f"V-{write.canonical_id}") if step is None else step

    async def probe(self, connection: str, kind: str, verb: str, write: Write) -> Outcome:
        self.probed.append(write)
        if self.probes[write.canonical_id]:
            return self.probes[write.canonical_id].popleft()  # type: ignore[no-any-return]
        if any(done.key == write.key for done in self.done):
            return Committed(f"V-{write.canonical_id}")
        return Absent()


@dataclass
class Known:
    """The engine's `Knowledge`, in memory. `refuse` is what the ledger says to an entry of that name."""

    records: dict[tuple[str, str], Any] = field(default_factory=dict)
    kept: dict[tuple[str, str], Any] = field(default_factory=dict)
    posted: list[str] = field(default_factory=list)
    refuse: dict[str, Exception] = field(default_factory=dict)

    async def read(self, connection: Any, readings: Sequence[Any]) -> list[Any]:
        return [
            self.records.get(("policy", each.name) if isinstance(each, ReadPolicy) else (each.kind, each.id))
            for each in readings
        ]

    async def keep(self, connection: Any, objects: Sequence[Any], at: datetime) -> None:
        after = dict(self.records)
        for each in objects:
            about = (each.kind, each.id)
            if each.instead_of is not None and after.get(about) != each.instead_of:
                raise Changed(f"{each.id} was changed meanwhile")
            after[about] = each.body
        self.records.update(after)
        self.kept.update({(each.kind, each.id): each.body for each in objects})

    async def post(self, connection: Any, entries: Sequence[Any], at: datetime) -> None:
        for name, _, _ in entries:
            if name in self.refuse:
                raise self.refuse[name]
            if name == "unbalanced":
                await connection.execute(
                    "INSERT INTO billable_item VALUES ('i', 'k', 'e', 'US', 'USD', 10, 's', 's', now())"
                    " ON CONFLICT DO NOTHING"
                )
                await connection.execute(
                    "INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount,"
                    " worked_on, entry, cause, posted_at)"
                    " VALUES ('i', 1, 'e', 'US', 'USD', 'wip', 1, now(), 'unbalanced', 'c', now())"
                )
            self.posted.append(name)


@dataclass
class Running:
    """A worker at work in this process."""

    worker: Worker
    lease: Lease
    task: asyncio.Task[None]

    async def end(self) -> None:
        self.worker.stop()
        await self.task
        self.lease.end()


@dataclass
class Workshop:
    """Starts stories, runs workers, and looks at what the database says."""

    url: str
    db: Any
    vendors: Scripted
    knowledge: Known = field(default_factory=Known)
    processes: dict[str, Process] = field(default_factory=dict)
    pace: Pace = field(default_factory=lambda: Pace(poll_seconds=0.05, timers_seconds=0.02))
    running: list[Running] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def connect(self) -> Any:
        connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
        documents.adopt(connection)
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        return connection

    async def work(self, *, vendors: Scripted | None = None, processes: Mapping[str, Process] | None = None) -> Running:
        held = await Lease.register(self.db, self.url)
        worker = Worker(
            self.connect,
            self.processes if processes is None else processes,
            vendors or self.vendors,
            self.knowledge,
            lease=held,
            pace=self.pace,
            now=self.now,
        )
        running = Running(worker, held, asyncio.create_task(worker.run()))
        self.running.append(running)
        return running

    async def start(
        self, story: Process, subject: str, *, one_per: str | None = None, priority: int = 1, **payload: Any
    ) -> int:
        self.processes.setdefault(story.name, story)
        fact = {
            "type": "test.began",
            "subject": subject,
            "occurred_at": "2026-01-01T00:00:00+00:00",
            "actor": "test",
            "payload": payload,
        }
        row = {
            "name": story.name,
            "version": story.version,
            "one_per": one_per or f"{subject} {len(payload)} {time.monotonic_ns()}",
            "subject": subject,
            "correlation": None,
            "trigger": fact,
            "priority": priority,
        }
        async with self.db.transaction():
            ids = await router.start(self.db, [row])
        for each in self.running:
            each.worker.wake()
        return ids[0]

    async def tell(self, type: str, subject: str, **payload: Any) -> None:
        fact = Fact(type, subject, datetime.now(UTC).isoformat(), "test", payload)
        async with self.db.transaction():
            await eventlog.append(self.db, [fact_row(fact, None, None)])

    async def route(self) -> None:
        """Route all facts there are. One is final, and routed, when no older transaction is running any more."""
        last = await self.one("SELECT max(seq) FROM event")
        async with await self.connect() as connection:

            async def routed() -> Any:
                await router.route(connection, self.processes)
                return await self.one(
                    "SELECT count(*) = 0 FROM event e, event_cursor c WHERE (e.xid, e.seq) > (c.xid, c.seq)"
                    " AND e.seq <= %s",
                    last,
                )

            await self.until(routed, "the facts to be routed")

    async def until(self, condition: Callable[[], Awaitable[Any]], what: str = "it to happen") -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for each in self.running:
                if each.task.done() and each.task.exception() is not None:
                    raise AssertionError("a worker ended") from each.task.exception()
            if value := await condition():
                return value
            await asyncio.sleep(0.01)
        states = await self.all("SELECT process_id, state, owner FROM open_process")
        effects = await self.all("SELECT id, canonical_id, state FROM effect ORDER BY id")
        raise AssertionError(f"waited too long for {what}: {states} {effects}")

    async def finished(self, *ids: int) -> list[Any]:
        """The results of these stories, once all have ended."""

        async def all_ended() -> Any:
            rows = await self.all(
                "SELECT result FROM process WHERE id = ANY(%s) AND end_state IS NOT NULL ORDER BY id", list(ids)
            )
            return rows if len(rows) == len(ids) else None

        return [row[0] for row in await self.until(all_ended, f"the end of {ids}")]

    async def parked(self, id: int) -> dict[str, Any]:
        """The open case of a story, once it is parked."""

        async def case() -> Any:
            cursor = await self.db.execute(
                "SELECT c.* FROM business_case c JOIN open_process o ON o.process_id = c.process_id AND o.state = 3"
                " WHERE c.process_id = %s AND c.state = 'open' ORDER BY c.id",
                [id],
            )
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]

        found = await self.until(case, f"process {id} to be parked")
        assert len(found) == 1, found
        return found[0]  # type: ignore[no-any-return]

    async def state(self, id: int, wanted: int) -> None:
        async def is_so() -> Any:
            return await self.one("SELECT state = %s FROM open_process WHERE process_id = %s", wanted, id)

        await self.until(is_so, f"process {id} in state {wanted}")

    async def all(self, query: str, *parameters: Any) -> list[Any]:
        return await (await self.db.execute(query, list(parameters))).fetchall()  # type: ignore[no-any-return]

    async def one(self, query: str, *parameters: Any) -> Any:
        row = await (await self.db.execute(query, list(parameters))).fetchone()
        return None if row is None else row[0]

    async def effects(self, process_id: int) -> list[tuple[str, int]]:
        return await self.all("SELECT canonical_id, state FROM effect WHERE process_id = %s ORDER BY id", process_id)

    async def fence(self, running: Running) -> None:
        """Make a worker look silent, and take its work over, with no heartbeat in between."""
        async with self.db.transaction():
            await self.db.execute(
                "UPDATE worker_heartbeat SET at = at - interval '1 hour' WHERE worker_id = %s",
                [running.lease.worker_id],
            )
            await lease.take_over(self.db)


@asynccontextmanager
async def workshop(url: str, **vendors: Any) -> AsyncIterator[Workshop]:
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    documents.adopt(connection)
    async with connection:
        shop = Workshop(url, connection, Scripted(**vendors))
        try:
            yield shop
        finally:
            for each in shop.running:
                if not each.task.done():
                    each.task.cancel()
                each.lease.end()
            await asyncio.gather(*(each.task for each in shop.running), return_exceptions=True)
