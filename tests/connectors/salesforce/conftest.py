"""The connector against the served simulator: the real session over HTTPS, one fresh org for each test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accord.connect.connector import Observed, Watermark
from accord.connect.registry import open_session
from accord.connect.session import Session
from accord.connect.store import Connection
from accord.connectors.salesforce import CONNECTOR
from accord.engine.outcomes import Outcome, Write
from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import Served, serve
from accord.sandbox.salesforce import SalesforceSimulator, build

PUSH_SECRET = "a-long-and-secret-last-part"


class Org:
    """What people do in the org, behind the connector's back."""

    def __init__(self, simulator: SalesforceSimulator) -> None:
        self.simulator = simulator
        self.count = 0

    def make(self, name: str, **fields: Any) -> str:
        made: str = self.simulator.admin("create", {"object": name, "fields": fields})["id"]
        return made

    def change(self, id: str, **fields: Any) -> None:
        self.simulator.admin("update", {"id": id, "fields": fields})

    def later(self, seconds: float = 1) -> None:
        self.simulator.admin("shift_clock", {"seconds": seconds})

    def row(self, id: str) -> dict[str, Any]:
        found = self.simulator.org.find(id)
        assert found is not None, id
        return found[1]

    def rows(self, name: str) -> list[dict[str, Any]]:
        return list(self.simulator.org.table(name).live())

    def account(self, **fields: Any) -> str:
        self.count += 1
        return self.make("Account", **{"Name": f"Customer {self.count}", "CurrencyIsoCode": "EUR", **fields})

    def opportunity(self, **fields: Any) -> str:
        self.count += 1
        usual = {"Name": f"Deal {self.count}", "StageName": "Prospecting", "CloseDate": "2026-11-30"}
        return self.make("Opportunity", **{**usual, "CurrencyIsoCode": "EUR", **fields})

    def deal(self) -> dict[str, str]:
        """An opportunity with everything it can have."""
        account = self.account(Name="Northwind AG", BillingCountryCode="DE")
        contract = self.make("Contract", AccountId=account, StartDate="2026-12-01", Billing_Terms__c="NET30")
        self.simulator.admin("approve_contract", {"contract": contract})
        deal = self.opportunity(
            AccountId=account, ContractId=contract, Amount="1054", Legal_Entity__c="DE", StageName="Closed Won"
        )
        phase = self.make("SOW_Phase__c", Opportunity__c=deal, Name="Build", Sequence__c=1, Country_Code__c="DE")
        milestone = self.make(
            "SOW_Milestone__c", Opportunity__c=deal, Phase__c=phase, Name="Go-live", Amount__c="35000000.5",
            CurrencyIsoCode="EUR", Planned_Date__c="2026-12-31",
        )  # fmt: skip
        service = self.make(
            "Managed_Service__c", Opportunity__c=deal, Name="Run", Monthly_Amount__c=500000, CurrencyIsoCode="JPY",
            Start_Date__c="2027-01-01", Months__c=12,
        )  # fmt: skip
        return {
            "account": account, "contract": contract, "deal": deal, "phase": phase, "milestone": milestone,
            "service": service,
        }  # fmt: skip


@dataclass
class Desk:
    """The connector as the engine uses it."""

    simulator: SalesforceSimulator
    session: Session
    org: Org
    served: Served

    async def send(self, kind: str, *bodies: Mapping[str, Any], ids: Mapping[str, str] | None = None) -> list[Outcome]:
        writes = [write_of(kind, body, ids or {}) for body in bodies]
        return list(await CONNECTOR.resources[kind].actions["put"].send(self.session, writes))

    async def probe(self, kind: str, body: Mapping[str, Any], ids: Mapping[str, str]) -> Outcome:
        return await CONNECTOR.resources[kind].actions["put"].probe(self.session, write_of(kind, body, ids))

    async def get(self, kind: str, *ids: str) -> list[Observed]:
        get = CONNECTOR.resources[kind].get
        assert get is not None
        return list(await get(self.session, ids))

    async def poll(self, kind: str, since: Watermark | None) -> tuple[list[Observed], Watermark | None]:
        """Everything changed since, and the watermark to go on from."""
        changed = CONNECTOR.resources[kind].changed
        assert changed is not None
        seen: list[Observed] = []
        async for page in changed(self.session, since):
            seen += page.observed
            since = page.watermark or since
        return seen, since

    def fault(self, kind: Any, **options: Any) -> None:
        self.simulator.faults.add(Fault(kind, **options))

    def calls(self) -> Sequence[tuple[str, str]]:
        return [(each["method"], each["path"]) for each in self.served.journal.as_json(10_000)["last"]]


def write_of(kind: str, body: Mapping[str, Any], ids: Mapping[str, str]) -> Write:
    id = str(body["id"])
    return Write(1, f"key-{id}", kind, "put", id, body, vendor_ids=ids, vendor_id=ids.get(id))


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def connection_of(served: Served, **settings: Any) -> Connection:
    given = {**served.simulator.credentials(served.url), "push_secret": PUSH_SECRET}
    secret = {each.name for each in CONNECTOR.credentials if each.secret}
    config = {"base_url": served.url, "ca_file": str(served.ca_file), **settings}
    config |= {name: value for name, value in given.items() if name not in secret}
    return Connection("salesforce", "salesforce", config, {name: given[name] for name in secret})


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    simulator = build(clock=ShiftableClock())
    async with serve([simulator], state_dir=tmp_path) as running:
        served = running["salesforce"]
        async with open_session(connection_of(served), now=lambda: datetime.now(UTC), table=CONNECTOR) as session:
            yield Desk(simulator, session, Org(simulator), served)


def dumped(value: Any) -> str:
    return json.dumps(value, default=str)
