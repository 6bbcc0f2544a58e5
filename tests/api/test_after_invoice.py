"""What happens after an invoice, by the API: asked for with one key, approved with another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import httpx2
import pytest

from accord.db.pool import Pool, transaction
from accord.engine.shell import Kept
from accord.governance.state import State
from accord.ledger.postings import write
from accord.ledger.terms import declare
from accord.model.billing import Invoice, InvoiceLine, UnappliedCash
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.model.terms import BillingTerms
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
        await Records(write).keep(db, [Kept("invoice", "INV-1", to_plain(INVOICE), "DEA-1")], datetime.now(UTC))
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


async def test_lines_are_disputed_shown_with_their_packet_and_decided_once(client: httpx2.AsyncClient) -> None:
    objection = {"invoice": "A-1", "lines": [{"line": 1, "amount": "30"}], "reason": "late", "answer_days": 5}
    opened = await client.post(f"{PATH}/disputes", json=objection)
    assert opened.status_code == 201, opened.text
    one = f"{PATH}/disputes/{opened.json()['id']}"
    found = (await client.get(one)).json()
    assert (found["dispute"]["amount"]["amount"], found["dispute"]["status"]) == ("35.70", "open")
    assert [(line["line"], line["net"]["amount"]) for line in found["packet"]["lines"]] == [(1, "100.00")]
    assert [each["id"] for each in (await client.get(f"{PATH}/disputes")).json()["disputes"]] == [opened.json()["id"]]
    decided = await client.post(f"{one}/decide", json={"outcome": "credit", "note": "agreed"})
    assert (await client.get(f"{PATH}/adjustments")).json()["adjustments"][0]["id"] == decided.json()["credit"]
    again = await client.post(f"{one}/decide", json={"outcome": "uphold", "note": "no"})
    assert again.status_code == 409
    too_much = await client.post(f"{PATH}/disputes", json={**objection, "lines": [{"line": 1, "amount": "70.01"}]})
    assert too_much.status_code == 400, too_much.text


async def test_a_receipt_is_recorded_once_and_unapplied_cash_is_applied_and_asked_back(
    client: httpx2.AsyncClient, pool: Pool
) -> None:
    receipt = {
        "customer": "CUS-1", "legal_entity": "DE", "amount": "150.00", "currency": "EUR", "received_on": "2026-11-24",
        "reference": "transfer 1", "pays": {"A-1": "119.00"}, "bank_fee": "1.00",
    }  # fmt: skip
    assert (await client.post(f"{PATH}/receipts", json=receipt)).status_code == 201
    assert (await client.post(f"{PATH}/receipts", json=receipt)).status_code == 409
    assert (await client.post(f"{PATH}/receipts", json={**receipt, "pays": {"A-1": "152"}})).status_code == 400
    kept = UnappliedCash("CSH-1", "payment", "PAY-1", "CUS-1", "DE", NET, date(2026, 11, 24))
    async with transaction(pool) as db:
        await Records(write).keep(db, [Kept("unapplied_cash", "CSH-1", to_plain(kept))], datetime.now(UTC))
    applied = await client.post(f"{PATH}/cash/CSH-1/apply", json={"invoice": "A-1", "amount": "60"})
    assert applied.json() == {"applied": {"amount": "60.00", "currency": "EUR"}}
    asked = await client.post(f"{PATH}/cash/CSH-1/refund", json={"amount": "30", "reason": "asked for"})
    assert asked.status_code == 201, asked.text
    (cash,) = (await client.get(f"{PATH}/cash")).json()["cash"]
    assert (cash["amount"]["amount"], cash["left"]["amount"]) == ("100.00", "10.00")
    more = await client.post(f"{PATH}/cash/CSH-1/refund", json={"amount": "10.01", "reason": "asked for"})
    assert more.status_code == 400


async def test_what_is_open_is_asked_to_be_written_off_and_work_to_be_written_up(
    client: httpx2.AsyncClient, pool: Pool
) -> None:
    asked = await client.post(f"{PATH}/write-offs", json={"about": "A-1", "reason": "insolvent"})
    assert asked.status_code == 201, asked.text
    adding = {"engagement": "DEA-1", "legal_entity": "DE", "amount": "50", "reason": "bonus"}
    assert (await client.post(f"{PATH}/write-ups", json=adding)).status_code == 404
    async with transaction(pool) as db:
        await declare(db, [BillingTerms("DEA-1", "DE", 1, "EUR", "CUS-1")], by="paula")
    assert (await client.post(f"{PATH}/write-ups", json=adding)).status_code == 201
    waiting = (await client.get(f"{PATH}/adjustments")).json()["adjustments"]
    assert [(each["kind"], each["money"]["amount"]) for each in waiting] == [
        ("write_off", "119.00"),
        ("write_up", "50.00"),
    ]
