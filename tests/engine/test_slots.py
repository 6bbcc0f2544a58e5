"""A vendor's slots among the workers: never one too many, none idle while somebody wants it, the urgent first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from accord.engine.budget import CHANNEL, SENDING, Budget, Rates, Sending
from accord.engine.dispatcher import Dispatcher, InFlight
from accord.engine.outcomes import Committed
from accord.engine.shares import Claim, fair_share
from accord.engine.shell import Connection
from accord.engine.statements import REGISTER_WORKER
from accord.engine.states import Priority
from tests.engine.scripted import Workshop

WANTS = st.dictionaries(
    st.integers(1, 9),
    st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda two: (max(two), min(two))),
    min_size=1,
    max_size=9,
)


def settled(limit: int, wants: dict[int, tuple[int, int]], held: dict[int, int], turn: int = 0) -> dict[int, int]:
    """What everybody holds after each has ticked twice, one at a time."""
    for _ in range(2):
        for me in sorted(wants):
            claims = {worker: Claim(held[worker], *wants[worker]) for worker in wants}
            held[me] = fair_share(limit, me, claims, turn=turn)
            assert sum(held.values()) <= limit
    return held


@given(st.integers(1, 12), WANTS, st.integers(0, 20))
def test_no_slot_too_many_is_given_and_none_lies_idle_while_somebody_wants_it(
    limit: int, wants: dict[int, tuple[int, int]], turn: int
) -> None:
    held = settled(limit, wants, dict.fromkeys(wants, 0), turn)
    served = sum(min(held[worker], wanted) for worker, (wanted, _) in wants.items())
    assert served == min(limit, sum(wanted for wanted, _ in wants.values()))


@given(st.integers(1, 12), WANTS)
def test_what_is_urgent_is_served_before_any_bulk(limit: int, wants: dict[int, tuple[int, int]]) -> None:
    held = settled(limit, wants, dict.fromkeys(wants, 0))
    served = sum(min(held[worker], urgent) for worker, (_, urgent) in wants.items())
    assert served == min(limit, sum(urgent for _, urgent in wants.values()))


def test_the_fifth_of_five_slots_is_used_by_four_workers_and_an_idle_one_gives_its_own_away() -> None:
    everybody = settled(5, dict.fromkeys(range(4), (3, 0)), dict.fromkeys(range(4), 0))
    assert sorted(everybody.values()) == [1, 1, 1, 2]
    assert settled(5, {0: (9, 0), 1: (0, 0), 2: (0, 0)}, {0: 3, 1: 1, 2: 1}) == {0: 5, 1: 0, 2: 0}
    assert settled(5, {0: (1, 0), 1: (0, 0)}, {0: 0, 1: 0}) == {0: 1, 1: 1}, "what nobody wants is kept ready"


def test_with_more_workers_than_slots_everybodys_turn_comes() -> None:
    held, served = dict.fromkeys(range(8), 0), set()
    for turn in range(8):
        held = settled(5, dict.fromkeys(range(8), (2, 0)), held, turn)
        served |= {worker for worker, slots in held.items() if slots}
    assert served == set(range(8))


async def hired(db: Connection, worker: int, monotonic: Callable[[], float] = time.monotonic) -> Budget:
    await db.execute(REGISTER_WORKER, {"id": worker, "host": "here", "pid": worker, "version": "1"})
    return Budget("erp", Rates(concurrency=2), worker, monotonic=monotonic)


async def ticked(db: Connection, *budgets: Budget) -> None:
    for budget in budgets:
        async with db.transaction():
            await budget.tick(db)


class Desk:
    """Calls that are under way until told to end."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def call(self, name: str, priority: Priority) -> None:
        """Ask for a slot and have the call begin as soon as there is one."""
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._call(name, priority))
        await asyncio.sleep(0)

    async def _call(self, name: str, priority: Priority) -> None:
        SENDING.set(Sending(priority))
        async with self._budget.slot():
            self.begun.append(name)
            await self._ends[name].wait()

    def call_off(self, name: str) -> None:
        self._tasks[name].cancel()

    def end_soon(self, name: str) -> None:
        self._ends[name].set()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._tasks[name]
        await asyncio.sleep(0)


async def test_a_free_slot_goes_at_once_to_the_most_urgent_that_waits(shop: Workshop) -> None:
    budget = await hired(shop.db, 1)
    desk = Desk(budget)
    for name in ("bulk 1", "bulk 2", "bulk 3", "bulk 4"):
        await desk.call(name, Priority.BULK)
    await ticked(shop.db, budget)
    await asyncio.sleep(0)
    assert desk.begun == ["bulk 1", "bulk 2"]
    await desk.call("posting", Priority.REVENUE)
    await desk.end("bulk 1")
    assert desk.begun == ["bulk 1", "bulk 2", "posting"]
    await desk.end("bulk 2")
    assert desk.begun[-1] == "bulk 3"


