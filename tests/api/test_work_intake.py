"""Work told by a push: taken once, revised when it changes, kept as a problem when it cannot be used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from accord.db.pool import Pool, transaction
from accord.governance.state import State
from accord.ledger import bindings
from accord.ledger.bindings import Binding, ProjectRow
from tests.serving import client_of, key, state_for

PATH = "/api/system/v1/work/portal"
HOURS: dict[str, Any] = {
    "key": "1", "status": "approved", "project": "NW", "worked_on": "2026-11-02", "quantity": "7.5", "worker": "anna",
    "approved_at": "2026-11-03T08:00:00Z",
}  # fmt: skip
HOTEL = {**HOURS, "key": "2", "kind": "expense", "quantity": "1", "cost": "119.00", "currency": "EUR"}


@pytest.fixture
def state(pool: Pool, tmp_path: Path) -> State:
    return state_for(pool, tmp_path)


@pytest.fixture
async def client(state: State, pool: Pool) -> AsyncIterator[httpx2.AsyncClient]:
    async with transaction(pool) as db:
        rows = [ProjectRow("NW", Binding("DEA-1", "DE")), ProjectRow("US", Binding("DEA-1", "US"))]
        await bindings.declare(db, "portal", rows, by="test")
    async with client_of(state) as client:
        client.headers.update(await key(state))
        yield client


async def told(client: httpx2.AsyncClient, *entries: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(PATH, json={"entries": list(entries)})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_work_is_bound_taken_once_and_revised(client: httpx2.AsyncClient, pool: Pool) -> None:
    assert await told(client, HOURS, HOTEL) == {"told": 2, "new": 2, "revised": 0, "problems": []}
    assert await told(client, HOURS, {**HOTEL, "cost": "120.00"}) == {
        "told": 2, "new": 0, "revised": 1, "problems": [],
    }  # fmt: skip
    async with pool.connection() as db:
        found = await (
            await db.execute("SELECT engagement, legal_entity, cost FROM work_entry WHERE current ORDER BY source_key")
        ).fetchall()
    assert [(row[0], row[1], row[2] and str(row[2])) for row in found] == [
        ("DEA-1", "DE", None),
        ("DEA-1", "DE", "120.00"),
    ]


async def test_what_cannot_be_used_is_kept_as_a_problem_until_it_is_told_anew(
    client: httpx2.AsyncClient, pool: Pool
) -> None:
    answer = await told(client, HOURS, {**HOURS, "key": "3", "project": "?"}, {**HOTEL, "currency": "XXQ"})
    assert [(each["key"], each["reason"]) for each in answer["problems"]] == [
        ("3", "project_not_bound"),
        ("2", "cost_unreadable"),
    ]
    open_problems = "SELECT count(*) FROM work_problem WHERE settled_at IS NULL"
    await told(client, {**HOURS, "key": "3"}, HOTEL)
    async with pool.connection() as db:
        assert await (await db.execute(open_problems)).fetchone() == (0,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "perhaps"},
        {"quantity": "NaN"},
        {"worked_on": "2026-02-30"},
        {"approved_at": "2026-11-03T08:00:00"},
        {"note": "a\x00b"},
        {"unknown": 1},
    ],
)
async def test_a_delivery_that_cannot_be_read_is_refused_whole(client: httpx2.AsyncClient, wrong: Any) -> None:
    answer = await client.post(PATH, json={"entries": [{**HOURS, **wrong}]})
    assert answer.status_code == 422


async def test_a_reader_may_not_tell_and_a_key_tells_only_of_its_entities(
    client: httpx2.AsyncClient, state: State, pool: Pool
) -> None:
    answer = await client.post(PATH, json={"entries": [HOURS]}, headers=await key(state, "read"))
    assert answer.status_code == 403
    only_us = await key(state, "operate", entities=("US",))
    assert (await client.post(PATH, json={"entries": [HOURS]}, headers=only_us)).status_code == 403
    american = {**HOURS, "project": "US"}
    assert (await client.post(PATH, json={"entries": [american]}, headers=only_us)).status_code == 200
