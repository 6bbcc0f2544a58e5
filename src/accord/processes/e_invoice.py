"""E-invoice: a document that its network rejects after the invoice is posted is a case, and its receivable waits.

The invoice stands in billing, ERP and ledger: a rejected document is not delivered, so nobody may be dunned for it;
what was earned and posted stays as it is until the document is sent again, or the invoice is credited.
"""

from __future__ import annotations

from accord.engine.states import Priority
from accord.engine.story import Read, Require, WaitFor, process, together
from accord.model import events
from accord.model.billing import EInvoice, Invoice
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.problem import Problem
from accord.processes.billing_steps import INVOICE_POSTED, hold_receivable, notice
from accord.processes.known import known
from accord.rules.receivable import reduced


@process(
    starts_on=events.E_INVOICE_REJECTED,
    one_per=lambda fact: f"{fact.subject} {fact.payload['attempt']}",
    priority=Priority.REVENUE,
)
async def e_invoice_rejected(rejected: Fact) -> dict[str, object]:
    """A rejected e-invoice holds the receivable and is a case, until it is sent again, accepted or credited."""
    invoice_id, reason = str(rejected.payload["invoice_id"]), rejected.payload.get("reason") or "no reason given"
    posting = await known("invoice_posting", invoice_id, InvoicePosting)
    if posting is None:
        await WaitFor(INVOICE_POSTED, invoice_id)
    invoice = await Read("invoice", invoice_id, Invoice)
    title = f"The e-invoice of {invoice.number} was rejected"
    await together(
        hold_receivable(invoice, f"e-invoice rejected: {reason}", on_hold=True),
        notice(
            invoice, f"e-invoice {rejected.payload['attempt']} {rejected.subject}", title, f"{reason}.", urgent=True
        ),
    )
    document = await Read("e_invoice", rejected.subject, EInvoice)
    after = await Read("invoice", invoice_id, Invoice, "after")
    await Require(
        reason="e_invoice_rejected",
        title=title,
        problems=_problems(document, after, int(rejected.payload["attempt"]), str(reason)),
        owner="finance",
        money=invoice.gross,
        watch=(rejected.subject, invoice_id),
    )
    if document.status == "rejected":  # and so it is credited: nothing is left to hold
        await hold_receivable(invoice, "credited", on_hold=False)
    return {"invoice": invoice.number, "attempt": document.attempt, "status": document.status}


@process(
    starts_on=events.E_INVOICE_ACCEPTED,
    one_per=lambda fact: f"{fact.subject} {fact.payload['attempt']}",
    priority=Priority.REVENUE,
)
async def e_invoice_accepted(accepted: Fact) -> dict[str, object]:
    """An e-invoice that is accepted after a rejection releases the receivable."""
    invoice = await known("invoice", str(accepted.payload["invoice_id"]), Invoice)
    if invoice is None or int(accepted.payload["attempt"]) == 1:
        return {"held": False}
    await hold_receivable(invoice, f"e-invoice accepted at attempt {accepted.payload['attempt']}", on_hold=False)
    return {"held": True, "invoice": invoice.number}


def _problems(document: EInvoice, invoice: Invoice, attempt: int, reason: str) -> tuple[Problem, ...]:
    gone = invoice.status == "void" or reduced(invoice).amount >= invoice.gross.amount
    if document.status != "rejected" or document.attempt > attempt or gone:
        return ()
    cure = "Correct what it names and send it again, or credit the invoice (`accord credit`) and issue it anew."
    return (Problem("e_invoice_rejected", f"The network says: {reason}.", "e_invoice", cure),)
