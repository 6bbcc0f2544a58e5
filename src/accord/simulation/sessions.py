"""How simulated processes speak with PostgreSQL.

Each statement is performed to its end before anything else runs, with one scheduling point before it: there another
part may go first, or the process may die. What a pipeline sends together, up to the next answer that is read, is one
such step: nothing of it reaches PostgreSQL before. A statement that waits for a row another simulated process has
locked lets the others go on; it is performed to its end as soon as the lock is let go. Whether it waits is
PostgreSQL's word, so the order is the same every time.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline, AsyncTransaction, generators, pq, waiting
from psycopg._preparing import PrepareManager
from psycopg.conninfo import make_conninfo

from accord.simulation.loop import INCARNATION, Incarnation
from accord.simulation.writes import Writes, writes_of

if TYPE_CHECKING:
    from accord.simulation.database import Database

PATIENCE_MS = 3
READABLE, WRITABLE = select.POLLIN | select.POLLHUP | select.POLLERR, select.POLLOUT
MOST_PLANS = 1000
IDLE, ACTIVE = pq.TransactionStatus.IDLE, pq.TransactionStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Fate:
    """What befalls a process at one statement: a pause before it, death before it reaches PostgreSQL or after it was
    performed and before the process learns of it. `die` kills the process; it is called at that moment."""

    pause: float = 0.0
    die_before: Callable[[], None] | None = None
    die_after: Callable[[], None] | None = None


STEADY = Fate()


class Backend:
    """One session of PostgreSQL with the statements it has prepared. It outlives those who use it: to open one, and to
    plan everything anew, costs more than all that a short life asks of it."""

    def __init__(self, pgconn: Any, number: int) -> None:
        self.pgconn = pgconn
        self.number = number
        self.pid: int = pgconn.backend_pid
        self.plans = PrepareManager()
        self.plans.prepare_threshold = 0
        self.plans.prepared_max = MOST_PLANS
        self.poll = select.poll()
        self.socket: int = pgconn.socket
        self.poll.register(self.socket, select.POLLIN)

    @classmethod
    def open(cls, url: str, number: int) -> Backend:
        connecting = generators.connect(make_conninfo(url, application_name="simulated"))
        return cls(waiting.wait_conn(connecting, interval=0.1), number)

    @property
    def usable(self) -> bool:
        return bool(self.pgconn.status == pq.ConnStatus.OK)

    def reset(self) -> bool:
        """Roll back what was begun. False when the session had to be ended, in the middle of something."""
        pgconn = self.pgconn
        if not self.usable:
            return True
        if pgconn.pipeline_status != pq.PipelineStatus.OFF or pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            self.end()
            return False
        if pgconn.transaction_status != pq.TransactionStatus.IDLE:
            pgconn.exec_(b"ROLLBACK")
        return True

    def end(self) -> None:
        if self.usable:
            self.pgconn.finish()


class Waiting:
    """A statement on its way through PostgreSQL."""

    __slots__ = ("_database", "_gen", "_wanted", "answer", "backend", "free")

    def __init__(self, database: Database, gen: Any, wanted: Any, backend: Backend) -> None:
        self._database, self._gen, self._wanted, self.backend = database, gen, wanted, backend
        self.answer: Any = None
        self.free: asyncio.Future[None] | None = None

    def go_on(self, *, waited: bool) -> bool:
        """Follow it to its end; False when it waits for a lock that somebody else will let go."""
        backend, gen = self.backend, self._gen
        poll, fd = backend.poll, backend.socket
        if waited and self._database.only_waits(backend.pid):
            return False
        try:
            while True:
                poll.modify(fd, _events(self._wanted))
                ready = poll.poll(PATIENCE_MS)
                if not ready:
                    if self._database.only_waits(backend.pid):
                        return False
                    continue
                seen = ready[0][1]
                state = (waiting.READY_R if seen & READABLE else 0) | (waiting.READY_W if seen & WRITABLE else 0)
                self._wanted = gen.send(waiting.Ready(state))
        except StopIteration as ended:
            self.answer = ended.value
        except BaseException as error:  # noqa: BLE001  (it is raised where the statement is awaited)
            self.answer = error
        return True


class Server:
    """PostgreSQL as one seed's processes see it: sessions, the clock, and who waits for whom."""

    def __init__(self, database: Database, *, time_of: Callable[[], float], epoch: float) -> None:
        self.database = database
        self.url = database.url
        self._time_of = time_of
        self._epoch = epoch
        self._blocked: list[Waiting] = []
        self._shown = -1.0
        self.statements = 0
        self.written: set[str] = set()  # the tables that were written, by what has been committed
        self.written_at = 0.0  # when, the last time
        self.leases: list[tuple[Incarnation | None, Any]] = []
        self.fate: Callable[[Incarnation], Fate] = lambda _: STEADY

    def ask(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """The answer of a question the simulation itself asks, outside of what is simulated."""
        self.set_clock()
        return self.database.monitor.execute(query, parameters).fetchall()

    def tell(self, statement: str, parameters: Any = None) -> None:
        """Change something from outside of what is simulated."""
        self.set_clock()
        self.wrote(writes_of(statement).tables)
        self.database.monitor.execute(statement, parameters)

    def wrote(self, tables: AbstractSet[str]) -> None:
        self.written |= tables
        self.written_at = self._time_of()

    def living(self) -> dict[int, Any]:
        """The leases of the workers that live, by worker."""
        return {
            lease.worker_id: lease
            for owner, lease in self.leases
            if owner is not None and not owner.dead and not lease.is_lost
        }

    def take_written(self) -> set[str]:
        """The tables that were written since last asked."""
        written, self.written = self.written, set()
        return written

    def set_clock(self) -> None:
        moment = self._time_of()
        if moment != self._shown:
            self._shown = moment
            self.database.show_time(round((self._epoch + moment) * 1e6))

    def perform(self, gen: Any, backend: Backend) -> Waiting:
        """Begin a statement and follow it as far as it goes."""
        self.set_clock()
        on_its_way = Waiting(self.database, gen, next(gen), backend)
        if not on_its_way.go_on(waited=False):
            on_its_way.free = asyncio.get_running_loop().create_future()
            self._blocked.append(on_its_way)
        return on_its_way

    def progressed(self) -> None:
        """Locks may have been let go: whoever waited for one goes on before anything else is asked."""
        again = True
        while again and self._blocked:
            again = False
            for each in list(self._blocked):
                if each in self._blocked and each.go_on(waited=True):
                    self._blocked.remove(each)
                    again = True
                    if each.free is not None and not each.free.done():
                        each.free.set_result(None)

    def forget(self, on_its_way: Waiting) -> None:
        if on_its_way in self._blocked:
            self._blocked.remove(on_its_way)

    def cut(self, incarnation: Incarnation) -> None:
        """Cut off every session of a dead process; PostgreSQL rolls back what it was doing."""
        cut = [each.cut_off() for each in incarnation.sessions]
        backends = [each for each in cut if each is not None]
        self._blocked = [each for each in self._blocked if each.backend not in backends]
        self.database.release(backends)
        incarnation.sessions.clear()
        self.progressed()

    async def connect(self) -> SimulatedSession:
        """A session for the simulated process that asks."""
        owner = INCARNATION.get()
        assert owner is not None, "only a simulated process opens sessions"
        return SimulatedSession(self, owner, self.database.backend())


class SimulatedCursor(AsyncCursor[Any]):
    """psycopg's own cursor. In a pipeline its statement only gets in line: it goes out with the next answer that is
    read."""

    _writes: Writes | None = None

    async def execute(self, query: Any, params: Any = None, *, prepare: Any = None, binary: Any = None) -> Any:
        self._writes = writes_of(query if isinstance(query, str) else str(query))
        if self._conn._pipeline is None:  # noqa: SLF001  (what psycopg's own cursor asks)
            return await super().execute(query, params, prepare=prepare, binary=binary)
        at_once(self._execute_gen(query, params, prepare=prepare, binary=binary))
        return self

    def copy(self, statement: Any, *arguments: Any, **more: Any) -> Any:
        session: Any = self._conn
        session.uncommitted |= writes_of(str(statement)).tables
        return super().copy(statement, *arguments, **more)

    def _set_results(self, results: Any) -> None:
        super()._set_results(results)
        writes = self._writes
        if writes is not None and writes.tables and (self.rowcount or not writes.counted):
            session: Any = self._conn
            session.uncommitted |= writes.tables


class SimulatedPipeline(AsyncPipeline):
    """psycopg's own pipeline, which sends nothing before an answer is read or the pipeline ends."""

    def _communicate_gen(self) -> Any:
        return
        yield

    def _fetch_gen(self, *, flush: bool) -> Any:
        if not self.result_queue:
            return
        while self.command_queue:
            self.command_queue.popleft()()
        if flush:
            self.pgconn.send_flush_request()
        yield from generators.send(self.pgconn)
        yield from super()._fetch_gen(flush=False)

    async def __aenter__(self) -> Self:
        if self.level:
            return await super().__aenter__()
        at_once(self._enter_gen())
        return self

    async def __aexit__(self, *about: Any) -> None:  # noqa: PYI036  (passed on)
        if self.command_queue or self.result_queue or self.pgconn.transaction_status == ACTIVE:
            await super().__aexit__(*about)
        else:
            self._exit(about[1])


class SimulatedSession(AsyncConnection[Any]):
    """psycopg's own connection; only how it waits for PostgreSQL is different."""

    def __init__(self, server: Server, owner: Incarnation, backend: Backend) -> None:
        super().__init__(backend.pgconn)
        self._prepared = backend.plans
        self._autocommit = True
        self.cursor_factory = SimulatedCursor
        self.server, self.owner = server, owner
        self.uncommitted: set[str] = set()  # the tables that the transaction under way has written
        self._backend: Backend | None = backend
        self._begins = False
        owner.sessions.append(self)

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[AsyncPipeline]:
        if self._pipeline is None:
            self._pipeline = SimulatedPipeline(self)
        async with super().pipeline() as pipeline:
            yield pipeline

    @asynccontextmanager
    async def transaction(
        self,
        savepoint_name: str | None = None,
        force_rollback: bool = False,  # noqa: FBT001, FBT002  (psycopg's own signature)
    ) -> AsyncIterator[AsyncTransaction]:
        """Its BEGIN is no step of its own; in a pipeline it goes out with the first statement, and COMMIT with the
        last."""
        pipeline = self._pipeline
        first = self.pgconn.transaction_status == IDLE and not (pipeline and pipeline.command_queue)
        if not first or pipeline is None:
            self._begins = first
            async with super().transaction(savepoint_name, force_rollback) as plain:
                yield plain
            return
        transaction = AsyncTransaction(self, savepoint_name, force_rollback)
        at_once(transaction._enter_gen())  # noqa: SLF001
        try:
            yield transaction
            at_once(transaction._exit_gen(None, None, None))  # noqa: SLF001
            await pipeline.sync()
        except BaseException:
            await self._undo(pipeline)
            raise

    async def _undo(self, pipeline: AsyncPipeline) -> None:
        """Roll back a transaction in a pipeline: of what stands after the refused statement nothing was performed, not
        even COMMIT."""
        self._num_transactions = 0
        if self._backend is None or self.pgconn.status != pq.ConnStatus.OK:
            return
        with contextlib.suppress(psycopg.Error):
            await pipeline.sync()
        if self.pgconn.transaction_status != IDLE:
            at_once(self._exec_command(b"ROLLBACK"))
            self._prepared.clear()
            at_once(self._prepared.maintain_gen(self))
            await pipeline.sync()

    def cut_off(self) -> Backend | None:
        """Take its session away: whatever asks it from now on finds it closed."""
        backend, self._backend = self._backend, None
        if backend is not None:
            self.pgconn = _closed()
        return backend

    async def close(self) -> None:
        backend = self.cut_off()
        self._closed = True
        if backend is not None:
            self.owner.sessions.remove(self)
            self.server.database.release([backend])
            self.server.progressed()

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ARG002
        server = self.server
        if self._backend is None:
            # What a dead process left suspended is let go of at the end of a run, and must not begin anything.
            raise GeneratorExit if self.owner.dead else psycopg.OperationalError("the connection is closed")
        if self._begins:
            self._begins = False
            return await self._perform(gen, self._backend)
        server.statements += 1
        fate = server.fate(self.owner)
        if fate.die_before is not None:
            fate.die_before()
        if fate.pause or self.owner.dead:
            await asyncio.sleep(fate.pause)  # the dead never come back from here
        answer = await self._perform(gen, self._backend)
        if fate.die_after is not None:
            fate.die_after()
            await asyncio.sleep(0)
        return answer

    async def _perform(self, gen: Any, backend: Backend) -> Any:
        server = self.server
        try:
            on_its_way = server.perform(gen, backend)
        except StopIteration as ended:
            return ended.value
        if on_its_way.free is not None:
            try:
                await on_its_way.free
            except BaseException:
                server.forget(on_its_way)
                backend.end()
                raise
        else:
            server.progressed()
        if self.uncommitted and self.pgconn.transaction_status == IDLE:
            server.wrote(self.uncommitted)
            self.uncommitted.clear()
        if isinstance(on_its_way.answer, BaseException):
            raise on_its_way.answer
        return on_its_way.answer


class SimulatedPool:
    """What the code knows of a pool: a connection for a while."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._free: list[Any] = []

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[Any]:  # noqa: ARG002  (there is always one)
        session = self._free.pop() if self._free else await self._connect()
        try:
            yield session
        finally:
            if not session.closed:
                self._free.append(session)

    async def close(self) -> None:
        for session in self._free:
            with contextlib.suppress(psycopg.Error):
                await session.close()
        self._free.clear()


def at_once(gen: Any) -> None:
    """Take psycopg through what only gets in line, and waits for nothing."""
    for _ in gen:
        raise AssertionError("a command in a pipeline waits for nothing")


def _events(wanted: Any) -> int:
    return (select.POLLIN if wanted & waiting.WAIT_R else 0) | (select.POLLOUT if wanted & waiting.WAIT_W else 0)


def _closed() -> Any:
    """A session that has ended."""
    ended = pq.PGconn.connect_start(b"")
    ended.finish()
    return ended
