"""Cash to invoices: money that came in for no single invoice is shared out; unapplied cash pays what it is put to."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import (
    Effect,
    Read,
    ReadRelated,
    Require,
    Tell,
    WaitFor,
    effect,
    keep,
    process,
    together,
    together_all,
)
from accord.ledger.dispositions import Disposition, move_document
from accord.model import events
from accord.model.billing import Allocation, CashApplication, Invoice, Payment, UnappliedCash
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.money import Money, total
from accord.model.plain import to_plain
from accord.model.problem import Problem
from accord.processes.billing_steps import INVOICE_POSTED, crm_invoice, keep_of_invoice, tell_sales_of_money
from accord.processes.known import known
from accord.rules.cash import allocate, allocation_problems
from accord.rules.invoicing import collected_by
from accord.rules.receivable import applied_to, open_amount, settled


@process(
    starts_on=events.RECEIPT_RECORDED,
    subject=lambda fact: f"receipts of {fact.payload.get('customer_id')}",
    priority=Priority.REVENUE,
)
async def receipt_to_invoices(recorded: Fact) -> dict[str, object]:
    """One payment for many invoices: shared out as the customer says, or the oldest first; the rest stays visible."""
    receipt = await Read("receipt", recorded.subject, Payment)
    invoices = await ReadRelated("customer_invoices", receipt.customer_id or "", Invoice)
    await Require(
        reason="allocation_not_possible",
        title=f"The receipt of {receipt.amount} cannot be shared out as it says",
        problems=allocation_problems(receipt, invoices),
        owner="finance",
        money=receipt.amount,
        watch=(receipt.id,),
    )
    shares = receipt.allocations if receipt.allocations is not None else allocate(receipt, invoices)
    receipt = replace(receipt, allocations=shares)
    await _receipt_in_erp(receipt)
    by_id = {each.id: each for each in invoices}
    parts = [_part(receipt, share, by_id[share.invoice_id]) for share in shares]
    rest = receipt.pays - total((share.amount for share in shares), receipt.amount.currency)
    cash = [_cash(receipt, rest)] if rest else []
    await together_all(
        [keep("receipt", receipt), *(keep("cash_application", each) for each in parts),
         *(keep("unapplied_cash", each) for each in cash)]
    )  # fmt: skip
    if parts:
        await Tell(tuple(_applied(each, by_id[each.invoice_id], recorded) for each in parts))
    return {"invoices": len(parts), "unapplied": str(rest)}


def _receipt_in_erp(receipt: Payment) -> Effect:
    return effect(
        "erp",
        "put",
        "payment",
        receipt,
        f"Receipt of {receipt.amount} for {len(receipt.allocations or ())} invoices",
        entity=receipt.legal_entity or "",
        priority=Priority.CLOSE,
        money=receipt.amount,
        links=(
            ("customer", receipt.customer_id),
            *(("invoice", each.invoice_id) for each in receipt.allocations or ()),
        ),
    )


def _part(receipt: Payment, share: Allocation, invoice: Invoice) -> CashApplication:
    return CashApplication(
        id=canonical_id("payment", receipt.id, invoice.id),
        cash_id=receipt.id,
        source_kind="payment",
        source_id=receipt.id,
        invoice_id=invoice.id,
        amount=share.amount,
        on_invoice=share.amount,
        applied_on=receipt.received_on,
        applied_by="accord",
        in_erp=True,
    )


def _cash(receipt: Payment, rest: Money) -> UnappliedCash:
    return UnappliedCash(
        id=canonical_id("unapplied_cash", receipt.id),
        source_kind="payment",
        source_id=receipt.id,
        customer_id=receipt.customer_id or "",
        legal_entity=receipt.legal_entity or "",
        amount=rest,
        received_on=receipt.received_on,
    )


def _applied(part: CashApplication, invoice: Invoice, recorded: Fact) -> Fact:
    payload = {"invoice_id": part.invoice_id, "cash_id": part.cash_id, "money": to_plain(part.amount)}
    return Fact(events.CASH_APPLIED, part.id, recorded.occurred_at, "accord", payload, invoice.engagement_id)


@process(
    starts_on=events.CASH_APPLIED,
    subject=lambda fact: str(fact.payload.get("invoice_id")),
    priority=Priority.REVENUE,
)
async def cash_to_invoice(applied: Fact) -> dict[str, object]:
    """Unapplied cash that is put to an invoice pays it: in the ERP, in billing, in the ledger and for sales."""
    part = await Read("cash_application", applied.subject, CashApplication)
    if await known("invoice_posting", part.invoice_id, InvoicePosting) is None:
        await WaitFor(INVOICE_POSTED, part.invoice_id)
    invoice = await Read("invoice", part.invoice_id, Invoice)
    payments = await ReadRelated("payment_application", invoice.engagement_id or "", Payment)
    before = applied_to(invoice, tuple(each for each in payments if each.id != part.id))
    await Require(
        reason="more_than_open",
        title=f"{part.amount} are to pay invoice {invoice.number}, on which less is open",
        problems=_too_much(part, open_amount(settled(invoice, before))),
        owner="finance",
        money=part.amount,
    )
    if not part.in_erp:
        await _written("erp", part, invoice, f"Apply {part.amount} of unapplied cash to invoice {invoice.number}")
    await _written("billing", part, invoice, f"Report {part.amount} as paid on invoice {invoice.number}")
    payment = Payment(part.id, invoice.id, part.amount, part.applied_on, invoice.customer_id, invoice.legal_entity,
                      part.source_id)  # fmt: skip
    after = settled(invoice, before + part.amount)
    await together(
        move_document(
            f"collect {part.id}", invoice.id, collected_by(payment, invoice, before),
            out_of=(Disposition.BILLED, Disposition.DISPUTED), into=Disposition.COLLECTED,
            cause=applied.type, at=applied.occurred_at, reference=part.source_id,
        ),
        keep_of_invoice(after, "paid", "status"),
        keep("payment_application", payment),
    )  # fmt: skip
    await crm_invoice(after)
    await tell_sales_of_money(after)
    return {"invoice": invoice.number, "applied": str(part.amount), "status": after.status}


def _written(role: str, part: CashApplication, invoice: Invoice, label: str) -> Effect:
    return effect(
        role,
        "put",
        "cash_application",
        part,
        label,
        entity=invoice.legal_entity,
        once=True,
        priority=Priority.CLOSE,
        money=part.amount,
        links=(
            ("invoice", invoice.id),
            ("customer", invoice.customer_id),
            (part.source_kind, part.source_id),
        ),
    )


def _too_much(part: CashApplication, left: Money) -> tuple[Problem, ...]:
    if part.amount <= left:
        return ()
    cure = "Cancel this application; apply the money to another invoice or refund it."
    return (Problem("more_than_open", f"{left} are open, {part.amount} were applied.", "amount", cure),)
