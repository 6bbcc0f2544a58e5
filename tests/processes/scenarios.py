"""One scenario a process: what is known before, the fact that starts it, and what happens while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from accord.demo.firm import FIRM
from accord.model import events
from accord.model.billing import (
    CashApplication,
    CreditLine,
    CreditNote,
    Dispute,
    EInvoice,
    Invoice,
    InvoiceLine,
    InvoiceProposal,
    LineDispute,
    Payment,
    PaymentFailure,
    PaymentReversal,
    ProposedLine,
    Refund,
    ScheduledMilestone,
    UnappliedCash,
    WorkTransfer,
    WriteOff,
    WriteUp,
)
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.model.recurring import ServiceChange
from tests.rules.firms import customer, deal

AT = "2026-11-23T09:00:00+00:00"
DAY = date(2026, 11, 23)
MILESTONE = "MIL-Go-live"
SERVICE = canonical_id("subscription", deal().services[0].id)
INVOICE = canonical_id("invoice", MILESTONE)
GROSS = Money.of("1000.00", "USD")

HYPERCARE = ScheduledMilestone("MIL-Hypercare", "DEA-1", "CUS-1", "US", "Hypercare", Money.of("800.00", "USD"))
CHANGED = (replace(HYPERCARE, id=MILESTONE, name="Go-live", amount=GROSS), HYPERCARE)

Known = list[tuple[str, str, dict[str, Any], str | None]]


@dataclass(frozen=True)
class Scenario:
    """`before` are scenarios played first; `known(records)` what is kept then, given the records so far; `meanwhile`
    facts told once the story waits; `answer` the option chosen once it asks; `ledger` is what lies there, as SQL;
    `starts` a process that it starts, which has to end too."""

    process: str
    fact: Fact
    before: tuple[str, ...] = ()
    known: Callable[[Mapping[tuple[str, str], Any]], Known] = lambda records: []
    meanwhile: tuple[Fact, ...] = ()
    answer: str | None = None
    ledger: str = ""
    starts: str | None = None
    policy: Mapping[str, Any] = field(default_factory=lambda: FIRM)


def _fact(type: str, subject: str, **payload: Any) -> Fact:
    return Fact(type, subject, AT, "test", payload, correlation="DEA-1")


def _sold(records: Mapping[tuple[str, str], Any]) -> Known:
    return [("customer", "CUS-1", to_plain(customer()), None), ("deal", "DEA-1", to_plain(deal()), "DEA-1")]


def _redated(records: Mapping[tuple[str, str], Any]) -> Known:
    first, *rest = deal().milestones
    changed = deal(milestones=(replace(first, planned_on=date(2027, 2, 1)), *rest))
    return [("deal", "DEA-1", to_plain(changed), "DEA-1")]


def _renamed(records: Mapping[tuple[str, str], Any]) -> Known:
    return [("customer", "CUS-1", to_plain(customer(legal_name="Northwind Holding AG")), None)]


def _period(records: Mapping[tuple[str, str], Any]) -> Known:
    schedule = next(id for kind, id in records if kind == "recurring_schedule")
    net = Money.of("100.00", "USD")
    starts_on = date.fromisoformat(records["recurring_schedule", schedule]["starts_on"])
    lines = (InvoiceLine("", "Run", net, Money.zero("USD"), service_from=starts_on),)
    invoice = Invoice(
        "INV-PERIOD", "CUS-1", "US", "USD", lines, net, Money.zero("USD"), net, "subscription",
        number="S-1", status="open", issued_on=DAY, due_on=DAY, subscription_id=schedule,
    )  # fmt: skip
    return [("invoice", "INV-PERIOD", to_plain(invoice), "DEA-1")]


def _service_sold_anew(records: Mapping[tuple[str, str], Any]) -> Known:
    (run,) = deal().services
    signed = {"change_order": "CO-1", "change_order_signed_on": DAY, "change_order_from": date(2026, 12, 10)}
    changed = deal(services=(replace(run, monthly=Money.of("120.00", "USD"), **signed),))
    return [("deal", "DEA-1", to_plain(changed), "DEA-1")]


def _amended_to(monthly: str) -> Callable[[Mapping[tuple[str, str], Any]], Known]:
    price, adds = Money.of(monthly, "USD"), Money.of("1.00", "USD")
    order = to_plain(ServiceChange("CO-1", DAY, date(2026, 12, 10), price, 12, adds))

    def amended(records: Mapping[tuple[str, str], Any]) -> Known:
        id, body = next((id, body) for (kind, id), body in records.items() if kind == "recurring_schedule")
        return [("recurring_schedule", id, {**body, "changes": [order]}, "DEA-1")]

    return amended


def _paid(records: Mapping[tuple[str, str], Any]) -> Known:
    return [("payment", "PAY-1", to_plain(Payment("PAY-1", INVOICE, Money.of("400.00", "USD"), DAY)), "DEA-1")]


def _failed(records: Mapping[tuple[str, str], Any]) -> Known:
    failure = PaymentFailure("FAI-1", INVOICE, GROSS, DAY, "insufficient funds")
    return [("payment_failure", "FAI-1", to_plain(failure), "DEA-1")]


def _disputed(records: Mapping[tuple[str, str], Any]) -> Known:
    return [("dispute", "DIS-1", to_plain(Dispute("DIS-1", INVOICE, GROSS, "late", "open", DAY)), "DEA-1")]


def _proposed(records: Mapping[tuple[str, str], Any]) -> Known:
    lines = (
        ProposedLine("INV-WORK-1", "anna", Money.of("900.00", "USD"), Decimal(6), "h", Decimal(150), DAY, DAY),
        ProposedLine("INV-WORK-2", "ben", Money.of("100.00", "USD"), Decimal(1), "h", Decimal(100), DAY, DAY),
    )
    proposal = InvoiceProposal("INV-WORK", "DEA-1", "US", "CUS-1", "USD", DAY, DAY, lines, GROSS, 30, "fatima", AT)
    return [("invoice_proposal", "INV-WORK", to_plain(proposal), "DEA-1")]


def _credit_approved(records: Mapping[tuple[str, str], Any]) -> Known:
    """Of an invoice of 1000 of which 400 are paid: 200 of the credit had been paid."""
    net = Money.of("800.00", "USD")
    lines = (CreditLine(1, "Go-live", net, Money.zero("USD")),)
    note = CreditNote("CRN-1", INVOICE, net, "agreed", DAY, lines, net, "CUS-1", "US", "DEA-1")
    return [("credit_note", "CRN-1", to_plain(note), "DEA-1")]


RECEIPT = Payment("RCP-1", "", GROSS, DAY, "CUS-1", "US", "transfer 1", allocations=())
PART = CashApplication("APP-1", "CSH-1", "payment", "PAY-0", INVOICE, GROSS, GROSS, DAY, "paula")
CASH = UnappliedCash("CSH-1", "payment", "PAY-0", "CUS-1", "US", Money.of("1500.00", "USD"), DAY)


def _received(records: Mapping[tuple[str, str], Any]) -> Known:
    return [("receipt", "RCP-1", to_plain(RECEIPT), None)]


def _applied(records: Mapping[tuple[str, str], Any]) -> Known:
    return [("cash_application", "APP-1", to_plain(PART), "DEA-1"), ("unapplied_cash", "CSH-1", to_plain(CASH), None)]


def _refund(records: Mapping[tuple[str, str], Any]) -> Known:
    refund = Refund("RFD-1", "CSH-1", "payment", "PAY-0", "CUS-1", "US", GROSS, "asked for", DAY, ("pi_1",))
    return [("refund", "RFD-1", to_plain(refund), None), ("unapplied_cash", "CSH-1", to_plain(CASH), None)]


def _overpaid(records: Mapping[tuple[str, str], Any]) -> Known:
    return [("payment", "PAY-2", to_plain(Payment("PAY-2", INVOICE, Money.of("1250.00", "USD"), DAY)), "DEA-1")]


def _taken_back(records: Mapping[tuple[str, str], Any]) -> Known:
    reversal = PaymentReversal("RVS-1", "PAY-1", INVOICE, Money.of("300.00", "USD"), "returned by the bank", DAY)
    return [("payment_reversal", "RVS-1", to_plain(reversal), "DEA-1")]


def _lines_disputed(records: Mapping[tuple[str, str], Any]) -> Known:
    net = Money.of("400.00", "USD")
    lines = (CreditLine(1, "Go-live", net, Money.zero("USD")),)
    dispute = LineDispute(
        "LDS-1", INVOICE, lines, net, net, "late", "aron", DAY, "finance", DAY, "CUS-1", "US", "DEA-1"
    )
    return [("line_dispute", "LDS-1", to_plain(dispute), "DEA-1")]


def _long_disputed(records: Mapping[tuple[str, str], Any]) -> Known:
    """It was to be answered yesterday; its invoice is not posted yet, so that the dispute itself only waits."""
    ((kind, id, body, of),) = _lines_disputed(records)
    return [(kind, id, {**body, "answer_by": "2026-11-22"}, of)]


def _given_up(records: Mapping[tuple[str, str], Any]) -> Known:
    found = WriteOff("WOF-1", GROSS, "insolvent", DAY, "US", INVOICE, customer_id="CUS-1", engagement_id="DEA-1")
    return [("write_off", "WOF-1", to_plain(found), "DEA-1")]


def _added(records: Mapping[tuple[str, str], Any]) -> Known:
    return [("write_up", "WUP-1", to_plain(WriteUp("WUP-1", GROSS, "bonus", DAY, "US", "DEA-1")), "DEA-1")]


def _moved_over(records: Mapping[tuple[str, str], Any]) -> Known:
    part = Money.of("400.00", "USD")
    thing = WorkTransfer("WTR-1", part, "told of the wrong project", DAY, "US", "BIL-T", "DEA-1", "DEA-2")
    return [("work_transfer", "WTR-1", to_plain(thing), "DEA-1")]


IN_WIP = """
INSERT INTO billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id, approved_at)
VALUES ('BIL-T', 'time', 'DEA-1', 'US', 'USD', 900.00, 'time', 'WRK-T', '2026-11-23T08:00:00Z');
INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, worked_on, entry, cause,
    posted_at)