async def test_a_call_that_is_called_off_as_it_gets_its_slot_gives_it_on(shop: Workshop) -> None:
    budget = await hired(shop.db, 1)
    desk = Desk(budget)
    for name in ("1", "2", "3", "4"):
        await desk.call(name, Priority.BULK)
    await ticked(shop.db, budget)
    await asyncio.sleep(0)
    desk.end_soon("1")
    await asyncio.sleep(0)  # the slot of 1 is handed to 3, which does not know it yet
    desk.call_off("3")
    for _ in range(5):
        await asyncio.sleep(0)
    assert desk.begun == ["1", "2", "4"]


async def test_a_worker_with_bulk_gives_its_slot_to_anothers_posting_and_says_so(shop: Workshop) -> None:
    listening = await shop.connect()
    bulk, posting = await hired(shop.db, 1), await hired(shop.db, 2)
    stirred: list[str] = []
    bulk.stir, posting.stir = (lambda: stirred.append("bulk")), (lambda: stirred.append("posting"))
    at_bulk, at_posting = Desk(bulk), Desk(posting)
    for name in ("1", "2", "3"):
        await at_bulk.call(name, Priority.BULK)
    await ticked(shop.db, bulk, posting)
    await asyncio.sleep(0)
    assert at_bulk.begun == ["1", "2"]
    stirred.clear()
    async with listening:
        await listening.execute(f"LISTEN {CHANNEL}")
        await at_posting.call("4", Priority.REVENUE)
        assert stirred == ["posting"], "what is wanted is said at once"
        await ticked(shop.db, posting)
        await heard(listening)
        await ticked(shop.db, bulk)
        await at_bulk.end("1")
        assert at_bulk.begun == ["1", "2"], "the slot is not used for bulk again"
        assert stirred == ["posting", "bulk"], "what is free is given back at once"
        await ticked(shop.db, bulk)
        await heard(listening)
        await ticked(shop.db, posting)
        await asyncio.sleep(0)
        assert at_posting.begun == ["4"]


async def heard(listening: psycopg.AsyncConnection[Any]) -> None:
    async for notice in listening.notifies(timeout=5, stop_after=1):
        assert notice.channel == CHANNEL
        return
    raise AssertionError("nobody was told")


async def test_an_urgent_send_starts_beside_less_urgent_ones_and_its_time_counts_from_its_slot(shop: Workshop) -> None:
    moment = [0.0]
    budget = await hired(shop.db, 1, lambda: moment[0])
    ends: dict[str, asyncio.Event] = {}

    class Erp(type(shop.vendors)):  # type: ignore[misc]
        def parallel(self, connection: str) -> int:
            return budget.parallel()

        def batch_size(self, connection: str, kind: str, verb: str) -> int:
            return 1

        async def send(self, connection: str, kind: str, verb: str, writes: Any) -> Any:
            async with budget.slot():
                await ends.setdefault(writes[0].canonical_id, asyncio.Event()).wait()
                return [Committed()]

    dispatcher = Dispatcher(Erp(), now=lambda: moment[0], may_send=lambda: True, wake=lambda: None, stories=lambda: 1)
    await ticked(shop.db, budget)
    for number, (about, priority) in enumerate([("a", 3), ("b", 3), ("c", 3), ("d", 3), ("posting", 1)]):
        row = {
            "id": number, "connection": "erp", "kind": "thing", "verb": "put", "priority": priority, "version": "1",
            "canonical_id": about, "generation": 1, "links": None, "body": {},
        }  # fmt: skip
        dispatcher.add(InFlight(row))
        dispatcher.pump()
        await asyncio.sleep(0)
        await ticked(shop.db, budget)
    await asyncio.sleep(0)
    assert sorted(ends) == ["a", "b"]
    moment[0] = 7.0
    ends["a"].set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert sorted(ends) == ["a", "b", "posting"], "before the bulk that waited longer"
    for each in ("posting", "b"):
        ends[each].set()
        for _ in range(10):
            await asyncio.sleep(0)
    done = {flight.row["canonical_id"]: flight.sent_at for flight in dispatcher.take_done()}
    assert done["a"] == 0.0
    assert done["posting"] == 7.0
    for each in ("c", "d"):
        ends.setdefault(each, asyncio.Event()).set()
    await asyncio.wait_for(dispatcher.drain(), 5)
