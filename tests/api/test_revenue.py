"""Revenue by the API: declared, estimated and shown; cost only with the permission, and nothing of other entities."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import httpx2
import pytest

from accord.db.pool import Pool, transaction
from accord.governance.state import State
from accord.model.plain import to_plain
from accord.reconcile.calendar import LateWork, declare_calendar
from accord.rules.periods import months
from tests.ledger.revenue.test_schedule_from_the_books import CONTRACT
from tests.serving import client_of, key, state_for

REVENUE = "/api/process/v1/revenue"
OURS = f"{REVENUE}/US/DEA-1"


@pytest.fixture
def state(pool: Pool, tmp_path: Path) -> State:
    return state_for(pool, tmp_path)


@pytest.fixture
async def client(state: State) -> AsyncIterator[httpx2.AsyncClient]:
    async with transaction(state.pool) as db:
        await declare_calendar(db, "US", months(date(2026, 1, 1), 1), LateWork.NEXT_PERIOD, by="fatima")
    async with client_of(state) as client:
        client.headers.update(await key(state))
        yield client


async def test_revenue_is_declared_estimated_and_shown(client: httpx2.AsyncClient, state: State) -> None:
    assert (await client.get(OURS)).status_code == 404
    declared = await client.post(f"{REVENUE}/contracts", json=to_plain(CONTRACT))
    assert (declared.status_code, declared.json()) == (201, {"version": 1})
    wrong = await client.post(
        f"{REVENUE}/contracts", json={**to_plain(CONTRACT), "fixed": {"amount": "1.001", "currency": "USD"}}
    )
    assert (wrong.status_code, "more than 2 decimals" in wrong.json()["detail"]) == (400, True)
    estimate = {"obligation": "BUILD", "period": "2026-01", "cost": "210000"}
    shown = (await client.post(f"{OURS}/estimates", json=estimate)).json()
    assert [(row["period"], row["progress"], row["told"]) for row in shown["rows"]] == [("2026-01", "0", None)]
    assert shown["provision"] is None
    assert (await client.post(f"{OURS}/estimates", json={**estimate, "hours": "1"})).status_code == 400
    accepted = {"about": "BUILD", "accepted_on": "2026-01-31", "evidence": "protocol 1"}
    assert (await client.post(f"{OURS}/acceptances", json=accepted)).status_code == 200
    found = (await client.get(f"{REVENUE}/US/differences")).json()["differences"]
    assert found == []


async def test_a_key_of_another_entity_sees_and_says_nothing(client: httpx2.AsyncClient, state: State) -> None:
    await client.post(f"{REVENUE}/contracts", json=to_plain(CONTRACT))
    german = await key(state, "operate", entities=("DE",))
    for answer in (
        await client.get(OURS, headers=german),
        await client.get(f"{REVENUE}/US/differences", headers=german),
        await client.post(f"{REVENUE}/contracts", json=to_plain(CONTRACT), headers=german),
        await client.post(f"{OURS}/estimates", json={"obligation": "B", "period": "x", "cost": "1"}, headers=german),
        await client.post(
            f"{OURS}/acceptances", json={"about": "B", "accepted_on": "2026-01-01", "evidence": "x"}, headers=german
        ),
    ):
        assert answer.status_code == 404
