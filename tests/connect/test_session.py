"""What surely did not happen is told from what may have happened; one connection, one budget, one token."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from accord.connect.answer import Answer
from accord.connect.auth import NoAuth, StaticBearer, TokenGrant, client_credentials
from accord.connect.authenticator import Outgoing
from accord.connect.conformance.watch import WatchedSlots
from accord.connect.errortable import ErrorTable, Then, VendorError
from accord.connect.failures import Refused
from accord.connect.registry import open_session
from accord.connect.session import (
    AccessRefused,
    AnswerLost,
    AnswerUnreadable,
    CallFailed,
    CallRecord,
    ForeignAddress,
    NotSent,
    NotTrusted,
    Session,
    outcome_of,
)
from accord.connect.store import Connection
from accord.connect.transport import ConnectionDropped, Sending
from accord.engine.outcomes import Committed, Misconfigured, Rejected, Transient, Unknown
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.simulator import Request
from tests.connect.rolodex import CLIENT, Rolodex
from tests.connect.rolodex_bench import connector_of_the_page
from tests.connect.wild_server import Asked, Reply, Wild, wild_server

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = "sk_test_very_secret_key"
ERRORS = ErrorTable(
    read=lambda body: (VendorError(body["code"], body["message"]),),
    codes={"busy": Then.SLOW_DOWN, "bad_name": Then.REJECT},
)
WRITES = ["POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture
async def wild(tmp_path: Path) -> AsyncIterator[Wild]:
    async with wild_server(tmp_path) as server:
        yield server


@pytest.fixture
async def opened(wild: Wild, tmp_path: Path) -> AsyncIterator[Callable[..., Session]]:
    """Makes sessions of the wild server's connection; closes them at the end."""
    sessions: list[Session] = []

    def make(**options: Any) -> Session:
        settings: dict[str, Any] = {
            "base_url": wild.url,
            "authenticator": StaticBearer(KEY),
            "now": lambda: datetime.now(UTC),
            "classify": ERRORS.classify,
            "config": {"ca_file": str(tmp_path / "ca.pem")},
        }
        sessions.append(Session("wild", **{**settings, **options}))
        return sessions[-1]

    yield make
    for session in sessions:
        await session.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def once(first: Reply, then: Reply | None = None) -> Callable[[Asked], Reply]:
    replies = iter([first])
    return lambda _: next(replies, then or Reply())


async def test_an_answer_is_an_answer_whatever_its_status(wild: Wild, opened: Callable[..., Session]) -> None:
    wild.answer = lambda _: Reply(418, b'{"code": "teapot"}', {"X-Brewing": "no"})
    answer = await opened().call("GET", "/pot")
    assert (answer.status, answer.headers["x-brewing"], answer.json()) == (418, "no", {"code": "teapot"})
    assert not answer.ok


async def test_amounts_cross_the_wire_exactly(wild: Wild, opened: Callable[..., Session]) -> None:
    wild.answer = lambda asked: Reply(body=asked.body)
    answer = await opened().call(
        "POST", "/echo", json={"amount": Decimal("12.50"), "big": Decimal("0.1"), "none": None}
    )
    assert wild.asked[0].body == b'{"amount":12.50,"big":0.1,"none":null}'
    assert str(answer.json()["amount"]) == "12.50"


async def test_a_form_and_a_query_are_written_as_the_vendor_reads_them(
    wild: Wild, opened: Callable[..., Session]
) -> None:
    await opened().call(
        "POST", "/v1/x", query={"q": "a b&c", "n": [1, 2]}, form={"items": [{"price": "p", "on": True}]}
    )
    assert wild.asked[0].target == "/v1/x?q=a%20b%26c&n%5B0%5D=1&n%5B1%5D=2"
    assert wild.asked[0].body == b"items[0][price]=p&items[0][on]=true"
    assert wild.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"


async def test_nobody_listening_is_not_sent(opened: Callable[..., Session]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NotSent) as failed:
        await opened(base_url=f"https://127.0.0.1:{port}").call("POST", "/", json={})
    assert outcome_of(failed.value) == Transient(failed.value.reason, None, overload=False, outage=True)


async def test_an_unknown_host_is_not_sent(opened: Callable[..., Session]) -> None:
    with pytest.raises(NotSent):
        await opened(base_url="https://no-such-host.invalid").call("POST", "/", json={})


