"""The suite every vendor passes, over Stripe's connector and its simulator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from accord.connect.conformance import CHECKS, Bench, Check, NotApplicable, PushCase, ReadCase, WriteCase
from accord.connect.store import Connection
from accord.connectors.stripe import CONNECTOR
from accord.engine.outcomes import Write
from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import serve
from accord.sandbox.kit.simulator import Request
from accord.sandbox.stripe import StripeSimulator, build
from accord.sandbox.stripe.account import event_as_seen
from accord.sandbox.stripe.webhooks import signature
from tests.connectors.stripe.conftest import CUSTOMER, INVOICE, MILESTONE, SCHEDULE, TAX_RATE, money

SECRET = "whsec_conformance"


class Vendor:
    """Objects made behind the connector's back, and writes that find what they link to."""

    def __init__(self, simulator: StripeSimulator) -> None:
        self.simulator = simulator
        self.customer = self.post("customers", {"name": "Somebody", "metadata[accord_id]": "CUS-1"})["id"]
        rate = {"display_name": "USt", "percentage": 19, "inclusive": "false", "country": "DE"}
        self.rate = self.post("tax_rates", {**rate, "metadata[accord_id]": "TAX-0"})["id"]
        self.count = 0

    def post(self, path: str, form: Mapping[str, Any] | None = None) -> Any:
        headers = {"authorization": f"Bearer {self.simulator.keys.secret}"}
        response = self.simulator.handle(Request("POST", f"/v1/{path}", (), headers, urlencode(form or {}).encode()))
        assert response.status == 200, response.body
        return json.loads(response.body)

    def invoice(self) -> str:
        self.count += 1
        form = {"customer": self.customer, "currency": "eur", "collection_method": "send_invoice", "days_until_due": 30}
        labels = {"metadata[accord_id]": f"INV-seed-{self.count}", "metadata[legal_entity]": "DE"}
        made: str = self.post("invoices", {**form, **labels})["id"]
        self.post(f"invoices/{made}/add_lines", {"lines[0][amount]": 11900, "lines[0][tax_rates][0]": self.rate})
        self.post(f"invoices/{made}/finalize")
        return made

    def invoices(self, number: int) -> list[str]:
        return [self.invoice() for _ in range(number)]

    def payments(self, number: int) -> list[str]:
        return [self.simulator.admin("pay_invoice", {"invoice": each})["id"] for each in self.invoices(number)]

    def failures(self, number: int) -> list[str]:
        made = self.invoices(number)
        for each in made:
            self.simulator.admin("fail_payment", {"invoice": each})
        return [f"{each}:1" for each in made]

    def disputes(self, number: int) -> list[str]:
        made = self.invoices(number)
        for each in made:
            self.simulator.admin("pay_invoice", {"invoice": each, "method": "card"})
        return [self.simulator.admin("dispute_invoice", {"invoice": each})["id"] for each in made]

    def write(self, kind: str, verb: str, body: Mapping[str, Any], number: int) -> Write:
        id = f"{body['id']}-{number}"
        known = {"CUS-1": self.customer, "TAX-1": self.rate}
        return Write(number, f"key/{kind}/{id}", kind, verb, id, {**body, "id": id}, vendor_ids=known)

    def held(self, kind: str, write: Write) -> int:
        rows = self.simulator.dump()[kind]
        return sum(1 for row in rows if row["metadata"].get("accord_id") == write.canonical_id)


def _reading(vendor: Vendor) -> list[ReadCase]:
    def tell_again(event: str, kind: str) -> Any:
        account = vendor.simulator.account
        return lambda vendor_id: account.emit(event, account.find(kind, vendor_id))

    def fail_again(vendor_id: str) -> None:
        vendor.simulator.account.emit(
            "invoice.payment_failed", vendor.simulator.account.find("invoice", vendor_id.partition(":")[0])
        )

    def pay(vendor_id: str) -> object:
        return vendor.simulator.admin("pay_invoice", {"invoice": vendor_id})

    further = "starting_after"
    rename = {"object": "invoice", "field": "total", "to": "grand_total"}
    drift = {"object": "invoice_payment", "field": "amount_paid", "to": "paid"}
    return [
        ReadCase(kind="invoice", seed=vendor.invoices, change=pay, many=110, next_page=further, rename=rename),
        ReadCase(
            kind="payment", seed=vendor.payments, change=tell_again("invoice_payment.paid", "invoice_payment"),
            many=210, next_page=further, rename=drift,
        ),
        ReadCase(kind="payment_failure", seed=vendor.failures, change=fail_again, many=210, next_page=further),
        ReadCase(
            kind="dispute", seed=vendor.disputes, change=tell_again("charge.dispute.updated", "dispute"),
            many=210, next_page=further,
        ),
    ]  # fmt: skip


def _writing(vendor: Vendor) -> list[WriteCase]:
    def case(
        kind: str, verb: str, body: Mapping[str, Any], held: str, path: str, refused: Mapping[str, Any]
    ) -> WriteCase:
        return WriteCase(
            kind=kind,
            verb=verb,
            make=lambda number: vendor.write(kind, verb, body, number),
            held=lambda write: vendor.held(held, write),
            method="POST",
            path=path,
            refused=lambda: vendor.write(kind, verb, {**body, **refused}, 99),
        )

    wrong_sum = {"gross": money("1.00")}
    return [
        case("customer", "put", CUSTOMER, "customer", "/customers$", {"email": "no address"}),
        case("tax_rate", "put", TAX_RATE, "tax_rate", "/tax_rates$", {"country": "Atlantis"}),
        case("scheduled_milestone", "put", MILESTONE, "product", "/products$", {"id": "not an id"}),
        case(
            "recurring_schedule", "put", SCHEDULE, "subscription_schedule", "/subscription_schedules$", {"months": -1}
        ),
        case("invoice", "issue", INVOICE, "invoice", "/finalize$", wrong_sum),
    ]


def _pushing(vendor: Vendor) -> PushCase:
    invoice = vendor.invoice()
    rows = list(vendor.simulator.account.shelf("event").all())
    event = event_as_seen(next(row for row in rows[::-1] if row["type"] == "invoice.finalized"))
    assert event["data"]["object"]["id"] == invoice
    body = json.dumps(event).encode()

    def make(at: datetime) -> tuple[Mapping[str, str], bytes]:
        return {"Stripe-Signature": signature(body, [SECRET], int(at.timestamp()))}, body

    return PushCase(name="event", make=make, secrets={"webhook_secret": SECRET})


@pytest.fixture
async def bench(state_dir: Path) -> AsyncIterator[Bench]:
    simulator = build(
        clock=ShiftableClock(), seed=5, search_delay_seconds=0.0, per_second=None, per_endpoint_per_second=None
    )
    vendor = Vendor(simulator)
    async with serve([simulator], state_dir=state_dir) as running:
        served = running["stripe"]
        yield Bench(
            connector=CONNECTOR,
            connection=Connection(
                "billing",
                "stripe",
                {"base_url": served.url, "ca_file": str(served.ca_file)},
                {"api_key": simulator.keys.secret, "webhook_secret": SECRET},
            ),
            inject=lambda kind, **options: simulator.faults.add(Fault(kind, **options)),  # type: ignore[arg-type]
            calls=lambda: [(each["method"], each["path"]) for each in served.journal.as_json(1000)["last"]],
            now=lambda: datetime.now(UTC),
            reading=_reading(vendor),
            writing=_writing(vendor),
            pushing=[_pushing(vendor)],
        )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_conforms(check: Check, bench: Bench) -> None:
    try:
        await check(bench)
    except NotApplicable as why:
        pytest.skip(str(why))
