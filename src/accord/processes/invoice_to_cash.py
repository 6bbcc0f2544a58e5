"""Invoice to cash: a payment reaches the ERP, the ledger and sales; a failed one shows."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import Read, ReadRelated, Require, WaitFor, effect, keep, process, together
from accord.ledger.dispositions import Disposition, move_document
from accord.model import events
from accord.model.billing import Invoice, Payment, PaymentFailure
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.money import Money
from accord.model.problem import Problem
from accord.processes.billing_steps import INVOICE_POSTED, crm_invoice, keep_of_invoice, notice, tell_sales_of_money
from accord.processes.known import known
from accord.rules.invoicing import collected_by


@process(
    starts_on=events.PAYMENT_RECEIVED,
    subject=lambda fact: str(fact.payload.get("invoice_id")),
    priority=Priority.REVENUE,
)
async def invoice_to_cash(received: Fact) -> dict[str, object]:
    """A payment in billing becomes a customer payment in the ERP, cash in the ledger and a status in the CRM."""
    payment = await Read("payment", received.subject, Payment)
    posting = await known("invoice_posting", payment.invoice_id, InvoicePosting)
    if posting is None:
        await WaitFor(INVOICE_POSTED, payment.invoice_id)
    invoice = await Read("invoice", payment.invoice_id, Invoice)
    payments = await ReadRelated("payment_application", invoice.engagement_id or "", Payment)
    before = _paid(tuple(each for each in payments if each.id != payment.id), invoice)
    await Require(
        reason="payment_too_large",
        title=f"Payment {payment.amount} is more than invoice {invoice.number} has open",
        problems=_too_large(payment, invoice, before),
        owner="finance",
        money=payment.amount,
    )
    paid = before + payment.amount
    invoice = replace(invoice, paid=paid, status="paid" if paid == invoice.gross else "open")
    await effect(
        "erp",
        "put",
        "payment",
        replace(payment, customer_id=invoice.customer_id, legal_entity=invoice.legal_entity),
        f"Apply payment {payment.amount} to invoice {invoice.number}",
        entity=invoice.legal_entity,
        priority=Priority.CLOSE,
        money=payment.amount,
        links=(("invoice", invoice.id), ("customer", invoice.customer_id)),
    )
    await together(
        move_document(
            f"collect {payment.id}", invoice.id, collected_by(payment, invoice, before),
            out_of=(Disposition.BILLED, Disposition.DISPUTED), into=Disposition.COLLECTED,
            cause=received.type, at=received.occurred_at, reference=payment.reference,
        ),
        keep_of_invoice(invoice, "paid", "status"),
        keep("payment_application", payment),
    )  # fmt: skip
    await crm_invoice(invoice)
    await tell_sales_of_money(invoice)
    return {"invoice": invoice.number, "paid": str(paid), "status": invoice.status}


def _paid(payments: tuple[Payment, ...], invoice: Invoice) -> Money:
    """What earlier payments of this invoice came to."""
    own = (each.amount for each in payments if each.invoice_id == invoice.id)
    return sum(own, start=Money.zero(invoice.currency))


def _too_large(payment: Payment, invoice: Invoice, before: Money) -> tuple[Problem, ...]:
    open_amount = invoice.gross - before
    if payment.amount <= open_amount:
        return ()
    message = f"{open_amount} are open, {payment.amount} came in."
    return (Problem("payment_too_large", message, "amount", "Enter the rest as unapplied cash in the ERP, then skip."),)


@process(starts_on=events.PAYMENT_FAILED, subject=lambda fact: str(fact.payload.get("invoice_id")))
async def payment_failure(failed: Fact) -> dict[str, object]:
    """A failed payment is shown to the account team."""
    failure = await Read("payment_failure", failed.subject, PaymentFailure)
    invoice = await Read("invoice", failure.invoice_id, Invoice)
    text = (
        f"{failure.amount} could not be collected for invoice {invoice.number}: {failure.reason or 'no reason given'}."
    )
    await notice(invoice, f"payment failed {failure.id}", f"Payment failed for invoice {invoice.number}", text)
    return {"invoice": invoice.number, "reason": failure.reason}