async def test_a_stranger_is_not_sent_anything(wild: Wild, opened: Callable[..., Session]) -> None:
    """A certificate nobody vouches for does not get better by waiting: the connection pauses."""
    with pytest.raises(NotTrusted) as failed:
        await opened(config={}).call("POST", "/", json={})
    assert isinstance(outcome_of(failed.value), Misconfigured)
    assert not wild.asked


async def test_a_handshake_that_never_ends_is_not_sent(silent_port: int, opened: Callable[..., Session]) -> None:
    session = opened(base_url=f"https://127.0.0.1:{silent_port}")
    with pytest.raises(NotSent):
        await session.call("POST", "/", json={}, timeout_seconds=0.2)


async def test_a_server_without_tls_is_not_sent_anything(opened: Callable[..., Session]) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 No TLS here\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(shout, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotSent):
            await opened(base_url=f"https://127.0.0.1:{port}").call("POST", "/", json={})


@pytest.mark.parametrize("drop", ["before", "half"])
@pytest.mark.parametrize("method", [*WRITES, "GET"])
async def test_a_connection_cut_after_the_request_may_have_happened(
    drop: str, method: str, wild: Wild, opened: Callable[..., Session]
) -> None:
    wild.answer = lambda _: Reply(body=b'{"long": "enough"}', drop=drop)
    with pytest.raises(AnswerLost) as failed:
        await opened().call(method, "/", json={})
    assert isinstance(outcome_of(failed.value), Unknown)
    assert len(wild.asked) == 1


async def test_a_late_answer_may_have_happened(wild: Wild, opened: Callable[..., Session]) -> None:
    wild.answer = lambda _: Reply(hold=5)
    with pytest.raises(AnswerLost):
        await opened().call("GET", "/", timeout_seconds=0.1)
    assert len(wild.asked) == 1


@pytest.mark.parametrize("method", WRITES)
async def test_a_write_on_a_connection_closed_meanwhile_is_sent_once(
    method: str, wild: Wild, opened: Callable[..., Session]
) -> None:
    """aiohttp would send PUT and DELETE again by itself, past budget and lease."""
    wild.answer = lambda asked: Reply(drop="before" if asked.nth_on_connection > 1 else "")
    session = opened()
    await session.call("GET", "/warm")
    with pytest.raises(AnswerLost):
        await session.call(method, "/write", json={})
    assert [asked.method for asked in wild.asked] == ["GET", method]
    assert wild.connections == 1


async def test_a_read_on_a_connection_closed_meanwhile_is_sent_again_within_the_budget(
    wild: Wild, opened: Callable[..., Session]
) -> None:
    wild.answer = lambda asked: Reply(drop="before" if asked.nth_on_connection > 1 else "")
    slots = WatchedSlots()
    session = opened(slots=slots)
    await session.call("GET", "/warm")
    assert (await session.call("GET", "/read")).ok
    assert (len(wild.asked), slots.taken, wild.connections) == (3, 3, 2)


async def test_connections_are_kept(wild: Wild, opened: Callable[..., Session]) -> None:
    session = opened()
    for _ in range(5):
        await session.call("POST", "/", json={})
    assert wild.connections == 1


@pytest.mark.parametrize("zipped", [False, True])
async def test_an_endless_answer_is_not_read_to_its_end(
    *, zipped: bool, wild: Wild, opened: Callable[..., Session]
) -> None:
    long = b'"' + b"x" * 2_000_000 + b'"'
    body, headers = (gzip.compress(long), {"Content-Encoding": "gzip"}) if zipped else (long, {})
    wild.answer = lambda _: Reply(body=body, headers=headers)
    with pytest.raises(AnswerUnreadable, match="longer than 1000000"):
        await opened(max_answer_bytes=1_000_000).call("POST", "/", json={})


async def test_a_zipped_answer_is_read(wild: Wild, opened: Callable[..., Session]) -> None:
    wild.answer = lambda _: Reply(body=gzip.compress(b'{"a": 1.10}'), headers={"Content-Encoding": "gzip"})
    assert (await opened().call("GET", "/")).json() == {"a": Decimal("1.10")}


