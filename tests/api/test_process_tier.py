"""The process API: keys, problems with their cure, pages, tags, and the verbs on cases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import psycopg
import pytest

from accord.api import building
from accord.api.allowance import Allowance
from accord.db.pool import Pool, transaction
from accord.governance.state import State
from accord.web import sign_in
from tests.seeding import DEAL, Seeded, seed
from tests.serving import client_of, key, state_for

V1 = "/api/process/v1"


@pytest.fixture
async def seeded(pool: Pool) -> Seeded:
    async with transaction(pool) as db:
        return await seed(db, datetime.now(UTC))


@pytest.fixture
def state(pool: Pool, tmp_path: Path) -> State:
    return state_for(pool, tmp_path)


@pytest.fixture
async def client(state: State, seeded: Seeded) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(state) as client:
        client.headers.update(await key(state))
        yield client


def is_problem(answer: httpx2.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert {"type", "title", "status", "detail", "instance", "cure"} <= body.keys()
    assert body["status"] == status
    return body


async def test_without_a_valid_key_nothing_is_told(client: httpx2.AsyncClient) -> None:
    for header in ({"Authorization": ""}, {"Authorization": "Bearer no"}, {"Authorization": "Basic eDp5"}):
        answer = await client.get(f"{V1}/cases", headers=header)
        is_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_reader_may_look_and_not_act(client: httpx2.AsyncClient, state: State, seeded: Seeded) -> None:
    reader = await key(state, "read")
    assert (await client.get(f"{V1}/cases/{seeded.refused_case}", headers=reader)).status_code == 200
    body = is_problem(await client.post(f"{V1}/cases/{seeded.refused_case}/retry", headers=reader), 403)
    assert "operate" in str(body["detail"])


async def test_a_key_of_one_legal_entity_sees_no_other(
    client: httpx2.AsyncClient, state: State, seeded: Seeded
) -> None:
    german = await key(state, "operate", entities=("DE",))
    found = (await client.get(f"{V1}/engagements", headers=german)).json()["engagements"]
    assert [each["id"] for each in found] == [seeded.held]
    is_problem(await client.get(f"{V1}/engagements/{DEAL}", headers=german), 404)
    is_problem(await client.get(f"{V1}/engagements/{DEAL}/timeline", headers=german), 404)
    is_problem(await client.post(f"{V1}/cases/{seeded.refused_case}/retry", headers=german), 404)
    is_problem(await client.get(f"{V1}/processes/{seeded.process}", headers=german), 404)


async def test_lists_are_paged_by_cursor_with_a_link(client: httpx2.AsyncClient) -> None:
    for what in ("cases", "engagements", "processes"):
        first = await client.get(f"{V1}/{what}", params={"limit": 2})
        assert len(first.json()[what]) == 2
        assert 'rel="next"' in first.headers["link"]
        second = await client.get(f"{V1}/{what}", params={"limit": 2, "cursor": first.json()["next"]})
        assert {each["id"] for each in first.json()[what]}.isdisjoint(each["id"] for each in second.json()[what])
        is_problem(await client.get(f"{V1}/{what}", params={"cursor": "nonsense"}), 400)


async def test_single_things_have_a_tag_and_are_not_sent_twice(client: httpx2.AsyncClient, seeded: Seeded) -> None:
    for path in (
        f"cases/{seeded.gate_case}",
        f"engagements/{DEAL}",
        f"engagements/{DEAL}/timeline",
        f"processes/{seeded.process}",
    ):
        first = await client.get(f"{V1}/{path}")
        again = await client.get(f"{V1}/{path}", headers={"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


async def test_money_is_text_with_its_currency(client: httpx2.AsyncClient) -> None:
    found = (await client.get(f"{V1}/engagements/{DEAL}")).json()
    assert found["value"][1] == {"amount": "17300001", "currency": "JPY"}
    assert found["ledger"][0]["unexplained"] == "0.00"


async def test_the_timeline_is_told_step_by_step(client: httpx2.AsyncClient) -> None:
    found = (await client.get(f"{V1}/engagements/0061/timeline")).json()
    assert found["engagement"] == DEAL
    assert found["entries"][0]["what"] == "Opportunity won"
    assert len(found["open"]) == 3


async def test_a_case_is_settled_over_the_api_and_cannot_be_settled_twice(
    client: httpx2.AsyncClient, seeded: Seeded
) -> None:
    path = f"{V1}/cases/{seeded.question_case}/answer"
    is_problem(await client.post(path, json={"option": "maybe"}), 400)
    answer = await client.post(path, json={"option": "bill on"})
    assert answer.status_code == 200
    assert answer.json()["case"]["state"] == "resolved"
    assert answer.json()["case"]["resolved_by"].startswith("tester (")
    is_problem(await client.post(path, json={"option": "bill on"}), 409)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("cases/902/skip", {"reason": ""}),
        ("cases/902/skip", {"reason": "x", "more": 1}),
        ("cases/902/skip", {}),
        ("cases/902/supply", {"vendor_id": 5}),
        ("cases/nine/retry", {}),
        ("cases/0/retry", {}),
        ("processes", {"type": "deal.won"}),
        ("processes", {"type": "deal.won", "subject": "a b"}),
        ("processes", [1]),
    ],
)
async def test_a_body_that_does_not_fit_names_the_field(client: httpx2.AsyncClient, path: str, body: object) -> None:
    assert is_problem(await client.post(f"{V1}/{path}", json=body), 422)["errors"]


async def test_the_other_verbs_answer_with_the_case_as_it_stands(client: httpx2.AsyncClient, seeded: Seeded) -> None:
    corrected = await client.post(
        f"{V1}/cases/{seeded.gate_case}/correct", json={"field": "deal.delivery_region", "value": "EMEA"}
    )
    assert corrected.status_code == 200, corrected.text
    assert (await client.post(f"{V1}/cases/{seeded.refused_case}/retry")).status_code == 200
    supplied = await client.post(f"{V1}/cases/{seeded.refused_case}/supply", json={"vendor_id": "9"})
    assert supplied.json()["case"]["resolution"] == "done by hand: 9"
    cancelled = await client.post(f"{V1}/cases/{seeded.gate_case}/cancel", json={"reason": "gone"})
    assert cancelled.json()["case"]["resolution"] == "cancelled: gone"
    assert (
        await client.post(f"{V1}/references", json={"list": "country", "given": "Korea", "meaning": "KR"})
    ).json() == {"retried": 4}
    is_problem(await client.post(f"{V1}/cases/{seeded.paused_case}/skip", json={"reason": "x"}), 409)
    assert (await client.post(f"{V1}/cases/{seeded.paused_case}/resolve", json={"note": "renewed"})).status_code == 200
    found = (await client.get(f"{V1}/cases/clusters")).json()["clusters"]
    assert (await client.post(f"{V1}/cases/retry", json={"signature": found[0]["signature"]})).status_code == 200


async def test_a_process_is_started_once_whoever_asks_how_often(client: httpx2.AsyncClient, pool: Pool) -> None:
    body = {"type": "deal.won", "subject": DEAL}
    answers = await asyncio.gather(
        *(client.post(f"{V1}/processes", json=body, headers={"Idempotency-Key": "one"}) for _ in range(6))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers) == 5
    again = await client.post(f"{V1}/processes", json=body)
    assert (again.status_code, again.json()["new"]) == (200, False)
    other = {"type": "deal.won", "subject": "DEA-K1"}
    is_problem(await client.post(f"{V1}/processes", json=other, headers={"Idempotency-Key": "one"}), 409)
    async with pool.connection() as db:
        row = await (await db.execute("SELECT count(*) FROM process WHERE one_per = %s", [DEAL])).fetchone()
        facts = await (await db.execute("SELECT count(*) FROM event WHERE causation LIKE 'api %%'")).fetchone()
    assert (row, facts) == ((1,), (1,))


async def test_a_fact_nothing_starts_on_or_about_nothing_is_refused(client: httpx2.AsyncClient) -> None:
    is_problem(await client.post(f"{V1}/processes", json={"type": "moon.rose", "subject": DEAL}), 400)
    is_problem(await client.post(f"{V1}/processes", json={"type": "deal.won", "subject": "DEA-NONE"}), 404)


async def test_what_is_nowhere_and_what_is_not_allowed_are_problems_too(client: httpx2.AsyncClient) -> None:
    is_problem(await client.get("/api/nothing"), 404)
    is_problem(await client.delete(f"{V1}/cases"), 405)
    is_problem(await client.get(f"{V1}/cases/{2**62}"), 404)
    is_problem(
        await client.post(f"{V1}/references", content=b"{" * 2, headers={"content-type": "application/json"}), 422
    )


async def test_a_body_over_the_limit_is_refused_with_or_without_its_length(client: httpx2.AsyncClient) -> None:
    is_problem(await client.post(f"{V1}/references", content=b"x" * 1_000_001), 413)

    async def drops() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    is_problem(await client.post(f"{V1}/references", content=drops()), 413)


async def test_a_defect_is_a_500_that_tells_nothing(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accord.workbench import cases

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(cases, "clusters", broken)
    answer = await client.get(f"{V1}/cases/clusters", headers={"X-Request-Id": "abc-1"})
    is_problem(answer, 500)
    assert "hunter2" not in answer.text


async def test_every_answer_carries_a_request_id_and_the_allowance(client: httpx2.AsyncClient) -> None:
    answer = await client.get(f"{V1}/cases", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["ratelimit"].startswith('"key";r=')
    bad = await client.get(f"{V1}/cases", headers={"X-Request-Id": "a b\x7f"})
    assert bad.headers["x-request-id"] != "a b\x7f"


def test_an_allowance_runs_out_and_fills_again() -> None:
    clock = [0.0]
    allowance = Allowance(lambda: clock[0], per_minute=60)
    assert all(allowance.take("a").ok for _ in range(60))
    refused = allowance.take("a")
    assert (refused.ok, refused.headers["Retry-After"]) == (False, "1")
    assert allowance.take("b").ok
    clock[0] = 1.0
    assert allowance.take("a").ok


async def test_the_document_describes_every_answer_as_it_is(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        if not path.startswith(V1):
            continue
        for method, operation in operations.items():
            assert operation["summary"], path
            assert operation["security"], f"{method} {path} says nothing of its key"
            for status, answer in operation["responses"].items():
                if status != "304":
                    wanted = "application/problem+json" if int(status) >= 400 else "application/json"
                    assert list(answer["content"]) == [wanted], f"{method} {path} {status}"
    assert not any(path in document["paths"] for path in ("/", "/cases", "/sign-in", "/events"))


async def test_a_database_without_room_is_not_ready(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers and can be read, but takes nothing: no load balancer should send it pushes."""
    refused = ("SELECT 1", "DO $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$")
    monkeypatch.setattr(building, "TAKE_ROOM", refused)
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "has no room on its disk"
    assert (await client.get(f"{V1}/cases")).status_code == 200


async def test_machines_learn_whether_it_lives_is_ready_and_how_much_it_does(client: httpx2.AsyncClient) -> None:
    client.headers.pop("authorization")
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"status": "ok", "checks": {"database": "ok", "migrations": "ok"}}
    assert "accord_flow_objects" in (await client.get("/metrics")).text


async def test_it_is_not_ready_while_migrations_are_missing(state: State, pool: Pool) -> None:
    async with transaction(pool) as db:
        await db.execute("UPDATE alembic_version SET version_num = '0001'")
    async with client_of(state) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "accord migrate" in answer.json()["checks"]["migrations"]


@pytest.mark.parametrize("wrong", [psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction])
async def test_a_database_that_is_away_is_a_problem_that_passes(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, wrong: type[Exception]
) -> None:
    """Such as a failover: the caller is told to ask again, and when."""

    async def gone(*_: object, **__: object) -> None:
        raise wrong

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", gone)
    answer = await client.get(f"{V1}/cases")
    is_problem(answer, 503)
    assert answer.headers["retry-after"] == "5"
    monkeypatch.setattr(sign_in, "session_of", gone)
    page = await client.get("/cases")
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
