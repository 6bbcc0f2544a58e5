"""Credit to customer: an approved credit of an invoice reaches billing, the ERP, the ledger and sales."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from accord.engine.states import Priority
from accord.engine.story import (
    Effect,
    Keep,
    Post,
    Read,
    ReadRelated,
    Require,
    Tell,
    WaitFor,
    effect,
    keep,
    process,
    together_all,
)
from accord.ledger.dispositions import Disposition, move_document, rate_again, refill_collected
from accord.model import events
from accord.model.billing import CreditNote, Invoice, Payment, UnappliedCash
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.model.problem import Problem
from accord.processes.billing_steps import INVOICE_POSTED, crm_invoice, keep_of_invoice, tell_sales_of_money
from accord.processes.known import known
from accord.rules.receivable import applied_to, collected_net, credit_problems, credited


@process(
    starts_on=events.CREDIT_NOTE_APPROVED,
    subject=lambda fact: str(fact.payload.get("invoice_id")),
    priority=Priority.REVENUE,
)
async def credit_to_customer(approved: Fact) -> dict[str, object]:
    """An approved credit lowers what is open; what had been paid already stays visible as the customer's money."""
    note = await Read("credit_note", approved.subject, CreditNote)
    if await known("invoice_posting", note.invoice_id, InvoicePosting) is None:
        await WaitFor(INVOICE_POSTED, note.invoice_id)
    invoice = await Read("invoice", note.invoice_id, Invoice)
    applications = await ReadRelated("payment_application", invoice.engagement_id or "", Payment)
    await Require(
        reason="credit_not_possible",
        title=f"The credit of {note.amount} on invoice {invoice.number} cannot be given",
        problems=credit_problems(note, invoice),
        owner="finance",
        money=note.amount,
    )
    done = await _in_billing(note, invoice)
    await _same_amount(note, invoice, done.details.get("total"))
    paid = applied_to(invoice, applications)
    after, freed = credited(invoice, note, paid)
    note = replace(note, status="issued", number=done.details.get("number"), billing_ref=done.vendor_id, of_paid=freed)
    await _in_erp(note, invoice)
    still = collected_net(invoice, paid) - collected_net(after, paid - freed)
    await together_all(
        [
            *_posts(note, invoice, still, approved),
            keep("credit_note", note),
            keep_of_invoice(after, "credited", "reduced_net", "returned", "status"),
            *(_freed(note, invoice, freed) if freed else ()),
        ]
    )
    await crm_invoice(after)
    await tell_sales_of_money(after)
    payload = {"number": note.number, "invoice_id": invoice.id, "money": to_plain(note.amount)}
    told = [Fact(events.CREDIT_NOTE_ISSUED, note.id, approved.occurred_at, "accord", payload, note.engagement_id)]
    if note.dispute_id is not None:
        outcome = {"outcome": "rebill" if note.rebill else "credit", "invoice_id": invoice.id}
        told.append(Fact(events.LINE_DISPUTE_CLOSED, note.dispute_id, approved.occurred_at, "accord", outcome,
                         note.engagement_id))  # fmt: skip
    await Tell(tuple(told))
    return {"invoice": invoice.number, "credited": str(note.amount), "of_paid": str(freed), "status": after.status}


def _in_billing(note: CreditNote, invoice: Invoice) -> Effect:
    return effect(
        "billing",
        "put",
        "credit_note",
        note,
        f"Credit {note.amount} of invoice {invoice.number}",
        entity=invoice.legal_entity,
        once=True,
        money=note.amount,
        links=(("invoice", invoice.id),),
    )


def _in_erp(note: CreditNote, invoice: Invoice) -> Effect:
    return effect(
        "erp",
        "put",
        "credit_note",
        note,
        f"Credit memo of {note.amount} for invoice {invoice.number}",
        entity=invoice.legal_entity,
        priority=Priority.CLOSE,
        money=note.amount,
        links=(("invoice", invoice.id), ("customer", invoice.customer_id)),
    )


async def _same_amount(note: CreditNote, invoice: Invoice, told: dict[str, str] | None) -> None:
    theirs = None if told is None else Money.of(told["amount"], told["currency"])
    message = f"Billing credited {theirs}, {note.amount} was approved."
    wrong = Problem("amounts_differ", message, "amount", "Void the credit note in billing, then retry.")
    await Require(
        reason="amounts_differ",
        title=f"The credit of invoice {invoice.number} differs from what was approved",
        problems=() if theirs in (None, note.amount) else (wrong,),
        owner="finance",
        money=note.amount,
    )


def _posts(note: CreditNote, invoice: Invoice, freed: Money, approved: Fact) -> Iterator[Post]:
    """Each line's value to `credited`. What pays the rest still does."""
    entry = f"credit {note.id}"
    if note.from_work:
        yield from _posts_of_work(note, invoice, freed, approved)
        return
    from_dispute = note.dispute_id is not None
    rest = (Disposition.BILLED, Disposition.COLLECTED)
    out_of = (Disposition.DISPUTED, *rest) if from_dispute else (*rest, Disposition.DISPUTED)
    for each in note.lines:
        yield move_document(
            f"{entry} line {each.line}", invoice.id, each.net, out_of=out_of, into=Disposition.CREDITED,
            cause=note.reason, at=approved.occurred_at, reference=note.number,
            line=invoice.ledger_line(each.line),
        )  # fmt: skip
    yield refill_collected(f"{entry} rest", entry, invoice.id, freed, cause=approved.type, at=approved.occurred_at)
    if note.rebill:
        for each in note.lines:
            yield rate_again(f"rebill {note.id} line {each.line}", invoice.id, each.line, note.id)


def _posts_of_work(note: CreditNote, invoice: Invoice, freed: Money, approved: Fact) -> Iterator[Post]:
    """Corrected work is billed on the credit note itself; what it lessens stays billed on the invoice, and the two
    cancel out. Less is collected there once the rest is paid in full."""
    net = note.net or Money.zero(invoice.currency)
    about: dict[str, Any] = {"cause": approved.type, "at": approved.occurred_at, "reference": note.number}
    yield move_document(f"bill {note.id}", note.id, -net, out_of=Disposition.DRAFT, into=Disposition.BILLED, **about)
    if freed.amount > 0:
        yield move_document(
            f"free {note.id}", invoice.id, freed, out_of=Disposition.COLLECTED, into=Disposition.BILLED,
            at_most=True, **about,
        )  # fmt: skip


def _freed(note: CreditNote, invoice: Invoice, freed: Money) -> tuple[Keep, Keep]:
    """What had been paid of the credited amount pays the invoice no more; it can be applied to others or refunded."""
    cash = UnappliedCash(
        id=canonical_id("unapplied_cash", note.id),
        source_kind="credit_note",
        source_id=note.id,
        customer_id=invoice.customer_id,
        legal_entity=invoice.legal_entity,
        amount=freed,
        received_on=note.issued_on,
        engagement_id=invoice.engagement_id,
        invoice_id=invoice.id,
    )
    back = Payment(note.id, invoice.id, -freed, note.issued_on, invoice.customer_id, invoice.legal_entity, note.number)
    return keep("unapplied_cash", cash), keep("payment_application", back)
