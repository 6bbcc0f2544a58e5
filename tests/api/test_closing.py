"""Closing by the API: the gate, four eyes by two keys, and no word of other legal entities."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from accord.db.pool import Pool
from accord.governance.state import State
from accord.reconcile.matches import MATCHES
from tests.ledger.worked import agree, entry, work
from tests.serving import client_of, key, state_for

CLOSE = "/api/process/v1/close"


@pytest.fixture
def state(pool: Pool, tmp_path: Path) -> State:
    return state_for(pool, tmp_path)


@pytest.fixture
async def client(state: State) -> AsyncIterator[httpx2.AsyncClient]:
    await agree(state.pool)
    await work(state.pool, entry(2))
    async with client_of(state) as client:
        client.headers.update(await key(state))
        answer = await client.post(f"{CLOSE}/US", json={"starts_on": "2026-11-01", "months": 2, "late_work": "reopen"})
        assert answer.status_code == 201
        yield client


async def test_a_period_is_looked_at_overridden_by_two_closed_and_opened_by_two(
    client: httpx2.AsyncClient, state: State
) -> None:
    november = f"{CLOSE}/US/2026-11"
    assert (await client.get(november)).json()["looked_at"] is None
    looked = (await client.post(f"{november}/look")).json()
    assert looked["stopped_by"] == f"{len(MATCHES)} not reconciled"
    assert (await client.post(f"{november}/close")).json()["period"]["state"] == "closing"
    asked = {"line": "not_reconciled", "reason": "no other systems"}
    assert (await client.post(f"{november}/override", json=asked)).status_code == 200
    mine = await client.post(f"{november}/agree", json={"what": "not_reconciled"})
    assert (mine.status_code, "somebody else" in mine.json()["detail"]) == (409, True)
    other = await key(state)
    agreed = await client.post(f"{november}/agree", json={"what": "not_reconciled"}, headers=other)
    assert agreed.json()["stopped_by"] is None
    closed = (await client.post(f"{november}/close")).json()
    assert (closed["period"]["state"], closed["stopped_by"]) == ("closed", None)
    await client.post(f"{november}/reopen", json={"reason": "a late timesheet"})
    opened = await client.post(f"{november}/agree", json={"what": "reopen"}, headers=other)
    assert opened.json()["period"]["state"] == "open"
    assert (await client.get(f"{CLOSE}/US/late")).json() == {"items": []}


async def test_a_key_of_another_entity_sees_and_does_nothing(client: httpx2.AsyncClient, state: State) -> None:
    german = await key(state, "operate", entities=("DE",))
    assert (await client.get(CLOSE, headers=german)).json() == {"periods": []}
    november = f"{CLOSE}/US/2026-11"
    for answer in (
        await client.get(november, headers=german),
        await client.get(f"{CLOSE}/US/late", headers=german),
        await client.post(f"{november}/look", headers=german),
        await client.post(f"{november}/close", headers=german),
        await client.post(f"{november}/reopen", json={"reason": "x"}, headers=german),
        await client.post(f"{november}/agree", json={"what": "reopen"}, headers=german),
        await client.post(f"{november}/override", json={"line": "breaks", "reason": "x"}, headers=german),
        await client.post(f"{CLOSE}/US", json={"starts_on": "2026-11-01"}, headers=german),
    ):
        assert answer.status_code == 404
    reader = await key(state, "read")
    assert (await client.post(f"{november}/close", headers=reader)).status_code == 403
