"""Signing in and out, forms that only our own pages can send, and headers that keep strangers' scripts out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from accord.db.pool import Pool, transaction
from accord.governance import keys
from accord.governance.state import State
from accord.web.sign_in import one_time_address
from tests.seeding import Seeded, seed
from tests.serving import client_of, key, state_for


@pytest.fixture
async def seeded(pool: Pool) -> Seeded:
    async with transaction(pool) as db:
        return await seed(db, datetime.now(UTC))


@pytest.fixture
def state(pool: Pool, tmp_path: Path) -> State:
    return state_for(pool, tmp_path)


@pytest.fixture
async def client(state: State) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(state) as client:
        yield client


async def sign_in(client: httpx2.AsyncClient, state: State, *roles: str, entities: tuple[str, ...] = ()) -> str:
    """Sign in; gives the form token of the session."""
    header = await key(state, *roles, entities=entities)
    answer = await client.post(
        "/sign-in", data={"key": header["Authorization"].removeprefix("Bearer "), "next": "/cases"}
    )
    assert answer.status_code == 303, answer.text
    found = re.search(r'name="form_token" value="([^"]+)"', (await client.get("/cases")).text)
    assert found is not None
    return found[1]


async def test_who_is_not_signed_in_is_led_to_the_sign_in_and_back(client: httpx2.AsyncClient, state: State) -> None:
    answer = await client.get("/cases?owner=finance")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fcases%3Fowner%3Dfinance")
    header = await key(state, "read")
    entered = await client.post(
        "/sign-in", data={"key": header["Authorization"].removeprefix("Bearer "), "next": "/cases?owner=finance"}
    )
    assert entered.headers["location"] == "/cases?owner=finance"
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()


async def test_a_wrong_key_is_told_so_and_gets_no_session(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/sign-in", data={"key": "nope"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "not known or was revoked" in answer.text


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"])
async def test_signing_in_never_leads_to_another_site(client: httpx2.AsyncClient, state: State, elsewhere: str) -> None:
    header = await key(state, "read")
    answer = await client.post(
        "/sign-in", data={"key": header["Authorization"].removeprefix("Bearer "), "next": elsewhere}
    )
    assert answer.headers["location"] == "/"


async def test_a_one_time_address_works_once(client: httpx2.AsyncClient, state: State, pool: Pool) -> None:
    address = await one_time_address(pool, "http://accord.test/", state.now())
    assert (await client.get(address)).status_code == 303
    assert (await client.get("/")).status_code == 200
    client.cookies.clear()
    assert (await client.get(address)).status_code == 403


async def test_a_revoked_key_ends_its_sessions(
    client: httpx2.AsyncClient, state: State, pool: Pool, seeded: Seeded
) -> None:
    await sign_in(client, state)
    async with transaction(pool) as db:
        row = await (await db.execute("SELECT id FROM api_key")).fetchone()
        assert row is not None
        await keys.revoke(db, row[0], "Ada", state.now())
    assert (await client.get("/")).headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("cookie", ["", "x", "YWJj", "A" * 400])
async def test_a_made_up_session_is_none(client: httpx2.AsyncClient, cookie: str) -> None:
    client.cookies.set("accord_session", cookie)
    assert (await client.get("/")).status_code == 303


async def test_a_form_without_the_token_of_its_session_or_from_elsewhere_changes_nothing(
    client: httpx2.AsyncClient, state: State, pool: Pool, seeded: Seeded
) -> None:
    token = await sign_in(client, state)
    path = f"/cases/{seeded.question_case}/answer"
    assert (await client.post(path, data={"option": "bill on"})).status_code == 403
    assert (await client.post(path, data={"option": "bill on", "form_token": "x"})).status_code == 403
    cross = {"sec-fetch-site": "cross-site"}
    assert (await client.post(path, data={"option": "bill on", "form_token": token}, headers=cross)).status_code == 403
    async with pool.connection() as db:
        row = await (
            await db.execute("SELECT state FROM business_case WHERE id = %s", [seeded.question_case])
        ).fetchone()
    assert row == ("open",)
    done = await client.post(path, data={"option": "bill on", "form_token": token})
    assert (done.status_code, done.headers["location"].split("?")[0]) == (303, f"/cases/{seeded.question_case}")


async def test_a_reader_sees_no_form_and_may_send_none(
    client: httpx2.AsyncClient, state: State, seeded: Seeded
) -> None:
    token = await sign_in(client, state, "read")
    assert "Settle it" not in (await client.get(f"/cases/{seeded.gate_case}")).text
    answer = await client.post(f"/cases/{seeded.gate_case}/retry", data={"form_token": token})
    assert answer.status_code == 403
    assert "operate" in answer.text


async def test_a_reader_of_one_entity_sees_no_page_of_another(
    client: httpx2.AsyncClient, state: State, seeded: Seeded
) -> None:
    await sign_in(client, state, "read", entities=("DE",))
    assert (await client.get(f"/engagements/{seeded.deal}")).status_code == 404
    assert (await client.get(f"/cases/{seeded.refused_case}")).status_code == 404
    assert (await client.get(f"/processes/{seeded.process}")).status_code == 404
    assert "Northwind global" not in (await client.get("/engagements")).text


async def test_vendor_text_is_never_markup(client: httpx2.AsyncClient, state: State, seeded: Seeded) -> None:
    await sign_in(client, state)
    for path in ("/", "/engagements", "/cases", f"/cases/{seeded.gate_case}", f"/engagements/{seeded.held}"):
        text = (await client.get(path)).text
        assert "<script>alert" not in text, path
        assert "<b>S" not in text, path
        assert "&lt;script&gt;alert" in text, path


async def test_pages_allow_no_script_but_our_own(client: httpx2.AsyncClient, state: State, seeded: Seeded) -> None:
    await sign_in(client, state)
    answer = await client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert not re.search(r"\son[a-z]+=|\sstyle=", answer.text)
    script = re.search(r'src="(/static/[^"]+)"', answer.text)
    assert script is not None
    served = await client.get(script[1])
    assert (served.status_code, "immutable" in served.headers["cache-control"]) == (200, True)
    assert (await client.get("/static/x/../../secrets")).status_code == 404


async def test_a_wrong_answer_on_a_form_says_the_cure_on_the_case_itself(
    client: httpx2.AsyncClient, state: State, seeded: Seeded
) -> None:
    token = await sign_in(client, state)
    answer = await client.post(
        f"/cases/{seeded.gate_case}/declare",
        data={"list": "country", "given": "Philipines", "meaning": "Manila", "form_token": token},
    )
    assert answer.status_code == 400
    assert "ISO 3166" in answer.text
    assert "Settle it" in answer.text


async def test_errors_on_pages_are_pages_and_on_the_api_problems(client: httpx2.AsyncClient, state: State) -> None:
    await sign_in(client, state)
    page = await client.get("/nowhere")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert (await client.get("/cases/abc")).status_code == 400
    assert (await client.get("/engagements?status=lost")).status_code == 400
    assert (await client.get("/api/nowhere")).headers["content-type"] == "application/problem+json"


async def test_signing_out_takes_the_session_back(client: httpx2.AsyncClient, state: State) -> None:
    token = await sign_in(client, state)
    assert (await client.post("/sign-out", data={"form_token": token})).status_code == 303
    assert (await client.get("/")).status_code == 303
