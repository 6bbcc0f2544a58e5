"""Whenever a worker dies, every process ends with the same result, and every object is made once at each vendor."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from accord.db import documents
from accord.engine import eventlog, interventions, lease
from accord.engine.shell import Kept
from accord.engine.states import ProcessState
from accord.engine.turning import fact_row
from accord.processes import PROCESSES
from accord.records.knowledge import Records
from tests.processes.scenarios import SCENARIOS, Scenario
from tests.processes.vendor_world import NOON, SCHEMA, work

PATIENCE_SECONDS = 30.0
NEW_DATABASE = Callable[[str], tuple[str, str]]

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.processes.vendor_world"])


class Play:
    """One scenario on one database, with workers that may die."""

    def __init__(self, url: str, scenario: Scenario) -> None:
        self.url = url
        self.scenario = scenario
        self.workers: list[BaseProcess] = []
        self.deaths = 0

    def hire(self, die_at: int | None = None, *, take_over: bool = False) -> BaseProcess:
        worker = processes.Process(target=work, args=(self.url, die_at), kwargs={"take_over": take_over})
        worker.start()
        self.workers.append(worker)
        return worker

    def dismiss(self) -> None:
        for worker in self.workers:
            if worker.is_alive():
                worker.terminate()
            worker.join(10)
            assert worker.exitcode in {0, -signal.SIGKILL, -signal.SIGTERM}, worker.exitcode

    async def begin(self, db: Any) -> None:
        """What is known, and the fact that starts the story."""
        rows = await (await db.execute("SELECT kind, id, body FROM record")).fetchall()
        known = self.scenario.known({(kind, id): body for kind, id, body in rows})
        async with db.transaction():
            if known:
                await Records(_no_postings).keep(db, [Kept(*each) for each in known], NOON)
            if self.scenario.ledger:
                await db.execute(self.scenario.ledger)
            await eventlog.append(db, [fact_row(self.scenario.fact, None, None)])

    async def to_the_end(self, db: Any, replace_dead: Callable[[], Any]) -> None:
        """Until the story has ended; `replace_dead` is called whenever no worker is left."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        told = False
        while time.monotonic() < deadline:
            row = await (await db.execute(STATE, [self.scenario.process])).fetchone()
            if row is not None and row[1] is not None:
                assert row[1] == ProcessState.DONE
                if self.scenario.starts is None or await self._ended(db, self.scenario.starts):
                    return
            if not any(worker.is_alive() for worker in self.workers):
                self.deaths += 1
                await _take_over_at_once(db)
                replace_dead()
            if row is not None and row[2] == ProcessState.WAITING and row[3] and not told:
                told = True
                async with db.transaction():
                    await eventlog.append(db, [fact_row(fact, None, None) for fact in self.scenario.meanwhile])
            if row is not None and row[2] == ProcessState.PARKED:
                await self._answer(db, row[0])
            await asyncio.sleep(0.01)
        left = await (await db.execute("SELECT process_id, name, state, owner FROM open_process")).fetchall()
        raise AssertionError(f"{self.scenario.process} did not end after {self.deaths} deaths: {row} {left}")

    async def _ended(self, db: Any, process: str) -> bool:
        row = await (await db.execute(STATE, [process])).fetchone()
        return row is not None and row[1] is not None

    async def _answer(self, db: Any, process_id: int) -> None:
        query = "SELECT title, problems, question FROM business_case WHERE process_id = %s AND state = 'open'"
        case = await (await db.execute(query, [process_id])).fetchone()
        assert case is not None
        assert self.scenario.answer is not None, case
        async with db.transaction():
            await interventions.answer(db, process_id, case[2]["key"], self.scenario.answer, "test")


STATE = """
SELECT p.id, p.end_state, o.state, EXISTS (SELECT FROM awaited_fact a WHERE a.process_id = p.id)
FROM process p LEFT JOIN open_process o ON o.process_id = p.id WHERE p.name = %s ORDER BY p.id DESC LIMIT 1
"""


@contextmanager
def playing(url: str, scenario: Scenario) -> Iterator[Play]:
    play = Play(url, scenario)
    try:
        yield play
    finally:
        play.dismiss()


async def _no_postings(*_: Any) -> None:
    raise AssertionError("nothing is posted here")


async def _take_over_at_once(db: Any) -> None:
    await db.execute("UPDATE worker_heartbeat SET at = at - interval '1 hour'")
    await lease.take_over(db)
    await db.execute("UPDATE waiting_effect SET not_before = clock_timestamp() WHERE NOT due")


async def _connect(url: str) -> Any:
    db = await psycopg.AsyncConnection.connect(url, autocommit=True)
    documents.adopt(db)
    return db


