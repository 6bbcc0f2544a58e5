"""Invoice to cash: a payment reaches ERP, ledger and sales; what is paid too much is kept; a failed one shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from accord.engine.states import Priority
from accord.engine.story import Command, Effect, Read, ReadRelated, WaitFor, effect, keep, process, together_all
from accord.ledger.dispositions import Disposition, move_document
from accord.model import events
from accord.model.billing import Allocation, Invoice, Payment, PaymentFailure, UnappliedCash
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.processes.billing_steps import INVOICE_POSTED, crm_invoice, keep_of_invoice, notice, tell_sales_of_money
from accord.processes.known import known
from accord.rules.invoicing import collected_by
from accord.rules.receivable import applied_to, open_amount, settled


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
    before = applied_to(invoice, tuple(each for each in payments if each.id != payment.id))
    applied = min(payment.amount, open_amount(settled(invoice, before)), key=lambda each: each.amount)
    over = payment.amount - applied
    await _in_erp(payment, invoice, applied)
    after = settled(invoice, before + applied)
    steps: list[Command[Any]] = [keep_of_invoice(after, "paid", "status")]
    if applied:
        part = replace(payment, amount=applied)
        steps += [
            move_document(
                f"collect {payment.id}", invoice.id, collected_by(part, invoice, before),
                out_of=(Disposition.BILLED, Disposition.DISPUTED), into=Disposition.COLLECTED,
                cause=received.type, at=received.occurred_at, reference=payment.reference,
            ),
            keep("payment_application", part),
        ]  # fmt: skip
    if over:
        cash = unapplied(payment, invoice, over)
        steps += [keep("unapplied_cash", cash), _off_the_balance(cash, invoice), _told(cash, invoice)]
    await together_all(steps)
    await crm_invoice(after)
    await tell_sales_of_money(after)
    return {"invoice": after.number, "paid": str(before + applied), "unapplied": str(over), "status": after.status}


def _in_erp(payment: Payment, invoice: Invoice, applied: Money) -> Effect:
    """The whole of the payment; what is not applied stays open there too."""
    shares = None if applied == payment.amount else (Allocation(invoice.id, applied),) if applied else ()
    return effect(
        "erp",
        "put",
        "payment",
        replace(payment, customer_id=invoice.customer_id, legal_entity=invoice.legal_entity, allocations=shares),
        f"Apply payment {payment.amount} to invoice {invoice.number}",
        entity=invoice.legal_entity,
        priority=Priority.CLOSE,
        money=payment.amount,
        links=(("invoice", invoice.id), ("customer", invoice.customer_id)),
    )


def unapplied(payment: Payment, invoice: Invoice, over: Money) -> UnappliedCash:
    """What a payment brought beyond what was open."""
    return UnappliedCash(
        id=canonical_id("unapplied_cash", payment.id),
        source_kind="payment",
        source_id=payment.id,
        customer_id=invoice.customer_id,
        legal_entity=invoice.legal_entity,
        amount=over,
        received_on=payment.received_on,
        engagement_id=invoice.engagement_id,
        invoice_id=invoice.id,
    )


def _off_the_balance(cash: UnappliedCash, invoice: Invoice) -> Effect:
    """Billing puts it on the customer's balance, which would pay the next invoice without anybody's knowledge."""
    return effect(
        "billing",
        "put",
        "unapplied_cash",
        cash,
        f"Take {cash.amount} off the customer's balance in billing",
        entity=invoice.legal_entity,
        once=True,
        money=cash.amount,
        links=(("customer", invoice.customer_id), ("invoice", invoice.id)),
    )


def _told(cash: UnappliedCash, invoice: Invoice) -> Effect:
    text = (
        f"{cash.amount} more than was open came in for invoice {invoice.number}. It is unapplied cash ({cash.id})"
        " until somebody applies or refunds it."
    )
    return notice(invoice, f"unapplied {cash.id}", f"Invoice {invoice.number} was paid too much", text)


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
