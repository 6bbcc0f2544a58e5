"""A worker's look at its drops: by turns, with what stands in the way kept; and the same by a command."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accord.connect.registry import connector
from accord.connect.slots import Slots
from accord.connect.switchboard import Line
from accord.connectors.timefiles import CONNECTOR, table_of
from accord.connectors.timefiles.legacy import LEGACY
from accord.connectors.timefiles.watching import Drops
from accord.db.pool import Pool, transaction
from accord.demo.setup import declare_policy
from accord.engine.story import ReadPolicy
from accord.errors import UsageError
from accord.ledger import postings
from accord.ledger.bindings import declare
from accord.model.plain import to_plain
from accord.records.knowledge import Records
from accord.workbench import corrections
from tests.e2e.commands import Accord, free_port

from .conftest import PROJECTS, ROWS, Drop

CASES = "SELECT reason FROM business_case WHERE state = 'open' ORDER BY 1"
COUNT = "SELECT count(*) FROM work_entry"


def line(folder: Path, name: str = "legacy", **more: Any) -> Line:
    session: Any = None
    budget: Any = Slots
    return Line(name, CONNECTOR, session, budget, {"place": str(folder), "settle_seconds": "0", **more})


async def found(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as db:
        return await (await db.execute(query)).fetchall()


@pytest.fixture
async def bound(pool: Pool) -> Pool:
    async with transaction(pool) as db:
        await declare(db, "legacy", PROJECTS, by="test")
    return pool


def now() -> datetime:
    return datetime.now(UTC)


def test_the_folder_is_a_vendor_like_any_other() -> None:
    assert connector("timefiles") is CONNECTOR


def test_a_connection_without_a_table_reads_the_one_that_comes_along(tmp_path: Path) -> None:
    assert table_of("office", {}).source == "office"
    own = tmp_path / "table.json"
    own.write_text(json.dumps({**to_plain(LEGACY), "version": 7}))
    assert table_of("office", {"table": str(own)}).version == 7
    wrong = to_plain(LEGACY)
    wrong["samples"][0]["gives"]["quantity"] = "8"
    own.write_text(json.dumps(wrong))
    with pytest.raises(UsageError, match="the samples of legacy-time do not hold"):
        table_of("office", {"table": str(own)})


async def test_drops_are_looked_at_until_stopped(bound: Pool, folder: Path, drop: Drop) -> None:
    drop("march.csv")
    stopping = asyncio.Event()
    drops = Drops(bound, [line(folder, every_seconds="1")], now)
    async with asyncio.timeout(30), bound.connection() as listening:
        await listening.set_autocommit(True)
        await listening.execute("LISTEN accord_work")
        running = asyncio.create_task(drops.run(stopping, idle_seconds=0.05))
        await anext(listening.notifies())
        assert await found(bound, COUNT) == [(3,)]
        drop("april.csv", ["9", *ROWS[0][1:]])
        await anext(listening.notifies())
        assert await found(bound, COUNT) == [(4,)]
        stopping.set()
        await running
    [(error, looked)] = await found(bound, "SELECT last_error, last_at IS NOT NULL FROM schedule")
    assert (error, looked) == (None, True)


async def test_a_place_that_is_missing_is_a_case_until_it_is_there(bound: Pool, folder: Path) -> None:
    gone = folder / "later"
    drops = Drops(bound, [line(gone)], now)
    for _ in range(2):
        await drops.look(line(gone))
    assert await found(bound, CASES) == [("place_not_read",)]
    gone.mkdir()
    await drops.look(line(gone))
    assert await found(bound, CASES) == []


async def test_a_server_that_does_not_answer_is_no_case_before_an_hour(bound: Pool) -> None:
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519")
    there = line(
        Path(), place=f"sftp://u@127.0.0.1:{free_port()}/in", host_key=key.export_public_key().decode(),
        private_key=key.export_private_key().decode(),
    )  # fmt: skip
    drops = Drops(bound, [there], now)
    stopping = asyncio.Event()
    stopping.set()
    await drops.run(stopping)
    await drops.look(there)
    assert await found(bound, CASES) == []
    [(error,)] = await found(bound, "SELECT last_error FROM schedule")
    assert "does not answer" in error
    async with transaction(bound) as db:
        await db.execute("UPDATE schedule SET last_at = clock_timestamp() - interval '61 minutes'")
    await drops.look(there)
    assert await found(bound, CASES) == [("place_not_read",)]


async def test_a_command_looks_at_a_drop_and_says_what_became_of_each_file(
    bound: Pool, folder: Path, drop: Drop, tmp_path: Path, database_url: str
) -> None:
    accord = Accord(tmp_path / "home", {"ACCORD_DATABASE_URL": database_url, "ACCORD_PORT": str(free_port())})
    drop("march.csv", *ROWS, ["7", *ROWS[0][1:4], "P-9", *ROWS[0][5:]])

    def commands() -> list[Any]:
        accord("connect", "add", "legacy", "timefiles", "--setting", f"place={folder}")
        checked = accord("connect", "check", "legacy")
        first = accord.json("import", "time-files", "legacy")
        second = json.loads(accord("import", "time-files", "legacy", "--at-once", "--json"))
        nothing = accord("import", "time-files", "legacy")
        say = ("cases", "correct", "--list", "time_project", "--given", "legacy/P-9", "--meaning", "DEA-9 DE")
        accord(*say)
        return [checked, first, second, nothing, accord.json("import", "time-files", "legacy")]

    checked, [waiting], [taken], nothing, [cured] = await asyncio.to_thread(commands)
    assert checked == f"{folder}: 1 files, 1 of them named like files of legacy\n"
    assert (waiting["what"], waiting["why"]) == ("waiting", "seen for the first time")
    assert (taken["what"], taken["taken"]["rows"], taken["taken"]["problems"]) == ("taken", 4, 1)
    assert "march.csv" not in nothing
    assert (cured["what"], cured["taken"]["new"], cured["taken"]["problems"]) == ("taken", 1, 0)
    # One for each engagement that has no terms; none for the project any more.
    assert await found(bound, CASES) == [("terms_missing",), ("terms_missing",)]


async def test_a_command_binds_projects_by_a_file(
    pool: Pool, folder: Path, drop: Drop, tmp_path: Path, database_url: str
) -> None:
    accord = Accord(tmp_path / "home", {"ACCORD_DATABASE_URL": database_url, "ACCORD_PORT": str(free_port())})
    drop("march.csv")
    bind = tmp_path / "bind.csv"
    bind.write_text("project,engagement,legal_entity,valid_from\nP-1,DEA-1,DE,2026-01-01\n")

    def commands() -> Any:
        accord("connect", "add", "legacy", "timefiles", "--setting", f"place={folder}")
        return json.loads(accord("import", "time-files", "legacy", "--at-once", "--bind", str(bind), "--json"))

    [taken] = await asyncio.to_thread(commands)
    assert (taken["taken"]["entries"], taken["taken"]["problems"]) == (2, 1)


@pytest.mark.parametrize(
    ("given", "meaning"),
    [("P-9", "DEA-9 DE"), ("legacy/", "DEA-9 DE"), ("legacy/P-9", "DEA-9"), ("x/y", "a b c")],
)
async def test_a_binding_says_source_project_engagement_and_entity(pool: Pool, given: str, meaning: str) -> None:
    with pytest.raises(UsageError, match="SOURCE/PROJECT"):
        async with transaction(pool) as db:
            await corrections.declare(db, "time_project", given, meaning, by="test")


async def test_stories_do_not_read_what_projects_are(bound: Pool) -> None:
    async with transaction(bound) as db:
        await declare_policy(db, "firm", {"entities": {}}, "test")
        [firm] = await Records(postings.write).read(db, [ReadPolicy("firm", dict)])
    assert firm["references"] == {}
