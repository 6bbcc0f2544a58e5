"""Contract changes by the API: shown, applied by another key, taken back; cost and other entities kept out of sight."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from accord.db.pool import Pool
from accord.governance.state import State
from accord.model.plain import to_plain
from tests.ledger.changes.test_plan import order, rated
from tests.ledger.worked import agree, entry, lies, work
from tests.serving import client_of, key, state_for

CHANGES = "/api/process/v1/changes"
ORDER = to_plain(order(rated("200", "1500")))
NOWHERE = {"amount": "1", "currency": "?"}


@pytest.fixture
def state(pool: Pool, tmp_path: Path) -> State:
    return state_for(pool, tmp_path)


@pytest.fixture
async def client(state: State) -> AsyncIterator[httpx2.AsyncClient]:
    await agree(state.pool, rated("200", "1000"))
    await work(state.pool, entry(2), entry(3))
    async with client_of(state) as client:
        client.headers.update(await key(state))
        yield client


async def test_a_change_is_shown_applied_by_another_and_taken_back(client: httpx2.AsyncClient, state: State) -> None:
    shown = (await client.post(f"{CHANGES}/impact", json=ORDER)).json()
    assert [(each["area"], each["by"]["amount"]) for each in shown["effects"]] == [("over_cap", "-500.00")]
    assert (await client.get(CHANGES)).json() == {"changes": []}
    assert (await client.post(CHANGES, json=ORDER)).json()["state"] == "proposed"
    assert (await client.post(f"{CHANGES}/CO-1/apply")).status_code == 409
    other = await key(state)
    applied = (await client.post(f"{CHANGES}/CO-1/apply", headers=other)).json()
    assert [each["verb"] for each in applied["steps"]] == ["use_terms", "set_over_cap"]
    assert await lies(state.pool) == {"wip": "1500.00", "over_cap": "100.00"}
    assert (await client.post(f"{CHANGES}/CO-1/take-back")).json()["state"] == "taken_back"
    assert await lies(state.pool) == {"wip": "1000.00", "over_cap": "600.00"}
    [listed] = (await client.get(CHANGES, params={"engagement": "DEA-1"})).json()["changes"]
    assert (listed["id"], listed["state"], listed["steps"]) == ("CO-1", "taken_back", [])
    assert (await client.post(f"{CHANGES}/CO-1/drop")).status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"terms": {**ORDER["terms"], "currency": "XXX", "rates": []}},
        {
            "terms": {
                **ORDER["terms"],
                "caps": [{**ORDER["terms"]["caps"][0], "limit": {"amount": "1", "currency": "?"}}],
            }
        },
        {"milestones": [{"id": "M"}]},
        {"unknown": 1},
    ],
    ids=["no id", "no currency", "no currency of a cap", "half a milestone", "an unknown field"],
)
async def test_an_order_that_is_none_is_refused(client: httpx2.AsyncClient, wrong: dict[str, object]) -> None:
    answer = await client.post(f"{CHANGES}/impact", json={**ORDER, **wrong})
    assert answer.status_code == 400, answer.text


async def test_a_key_of_another_entity_sees_and_does_nothing(client: httpx2.AsyncClient, state: State) -> None:
    await client.post(CHANGES, json=ORDER)
    german = await key(state, "operate", entities=("DE",))
    assert (await client.get(CHANGES, headers=german)).json() == {"changes": []}
    for answer in (
        await client.post(f"{CHANGES}/impact", json=ORDER, headers=german),
        await client.post(CHANGES, json=ORDER, headers=german),
        await client.get(f"{CHANGES}/CO-1", headers=german),
        await client.post(f"{CHANGES}/CO-1/apply", headers=german),
        await client.post(f"{CHANGES}/CO-1/take-back", headers=german),
        await client.post(f"{CHANGES}/CO-1/drop", headers=german),
    ):
        assert answer.status_code == 404