async def test_an_answer_that_is_no_json_proves_nothing(wild: Wild, opened: Callable[..., Session]) -> None:
    wild.answer = lambda _: Reply(body=b"<html>proxy</html>")
    session = opened()
    outcome = await session.outcome(session.call("POST", "/", json={}), lambda answer: Committed(answer.json()["id"]))
    assert isinstance(outcome, Unknown)


async def test_a_redirect_is_not_followed(wild: Wild, opened: Callable[..., Session]) -> None:
    wild.answer = lambda _: Reply(302, headers={"Location": f"{wild.url}/elsewhere"})
    assert (await opened().call("POST", "/", json={})).status == 302
    assert len(wild.asked) == 1


@pytest.mark.parametrize(
    "address",
    ["https://elsewhere.example/x", "http://{host}/x", "https://{host}@elsewhere.example/x", "https://localhost:1/x"],
)
async def test_credentials_go_to_the_configured_host_only(
    address: str, wild: Wild, opened: Callable[..., Session]
) -> None:
    """A link in an answer is data; it must not carry our token away."""
    with pytest.raises(ForeignAddress):
        await opened().call("GET", address.format(host=wild.url.removeprefix("https://")))
    assert not wild.asked


async def test_an_address_of_the_vendor_itself_is_called(wild: Wild, opened: Callable[..., Session]) -> None:
    assert (await opened().call("GET", f"{wild.url}/next?cursor=a%2Fb", query={"n": 1})).ok
    assert wild.asked[0].target == "/next?cursor=a%2Fb&n=1"


async def test_a_worker_whose_lease_ran_out_while_it_waited_sends_nothing(
    wild: Wild, opened: Callable[..., Session]
) -> None:
    """The look is taken after the slot and the connection were waited for, just before the first byte."""
    leased = [True]

    class Slow(WatchedSlots):
        def slot(self, endpoint: str) -> Any:
            leased[0] = False
            return super().slot(endpoint)

    with pytest.raises(NotSent, match="lease"):
        await opened(may_send=lambda: leased[0], slots=Slow()).call("POST", "/", json={})
    async with asyncio.timeout(5):
        await wild.met.wait()
    assert not wild.asked


async def test_a_closed_budget_sends_nothing(wild: Wild, opened: Callable[..., Session]) -> None:
    class Closed(WatchedSlots):
        def slot(self, endpoint: str) -> Any:
            raise NotSent("the budget of the day is used up", retry_after_seconds=60)

    session = opened(slots=Closed())
    assert await session.outcome(session.call("POST", "/", json={})) == Transient(
        "the budget of the day is used up", 60
    )
    assert not wild.asked


async def test_the_budget_hears_of_an_overload_by_status_and_by_code(
    wild: Wild, opened: Callable[..., Session]
) -> None:
    slots = WatchedSlots()
    session = opened(slots=slots)
    wild.answer = once(
        Reply(429, b'{"code": "any", "message": "slow"}', {"Retry-After": "9"}),
        Reply(403, b'{"code": "busy", "message": "the day is full"}'),
    )
    first = await session.outcome(session.call("POST", "/", json={}))
    second = await session.outcome(session.call("POST", "/", json={}))
    assert first == Transient("any: slow", 9.0, overload=True)
    assert second == Transient("busy: the day is full", None, overload=True)
    assert slots.told == [9.0, None]


async def test_a_cancelled_call_gives_its_slot_back(wild: Wild, opened: Callable[..., Session]) -> None:
    wild.answer = lambda _: Reply(hold=5)
    slots = WatchedSlots(limit=1)
    session = opened(slots=slots)
    call = asyncio.create_task(session.call("POST", "/", json={}))
    await wild.came.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    wild.answer = lambda _: Reply()
    async with asyncio.timeout(5):
        assert (await session.call("POST", "/", json={})).ok


async def test_every_call_is_recorded_without_ids(wild: Wild, opened: Callable[..., Session]) -> None:
    records: list[CallRecord] = []
    session = opened(on_call=records.append)
    await session.call("GET", "/v1/invoices/in_1PaQ2", query={"expand": "x"}, endpoint="invoices")
    wild.answer = lambda _: Reply(drop="before")
    with pytest.raises(AnswerLost):
        await session.call("POST", "/v1/invoices", form={})
    first, second = records
    assert (first.path_template, first.endpoint, first.status) == ("/v1/invoices/{id}", "invoices", 200)
    assert (second.method, second.path_template, second.status) == ("POST", "/v1/invoices", None)
    assert first.seconds > 0


