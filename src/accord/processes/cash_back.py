"""Cash back: a refund that was approved, and a payment that the payer or the bank took back."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import (
    Effect,
    Keep,
    Read,
    ReadRelated,
    Require,
    WaitFor,
    effect,
    keep,
    process,
    together,
    together_all,
)
from accord.ledger.dispositions import Disposition, move_document
from accord.model import events
from accord.model.billing import Invoice, Payment, PaymentReversal, Refund, UnappliedCash
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.money import Money, total
from accord.model.plain import to_plain
from accord.model.problem import Problem
from accord.processes.billing_steps import INVOICE_POSTED, crm_invoice, keep_of_invoice, notice, tell_sales_of_money
from accord.processes.known import known
from accord.rules.receivable import applied_to, collected_net, settled


@process(
    starts_on=events.REFUND_APPROVED, subject=lambda fact: str(fact.payload.get("about")), priority=Priority.CUSTOMER
)
async def refund_to_customer(approved: Fact) -> dict[str, object]:
    """An approved refund of unapplied cash goes back by the payment it came by, and the ERP is told."""
    refund = await Read("refund", approved.subject, Refund)
    cash = await Read("unapplied_cash", refund.cash_id, UnappliedCash)
    done = await _refunded("billing", refund, f"Refund {refund.amount} to the customer")
    await _refunded("erp", refund, f"Customer refund of {refund.amount}")
    before = cash.refunded or Money.zero(cash.amount.currency)
    spent = {"id": cash.id, "refunded": to_plain(before + refund.amount)}
    await together(keep("refund", replace(refund, status="refunded")), Keep((("unapplied_cash", cash.id, spent),)))
    return {"refunded": str(refund.amount), "by": done.details.get("by")}


def _refunded(role: str, refund: Refund, label: str) -> Effect:
    return effect(
        role,
        "put",
        "refund",
        refund,
        label,
        entity=refund.legal_entity,
        once=True,
        priority=Priority.CUSTOMER,
        money=refund.amount,
        links=(("customer", refund.customer_id), (refund.source_kind, refund.source_id)),
    )


@process(
    starts_on=events.PAYMENT_REVERSED,
    subject=lambda fact: str(fact.payload.get("invoice_id")),
    priority=Priority.REVENUE,
)
async def payment_reversed(taken_back: Fact) -> dict[str, object]:
    """A payment that was taken back: its invoice is open again in the ledger, in the ERP and for sales."""
    reversal = await Read("payment_reversal", taken_back.subject, PaymentReversal)
    if await known("invoice_posting", reversal.invoice_id, InvoicePosting) is None:
        await WaitFor(INVOICE_POSTED, reversal.invoice_id)
    invoice = await Read("invoice", reversal.invoice_id, Invoice)
    payments = await ReadRelated("payment_application", invoice.engagement_id or "", Payment)
    others = tuple(each for each in payments if each.id != reversal.id)
    paid = applied_to(invoice, others)
    pays = _paid_by(reversal, invoice, others)
    back = min(reversal.amount, pays, key=lambda each: each.amount)
    await Require(
        reason="reversal_of_more",
        title=f"{reversal.amount} of a payment of invoice {invoice.number} were taken back; it pays {pays}",
        problems=_unknown(reversal, back),
        owner="finance",
        money=reversal.amount,
    )
    reversal = replace(
        reversal, customer_id=invoice.customer_id, legal_entity=invoice.legal_entity, still_pays=pays - back
    )
    await _reversed_in_erp(reversal, invoice)
    uncollected = collected_net(invoice, paid) - collected_net(invoice, paid - back)
    zero = Money.zero(invoice.currency)
    after = settled(replace(invoice, returned=(invoice.returned or zero) + back), paid - back)
    text = f"{back} of what was paid on invoice {invoice.number} was taken back: {reversal.reason}. It is open again."
    await together_all(
        [
            move_document(
                f"reverse {reversal.id}", invoice.id, uncollected,
                out_of=(Disposition.COLLECTED, Disposition.DISPUTED), into=Disposition.BILLED,
                cause=taken_back.type, at=taken_back.occurred_at,
            ),
            keep("payment_application", _negative(reversal, back)),
            keep_of_invoice(after, "returned", "status"),
            notice(invoice, f"reversed {reversal.id}", f"A payment of invoice {invoice.number} was taken back", text,
                   urgent=True),
        ]
    )  # fmt: skip
    await crm_invoice(after)
    await tell_sales_of_money(after)
    return {"invoice": invoice.number, "taken back": str(back), "status": after.status}


def _paid_by(reversal: PaymentReversal, invoice: Invoice, payments: tuple[Payment, ...]) -> Money:
    """What the payment pays of the invoice now, earlier reversals taken off."""
    own = (
        each.amount
        for each in payments
        if each.invoice_id == invoice.id and reversal.payment_id in (each.id, each.reference)
    )
    return total(own, invoice.currency)


def _negative(reversal: PaymentReversal, back: Money) -> Payment:
    """It counts against the payment it reverses, which it names as its reference."""
    return Payment(
        reversal.id, reversal.invoice_id, -back, reversal.reversed_on, reversal.customer_id, reversal.legal_entity,
        reversal.payment_id,
    )  # fmt: skip


def _reversed_in_erp(reversal: PaymentReversal, invoice: Invoice) -> Effect:
    return effect(
        "erp",
        "put",
        "payment_reversal",
        reversal,
        f"Take back {reversal.amount} of a payment of invoice {invoice.number}",
        entity=invoice.legal_entity,
        once=True,
        priority=Priority.CLOSE,
        money=reversal.amount,
        links=(("invoice", invoice.id), ("customer", invoice.customer_id), ("payment", reversal.payment_id)),
    )


def _unknown(reversal: PaymentReversal, back: Money) -> tuple[Problem, ...]:
    if reversal.amount == back:
        return ()
    message = f"{reversal.amount - back} of it pay nothing: they are unapplied or refunded already."
    cure = "Refund the rest out of the unapplied cash, then skip; nothing of it is posted here."
    return (Problem("reversal_of_more", message, "amount", cure),)
