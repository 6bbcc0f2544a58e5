"""The suite every vendor passes, over Salesforce's connector and its simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accord.connect.conformance import CHECKS, Bench, Check, NotApplicable, PushCase, ReadCase, WriteCase
from accord.connectors.salesforce import CONNECTOR
from accord.connectors.salesforce.outbound import PATH_HEADER
from accord.engine.outcomes import Write
from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import serve
from accord.sandbox.salesforce import SalesforceSimulator, build
from tests.connectors.salesforce.conftest import PUSH_SECRET, Org, connection_of, money, write_of

OVERLOAD = {"status": 403, "code": "REQUEST_LIMIT_EXCEEDED"}
TOO_LONG = "x" * 41


class Bodies:
    """Writes of every kind; the n-th is about an object of its own."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.ids: dict[str, str] = {}

    def _linked(self, id: str, make: Any) -> None:
        if id not in self.ids:
            self.ids[id] = make()

    def customer(self, n: int) -> Write:
        self._linked(f"CUS-{n}", self.org.account)
        return write_of("customer", {"id": f"CUS-{n}", "legal_name": "whatever"}, self.ids)

    def handover(self, n: int, **more: Any) -> Write:
        self._linked(f"DEA-{n}", self.org.opportunity)
        body = {"id": f"NTC-{n}", "deal_id": f"DEA-{n}", "project_number": f"P-{n}", "billed": money("0.00"), **more}
        return write_of("handover", body, {f"DEA-{n}": self.ids[f"DEA-{n}"]})

    def status(self, n: int) -> Write:
        self._linked(f"CUS-{n}", self.org.account)
        body = {"id": f"STA-{n}", "customer_id": f"CUS-{n}", "payment_status": "current", "receivable": money("12.5")}
        return write_of("customer_status", body, {f"CUS-{n}": self.ids[f"CUS-{n}"]})

    def invoice(self, n: int, **more: Any) -> Write:
        self._linked("DEA-0", self.org.opportunity)
        sums = {name: money(amount, "JPY") for name, amount in (("net", "1000"), ("tax", "0"), ("gross", "1000"))}
        body = {"id": f"INV-{n}", "deal_id": "DEA-0", "currency": "JPY", "status": "open", "due_on": "2026-12-31"}
        return write_of("invoice", {**body, **sums, "disputed": False, **more}, self.ids)

    def notice(self, n: int) -> Write:
        self._linked("DEA-0", self.org.opportunity)
        body = {"id": f"NTC-{n}", "about_kind": "deal", "about_id": "DEA-0", "subject": "Disputed", "text": "Look."}
        return write_of("notice", {**body, "urgent": True}, self.ids)


def _held(org: Org, name: str, key: str) -> Any:
    return lambda write: sum(row.get(key) == write.canonical_id for row in org.rows(name))


def _writing(org: Org) -> list[WriteCase]:
    bodies = Bodies(org)
    usual: dict[str, Any] = {"method": "PATCH", "overload": OVERLOAD, "wait_seconds": None}
    update, upsert = r"/composite/sobjects$", r"/composite/sobjects/{}/{}$"

    def handed_over(write: Write) -> int:
        return sum(row.get("Accord_Engagement__c") == write.body["deal_id"] for row in org.rows("Opportunity"))

    def told(write: Write) -> int:
        return int(org.row(write.vendor_ids[write.body["customer_id"]]).get("AR_Balance__c") is not None)

    return [
        WriteCase(kind="customer", verb="put", make=bodies.customer, path=update, **usual,
                  held=_held(org, "Account", "Accord_Customer__c")),
        WriteCase(kind="handover", verb="put", make=bodies.handover, path=update, **usual, held=handed_over,
                  refused=lambda: bodies.handover(99, project_number=TOO_LONG)),
        WriteCase(kind="customer_status", verb="put", make=bodies.status, path=update, **usual, held=told),
        WriteCase(kind="invoice", verb="put", make=bodies.invoice, **usual,
                  path=upsert.format("Invoice__c", "Accord_Invoice__c"),
                  held=_held(org, "Invoice__c", "Accord_Invoice__c"),
                  refused=lambda: bodies.invoice(99, currency="XAF", net=None, tax=None, gross=None)),
        WriteCase(kind="notice", verb="put", make=bodies.notice, **usual,
                  path=upsert.format("Task", "Accord_Notice__c"), held=_held(org, "Task", "Accord_Notice__c")),
    ]  # fmt: skip