async def test_no_secret_is_raised_logged_or_chained(
    wild: Wild, opened: Callable[..., Session], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1cyJ9.c2ln"
    said = f'{{"code": "bad_name", "message": "the key {KEY} may not be called {jwt}"}}'
    wild.answer = once(Reply(400, said.encode()), Reply(drop="before"))
    session = opened()
    outcome = await session.outcome(session.call("POST", "/", json={}))
    assert outcome == Rejected("bad_name", "the key [hidden] may not be called [hidden]")
    with pytest.raises(AnswerLost) as failed:
        await session.call("POST", f"/{KEY}", json={})
    assert failed.value.__context__ is None
    assert KEY not in f"{caplog.text} {failed.value!r} {session!r}"


async def test_a_reader_gets_the_refusal_with_its_outcome(wild: Wild, opened: Callable[..., Session]) -> None:
    wild.answer = lambda _: Reply(400, b'{"code": "bad_name", "message": "no"}')
    session = opened()
    with pytest.raises(Refused) as failed:
        await session.expect(session.call("GET", "/"))
    assert outcome_of(failed.value) == Rejected("bad_name", "no")


def grant(wild: Wild, **options: Any) -> TokenGrant:
    return client_credentials(token_url=f"{wild.url}/token", client_id="us", client_secret="s3cr3t-of-ours", **options)


class Tokens:
    """A vendor with tokens: `/token` sells t1, t2, ...; only those in `good` are let in."""

    def __init__(self, wild: Wild) -> None:
        self.sold = 0
        self.good: set[str] = set()
        self.sells = Reply()
        wild.answer = self.answer

    def answer(self, asked: Asked) -> Reply:
        if asked.target == "/token":
            if self.sells.status != 200 or self.sells.drop:
                return self.sells
            self.sold += 1
            self.good.add(f"t{self.sold}")
            return Reply(body=f'{{"access_token": "t{self.sold}"}}'.encode())
        known = asked.headers.get("authorization", "").removeprefix("Bearer ") in self.good
        return Reply() if known else Reply(401, b'{"code": "who", "message": "are you"}')


async def test_one_expired_token_is_renewed_once_for_all(wild: Wild, opened: Callable[..., Session]) -> None:
    tokens = Tokens(wild)
    session = opened(authenticator=grant(wild))
    await session.call("GET", "/")
    tokens.good.clear()
    answers = await asyncio.gather(*(session.call("POST", "/", json={}) for _ in range(20)))
    assert all(answer.ok for answer in answers)
    assert tokens.sold == 2


async def test_the_first_token_is_bought_once_for_all(wild: Wild, opened: Callable[..., Session]) -> None:
    tokens = Tokens(wild)
    session = opened(authenticator=grant(wild), slots=WatchedSlots(limit=1))
    await asyncio.gather(*(session.call("GET", "/") for _ in range(20)))
    assert tokens.sold == 1


async def test_a_401_that_is_not_about_the_token_is_the_answer(wild: Wild, opened: Callable[..., Session]) -> None:
    tokens = Tokens(wild)
    session = opened(authenticator=grant(wild, about_token=lambda answer: b"are you" not in answer.body))
    await session.call("GET", "/")
    tokens.good.clear()
    assert (await session.call("GET", "/")).status == 401
    assert tokens.sold == 1


async def test_a_second_401_is_the_answer(wild: Wild, opened: Callable[..., Session]) -> None:
    tokens = Tokens(wild)
    session = opened(authenticator=grant(wild))
    await session.call("GET", "/")
    wild.answer = lambda asked: tokens.answer(asked) if asked.target == "/token" else Reply(401)
    assert [(await session.call("GET", "/")).status for _ in range(3)] == [401, 401, 401]
    assert tokens.sold == 2


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(400, b'{"error": "invalid_grant", "error_description": "not approved"}'), Misconfigured),
        (Reply(401, b'{"error": "invalid_client"}'), Misconfigured),
        (Reply(429, b"{}", {"Retry-After": "3"}), Transient),
        (Reply(500, b"oops"), Transient),
        (Reply(200, b'{"token_type": "none"}'), Misconfigured),
        (Reply(drop="before"), Transient),
    ],
)
async def test_without_a_token_nothing_was_sent(
    reply: Reply, expected: type, wild: Wild, opened: Callable[..., Session]
) -> None:
    """Whatever goes wrong at the token endpoint, the call itself surely did not happen."""
    wild.answer = lambda _: reply
    session = opened(authenticator=grant(wild))
    outcome = await session.outcome(session.call("POST", "/write", json={}))
    assert isinstance(outcome, expected)
    assert {asked.target for asked in wild.asked} == {"/token"}


