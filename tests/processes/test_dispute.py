"""A dispute holds the receivable until it is settled, and touches nothing that others changed meanwhile."""

from dataclasses import replace
from datetime import date
from typing import Any

from accord.engine.story import Command, Effect, Keep, Post, Tell
from accord.model import events
from accord.model.billing import Dispute, Invoice, InvoiceLine, Payment
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.processes import PROCESSES
from tests.processes.telling import NOW, tell

OPENED = date(2026, 11, 2)
NET, TAX, GROSS = (Money.of(amount, "EUR") for amount in ("100.00", "19.00", "119.00"))
LINES = (InvoiceLine("BIL-1", "Go-live", NET, TAX),)
INVOICE = Invoice("INV-1", "CUS-1", "DE", "EUR", LINES, NET, TAX, GROSS, "milestone",
                  engagement_id="DEA-1", deal_id="DEA-1", number="2026-1", status="open")  # fmt: skip
KNOWN: dict[str, Any] = {
    "read:invoice:INV-1": INVOICE,
    "read:invoice:INV-1:settled": replace(INVOICE, disputed=True, status="paid", paid=GROSS),
    "read:invoice_posting:INV-1": InvoicePosting("INV-1", "DEA-1", "77"),
}


def disputed(status: str) -> list[Command[Any]]:
    about = Dispute("DIS-1", "INV-1", GROSS, "late", "open", OPENED, "PAY-1")
    fact = Fact(events.DISPUTE_OPENED, "DIS-1", f"{OPENED}T08:00:00+00:00", "stripe", {})
    closed = {"wait:dispute.closed:DIS-1": {"status": status}}
    return tell(PROCESSES["dispute"], fact, {**KNOWN, "read:dispute:DIS-1": about}, closed)


def test_only_the_flag_of_a_disputed_invoice_is_kept() -> None:
    """Weeks may lie between: what was paid in them must not be undone."""
    kept = [each.objects for each in disputed("won") if isinstance(each, Keep)]
    assert kept == [(("invoice", "INV-1", {"id": "INV-1", "disputed": flag}),) for flag in (True, False)]


def test_a_settlement_is_posted_when_it_was_settled() -> None:
    opening, settling = (each for each in disputed("lost") if isinstance(each, Post))
    assert {each["posted_at"] for each in opening.postings} == {f"{OPENED}T08:00:00+00:00"}
    assert {each["posted_at"] for each in settling.postings} == {NOW}
    (row,) = settling.postings
    assert (row["out_of"][0], row["placed_in"], row["amount"]) == ("disputed", "billed", "100.00")


def test_a_dispute_that_is_lost_takes_the_payment_back() -> None:
    """A story of its own does the rest, in the order of the invoice's payments; one that is won tells nothing."""
    told = [fact for each in disputed("lost") if isinstance(each, Tell) for fact in each.facts]
    assert [(fact.type, fact.subject, fact.payload["invoice_id"]) for fact in told] == [
        ("payment.reversed", "DIS-1", "INV-1")
    ]
    assert [each for each in disputed("won") if isinstance(each, Tell)] == []


def test_a_payment_keeps_only_what_it_pays() -> None:
    """A dispute opened while the payment was on its way into the ERP stays open."""
    payment = Payment("PAY-1", "INV-1", GROSS, OPENED)
    fact = Fact(events.PAYMENT_RECEIVED, "PAY-1", NOW, "stripe", {"invoice_id": "INV-1"})
    done = tell(PROCESSES["invoice_to_cash"], fact, {**KNOWN, "read:payment:PAY-1": payment}, {})
    kept = [each.objects[0][2] for each in done if isinstance(each, Keep) and each.objects[0][0] == "invoice"]
    assert kept == [{"id": "INV-1", "paid": to_plain(GROSS), "status": "paid"}]


def test_sales_is_told_of_the_invoice_as_it_is_when_it_is_settled() -> None:
    """It was paid while the dispute was open."""
    shown = [each.body for each in disputed("won") if isinstance(each, Effect) and each.kind == "invoice"]
    assert [(each["status"], each["disputed"]) for each in shown] == [("open", True), ("paid", False)]