def _reading(org: Org) -> list[ReadCase]:
    def accounts(number: int) -> list[str]:
        return [org.account() for _ in range(number)]

    def deals(number: int) -> list[str]:
        return [org.opportunity() for _ in range(number)]

    def times(number: int) -> list[str]:
        return [org.make("Time_Entry__c", Hours__c=8, Work_Date__c="2026-11-20") for _ in range(number)]

    def expenses(number: int) -> list[str]:
        return [org.make("Expense__c", Amount__c=8, Work_Date__c="2026-11-20") for _ in range(number)]

    def approved(id: str) -> None:
        org.change(id, Status__c="Approved")

    return [
        ReadCase(kind="time_entry", seed=times, change=approved, many=30, next_page=r"/query/01g",
                 rename={"object": "Time_Entry__c", "field": "Hours__c", "to": "Duration__c"}),
        ReadCase(kind="expense", seed=expenses, change=approved, many=30, next_page=r"/query/01g",
                 rename={"object": "Expense__c", "field": "Status__c", "to": "State__c"}),
        ReadCase(kind="customer", seed=accounts, change=lambda account: org.change(account, Name="Another"), many=30,
                 next_page=r"/query/01g", rename={"object": "Account", "field": "Name", "to": "Name__c"}),
        ReadCase(kind="deal", seed=deals, change=lambda deal: org.change(deal, StageName="Closed Won"), many=30,
                 next_page=r"/query/01g",
                 rename={"object": "SOW_Milestone__c", "field": "Amount__c", "to": "Value__c"}),
    ]  # fmt: skip


def _pushing(simulator: SalesforceSimulator, org: Org) -> list[PushCase]:
    simulator.outbound.subscribe("Opportunity", ["Id"], "https://accord.example/in/salesforce/secret")
    org.opportunity()
    (delivery,) = simulator.take_deliveries()

    def make(_at: datetime) -> tuple[Mapping[str, str], bytes]:
        return {PATH_HEADER: PUSH_SECRET, "content-type": delivery.content_type}, delivery.body

    secrets = {"push_secret": PUSH_SECRET, "organization_id": simulator.org.id}
    return [PushCase(name="outbound message", make=make, secrets=secrets, signs_time=False)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    simulator = build(clock=ShiftableClock())
    simulator.queries.smallest_page = simulator.queries.page = 10
    org = Org(simulator)
    async with serve([simulator], state_dir=tmp_path) as running:
        served = running["salesforce"]
        yield Bench(
            connector=CONNECTOR,
            connection=connection_of(served),
            inject=lambda kind, **options: simulator.faults.add(Fault(kind, **options)),  # type: ignore[arg-type]
            calls=lambda: [(each["method"], each["path"]) for each in served.journal.as_json(2_000)["last"]],
            now=lambda: datetime.now(UTC),
            reading=_reading(org),
            writing=_writing(org),
            pushing=_pushing(simulator, org),
            token_path="^/services/oauth2/token",
            peak=lambda: simulator.limits.peak,
        )


# Outbound messages are not signed: that a body was changed on the way is TLS's to prevent. What is refused is tested
# in test_salesforce_outbound.py.
NOT_SIGNED = {"a_forged_push_is_refused"}


@pytest.mark.parametrize(
    "check", [each for each in CHECKS if each.__name__ not in NOT_SIGNED], ids=lambda c: c.__name__
)
async def test_conforms(check: Check, bench: Bench) -> None:
    try:
        await check(bench)
    except NotApplicable as why:
        pytest.skip(str(why))