VALUES ('BIL-T', 1, 'DEA-1', 'US', 'USD', 'wip', 900.00, '2026-11-02', 'rated', 'test', '2026-11-23T08:00:00Z');
"""
IN_DRAFT = """
INSERT INTO billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id, approved_at)
VALUES ('BIL-A', 'time', 'DEA-1', 'US', 'USD', 900.00, 'time', 'WRK-A', '2026-11-23T08:00:00Z'),
    ('BIL-B', 'time', 'DEA-1', 'US', 'USD', 100.00, 'time', 'WRK-B', '2026-11-23T08:00:00Z');
INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, worked_on, entry, cause,
    posted_at)
VALUES ('BIL-A', 1, 'DEA-1', 'US', 'USD', 'wip', 900.00, '2026-11-02', 'rated', 'test', '2026-11-23T08:00:00Z'),
    ('BIL-B', 1, 'DEA-1', 'US', 'USD', 'wip', 100.00, '2026-11-02', 'rated', 'test', '2026-11-23T08:00:00Z');
UPDATE item_part SET disposition = 'draft', document = 'INV-WORK', line = CASE item_id WHEN 'BIL-A' THEN 1 ELSE 2 END,
    entry = 'propose INV-WORK' WHERE item_id IN ('BIL-A', 'BIL-B');
