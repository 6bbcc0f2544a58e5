"""Finance's pages over the app itself: numbers lead to rows, files are safe, four eyes, scopes, stale versions."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from accord.api.building import build
from accord.db.pool import Pool, transaction
from accord.governance.state import State
from accord.web.pages import add_pages
from tests.finance_firm import FinanceFirm
from tests.seeding import ATTACK, DEAL, HELD
from tests.serving import client_of, key, state_for


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


async def sign_in(client: httpx2.AsyncClient, state: State, *roles: str, entities: tuple[str, ...] = ()) -> str:
    """Sign in with a new key; gives the form token of the session."""
    client.cookies.clear()
    header = await key(state, *roles, entities=entities)
    answer = await client.post("/sign-in", data={"key": header["Authorization"].removeprefix("Bearer ")})
    assert answer.status_code == 303
    found = re.search(r'name="form_token" value="([^"]+)"', (await client.get("/finance")).text)
    assert found is not None
    return found[1]


async def one(pool: Pool, query: str, *values: Any) -> tuple[Any, ...]:
    async with pool.connection() as db:
        row = await (await db.execute(query, values)).fetchone()
    assert row is not None
    return row


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def amount(text: str) -> Decimal:
    return Decimal(text.replace("\u00a0", " ").split()[0].replace(",", ""))


async def test_every_amount_of_the_workbench_leads_to_rows_that_come_to_it(
    client: httpx2.AsyncClient, state: State
) -> None:
    await sign_in(client, state, "read")
    text = (await client.get("/finance")).text
    assert text.index("cannot be explained: 1") < text.index("Work not billed") < text.index("Receivables, by")
    shown: list[tuple[str, str]] = re.findall(
        r'<a href="(/finance/(?:unbilled|receivables)\?[^"]*)"[^>]*>(.*?)</a>', text, re.DOTALL
    )
    checked = 0
    for href, inside in shown:
        said = re.search(r"[\d,.]+(?:&nbsp;|\u00a0)[A-Z]{3}", inside)
        if said is None:
            continue
        answer = await client.get(unescape(href) + "&as=csv")
        assert answer.status_code == 200
        column = "open" if "receivables" in href else "amount"
        assert sum(Decimal(row[column]) for row in read(answer.text)) == amount(unescape(said[0])), href
        checked += 1
    assert checked > 30


async def test_a_file_holds_all_rows_and_no_formula(client: httpx2.AsyncClient, state: State, firm_pool: Pool) -> None:
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]
    async with transaction(firm_pool) as db:
        await db.execute("ALTER TABLE billable_item DISABLE TRIGGER USER")
        for n, text in enumerate(evil):
            await db.execute(
                "UPDATE billable_item SET worker = %s, task = %s WHERE id = %s", [text, text + '"x', f"BIL-40{n}-1"]
            )
    await sign_in(client, state, "read")
    address = f"/finance/items?engagement={DEAL}&entity=US&currency=USD&as=csv"
    answer = await client.get(address)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="items.csv"'
    assert answer.text.startswith("\ufeff")
    rows = read(answer.text)
    (expected,) = await one(
        firm_pool, "SELECT count(*) FROM item_part WHERE engagement = %s AND legal_entity = 'US'"
        " AND disposition IN ('wip', 'draft', 'held')", DEAL,
    )  # fmt: skip
    assert len(rows) == expected
    assert {row["worker"] for row in rows} >= {f"'{text}" for text in evil}
    assert not [row for row in rows for value in (row["worker"], row["task"]) if value.startswith(tuple("=+-@\t\r"))]


async def test_every_list_pages_by_cursor_and_saves_whole(client: httpx2.AsyncClient, state: State) -> None:
    await sign_in(client, state, "read")
    for path in ("unexplained", "unbilled", "receivables", "unsent", "breaks", "proposals", "latency/whole"):
        page = await client.get(f"/finance/{path}")
        assert page.status_code == 200, path
        file = await client.get(f"/finance/{path}?as=csv")
        assert len(read(file.text)) == page.text.split("<tbody>")[-1].count("<tr") > 0, path
        assert (await client.get(f"/finance/{path}?cursor=nonsense")).status_code == 400, path


async def test_four_eyes_a_write_down_is_shown_before_it_happens_and_another_approves(
    client: httpx2.AsyncClient, state: State, firm_pool: Pool, firm: FinanceFirm
) -> None:
    address = f"/finance/proposals/{firm.draft}"
    token = await sign_in(client, state)
    seen = await client.get(f"{address}/write-down", params={"amount": "100.01", "line": "1", "reason": "goodwill"})
    assert "Write 100.01\u00a0USD off?" in seen.text
    assert "12,859.99\u00a0USD" in seen.text
    assert await one(firm_pool, "SELECT net, version FROM proposal WHERE id = %s", firm.draft) == (firm.draft_net, 1)
    form = {"form_token": token, "version": "1", "amount": "100.01", "line": "1", "reason": "goodwill"}
    assert (await client.post(f"{address}/write-down", data=form)).status_code == 303
    own = await client.get(address)
    assert "12,859.99\u00a0USD for" in own.text
    assert "somebody else must approve it" in own.text
    assert ">Approve 12,859.99" not in own.text
    stale = await client.post(f"{address}/approve", data={"form_token": token, "version": "1"})
    assert (stale.status_code, "has changed since you read it" in stale.text) == (409, True)
    (version,) = await one(firm_pool, "SELECT version FROM proposal WHERE id = %s", firm.draft)
    refused = await client.post(f"{address}/approve", data={"form_token": token, "version": str(version)})
    assert (refused.status_code, "somebody else must approve it" in refused.text) == (409, True)
    other = await sign_in(client, state)
    assert ">Approve 12,859.99\u00a0USD</button>" in (await client.get(address)).text
    done = await client.post(f"{address}/approve", data={"form_token": other, "version": str(version)})
    assert done.status_code == 303
    assert await one(firm_pool, "SELECT status FROM proposal WHERE id = %s", firm.draft) == ("approved",)
    told = "SELECT count(*) FROM event WHERE type = 'proposal.approved' AND subject = %s"
    assert await one(firm_pool, told, firm.draft) == (1,)


async def test_an_amount_that_cannot_be_written_off_says_why(
    client: httpx2.AsyncClient, state: State, firm: FinanceFirm
) -> None:
    await sign_in(client, state)
    address = f"/finance/proposals/{firm.draft}/write-down"
    for wrong in ("", "abc", "1e400", "NaN", "-5", "0", "12960.01", "1.001"):
        answer = await client.get(address, params={"amount": wrong, "line": "1"})
        assert (answer.status_code, "cannot be written off" in answer.text) == (400, True), wrong
    assert (await client.get(address, params={"amount": "5", "line": "x"})).status_code == 400


async def test_hold_release_set_aside_and_withdraw_do_what_they_say(
    client: httpx2.AsyncClient, state: State, firm_pool: Pool, firm: FinanceFirm
) -> None:
    token = await sign_in(client, state)

    async def send(what: str, **fields: str) -> httpx2.Response:
        (version,) = await one(firm_pool, "SELECT version FROM proposal WHERE id = %s", firm.draft)
        form = {"form_token": token, "version": str(version), **fields}
        return await client.post(f"/finance/proposals/{firm.draft}/{what}", data=form)

    assert (await send("hold", reason="wait")).status_code == 303
    held = await client.get(f"/finance/proposals/{firm.draft}")
    assert "wait" in held.text
    assert ">Approve 12" not in held.text
    assert (await send("approve")).status_code == 409
    assert (await send("release")).status_code == 303
    missing = await send("hold", reason="  ")
    assert (missing.status_code, "Say why" in missing.text) == (400, True)
    line = await client.get(f"/finance/proposals/{firm.draft}/lines/1")
    assert "what it says, to the cent" in line.text
    assert "Annex B 2" in line.text
    assert (await send("lines/1/set-aside", reason="unclear")).status_code == 303
    where = "SELECT disposition, count(*) FROM item_part WHERE cause = 'unclear' GROUP BY 1"
    assert await one(firm_pool, where) == ("held", 9)
    listed = await client.get(f"/finance/items?engagement={DEAL}&entity=US&currency=USD&where=held")
    assert "Release it" in listed.text
    freed = await client.post(
        "/finance/held/release",
        data={"form_token": token, "engagement": DEAL, "entity": "US", "currency": "USD", "reason": "unclear"},
    )
    assert freed.status_code == 303
    assert await one(firm_pool, "SELECT count(*) FROM item_part WHERE cause = 'released' AND disposition = 'wip'") == (
        9,
    )


async def test_who_may_only_read_sees_no_form_and_changes_nothing(
    client: httpx2.AsyncClient, state: State, firm_pool: Pool, firm: FinanceFirm
) -> None:
    token = await sign_in(client, state, "read")
    address = f"/finance/proposals/{firm.draft}"
    assert "Decide" not in (await client.get(address)).text
    assert "Attest" not in (await client.get("/finance/breaks")).text.replace("Attested", "")
    assert (await client.get(f"{address}/write-down?amount=1")).status_code == 403
    form = {"form_token": token, "version": "1", "reason": "x", "amount": "1", "line": "1"}
    held = {"engagement": HELD, "entity": "DE", "currency": "EUR", "reason": "Travel time is disputed"}
    attest = {"match": "time to ledger", "key": firm.lost, "difference": "-8", "text": "known"}
    paths = [
        f"{address}/{what}" for what in ("approve", "hold", "release", "withdraw", "write-down", "lines/1/set-aside")
    ]
    for path, more in (
        *((path, {}) for path in paths),
        ("/finance/held/release", held),
        ("/finance/breaks/attest", attest),
    ):
        assert (await client.post(path, data={**form, **more})).status_code == 403, path
    operator = await sign_in(client, state)
    for path in paths:
        for forged in ({}, {"form_token": "x"}, {"form_token": token}):
            assert (await client.post(path, data={**form, "form_token": "", **forged})).status_code == 403, path
        elsewhere = {"sec-fetch-site": "cross-site"}
        answer = await client.post(path, data={**form, "form_token": operator}, headers=elsewhere)
        assert answer.status_code == 403, path
    assert await one(firm_pool, "SELECT status, version FROM proposal WHERE id = %s", firm.draft) == ("draft", 1)
    assert await one(firm_pool, "SELECT count(*) FROM reconciliation_break WHERE attested_by IS NOT NULL") == (0,)


async def test_another_legal_entity_is_neither_seen_nor_changed(
    client: httpx2.AsyncClient, state: State, firm_pool: Pool, firm: FinanceFirm
) -> None:
    token = await sign_in(client, state, "operate", entities=("DE",))
    for path in (
        f"proposals/{firm.draft}", f"proposals/{firm.draft}/lines/1", "items/BIL-408-1", "?entity=US",
        "unbilled?entity=JP",
        f"proposals/{firm.draft}/write-down?amount=1", f"items?engagement={DEAL}&entity=US&currency=USD&as=csv",
    ):  # fmt: skip
        address = f"/finance{path}" if path.startswith("?") else f"/finance/{path}"
        assert (await client.get(address)).status_code == 404, path
    page = (await client.get("/finance")).text
    assert "EUR" in page
    assert "USD" not in page.split("</nav>")[-1].split("<footer")[0]
    form = {"form_token": token, "version": "1", "reason": "x"}
    assert (await client.post(f"/finance/proposals/{firm.draft}/hold", data=form)).status_code == 404
    attest = {**form, "match": "time to ledger", "key": firm.lost, "difference": "-8", "text": "known"}
    assert (await client.post("/finance/breaks/attest", data=attest)).status_code == 404
    assert await one(firm_pool, "SELECT status FROM proposal WHERE id = %s", firm.draft) == ("draft",)


async def test_a_break_is_attested_with_name_and_reason_until_it_changes(
    client: httpx2.AsyncClient, state: State, firm_pool: Pool, firm: FinanceFirm
) -> None:
    token = await sign_in(client, state)
    form = {"form_token": token, "match": "time to ledger", "key": firm.lost, "difference": "-8", "text": "=known"}
    assert (await client.post("/finance/breaks/attest", data={**form, "difference": "-7"})).status_code == 409
    assert (await client.post("/finance/breaks/attest", data={**form, "text": " "})).status_code == 400
    done = await client.post("/finance/breaks/attest", data=form)
    assert done.status_code == 303
    assert "Attested: WRK-900" in (await client.get(done.headers["location"])).text
    open_ones = await client.get("/finance/breaks?open=1")
    assert firm.lost not in open_ones.text.split("list-h")[-1]
    file = read((await client.get("/finance/breaks?as=csv")).text)
    assert [row["attestation"] for row in file if row["key"] == firm.lost] == ["'=known"]
    told = await one(firm_pool, "SELECT action, about FROM audit_entry ORDER BY id DESC LIMIT 1")
    assert told == ("break attested", f"time to ledger: {firm.lost}")


async def test_hostile_text_is_text_and_the_close_is_shown_only_where_it_is(
    client: httpx2.AsyncClient, state: State
) -> None:
    await sign_in(client, state, "read")
    items = await client.get(f"/finance/items?engagement={HELD}&entity=DE&currency=EUR")
    assert "&lt;script&gt;alert" in items.text
    assert ATTACK not in items.text
    tabs = re.search(r'aria-label="Finance">(.*?)</nav>', items.text, re.DOTALL)
    there = {getattr(each, "path", "") for each in build(state, pages=add_pages).routes}
    assert tabs is not None
    assert ("/finance/close" in tabs[1]) == ("/finance/close" in there)
    assert "/finance/proposals" in tabs[1]
