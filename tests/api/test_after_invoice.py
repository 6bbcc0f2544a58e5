"""What happens after an invoice, by the API: asked for with one key, approved with another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import httpx2
import pytest

from accord.db.pool import Pool, transaction
from accord.governance.state import State
from accord.ledger.postings import write
from accord.model.billing import Invoice, InvoiceLine
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.records.knowledge import Records
from tests.serving import client_of, key, state_for

NET, TAX, GROSS = (Money.of(amount, "EUR") for amount in ("100.00", "19.00", "119.00"))
INVOICE = Invoice(
    "INV-1", "CUS-1", "DE", "EUR", (InvoiceLine("BIL-1", "Go-live", NET, TAX),), NET, TAX, GROSS, "milestone",
    engagement_id="DEA-1", number="A-1", status="open", issued_on=date(2026, 11, 23),
)  # fmt: skip
PATH = "/api/process/v1"


@pytest.fixture
def state(pool: Pool, tmp_path: Path) -> State:
    return state_for(pool, tmp_path)


@pytest.fixture
async def client(state: State, pool: Pool) -> AsyncIterator[httpx2.AsyncClient]:
    async with transaction(pool) as db:
        await Records(write).keep(db, [("invoice", "INV-1", to_plain(INVOICE), "DEA-1")], datetime.now(UTC))
    async with client_of(state) as client:
        client.headers.update(await key(state))
        yield client


async def test_a_credit_is_asked_for_by_one_key_and_approved_by_another(
    client: httpx2.AsyncClient, state: State
) -> None:
    asked = await client.post(
        f"{PATH}/credits", json={"invoice": "A-1", "lines": [{"line": 1, "amount": "40"}], "reason": "late"}
    )
    assert asked.status_code == 201, asked.text
    approve = f"{PATH}/adjustments/{asked.json()['id']}/approve"
    own = await client.post(approve)
    assert (own.status_code, own.json()["title"]) == (409, "Conflict")
    waiting = (await client.get(f"{PATH}/adjustments", params={"about": "INV-1"})).json()["adjustments"]
    assert [(each["kind"], each["money"]) for each in waiting] == [
        ("credit_note", {"amount": "47.60", "currency": "EUR"})
    ]
    other = await client.post(approve, headers=await key(state))
    assert other.status_code == 200, other.text
    async with state.pool.connection() as db:
        told = await (await db.execute("SELECT type, payload -> 'money' ->> 'amount' FROM event")).fetchall()
    assert told == [("credit_note.approved", "47.60")]


async def test_nobody_credits_or_sees_what_is_of_another_legal_entity(client: httpx2.AsyncClient, state: State) -> None:
    asked = await client.post(f"{PATH}/credits", json={"invoice": "INV-1", "reason": "late"})
    american = await key(state, entities=("US",))
    refused = await client.post(f"{PATH}/credits", json={"invoice": "INV-1", "reason": "x"}, headers=american)
    assert refused.status_code == 404
    assert (await client.get(f"{PATH}/adjustments", headers=american)).json() == {"adjustments": []}
    approve = f"{PATH}/adjustments/{asked.json()['id']}/approve"
    assert (await client.post(approve, headers=american)).status_code == 404


async def test_a_reader_asks_for_nothing(client: httpx2.AsyncClient, state: State) -> None:
    reader = await key(state, "read")
    answer = await client.post(f"{PATH}/credits", json={"invoice": "A-1", "reason": "x"}, headers=reader)
    assert answer.status_code == 403
