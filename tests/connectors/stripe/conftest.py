"""The connector against the served simulator: the real session over HTTPS, one fresh account for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accord.connect.registry import open_session
from accord.connect.session import Session
from accord.connect.store import Connection
from accord.connectors.stripe import CONNECTOR
from accord.engine.outcomes import Committed, Outcome, Write
from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import Served, serve
from accord.sandbox.stripe import StripeSimulator, build

CUSTOMER = {
    "id": "CUS-1",
    "legal_name": "Acme GmbH",
    "country": "DE",
    "currency": "EUR",
    "email": "ap@acme.example",
    "tax_registration": {"country": "DE", "number": "DE 136 695 976"},
}
TAX_RATE = {"id": "TAX-1", "label": "USt", "country": "DE", "percentage": "19", "kind": "domestic"}
ABOUT = {"engagement_id": "DEA-1", "customer_id": "CUS-1", "legal_entity": "DE"}
MILESTONE = {
    "id": "MIL-1", "name": "Go-live", "amount": {"amount": "1234.50", "currency": "EUR"},
    "planned_on": "2026-12-31", "status": "scheduled", **ABOUT,
}  # fmt: skip
SCHEDULE = {
    "id": "SUB-1", "name": "Managed service", "monthly": {"amount": "500000", "currency": "JPY"},
    "starts_on": "2026-11-23", "months": 12, "terms_days": 30, "tax_rate_id": "TAX-1", "status": "active", **ABOUT,
}  # fmt: skip


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def line(net: str = "1000.00", tax: str = "190.00", **more: Any) -> dict[str, Any]:
    return {"item_id": "BIL-1", "text": "Go-live", "net": money(net), "tax": money(tax), "tax_rate_id": "TAX-1", **more}


INVOICE: dict[str, Any] = {
    "id": "INV-1", "currency": "EUR", "lines": [line()], "net": money("1000.00"), "tax": money("190.00"),
    "gross": money("1190.00"), "origin": "milestone", "deal_id": "DEA-1", "project_id": "PRJ-1", "terms_days": 30,
    "status": "draft", **ABOUT,
}  # fmt: skip


@dataclass
class Desk:
    """Sends writes as the engine does and remembers what became of them."""

    session: Session
    simulator: StripeSimulator
    served: Served
    known: dict[str, str]

    def write(self, kind: str, verb: str, body: Mapping[str, Any], **more: Any) -> Write:
        key = more.pop("key", f"stripe/{kind}/{body['id']}/{verb}/1")
        return Write(
            1, key, kind, verb, str(body["id"]), body, **{"vendor_ids": {**self.known}, **more}
        )  # fmt: skip

    async def send(self, kind: str, verb: str, body: Mapping[str, Any], **more: Any) -> Outcome:
        write = self.write(kind, verb, body, **more)
        (outcome,) = await CONNECTOR.resources[kind].actions[verb].send(self.session, [write])
        if isinstance(outcome, Committed) and outcome.vendor_id:
            self.known[str(body["id"])] = outcome.vendor_id
        return outcome

    async def probe(self, kind: str, verb: str, body: Mapping[str, Any], **more: Any) -> Outcome:
        return await CONNECTOR.resources[kind].actions[verb].probe(self.session, self.write(kind, verb, body, **more))

    async def committed(self, kind: str, verb: str, body: Mapping[str, Any], **more: Any) -> Committed:
        outcome = await self.send(kind, verb, body, **more)
        assert isinstance(outcome, Committed), outcome
        return outcome

    async def ready(self) -> None:
        """A customer and a tax rate, as an invoice needs them."""
        await self.committed("customer", "put", CUSTOMER)
        await self.committed("tax_rate", "put", TAX_RATE)

    async def invoice(self, body: Mapping[str, Any] | None = None) -> Committed:
        await self.ready()
        return await self.committed("invoice", "issue", body or INVOICE)

    def fault(self, kind: Any, **more: Any) -> None:
        self.simulator.faults.add(Fault(kind, **more))

    def rows(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.simulator.dump()[kind]
        return found

    def calls(self) -> int:
        return self.served.journal.total()


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stripe-ca")


@pytest.fixture
async def desk(state_dir: Path) -> AsyncIterator[Desk]:
    # No budget stands before these calls, so the account has no limits; tests/sandbox/stripe holds them to account.
    limits = {"per_second": None, "per_endpoint_per_second": None}
    simulator = build(clock=ShiftableClock(), seed=3, search_delay_seconds=0.0, **limits)
    async with serve([simulator], state_dir=state_dir) as running:
        served = running["stripe"]
        connection = Connection(
            "billing", "stripe",
            config={"base_url": served.url, "ca_file": str(served.ca_file)},
            credentials={"api_key": simulator.keys.secret},
        )  # fmt: skip
        async with open_session(connection, now=lambda: datetime.now(UTC), table=CONNECTOR) as session:
            yield Desk(session, simulator, served, {})
