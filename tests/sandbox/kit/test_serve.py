"""The HTTPS driver: what a client sent is what the core sees, and what the core says is what the client gets."""

from __future__ import annotations

import asyncio
import io
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from accord.sandbox.kit.certificates import authority
from accord.sandbox.kit.deliverer import AT_ONCE
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import Running, Served, serve


@pytest.fixture
async def running(vendor: Any, tmp_path: Path) -> AsyncIterator[Running]:
    async with serve([vendor], state_dir=tmp_path) as running:
        yield running


@pytest.fixture
def served(running: Running) -> Served:
    return running["echo"]


@pytest.fixture
async def client(running: Running, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=authority(tmp_path).client_context())
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


async def eventually(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for what another task will do; fails loudly when it does not."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - the other side has no event to wait for
            await asyncio.sleep(0.005)


async def test_a_request_arrives_as_it_was_sent(vendor: Any, served: Served, client: aiohttp.ClientSession) -> None:
    address = f"{served.url}/a%20b/c%2Fd?q=1&q=2&empty=&plus=a+b"
    async with client.post(URL(address, encoded=True), data=b"\x00body", headers={"X-Thing": "Yes"}) as answer:
        assert (answer.status, await answer.read()) == (200, b"\x00body")
    request = vendor.handled[0]
    assert request.method == "POST"
    assert request.path == "/a b/c/d"
    assert request.raw_target == "/a%20b/c%2Fd?q=1&q=2&empty=&plus=a+b"
    assert request.query == (("q", "1"), ("q", "2"), ("empty", ""), ("plus", "a b"))
    assert request.headers["x-thing"] == "Yes"
    assert f"https://{request.host}" == served.url


async def test_a_large_body_passes(vendor: Any, served: Served, client: aiohttp.ClientSession) -> None:
    body = b"x" * 20_000_000
    async with client.put(f"{served.url}/upload", data=io.BytesIO(body)) as answer:
        assert answer.status == 200
        assert len(await answer.read()) == len(body)


async def test_a_body_over_the_limit_is_refused(
    served: Served, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accord.sandbox.kit.serve.BODY_LIMIT", 1000)
    async with client.put(f"{served.url}/upload", data=b"x" * 1001) as answer:
        assert answer.status == 413


async def test_service_time_holds_a_place_but_not_the_others(
    vendor: Any, served: Served, client: aiohttp.ClientSession
) -> None:
    """Ten calls of 0.2 s each run side by side; the eleventh finds the vendor full."""
    vendor.service_seconds, vendor.refuse_above = 0.2, 10
    began = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(client.get(f"{served.url}/slow") for _ in range(11)))
    assert sorted(answer.status for answer in answers) == [200] * 10 + [429]
    assert asyncio.get_running_loop().time() - began < 1.5
    assert (vendor.most_inside, vendor.inside) == (10, 0)


@pytest.mark.parametrize(("kind", "worked"), [("lose_request", 0), ("lose_answer", 1), ("never_answer", 1)])
async def test_a_connection_is_cut_without_an_answer(
    vendor: Any, served: Served, client: aiohttp.ClientSession, kind: Any, worked: int
) -> None:
    vendor.faults.add(Fault(kind, method="POST", path="^/thing$", seconds=0.05))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post(f"{served.url}/thing", data=b"1")
    assert len(vendor.handled) == worked
    assert vendor.inside == 0
    async with client.post(f"{served.url}/thing", data=b"2") as answer:
        assert answer.status == 200
    assert served.journal.counts == {("POST", "/thing", 0): 1, ("POST", "/thing", 200): 1}


async def test_a_push_is_sent_signed_and_its_outcome_told(
    vendor: Any, served: Served, client: aiohttp.ClientSession
) -> None:
    got: list[tuple[bytes, str, str]] = []

    async def receive(request: web.BaseRequest) -> web.StreamResponse:
        got.append((await request.read(), request.headers["x-signed-at"], request.headers["content-type"]))
        return web.Response(status=204)

    async with Receiver(receive) as url:
        await client.post(f"{served.url}/push", data=url.encode())
        await eventually(lambda: vendor.outcomes == [("d1", 204)])
    assert got[0][0] == b'{"n":1}'
    assert got[0][2] == "application/json"


async def test_a_dead_subscriber_is_told_as_no_answer(
    vendor: Any, served: Served, client: aiohttp.ClientSession
) -> None:
    """The vendor hears None and queues another attempt; its own calls go on meanwhile."""
    await client.post(f"{served.url}/push", data=b"https://127.0.0.1:9/nobody")
    await eventually(lambda: vendor.outcomes == [("d1", None)])
    assert vendor.queue[0].attempt == 2


async def test_a_shift_of_the_clock_sends_what_falls_due(
    vendor: Any, served: Served, client: aiohttp.ClientSession
) -> None:
    await client.post(f"{served.url}/push", data=b"https://127.0.0.1:9/nobody")
    await eventually(lambda: len(vendor.outcomes) == 1)
    async with client.post(f"{served.admin_url}/clock", json={"seconds": 3601}) as answer:
        assert answer.status == 200
    await eventually(lambda: len(vendor.outcomes) == 2)


async def test_a_slow_subscriber_does_not_hold_up_the_vendor(
    vendor: Any, served: Served, client: aiohttp.ClientSession
) -> None:
    released = asyncio.Event()
    arrived = 0

    async def receive(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal arrived
        arrived += 1
        await released.wait()
        return web.Response()

    async with Receiver(receive) as url:
        for _ in range(40):
            await client.post(f"{served.url}/push", data=url.encode())
        async with client.get(f"{served.url}/still-here") as answer:
            assert answer.status == 200
        await eventually(lambda: arrived == AT_ONCE)
        assert vendor.outcomes == []
        released.set()
        await eventually(lambda: len(vendor.outcomes) == 40)


async def test_a_vendor_that_fails_to_say_what_is_due_is_logged_and_asked_again(
    vendor: Any, served: Served, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    working = vendor.take_deliveries

    def failing() -> list[Any]:
        vendor.take_deliveries = working
        raise RuntimeError("a fault of the simulator")

    vendor.take_deliveries = failing
    await client.post(f"{served.url}/push", data=b"https://127.0.0.1:9/nobody")
    await eventually(lambda: vendor.outcomes == [("d1", None)])
    assert "could not say which pushes are due" in caplog.text


async def test_the_ca_is_kept_and_its_key_is_private(running: Running, tmp_path: Path) -> None:
    pem = running.ca_file.read_bytes()
    assert b"PRIVATE" not in pem
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    assert authority(tmp_path).ca_file.read_bytes() == pem


async def test_a_client_without_the_ca_is_refused(served: Served) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(served.url)


async def test_several_vendors_have_an_origin_each(vendor: Any, tmp_path: Path) -> None:
    other = type(vendor)()
    other.vendor = "other"
    async with serve([vendor, other], state_dir=tmp_path) as running:
        description = running.description()
    assert set(description) == {"echo", "other"}
    assert description["echo"]["url"] != description["other"]["url"]
    assert description["other"]["credentials"]["base_url"] == description["other"]["url"]
    assert description["other"]["admin_url"].startswith(description["other"]["url"] + "/_admin/")


class Receiver:
    """A subscriber on plain HTTP at a free port of this machine."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        self._handler = handler

    async def __aenter__(self) -> str:
        self._runner = web.ServerRunner(web.Server(self._handler))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/hook"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
