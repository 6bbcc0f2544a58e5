"""Proposals, unbilled work, receivables and breaks by the API: versions, four eyes, scopes, exact amounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from accord.db.pool import Pool
from accord.governance.state import State
from tests.finance_firm import FinanceFirm
from tests.serving import client_of, key, state_for

V1 = "/api/process/v1"


@pytest.fixture
def state(firm_pool: Pool, tmp_path: Path) -> State:
    return state_for(firm_pool, tmp_path)


@pytest.fixture
def firm(told_firm: tuple[str, FinanceFirm]) -> FinanceFirm:
    return told_firm[1]


@pytest.fixture
async def client(state: State) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(state) as client:
        yield client


async def test_a_change_needs_the_version_that_was_read_and_an_approval_other_eyes(
    client: httpx2.AsyncClient, state: State, firm: FinanceFirm
) -> None:
    one, other = await key(state), await key(state)
    address = f"{V1}/proposals/{firm.draft}"
    read = await client.get(address, headers=one)
    assert read.headers["etag"] == '"1"'
    assert read.json()["proposal"]["net"] == {"amount": "12960.00", "currency": "USD"}
    assert (await client.get(address, headers={**one, "If-None-Match": '"1"'})).status_code == 304
    body = {"amount": "100.01", "line": 1, "reason": "goodwill"}
    effect = await client.post(f"{address}/write-down/preview", headers=one, json={"amount": "100.01", "line": 1})
    assert effect.json()["after"] == {"amount": "12859.99", "currency": "USD"}
    assert effect.json()["lines"] == [{"line": 1, "before": "12960.00", "after": "12859.99"}]
    assert (await client.get(address, headers=one)).headers["etag"] == '"1"', "a preview writes nothing"
    missing = await client.post(f"{address}/write-down", headers=one, json=body)
    assert (missing.status_code, missing.headers["content-type"]) == (428, "application/problem+json")
    for tag in ('"7"', "1", 'W/"1"', '"1", "2"'):
        stale = await client.post(f"{address}/write-down", headers={**one, "If-Match": tag}, json=body)
        assert (stale.status_code, "ETag" in stale.json()["cure"]) == (412, True), tag
    done = await client.post(f"{address}/write-down", headers={**one, "If-Match": '"1"'}, json=body)
    assert done.status_code == 200
    assert done.json()["proposal"]["net"]["amount"] == "12859.99"
    assert done.json()["written_off"] == {"amount": "100.01", "currency": "USD"}
    tag = done.headers["etag"]
    assert tag == f'"{done.json()["proposal"]["version"]}"' != '"1"'
    own = await client.post(f"{address}/approve", headers={**one, "If-Match": tag})
    assert (own.status_code, "somebody else must approve" in own.json()["detail"]) == (409, True)
    approved = await client.post(f"{address}/approve", headers={**other, "If-Match": tag})
    assert (approved.status_code, approved.json()["proposal"]["status"]) == (200, "approved")
    again = await client.post(f"{address}/approve", headers={**other, "If-Match": "*"})
    assert again.status_code == 409


async def test_proposals_are_held_released_set_aside_and_withdrawn(
    client: httpx2.AsyncClient, state: State, firm: FinanceFirm
) -> None:
    header = {**await key(state), "If-Match": "*"}
    address = f"{V1}/proposals/{firm.held}"
    assert (await client.post(f"{address}/hold", headers=header, json={"reason": "x"})).status_code == 409
    released = await client.post(f"{address}/release", headers=header)
    assert released.json()["proposal"]["status"] == "draft"
    held = await client.post(f"{address}/hold", headers=header, json={"reason": "once more"})
    assert (held.json()["proposal"]["status"], held.json()["proposal"]["reason"]) == ("held", "once more")
    aside = await client.post(f"{address}/set-aside", headers=header, json={"line": 1, "reason": "unclear"})
    assert aside.json()["proposal"]["lines"] == 2
    gone = await client.post(f"{address}/withdraw", headers=header, json={"reason": "again, please"})
    assert gone.json()["proposal"]["status"] == "withdrawn"
    listed = await client.get(f"{V1}/proposals", headers=header)
    assert {each["id"] for each in listed.json()["proposals"]} == {firm.draft, firm.approved}


async def test_readers_change_nothing_and_another_entity_is_not_there(
    client: httpx2.AsyncClient, state: State, firm: FinanceFirm
) -> None:
    reader = {**await key(state, "read"), "If-Match": "*"}
    german = {**await key(state, "operate", entities=("DE",)), "If-Match": "*"}
    address = f"{V1}/proposals/{firm.draft}"
    bodies: dict[str, Any] = {
        "approve": None, "release": None, "hold": {"reason": "x"}, "withdraw": {"reason": "x"},
        "set-aside": {"line": 1, "reason": "x"}, "write-down": {"amount": "1", "reason": "x"},
        "write-down/preview": {"amount": "1"},
    }  # fmt: skip
    for verb, body in bodies.items():
        assert (await client.post(f"{address}/{verb}", headers=reader, json=body)).status_code == 403, verb
        assert (await client.post(f"{address}/{verb}", headers=german, json=body)).status_code == 404, verb
    for path in (f"proposals/{firm.draft}", f"proposals/{firm.draft}/lines/1", "items/BIL-408-1"):
        assert (await client.get(f"{V1}/{path}", headers=german)).status_code == 404, path
        assert (await client.get(f"{V1}/{path}", headers=reader)).status_code == 200, path
    attest = {"match": "time to ledger", "key": firm.lost, "difference": "-8", "text": "known"}
    assert (await client.post(f"{V1}/breaks/attest", headers=reader, json=attest)).status_code == 403
    assert (await client.post(f"{V1}/breaks/attest", headers=german, json=attest)).status_code == 404
    seen = (await client.get(f"{V1}/finance/wip-ageing", headers=german)).json()["currencies"]
    assert [each["currency"] for each in seen] == ["EUR"]


async def test_what_the_workbench_shows_is_there_as_exact_text(
    client: httpx2.AsyncClient, state: State, firm: FinanceFirm
) -> None:
    header = await key(state)
    lost = (await client.get(f"{V1}/finance/unexplained", headers=header)).json()
    assert [(each["currency"], each["amount"]) for each in lost["sums"]] == [("USD", "1680.00")]
    assert [(each["subject"], each["money"]["amount"]) for each in lost["items"]] == [(firm.lost, "1680.00")]
    aged = (await client.get(f"{V1}/finance/wip-ageing", headers=header)).json()
    assert aged["definition"] == "ageing.wip_by_month@1"
    for each in aged["currencies"]:
        assert sum(Decimal(bucket["amount"]) for bucket in each["buckets"]) == Decimal(each["amount"])
    owed = (await client.get(f"{V1}/finance/receivables", headers=header)).json()["currencies"]
    assert [(each["currency"], each["open"]) for each in owed] == [
        ("EUR", "70250.60"),
        ("JPY", "12500000"),
        ("USD", "0"),
    ]
    assert owed[0]["readings"][0]["definition"] == "dso.simple@1"
    ways = (await client.get(f"{V1}/finance/invoice-latency?days=365&currency=USD", headers=header)).json()
    assert [each["currency"] for each in ways["currencies"]] == ["USD"]
    assert [step["name"] for step in ways["currencies"][0]["steps"]][-1] == "whole"
    line = (await client.get(f"{V1}/proposals/{firm.draft}/lines/1?limit=4", headers=header)).json()
    assert (line["agrees"], len(line["items"]), line["placed"]) == (True, 4, "12960.00")
    assert line["items"][0]["rate_clause"] == "Annex B 2"
    item = (await client.get(f"{V1}/items/BIL-408-1", headers=header)).json()
    assert (item["recomputed"], item["parts"][0]["disposition"]) == ("1440.00", "draft")


async def test_a_break_is_attested_only_as_it_is(client: httpx2.AsyncClient, state: State, firm: FinanceFirm) -> None:
    header = await key(state)
    found = (await client.get(f"{V1}/breaks", headers=header)).json()
    assert [(each["key"], each["difference"]) for each in found["breaks"]] == [(firm.lost, "-8"), ("WRK-601", "-1")]
    assert [each["breaks"] for each in found["matches"] if each["match"] == "time to ledger"] == [2]
    told = {"match": "time to ledger", "key": firm.lost, "difference": "-7", "text": "known"}
    assert (await client.post(f"{V1}/breaks/attest", headers=header, json=told)).status_code == 409
    done = await client.post(f"{V1}/breaks/attest", headers=header, json={**told, "difference": "-8"})
    assert done.status_code == 200
    left = (await client.get(f"{V1}/breaks?only_open=true", headers=header)).json()
    assert [each["key"] for each in left["breaks"]] == ["WRK-601"]
