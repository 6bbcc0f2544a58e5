"""The experience API: shaped for PMO leads and account managers, with definitions, sources, scopes and costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from accord.db.pool import Pool
from accord.governance.state import State
from tests.api.test_process_tier import is_problem
from tests.seeding import HELD
from tests.serving import client_of, key, state_for
from tests.staffing import DEAL, NOW, firm, firm_database

__all__ = ["firm", "firm_database"]
V1 = "/api/experience/v1"


@pytest.fixture
def state(firm: Pool, tmp_path: Path) -> State:
    return state_for(firm, tmp_path, clock=lambda: NOW)


@pytest.fixture
async def client(state: State) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(state) as client:
        client.headers.update(await key(state, "read"))
        yield client


async def test_an_engagement_is_told_as_those_who_answer_for_it_ask(client: httpx2.AsyncClient) -> None:
    it = (await client.get(f"{V1}/engagements/0061")).json()
    assert (it["id"], it["customer"], it["status"]) == (DEAL, "Northwind Industrie AG", "active")
    assert it["contracted"][2] == {"amount": "210000.00", "currency": "USD"}
    assert it["remaining"][2] == {"amount": "90000.00", "currency": "USD"}
    assert it["unbilled"] == [
        {"amount": "23040.00", "currency": "EUR"},
        {"amount": "44200.00", "currency": "USD"},
    ]
    [cap] = it["caps"]
    assert (cap["left"]["amount"], cap["needs_attention"], cap["days"]["text"]) == ("15800.00", True, "20.02 days")
    assert [(each["number"], each["status"], each["due"]["amount"]) for each in it["invoices"]] == [
        ("ACC-0002", "overdue", "63050.60"), ("ACC-0003", "overdue", "12500000"), ("ACC-0001", "paid", "0.00"),
    ]  # fmt: skip
    assert it["not_approved_hours"] == "40"


async def test_what_is_not_active_is_no_engagement_yet(client: httpx2.AsyncClient) -> None:
    is_problem(await client.get(f"{V1}/engagements/{HELD}"), 404)
    is_problem(await client.get(f"{V1}/engagements/nothing"), 404)


async def test_costs_and_margins_are_told_to_a_key_that_may_see_them_alone(
    client: httpx2.AsyncClient, state: State
) -> None:
    for role in ("read", "operate", "admin"):
        it = await client.get(f"{V1}/engagements/{DEAL}", headers=await key(state, role))
        assert it.json()["margins"] is None
        assert "16680" not in it.text
    found = await client.get(f"{V1}/engagements", headers=await key(state, "read", "costs"))
    american = next(each for each in found.json()["engagements"][0]["margins"] if each["legal_entity"] == "US")
    assert (american["reading"]["text"], american["cost"][0]["amount"]) == ("89.84 %", "16680.00")
    is_problem(await client.get(f"{V1}/caps", headers={"Authorization": "Bearer no"}), 401)


async def test_missing_time_and_utilization_are_paged_and_scoped(client: httpx2.AsyncClient, state: State) -> None:
    first = await client.get(f"{V1}/missing-time", params={"limit": 2})
    assert [each["worker"] for each in first.json()["people"]] == ["dora", "anna"]
    assert first.json()["people"][0]["not_submitted_worth"] is None
    assert 'rel="next"' in first.headers["link"]
    rest = await client.get(f"{V1}/missing-time", params={"limit": 2, "cursor": first.json()["next"]})
    assert [(each["worker"], each["not_submitted_worth"]) for each in rest.json()["people"]] == [
        ("ben", [{"amount": "18000.00", "currency": "USD"}])
    ]
    assert [each["manager"] for each in first.json()["managers"]] == ["petra", ""]
    used = (await client.get(f"{V1}/utilization", params={"limit": 1})).json()
    assert (used["first_day"], used["last_day"], used["people"][0]["worker"]) == ("2026-10-26", "2026-11-22", "anna")
    assert used["whole"]["utilization"][0]["measure"] == "utilization.billable@1"
    assert used["sources"][0]["name"] == "time"
    german = await key(state, "read", entities=("DE",))
    for path in ("utilization", "missing-time", "caps", "measures"):
        text = (await client.get(f"{V1}/{path}", headers=german)).text
        assert "anna" not in text
        assert "USD" not in text
    is_problem(await client.get(f"{V1}/utilization", params={"cursor": "nonsense"}), 400)
    is_problem(await client.get(f"{V1}/missing-time", params={"weeks": 0}), 422)


async def test_measures_are_told_with_definition_value_and_sources(client: httpx2.AsyncClient) -> None:
    answer = await client.get(f"{V1}/measures")
    found = {each["id"]: each for each in answer.json()["measures"]}
    assert found["dso.simple@1"]["readings"] == []
    days = found["wip_days.earned@1"]
    assert days["formula"] == "WIP ÷ value earned in the period × days of the period"
    american = next(each for each in days["readings"] if each["about"].startswith("USD"))
    assert american["text"] == "198.36 days"
    assert american["value"].startswith("198.36")
    assert american["sources"][0]["name"] == "ledger"
    none = found["realization.billing@1"]["readings"][0]
    assert (none["value"], none["undefined_because"]) == (None, "standard value is zero")


@pytest.mark.parametrize("path", ["measures", "caps", f"engagements/{DEAL}"])
async def test_what_a_caller_has_already_is_not_sent_twice(client: httpx2.AsyncClient, path: str) -> None:
    first = await client.get(f"{V1}/{path}")
    again = await client.get(f"{V1}/{path}", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
