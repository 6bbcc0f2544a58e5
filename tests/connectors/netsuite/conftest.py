"""The connector against the served simulator: the real session over HTTPS, one fresh account for each test."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accord.connect.registry import open_session
from accord.connect.session import Session
from accord.connect.store import Connection
from accord.connectors.netsuite import CONNECTOR
from accord.engine.outcomes import Committed, Outcome, Write
from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import Served, serve
from accord.sandbox.netsuite import NetSuiteSimulator, build

SUBSIDIARIES = {"US": "2", "DE": "3", "JP": "4"}


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


CUSTOMER: dict[str, Any] = {
    "id": "CUS-1", "legal_name": "Acme GmbH", "country": "DE", "currency": "EUR", "email": "ap@acme.example",
    "payment_terms_days": 30, "entities": ["DE", "US"],
    "tax_registration": {"country": "DE", "number": "DE136695976"},
}  # fmt: skip
PROJECT: dict[str, Any] = {
    "id": "PRJ-1", "number": "P-1-DE", "name": "Transformation", "engagement_id": "DEA-1", "customer_id": "CUS-1",
    "legal_entity": "DE", "currency": "EUR", "status": "active", "delivery_region": "EMEA", "starts_on": "2026-12-01",
}  # fmt: skip
TASK: dict[str, Any] = {
    "id": "TSK-1", "project_id": "PRJ-1", "name": "Go-live", "milestone_id": "MIL-1", "amount": money("95000.50"),
    "starts_on": "2026-12-01", "ends_on": "2026-12-31",
}  # fmt: skip
INVOICE: dict[str, Any] = {
    "id": "INV-1", "customer_id": "CUS-1", "legal_entity": "DE", "currency": "EUR", "origin": "milestone",
    "net": money("95000.50"), "tax": money("18050.10"), "gross": money("113050.60"), "number": "A-0001",
    "lines": [{"item_id": "BIL-1", "text": "Go-live", "net": money("95000.50"), "tax": money("18050.10")}],
    "billing_ref": "in_1", "project_id": "PRJ-1", "issued_on": "2026-11-23", "due_on": "2026-12-23", "status": "open",
}  # fmt: skip
PAYMENT: dict[str, Any] = {
    "id": "PAY-1", "invoice_id": "INV-1", "amount": money("50000.00"), "received_on": "2026-11-23",
    "customer_id": "CUS-1", "legal_entity": "DE", "reference": "pi_1",
}  # fmt: skip


@dataclass
class Desk:
    """Sends writes as the engine does and remembers what became of them."""

    session: Session
    simulator: NetSuiteSimulator
    served: Served
    known: dict[str, str]

    def write(self, kind: str, body: Mapping[str, Any], **more: Any) -> Write:
        key = more.pop("key", f"erp:{kind}:{body['id']}:put:1:1")
        return Write(1, key, kind, "put", str(body["id"]), body, **{"vendor_ids": {**self.known}, **more})

    async def send(self, kind: str, *bodies: Mapping[str, Any], **more: Any) -> Sequence[Outcome]:
        writes = [self.write(kind, body, **more) for body in bodies]
        outcomes = await CONNECTOR.resources[kind].actions["put"].send(self.session, writes)
        for write, outcome in zip(writes, outcomes, strict=True):
            if isinstance(outcome, Committed) and outcome.vendor_id:
                self.known[write.canonical_id] = outcome.vendor_id
        return outcomes

    async def one(self, kind: str, body: Mapping[str, Any], **more: Any) -> Outcome:
        (outcome,) = await self.send(kind, body, **more)
        return outcome

    async def committed(self, kind: str, *bodies: Mapping[str, Any], **more: Any) -> list[Committed]:
        outcomes = await self.send(kind, *bodies, **more)
        for outcome in outcomes:
            assert isinstance(outcome, Committed), outcome
        return [each for each in outcomes if isinstance(each, Committed)]

    async def probe(self, kind: str, body: Mapping[str, Any], **more: Any) -> Outcome:
        return await CONNECTOR.resources[kind].actions["put"].probe(self.session, self.write(kind, body, **more))

    async def project(self) -> None:
        await self.committed("customer", CUSTOMER)
        await self.committed("project", PROJECT)

    async def invoice(self) -> None:
        await self.project()
        await self.committed("invoice", INVOICE)

    def fault(self, kind: Any, **more: Any) -> None:
        self.simulator.faults.add(Fault(kind, **more))

    def rows(self, record: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.simulator.dump()[record]
        return found

    def calls(self, path: str = "") -> list[str]:
        """Method and path of the calls made so far, those for a token left out."""
        seen = [f"{each['method']} {each['path']}" for each in self.served.journal.as_json(1000)["last"]]
        return [each for each in seen if "oauth2" not in each and re.search(path, each)]


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("netsuite-ca")


def connection_to(served: Served, **config: Any) -> Connection:
    """A stored connection as `accord demo` would make it, with what is secret apart."""
    given = served.simulator.credentials(served.url)
    secret = {each.name for each in CONNECTOR.credentials if each.secret}
    public = {name: value for name, value in given.items() if name not in secret}
    settings = {"ca_file": str(served.ca_file), "subsidiaries": SUBSIDIARIES, "job_look_seconds": 0.02, **config}
    credentials = {name: value for name, value in given.items() if name in secret} | {"push_secret": "the push secret"}
    return Connection("erp", "netsuite", {**public, **settings}, credentials)


@pytest.fixture
async def desk(state_dir: Path) -> AsyncIterator[Desk]:
    # No budget stands before these calls; tests/sandbox/netsuite holds the account to its limit.
    simulator = build(clock=ShiftableClock(), seed=3, concurrency=100, queue_seconds=0.01, record_seconds=0.0)
    async with serve([simulator], state_dir=state_dir) as running:
        served = running["netsuite"]
        now = lambda: datetime.now(UTC)  # noqa: E731
        async with open_session(connection_to(served), now=now, table=CONNECTOR) as session:
            yield Desk(session, simulator, served, {})
