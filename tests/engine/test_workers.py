"""Workers: fenced ones write nothing, killed ones are taken over within two seconds, stopped ones send nothing late."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from accord.engine import lease, statements
from accord.engine.lease import LEASE_SECONDS, Fenced, Lease
from accord.engine.states import EffectState, ProcessState
from tests.engine.scripted import Workshop
from tests.engine.stoppable import SCHEMA, many_things, work
from tests.engine.test_effects import one_thing, three_things

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.engine.stoppable"])


@pytest.fixture
def hire(database_url: str) -> Iterator[Any]:
    """Start worker processes; they are killed at the end."""
    workers = []

    def start(stop_at: int | None = None) -> Any:
        worker = processes.Process(target=work, args=(database_url, stop_at))
        worker.start()
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.kill()
        worker.join(10)


async def test_a_fenced_worker_cannot_write(shop: Workshop) -> None:
    gate = asyncio.Event()
    shop.vendors.script["a-0"].append(gate.wait)
    running = await shop.work()
    id = await shop.start(three_things, "a")
    await shop.until(lambda: _truth(shop.vendors.sent), "the first send")
    await shop.fence(running)
    assert await shop.effects(id) == [("a-0", EffectState.UNKNOWN)]
    gate.set()
    with pytest.raises((Fenced, psycopg.errors.ObjectNotInPrerequisiteState)):
        await asyncio.wait_for(running.task, 5)
    running.lease.end()
    shop.running.clear()
    assert await shop.effects(id) == [("a-0", EffectState.UNKNOWN)]
    assert not running.lease.holds()
    await shop.work()
    assert await shop.finished(id) == ["three"]
    assert shop.vendors.times("a-0") == 1


async def test_an_idle_worker_that_was_fenced_ends(shop: Workshop) -> None:
    running = await shop.work()
    await shop.fence(running)
    with pytest.raises((Fenced, psycopg.errors.ObjectNotInPrerequisiteState)):
        await asyncio.wait_for(running.task, 5)
    running.lease.end()
    shop.running.clear()


async def test_a_lease_is_held_only_as_long_as_the_heart_beats() -> None:
    clock = [100.0]
    held = Lease("unused", 1, clock=lambda: clock[0])
    assert held.holds()
    clock[0] += LEASE_SECONDS
    assert not held.holds()


async def test_leaving_in_good_order_hands_back_everything(shop: Workshop) -> None:
    gate = asyncio.Event()
    shop.vendors.script["a-0"].append(gate.wait)
    running = await shop.work()
    id = await shop.start(three_things, "a")
    await shop.until(lambda: _truth(shop.vendors.sent), "the first send")
    running.task.cancel()
    await asyncio.gather(running.task, return_exceptions=True)
    running.lease.end()
    shop.running.clear()
    await lease.leave(shop.db, running.lease.worker_id)
    assert await shop.one("SELECT state FROM open_process") == ProcessState.READY
    assert await shop.effects(id) == [("a-0", EffectState.UNKNOWN)]
    assert await shop.one("SELECT count(*) FROM worker_heartbeat") == 0


async def test_killed_work_is_taken_over_within_two_seconds_and_nothing_is_doubled(shop: Workshop, hire: Any) -> None:
    await shop.db.execute(SCHEMA)
    first, _ = hire(), hire()
    ids = [await shop.start(many_things, f"s{n}") for n in range(60)]
    await shop.until(lambda: shop.one("SELECT count(*) > 30 FROM world.written"), "work under way")
    os.kill(first.pid, signal.SIGKILL)
    killed = time.monotonic()

    async def taken_over() -> Any:
        return await shop.one("SELECT count(*) = 1 FROM worker_fence WHERE fenced_at IS NOT NULL")

    await shop.until(taken_over, "the take-over")
    assert time.monotonic() - killed < 2.0
    await shop.finished(*ids)
    assert await shop.one("SELECT count(*) FROM world.written") == 60 * 5
    assert await shop.one("SELECT count(DISTINCT key) FROM world.written") == 60 * 5
    assert await shop.one("SELECT count(*) FROM event WHERE type = 'effect.committed'") == 60 * 5
    assert await shop.one("SELECT count(*) FROM event WHERE type = 'process.finished'") == 60


async def test_a_worker_that_was_stopped_past_its_lease_sends_nothing_when_it_goes_on(
    shop: Workshop, hire: Any
) -> None:
    await shop.db.execute(SCHEMA)
    first, _ = hire(stop_at=20), hire()
    ids = [await shop.start(many_things, f"s{n}") for n in range(60)]
    await shop.until(lambda: _truth(_is_stopped(first.pid)), "the first worker to stop")
    await shop.finished(*ids)
    before = await shop.one("SELECT count(*) FROM world.written")
    os.kill(first.pid, signal.SIGCONT)
    await asyncio.to_thread(first.join, 10)
    assert first.exitcode == 0, "a fenced worker ends"
    assert await shop.one("SELECT count(*) FROM world.written") == before == 60 * 5
    assert await shop.one("SELECT count(DISTINCT key) FROM world.written") == 60 * 5


def _is_stopped(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


async def test_a_worker_that_stands_still_in_a_transaction_is_taken_over(shop: Workshop) -> None:
    """Between two statements of a pipeline PostgreSQL does not count a session as idle: no time limit would end it."""
    held = await Lease.register(shop.db, shop.url)
    held.end()

    async def stand_still() -> None:
        stopped = await shop.connect()
        async with stopped.pipeline(), stopped.transaction():
            await (await stopped.execute(statements.HOLD_FENCE, {"worker": held.worker_id})).fetchone()
            await shop.db.execute("UPDATE worker_heartbeat SET at = at - interval '1 hour'")
            await asyncio.wait_for(lease.take_over(shop.db), 5)
            await stopped.execute("SELECT 1")

    with pytest.raises(psycopg.OperationalError):
        await stand_still()
    assert await shop.one("SELECT fenced_at IS NOT NULL FROM worker_fence WHERE worker_id = %s", held.worker_id)


async def test_a_server_that_takes_no_writes_any_more_is_no_fault_of_the_story(shop: Workshop) -> None:
    """A demoted leader: the worker ends as it does when its database goes away, and a new one goes on."""
    opened, connect = [], shop.connect

    async def remembered() -> Any:
        opened.append(await connect())
        return opened[-1]

    shop.connect = remembered  # type: ignore[method-assign]
    gate = asyncio.Event()
    shop.vendors.script["a-0"].append(gate.wait)
    running = await shop.work()
    id = await shop.start(three_things, "a")
    await shop.until(lambda: _truth(shop.vendors.sent), "the first send")
    await opened[0].execute("SET default_transaction_read_only = on")
    gate.set()
    with pytest.raises(psycopg.OperationalError):
        await asyncio.wait_for(running.task, 5)
    running.lease.end()
    shop.running.clear()
    assert await shop.one("SELECT count(*) FROM business_case") == 0
    await lease.leave(shop.db, running.lease.worker_id)
    await shop.work()
    assert await shop.finished(id) == ["three"]
    assert shop.vendors.times("a-0") == 1


async def test_a_hundred_thousand_waiting_effects_are_not_looked_through(shop: Workshop) -> None:
    """The plans of what every turn asks stay on their indexes, however long the backlog."""
    await shop.db.execute(
        "INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, due, not_before, probe, reason)"
        " SELECT n, 'erp', 'thing' || n % 3, 'put', n % 4, n % 10 = 0, now() + interval '1 hour', false, 'r'"
        " FROM generate_series(1, 100000) n"
    )
    await shop.db.execute("ANALYZE waiting_effect")
    from accord.engine.claiming import Backlog
    from accord.engine.dispatcher import Dispatcher

    dispatcher = Dispatcher(shop.vendors, now=time.monotonic, may_send=bool, wake=bool, stories=int)
    backlog = Backlog(dispatcher, 1)
    began = time.monotonic()
    lanes = await backlog.look(shop.db)
    assert len(lanes) == 6
    assert [lane.priority for lane in lanes] == [0] * 3 + [2] * 3
    assert time.monotonic() - began < 0.2
    await shop.db.execute("SET plan_cache_mode = force_generic_plan")
    plan = await _plan(shop, statements.EFFECTS_DUE.strip())
    assert "Seq Scan" not in plan, plan
    assert backlog.room("erp", "thing0", "put", 3) == 0, "a new effect may not overtake what waits"
    assert backlog.room("erp", "thing0", "put", -1) > 0


async def _plan(shop: Workshop, statement: str) -> str:
    return "\n".join(row[0] for row in await shop.all(f"EXPLAIN {statement}"))


async def test_a_notification_wakes_what_polling_would_find_later(shop: Workshop) -> None:
    listening = await shop.connect()
    async with listening:
        await listening.execute("LISTEN accord_ready")
        shop.vendors.paused.add("erp")
        first = await shop.start(one_thing, "a", id="x")
        await shop.work()
        await shop.state(first, ProcessState.WAITING)
        second = await shop.start(one_thing, "b", id="x")
        await shop.state(second, ProcessState.WAITING)
        shop.vendors.paused.clear()
        async for _ in listening.notifies(timeout=5, stop_after=1):
            break
        else:
            pytest.fail("nobody was told that a story is ready")
    await shop.finished(first, second)


async def _truth(value: Any) -> Any:
    return bool(value)