"""


def _document(status: str, attempt: int) -> Callable[[Mapping[tuple[str, str], Any]], Known]:
    about = EInvoice("EIN-1", INVOICE, status, attempt, "unknown buyer reference")
    return lambda records: [("e_invoice", "EIN-1", to_plain(about), "DEA-1")]


_BILLED = ("quote_to_project", "milestone_to_bill")

SCENARIOS: dict[str, Scenario] = {
    "quote_to_project": Scenario("quote_to_project", _fact(events.DEAL_WON, "DEA-1"), known=_sold),
    "contract_change": Scenario(
        "contract_change",
        _fact(events.DEAL_CHANGED, "DEA-1", record_version=2),
        before=("quote_to_project",),
        known=_redated,
    ),
    "contract_change, reopened": Scenario(
        "contract_change",
        _fact(events.DEAL_REOPENED, "DEA-1", record_version=2),
        before=("quote_to_project",),
        answer="bill on",
    ),
    "contract_plan": Scenario(
        "contract_plan",
        _fact(events.CONTRACT_PLAN_APPLIED, "DEA-1", plan="CO-1", milestones=[to_plain(each) for each in CHANGED]),
        before=("quote_to_project",),
    ),
    "customer_master": Scenario(
        "customer_master",
        _fact(events.CUSTOMER_CHANGED, "CUS-1", record_version=2),
        before=("quote_to_project",),
        known=_renamed,
    ),
    "milestone_to_bill": Scenario(
        "milestone_to_bill", _fact(events.MILESTONE_APPROVED, MILESTONE), before=("quote_to_project",)
    ),
    "milestone_withdrawn": Scenario(
        "milestone_withdrawn",
        _fact(events.MILESTONE_UNAPPROVED, MILESTONE, record_version=2),
        before=_BILLED,
        answer="keep",
    ),
    "recurring_to_bill": Scenario(
        "recurring_to_bill",
        _fact(events.SUBSCRIPTION_PERIOD_CLOSED, "INV-PERIOD"),
        before=("quote_to_project",),
        known=_period,
    ),
    "contract_change, of a service": Scenario(
        "contract_change",
        _fact(events.DEAL_CHANGED, "DEA-1", record_version=3),
        before=("quote_to_project",),
        known=_service_sold_anew,
        starts="service_settlement",
    ),
    "service_settlement": Scenario(
        "service_settlement",
        _fact(events.SERVICE_CHANGED, SERVICE, record_version=3),
        before=("quote_to_project", "recurring_to_bill"),
        known=_amended_to("120.00"),
    ),
    "service_settlement, cheaper": Scenario(
        "service_settlement",
        _fact(events.SUBSCRIPTION_PERIOD_BILLED, SERVICE, invoice="S-1"),
        before=("quote_to_project", "recurring_to_bill"),
        known=_amended_to("40.00"),
        starts="credit_to_customer",
    ),
    "time_to_bill": Scenario(
        "time_to_bill",
        _fact(events.PROPOSAL_APPROVED, "INV-WORK"),
        before=("quote_to_project",),
        known=_proposed,
        ledger=IN_DRAFT,
    ),
    "invoice_to_cash": Scenario(
        "invoice_to_cash", _fact(events.PAYMENT_RECEIVED, "PAY-1", invoice_id=INVOICE), before=_BILLED, known=_paid
    ),
    "credit_to_customer": Scenario(
        "credit_to_customer",
        _fact(events.CREDIT_NOTE_APPROVED, "CRN-1", invoice_id=INVOICE),
        before=(*_BILLED, "invoice_to_cash"),
        known=_credit_approved,
    ),
    "invoice_to_cash, paid too much": Scenario(
        "invoice_to_cash", _fact(events.PAYMENT_RECEIVED, "PAY-2", invoice_id=INVOICE), before=_BILLED, known=_overpaid
    ),
    "receipt_to_invoices": Scenario(
        "receipt_to_invoices",
        _fact(events.RECEIPT_RECORDED, "RCP-1", customer_id="CUS-1"),
        before=_BILLED,
        known=_received,
    ),
    "cash_to_invoice": Scenario(
        "cash_to_invoice", _fact(events.CASH_APPLIED, "APP-1", invoice_id=INVOICE), before=_BILLED, known=_applied
    ),
    "refund_to_customer": Scenario(
        "refund_to_customer", _fact(events.REFUND_APPROVED, "RFD-1", about="CSH-1"), known=_refund
    ),
    "payment_reversed": Scenario(
        "payment_reversed",
        _fact(events.PAYMENT_REVERSED, "RVS-1", invoice_id=INVOICE),
        before=(*_BILLED, "invoice_to_cash"),
        known=_taken_back,
    ),
    "line_dispute": Scenario(
        "line_dispute",
        _fact(events.LINE_DISPUTE_OPENED, "LDS-1"),
        before=_BILLED,
        known=_lines_disputed,
        meanwhile=(_fact(events.LINE_DISPUTE_CLOSED, "LDS-1", outcome="uphold"),),
    ),
    "dispute_clock": Scenario(
        "dispute_clock",
        _fact(events.LINE_DISPUTE_OPENED, "LDS-1"),
        before=("quote_to_project",),
        known=_long_disputed,
        answer="seen",
    ),
    "write_off": Scenario(
        "write_off", _fact(events.WRITE_OFF_APPROVED, "WOF-1", about=INVOICE), before=_BILLED, known=_given_up
    ),
    "write_up": Scenario("write_up", _fact(events.WRITE_UP_APPROVED, "WUP-1", about="DEA-1"), known=_added),
    "work_transfer": Scenario(
        "work_transfer",
        _fact(events.WORK_TRANSFER_APPROVED, "WTR-1", about="BIL-T"),
        ledger=IN_WIP,
        known=_moved_over,
    ),
    "payment_failure": Scenario(
        "payment_failure", _fact(events.PAYMENT_FAILED, "FAI-1", invoice_id=INVOICE), before=_BILLED, known=_failed
    ),
    "e_invoice_rejected": Scenario(
        "e_invoice_rejected",
        _fact(events.E_INVOICE_REJECTED, "EIN-1", invoice_id=INVOICE, attempt=1, reason="unknown buyer reference"),
        before=_BILLED,
        known=_document("sent", 2),
    ),
    "e_invoice_accepted": Scenario(
        "e_invoice_accepted",
        _fact(events.E_INVOICE_ACCEPTED, "EIN-1", invoice_id=INVOICE, attempt=2),
        before=_BILLED,
        known=_document("accepted", 2),
    ),
    "dispute": Scenario(
        "dispute",
        _fact(events.DISPUTE_OPENED, "DIS-1", invoice_id=INVOICE),
        before=_BILLED,
        known=_disputed,
        meanwhile=(_fact(events.DISPUTE_CLOSED, "DIS-1", status="won"),),
    ),
}