async def test_a_token_that_cannot_be_renewed_now_may_be_later(wild: Wild, opened: Callable[..., Session]) -> None:
    tokens = Tokens(wild)
    session = opened(authenticator=grant(wild))
    await session.call("GET", "/")
    tokens.good.clear()
    tokens.sells = Reply(503, b"closed", {"Retry-After": "30"})
    outcome = await session.outcome(session.call("POST", "/", json={}))
    assert isinstance(outcome, Transient)
    tokens.sells = Reply()
    assert (await session.call("POST", "/", json={})).ok


async def test_the_vendor_may_name_the_host_to_use(wild: Wild, opened: Callable[..., Session]) -> None:
    wild.answer = lambda asked: Reply(body=f'{{"access_token": "t", "instance_url": "{wild.url}/pod7"}}'.encode())
    session = opened(base_url="https://login.example", authenticator=grant(wild, base_url_member="instance_url"))
    assert (await session.call("GET", "/x")).ok
    assert wild.asked[-1].target == "/pod7/x"


async def test_calls_without_credentials(wild: Wild, opened: Callable[..., Session]) -> None:
    assert (await opened(authenticator=NoAuth()).call("GET", "/")).ok
    assert "authorization" not in wild.asked[0].headers


class InProcess:
    """A simulator in the same process, as the deterministic simulation drives it: no socket, no time."""

    def __init__(self, rolodex: Rolodex) -> None:
        self.rolodex = rolodex

    async def send(self, request: Outgoing, sending: Sending, timeout_seconds: float) -> Answer:
        sending.begin()
        parts = urlsplit(request.url)
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(request.method, parts.path, tuple(parse_qsl(parts.query)), headers, request.body or b"")
        if self.rolodex.faults.take(asked, "lose_answer"):
            self.rolodex.handle(asked)
            raise ConnectionDropped("lost on demand")
        answered = self.rolodex.handle(asked)
        return Answer(answered.status, answered.headers, answered.body)

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_simulator_in_the_same_process_serves_without_a_socket() -> None:
    """The same session and connector as over HTTPS, so that one seed can replay what a network would do."""
    rolodex = Rolodex()
    connection = Connection("cards", "rolodex", {"base_url": "https://rolodex"}, {**CLIENT})
    session = open_session(connection, now=lambda: NOW, table=connector_of_the_page(), wire=InProcess(rolodex))
    assert await connector_of_the_page().check(session) == "connected as the front desk"
    rolodex.faults.add(Fault("lose_answer", method="PUT"))
    lost = await session.outcome(session.call("PUT", "/customers/ref:CUS-1", json={"name": "Ada"}))
    assert isinstance(lost, Unknown)
    assert rolodex.held("CUS-1") == 1
    session.may_send = lambda: False
    with pytest.raises(NotSent):
        await session.call("GET", "/me")


def test_every_failure_has_an_outcome() -> None:
    """The tree at the top of failures.py, in code."""
    found = {type(error): type(outcome_of(error)) for error in (
        NotSent("x"), AccessRefused("c", "x"), NotTrusted("x"), ForeignAddress("x"), AnswerLost("x"),
        AnswerUnreadable("x"), Refused(Rejected("c", "x")), CallFailed("x"),
    )}  # fmt: skip
    assert found == {
        NotSent: Transient,
        AccessRefused: Misconfigured,
        NotTrusted: Misconfigured,
        ForeignAddress: Misconfigured,
        AnswerLost: Unknown,
        AnswerUnreadable: Unknown,
        Refused: Rejected,
        CallFailed: Unknown,
    }
