"""The door for pushes: size, secret, signature; stored raw before it is answered; nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import orjson
import psycopg
import pytest

from accord.api.door import Door, Entrance, Entrances
from accord.api.shelf import Shelf
from accord.connect.connector import Refusal, Webhook
from accord.connect.signature import REFUSED, hmac_matches
from accord.connect.store import Connection, save_connection
from accord.connect.vault import open_vault
from accord.db.pool import Pool, transaction
from tests.serving import now

SECRET = "whsec"


def _verify(headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Any], _: datetime) -> Refusal | None:
    return None if hmac_matches([secrets["secret"]], body, [headers.get("x-signature", "")]) else REFUSED


def _ids(_: Mapping[str, str], body: bytes) -> list[str]:
    return [str(each) for each in orjson.loads(body)["ids"]]


WEBHOOK = Webhook(_verify, _ids, lambda _headers, _body: (), answer=("text/xml", b"<ok/>"), max_body=2000)
ENTRANCE = Entrance(WEBHOOK, {"secret": SECRET}, "path-secret")


async def look(connection: str) -> Entrance | None:
    return ENTRANCE if connection == "vendor" else None


@asynccontextmanager
async def door(pool: Pool) -> AsyncIterator[tuple[httpx2.AsyncClient, Shelf]]:
    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(str(pool.conninfo), autocommit=True)

    async def behind(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    shelf = Shelf(connect)
    transport = httpx2.ASGITransport(app=Door(behind, look=look, shelf=shelf, now=now))
    async with httpx2.AsyncClient(transport=transport, base_url="http://accord.test") as client:
        yield client, shelf
    await shelf.close()


def push(*ids: object, note: str = "") -> tuple[bytes, dict[str, str]]:
    body = orjson.dumps({"ids": ids, "note": note})
    return body, {"x-signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}


async def stored(pool: Pool) -> list[tuple[Any, ...]]:
    async with pool.connection() as db:
        rows = await (
            await db.execute("SELECT vendor_event_id, differs, body, headers FROM inbox ORDER BY id")
        ).fetchall()
    return [(row[0], row[1], bytes(row[2]), row[3]) for row in rows]


async def test_a_genuine_push_is_stored_byte_by_byte_and_answered_as_the_vendor_wants(pool: Pool) -> None:
    body, headers = push("evt_1", note="ü")
    async with door(pool) as (client, _):
        answer = await client.post(
            "/in/vendor", content=body, headers={**headers, "authorization": "Bearer s", "cookie": "c"}
        )
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "text/xml", b"<ok/>")
    [(event_id, differs, kept, kept_headers)] = await stored(pool)
    assert (event_id, differs, kept) == ("evt_1", False, body)
    assert "x-signature" in kept_headers
    assert not {"authorization", "cookie"} & kept_headers.keys()


async def test_the_same_push_again_is_one_row_and_another_body_is_flagged(pool: Pool) -> None:
    async with door(pool) as (client, _):
        for note in ("a", "a", "b", "a"):
            body, headers = push("evt_1", note=note)
            assert (await client.post("/in/vendor", content=body, headers=headers)).status_code == 200
    assert [(row[0], row[1]) for row in await stored(pool)] == [("evt_1", False), ("evt_1", True)]


async def test_pushes_of_one_moment_share_a_commit_and_the_second_body_among_them_is_flagged(pool: Pool) -> None:
    async with door(pool) as (client, shelf):
        pushes = [push(f"evt_{n % 150}", note="x" if n < 150 else "y" if n < 160 else "x") for n in range(300)]
        answers = await asyncio.gather(*(client.post("/in/vendor", content=body, headers=h) for body, h in pushes))
        assert {answer.status_code for answer in answers} == {200}
        assert shelf.commits < 60
    rows = await stored(pool)
    assert len(rows) == 160
    assert sum(row[1] for row in rows) == 10


async def test_a_body_with_several_events_is_one_row(pool: Pool) -> None:
    async with door(pool) as (client, _):
        body, headers = push("a", "b", "a")
        await client.post("/in/vendor", content=body, headers=headers)
        await client.post("/in/vendor", content=body, headers=headers)
    [(event_id, *_)] = await stored(pool)
    assert event_id.startswith("several ")


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("/in/vendor", {"x-signature": "00"}, 401),
        ("/in/vendor", {}, 401),
        ("/in/vendor/wrong", None, 401),
        ("/in/nobody", None, 401),
        ("/in/", None, 401),
        ("/in/vendor/path-secret", None, 200),
    ],
)
async def test_only_who_knows_the_secret_gets_in(
    pool: Pool, path: str, change: dict[str, str] | None, status: int
) -> None:
    body, headers = push("evt_1")
    async with door(pool) as (client, _):
        answer = await client.post(path, content=body, headers=headers if change is None else change)
    assert answer.status_code == status
    assert len(await stored(pool)) == (status == 200)
    if status == 401:
        assert answer.json()["detail"] == "the signature is missing or wrong", "it says nothing of what was wrong"


async def test_a_large_body_is_refused_before_it_is_looked_at(pool: Pool) -> None:
    body, headers = push("evt_1", note="x" * 3000)

    async def drops() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100

    async with door(pool) as (client, _):
        assert (await client.post("/in/vendor", content=body, headers=headers)).status_code == 413
        assert (await client.post("/in/vendor", content=drops(), headers=headers)).status_code == 413
    assert await stored(pool) == []


async def test_other_methods_and_bodies_without_ids_are_refused(pool: Pool) -> None:
    async with door(pool) as (client, _):
        answer = await client.get("/in/vendor")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        for ids in ((), ("",), ("x" * 300,)):
            body, headers = push(*ids)
            assert (await client.post("/in/vendor", content=body, headers=headers)).status_code == 400
        assert (await client.get("/elsewhere")).status_code == 418


async def test_a_push_that_cannot_be_kept_harms_no_other(pool: Pool) -> None:
    """PostgreSQL holds no zero byte in text; whoever sent that one is told, the others are stored."""
    async with door(pool) as (_, shelf):
        puts = [shelf.put("vendor", id, b"body " + id.encode(), {}) for id in ("fine_1", "zero\0byte", "fine_2")]
        told = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(each) for each in told if each is not None] == [psycopg.errors.UntranslatableCharacter]
    assert sorted(row[0] for row in await stored(pool)) == ["fine_1", "fine_2"]


async def test_a_cut_connection_is_opened_anew(pool: Pool) -> None:
    async with door(pool) as (client, shelf):
        body, headers = push("evt_1")
        await client.post("/in/vendor", content=body, headers=headers)
        assert shelf._connection is not None
        async with pool.connection() as db:
            await db.execute("SELECT pg_terminate_backend(%s)", [shelf._connection.info.backend_pid])
        body, headers = push("evt_2")
        assert (await client.post("/in/vendor", content=body, headers=headers)).status_code == 200
    assert len(await stored(pool)) == 2


async def test_listeners_are_told_only_when_something_new_came(pool: Pool) -> None:
    async with (
        door(pool) as (client, _),
        await psycopg.AsyncConnection.connect(str(pool.conninfo), autocommit=True) as other,
    ):
        await other.execute("LISTEN accord_inbox")
        body, headers = push("evt_1")
        for _ in range(2):
            await client.post("/in/vendor", content=body, headers=headers)
        heard = [notice async for notice in other.notifies(timeout=0.5)]
    assert len(heard) == 1


class Away:
    """A pool whose database is away from some moment on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.away = False

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Any]:
        if self.away:
            raise psycopg.OperationalError("it is away")
        async with self._pool.connection(timeout) as connection:
            yield connection


