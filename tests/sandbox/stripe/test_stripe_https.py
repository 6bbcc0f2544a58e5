"""The served account and PyPI stripe over HTTPS, with pushes to a subscriber that the SDK's own check accepts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stripe
from aiohttp import web

from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import Served, serve
from accord.sandbox.stripe import build


@asynccontextmanager
async def _subscriber() -> AsyncIterator[tuple[str, asyncio.Queue[tuple[bytes, str]], list[int]]]:
    """A receiver of pushes: its address, what came, and the statuses to answer before 200."""
    came: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()
    answers: list[int] = []

    async def receive(request: web.BaseRequest) -> web.Response:
        await came.put((await request.read(), request.headers["Stripe-Signature"]))
        answer = web.Response(status=answers.pop(0) if answers else 200)
        answer.force_close()
        return answer

    runner = web.ServerRunner(web.Server(receive))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", came, answers
    finally:
        await runner.cleanup()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    simulator = build(clock=ShiftableClock(), seed=11, search_delay_seconds=0.0, retry_seconds=(0.05, 0.05))
    async with serve([simulator], state_dir=tmp_path) as running:
        yield running["stripe"]


@pytest.fixture
async def client(served: Served, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[stripe.StripeClient]:
    """The SDK's asynchronous transport, so that its connections close in the loop they live in."""
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda *_: 0)
    trust = ssl.create_default_context(cafile=served.ca_file)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        yield stripe.StripeClient(
            served.description()["credentials"]["api_key"],
            base_addresses={"api": served.url},
            http_client=stripe.AIOHTTPClient(session=session),
            max_network_retries=2,
        )


async def test_the_sdk_works_over_https_and_accepts_the_pushes(served: Served, client: stripe.StripeClient) -> None:
    async with _subscriber() as (url, came, answers):
        wanted: Any = {"url": url, "enabled_events": ["invoice.paid"]}
        endpoint = await client.v1.webhook_endpoints.create_async(wanted)
        answers.append(500)  # the first attempt fails, so there is a second one
        paid = await _paid_invoice(client)
        for _ in range(2):
            body, header = await asyncio.wait_for(came.get(), 10)
            event = stripe.Webhook.construct_event(body, header, endpoint.secret)
            assert (event.type, event.data.object["id"]) == ("invoice.paid", paid)
    assert served.journal.total("POST", "/v1/invoices") == 4


async def _paid_invoice(client: stripe.StripeClient) -> str:
    customer = await client.v1.customers.create_async({"name": "Ada & Söhne"})
    invoice = await client.v1.invoices.create_async(
        {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 0, "currency": "jpy"}
    )
    await client.v1.invoices.add_lines_async(invoice.id, {"lines": [{"amount": 500, "description": "後払い"}]})
    await client.v1.invoices.finalize_invoice_async(invoice.id)
    return str((await client.v1.invoices.pay_async(invoice.id, {"paid_out_of_band": True})).id)


@pytest.mark.parametrize("kind", ["lose_request", "lose_answer"])
async def test_the_sdks_own_retry_makes_one_object_over_a_connection_that_breaks(
    served: Served, client: stripe.StripeClient, kind: Any
) -> None:
    served.simulator.faults.add(Fault(kind, method="POST", path="customers"))
    made = await client.v1.customers.create_async({"name": "A"})
    assert [row["id"] for row in served.simulator.dump()["customer"]] == [made.id]


async def test_two_requests_at_once_under_one_key_conflict(served: Served, client: stripe.StripeClient) -> None:
    served.simulator.faults.add(Fault("slow", method="POST", path="customers", seconds=0.5))
    options: Any = {"idempotency_key": "k", "max_network_retries": 0}
    asked = [client.v1.customers.create_async({"name": "A"}, options) for _ in range(2)]
    came = await asyncio.gather(*asked, return_exceptions=True)
    (busy,) = [each for each in came if isinstance(each, stripe.StripeError)]
    (made,) = [each for each in came if isinstance(each, stripe.Customer)]
    assert busy.http_status == 409
    again = await client.v1.customers.create_async({"name": "A"}, options)
    assert again.id == made.id
