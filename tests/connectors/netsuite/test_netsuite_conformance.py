"""The suite every vendor has to pass, against the simulated account."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accord.connect.conformance import CHECKS, Bench, Check, NotApplicable, PushCase, ReadCase, WriteCase
from accord.connectors.netsuite import CONNECTOR, TOKEN_PATH
from accord.engine.outcomes import Write
from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import serve
from accord.sandbox.netsuite import NetSuiteSimulator, build
from accord.sandbox.netsuite.pushes import signature
from accord.sandbox.netsuite.schema import TYPES
from accord.sandbox.netsuite.writing import Write as Manner
from accord.sandbox.netsuite.writing import save
from tests.connectors.netsuite.conftest import CUSTOMER, INVOICE, PAYMENT, PROJECT, TASK, connection_to, money


class Seeds:
    """Enters records into the account behind the API's back, as its users do."""

    def __init__(self, simulator: NetSuiteSimulator) -> None:
        self._simulator = simulator
        self._count = 0

    def enter(self, record: str, **fields: Any) -> str:
        manner = Manner(strict=True)
        return str(save(self._simulator.account, TYPES[record], None, fields, manner)["id"])

    def firm(self) -> None:
        """Customer CUS-1 in every subsidiary, and its project PRJ-1 with invoice INV-1."""
        self.enter("customer", externalId="CUS-1", companyName="Acme GmbH", subsidiary="3", currency="4")
        self.enter("job", externalId="PRJ-1", entityId="P-0", companyName="Zero", parent={"externalId": "CUS-1"})

    def invoice(self) -> None:
        items = {"items": [{"item": {"externalId": "ACCORD-SERVICES"}, "amount": 113050, "taxAmount": 0}]}
        self.enter("invoice", externalId="INV-1", entity={"externalId": "CUS-1"}, item=items)

    def approvals(self, count: int) -> Sequence[str]:
        if not self._simulator.account.table("job").by_external_id("PRJ-1"):
            self.firm()
        found = []
        for _ in range(count):
            self._count += 1
            fields = {"custevent_accord_milestone": f"MIL-{self._count}", "title": f"Milestone {self._count}"}
            found.append(self.enter("projectTask", project={"externalId": "PRJ-1"}, **fields))
        return found

    def worker(self) -> dict[str, str]:
        if not self._simulator.account.table("employee").by_external_id("EMP-1"):
            self.enter("employee", externalId="EMP-1", entityId="Anna", subsidiary="3")
        return {"externalId": "EMP-1"}

    def time(self, count: int) -> Sequence[str]:
        worker = self.worker()
        return [self.enter("timeBill", employee=worker, hours="7:30", isBillable=True) for _ in range(count)]

    def expenses(self, count: int) -> Sequence[str]:
        worker, lines = self.worker(), {"items": [{"foreignAmount": 12}]}
        return [self.enter("expenseReport", entity=worker, expense=lines) for _ in range(count)]

    def approve_work(self, record: str) -> Any:
        return lambda each: self._simulator.admin("approve_work", {"record": record, "ids": [each]})

    def approve(self, vendor_id: str) -> object:
        return self._simulator.admin("approve_milestone", {"id": vendor_id, "by": "Dana", "on": "2026-11-23"})


def _write(kind: str, body: Mapping[str, Any]) -> Write:
    return Write(1, f"erp:{kind}:{body['id']}:put:1:1", kind, "put", str(body["id"]), body)


def _numbered(kind: str, body: Mapping[str, Any], **more: str) -> Any:
    def make(n: int) -> Write:
        names = {name: value.format(n=n) for name, value in more.items()}
        return _write(kind, {**body, "id": f"{body['id'][:-2]}-{n:03}", **names})

    return make


def _held(simulator: NetSuiteSimulator, record: str) -> Any:
    return lambda write: sum(
        1 for row in simulator.account.table(record).all() if row.get("externalId") == write.canonical_id
    )