async def test_without_the_database_a_push_is_refused_with_the_time_to_come_again(pool: Pool, tmp_path: Path) -> None:
    """Before the first look at the connections, and after one: neither waits nor breaks."""
    moments = iter(range(0, 1000, 10))
    away = Away(pool)
    vault = open_vault(tmp_path)
    async with transaction(pool) as db:
        await save_connection(db, vault, Connection("netsuite", "netsuite", {}, {"push_secret": "s"}))
    entrances = Entrances(away, vault, monotonic=lambda: float(next(moments)))

    async def gone() -> psycopg.AsyncConnection[Any]:
        raise psycopg.OperationalError("it is away")

    transport = httpx2.ASGITransport(app=Door(None, look=entrances.of, shelf=Shelf(gone), now=now))
    async with httpx2.AsyncClient(transport=transport, base_url="http://accord.test") as client:
        for here, genuine in ((False, False), (True, False), (False, True)):
            away.away = not here
            stamp, body = str(int(now().timestamp())), b'{"event_id": "1"}'
            digest = hmac.new(b"s", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            signature = f"t={stamp},v1={digest if genuine else 0}"
            answer = await client.post("/in/netsuite", content=body, headers={"x-accord-signature": signature})
            assert answer.status_code == (401 if here else 503)
            assert here or answer.headers["retry-after"] == "5"