async def play_through(url: str, scenario: Scenario) -> None:
    """Without any accident."""
    async with await _connect(url) as db:
        with playing(url, scenario) as play:
            await play.begin(db)
            play.hire()
            await play.to_the_end(db, lambda: pytest.fail("the worker ended"))


async def outcome(url: str) -> dict[str, Any]:
    """All that must be the same however often a worker died."""
    async with await _connect(url) as db:

        async def rows(query: str) -> list[Any]:
            return await (await db.execute(query)).fetchall()  # type: ignore[no-any-return]

        return {
            "results": await rows("SELECT name, end_state, result FROM process ORDER BY id"),
            "written": await rows(
                "SELECT key, body, vendor_id, vendor_ids, count(*) FROM world.written GROUP BY 1, 2, 3, 4 ORDER BY 1"
            ),
            "records": await rows("SELECT kind, id, body FROM record ORDER BY kind, id"),
            "ledger": await rows("SELECT entry, item_id, disposition, amount FROM posting ORDER BY 1, 2, 3"),
            "told": await rows("SELECT type, subject, count(*) FROM event GROUP BY 1, 2 ORDER BY 1, 2"),
            "effects": await rows(
                "SELECT canonical_id, kind, connection, generation, state FROM effect ORDER BY 1, 2, 3, 4"
            ),
            "links": await rows("SELECT connection, kind, canonical_id, vendor_id FROM crosswalk ORDER BY 1, 2, 3"),
            "cases": await rows("SELECT reason, state FROM business_case ORDER BY opened_at"),
        }


@pytest.fixture(scope="module")
def stage(create_database: NEW_DATABASE) -> Callable[[tuple[str, ...]], Any]:
    """The name of a database in which these scenarios have been played through; each is prepared once."""
    ready: dict[tuple[str, ...], str] = {}

    async def prepare(names: tuple[str, ...]) -> str:
        if names in ready:
            return ready[names]
        if not names:
            name, url = create_database("accord_template")
            async with await _connect(url) as db:
                await db.execute(SCHEMA)
                firm = Jsonb(dict(next(iter(SCENARIOS.values())).policy))
                await db.execute(
                    "INSERT INTO policy (name, version, body, declared_by) VALUES ('firm', 1, %s, 'test')", [firm]
                )
        else:
            name, url = create_database(await prepare(names[:-1]))
            await play_through(url, SCENARIOS[names[-1]])
        ready[names] = name
        return name

    return prepare


def test_every_process_has_a_scenario() -> None:
    assert {scenario.process for scenario in SCENARIOS.values()} == set(PROCESSES)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_death_before_and_after_every_effect_changes_nothing(
    name: str, stage: Any, create_database: NEW_DATABASE
) -> None:
    scenario = SCENARIOS[name]
    prepared = await stage(scenario.before)
    _, smooth = create_database(prepared)
    await play_through(smooth, scenario)
    expected = await outcome(smooth)
    assert all(row[-1] == 1 for row in expected["written"])

    _, url = create_database(prepared)
    async with await _connect(url) as db:
        with playing(url, scenario) as play:
            await play.begin(db)
            play.hire(1)
            await play.to_the_end(db, lambda: play.hire(1))
        sent = await (await db.execute("SELECT count(*) FROM world.died")).fetchone()
    own = len(expected["written"]) - await _written_before(create_database, prepared)
    assert sent == (own * 2,), "a point was passed alive"
    assert play.deaths == own * 2
    assert await outcome(url) == expected


async def _written_before(create_database: NEW_DATABASE, prepared: str) -> int:
    _, url = create_database(prepared)
    async with await _connect(url) as db:
        row = await (await db.execute("SELECT count(*) FROM world.written")).fetchone()
        return int(row[0])


@pytest.mark.parametrize("name", ["quote_to_project", "milestone_to_bill", "invoice_to_cash"])
async def test_the_other_of_two_workers_goes_on(name: str, stage: Any, create_database: NEW_DATABASE) -> None:
    scenario = SCENARIOS[name]
    prepared = await stage(scenario.before)
    _, smooth = create_database(prepared)
    await play_through(smooth, scenario)
    _, url = create_database(prepared)
    async with await _connect(url) as db:
        with playing(url, scenario) as play:
            await play.begin(db)
            doomed = play.hire(4)
            doomed.join(30)
            assert doomed.exitcode == -signal.SIGKILL
            died = time.monotonic()
            play.hire(take_over=True)
            await play.to_the_end(db, lambda: pytest.fail("both workers ended"))
            assert time.monotonic() - died < 10
    assert await outcome(url) == await outcome(smooth)