def _writing(simulator: NetSuiteSimulator) -> list[WriteCase]:
    no_entity = {**CUSTOMER, "id": "CUS-X", "legal_name": "Nobody", "entities": []}
    strange = {**PROJECT, "id": "PRJ-X", "number": "P-X", "customer_id": "CUS-404"}
    closed = {**INVOICE, "id": "INV-X", "project_id": None, "issued_on": "2014-12-31"}
    too_much = {**PAYMENT, "id": "PAY-X", "amount": money("999999999.00")}
    small = {**PAYMENT, "amount": money("10.00")}
    return [
        WriteCase(kind="customer", verb="put", path=r"record/v1/customer(/|$)", method="PUT",
                  make=_numbered("customer", {**CUSTOMER, "entities": ["DE"]}, legal_name="Customer {n}"),
                  held=_held(simulator, "customer"), refused=lambda: _write("customer", no_entity)),
        WriteCase(kind="project", verb="put", path=r"record/v1/job(/|$)", method="PUT",
                  make=_numbered("project", PROJECT, number="P-{n}"), held=_held(simulator, "job"),
                  refused=lambda: _write("project", strange)),
        WriteCase(kind="task", verb="put", path=r"record/v1/projectTask(/|$)", method="PUT",
                  make=_numbered("task", TASK, milestone_id="MIL-{n}"), held=_held(simulator, "projectTask"),
                  refused=lambda: _write("task", {**TASK, "id": "TSK-X", "project_id": "PRJ-404"})),
        WriteCase(kind="invoice", verb="put", path=r"record/v1/invoice(/|$)", method="PUT",
                  make=_numbered("invoice", {**INVOICE, "project_id": "PRJ-1"}), held=_held(simulator, "invoice"),
                  refused=lambda: _write("invoice", closed)),
        WriteCase(kind="payment", verb="put", path=r"record/v1/customerPayment(/|$)", method="PUT",
                  make=_numbered("payment", small), held=_held(simulator, "customerPayment"),
                  refused=lambda: _write("payment", too_much)),
        WriteCase(kind="credit_note", verb="put", path=r"record/v1/creditMemo(/|$)", method="PUT",
                  make=_numbered("credit_note", {"id": "CRN-1", "invoice_id": "INV-1", "amount": money("10.00"),
                                                 "reason": "goodwill", "issued_on": "2026-11-23"}),
                  held=_held(simulator, "creditMemo")),
    ]  # fmt: skip


def _push(at: datetime) -> tuple[Mapping[str, str], bytes]:
    event = {
        "event_id": "1234567-projectTask-7-1", "type": "edit", "record": "projectTask", "id": "7",
        "externalId": "TSK-1", "at": "2026-11-23T17:00:00Z",
        "fields": {"custevent_accord_milestone": "MIL-1", "custevent_milestone_approved": True},
    }  # fmt: skip
    return _signed(event, at)


def _push_of_time(at: datetime) -> tuple[Mapping[str, str], bytes]:
    event = {"event_id": "1234567-timeBill-8-1", "type": "edit", "record": "timeBill", "id": "8", "externalId": None,
             "at": "2026-11-23T17:00:00Z", "fields": {}}  # fmt: skip
    return _signed(event, at)


def _signed(event: Any, at: datetime) -> tuple[Mapping[str, str], bytes]:
    body = json.dumps(event).encode()
    return {"x-accord-signature": signature(body, "the push secret", int(at.timestamp()))}, body


@pytest.fixture(params=["m2m", "tba"])
async def bench(state_dir: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    simulator = build(clock=ShiftableClock(), seed=5, concurrency=100, queue_seconds=0.01, record_seconds=0.0)
    seeds = Seeds(simulator)
    seeds.firm()
    seeds.invoice()
    async with serve([simulator], state_dir=state_dir) as running:
        served = running["netsuite"]
        renamed = {"object": "projectTask", "field": "custevent_milestone_approved", "to": "custevent_ok"}
        reading = ReadCase(
            kind="milestone_approval", seed=seeds.approvals, change=seeds.approve, many=75,
            next_page=r"id > \d+", rename=renamed,
        )  # fmt: skip
        time = ReadCase(
            kind="time_entry", seed=seeds.time, change=seeds.approve_work("timeBill"), many=75, next_page=r"id > \d+",
            rename={"object": "timeBill", "field": "approvalStatus", "to": "state"},
        )  # fmt: skip
        expenses = ReadCase(
            kind="expense", seed=seeds.expenses, change=seeds.approve_work("expenseReport"), many=75,
            next_page=r"id > \d+", rename={"object": "expenseReport", "field": "status", "to": "state"},
        )  # fmt: skip
        yield Bench(
            connector=CONNECTOR,
            connection=connection_to(served, page_size=25, auth=request.param),
            inject=lambda kind, /, **options: simulator.faults.add(Fault(kind, **options)),  # type: ignore[arg-type]
            calls=lambda: [(each["method"], each["path"]) for each in served.journal.as_json(1000)["last"]],
            now=lambda: datetime.now(UTC),
            reading=[reading, time, expenses],
            writing=_writing(simulator),
            pushing=[
                PushCase(name="user event", make=_push, secrets={"push_secret": "the push secret"}),
                PushCase(name="time", make=_push_of_time, secrets={"push_secret": "the push secret"}),
            ],
            token_path=TOKEN_PATH if request.param == "m2m" else "",
            peak=lambda: simulator.governance.most,
        )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_conforms(check: Check, bench: Bench) -> None:
    try:
        await check(bench)
    except NotApplicable as why:
        pytest.skip(str(why))
