"""Dispute: a disputed invoice is held in the ERP and the account team knows, until it is settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.engine.states import Priority
from accord.engine.story import Effect, Now, Read, ReadRelated, Tell, WaitFor, effect, keep, process, together
from accord.ledger.dispositions import Disposition, move_document
from accord.model import events
from accord.model.billing import Dispute, Invoice, Payment, PaymentReversal, ReceivableHold
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.money import Money, Rounding
from accord.model.plain import to_plain
from accord.processes.billing_steps import INVOICE_POSTED, crm_invoice, keep_of_invoice, notice, tell_sales_of_money
from accord.processes.known import known
from accord.rules.receivable import applied_to


@process(starts_on=events.DISPUTE_OPENED)
async def dispute(opened: Fact) -> dict[str, object]:
    """A disputed invoice notifies the account team and holds the receivable, until the dispute is closed."""
    found = await Read("dispute", opened.subject, Dispute)
    posting = await known("invoice_posting", found.invoice_id, InvoicePosting)
    if posting is None:
        await WaitFor(INVOICE_POSTED, found.invoice_id)
    invoice = replace(await Read("invoice", found.invoice_id, Invoice), disputed=True)
    contested = _net_part(found, invoice)
    source = await _where_from(found, invoice)
    text = f"The customer disputes {found.amount} of invoice {invoice.number}: {found.reason}."
    await together(
        notice(invoice, f"dispute {found.id}", f"Invoice {invoice.number} is disputed", text, urgent=True),
        _hold(invoice, found.reason),
        crm_invoice(invoice),
        move_document(
            f"dispute {found.id}", invoice.id, contested, out_of=(source, *_others(source)), into=Disposition.DISPUTED,
            cause=opened.type, at=opened.occurred_at,
        ),
        keep_of_invoice(invoice, "disputed"),
    )  # fmt: skip
    await tell_sales_of_money(invoice)
    closed = await WaitFor(events.DISPUTE_CLOSED, found.id)
    return await _settle(found, invoice, contested, closed or {})


async def _where_from(found: Dispute, invoice: Invoice, when: str = "") -> Disposition:
    """Where what is contested lies, or belongs again. Payments count once they are in the ledger: billing knows of them
    earlier, and whoever collects takes from what is billed or disputed alone."""
    payments = await ReadRelated("payment_application", invoice.engagement_id or "", Payment, when)
    return Disposition.COLLECTED if found.amount <= applied_to(invoice, payments) else Disposition.BILLED


async def _settle(found: Dispute, invoice: Invoice, contested: Money, closed: Mapping[str, Any]) -> dict[str, object]:
    """Won: the claim stands as before. Lost: the bank took the money back, so the claim is open again; whether it is
    credited or written off is a decision of its own."""
    status = str(closed.get("status"))
    # Months may lie between: what was paid meanwhile is read anew.
    invoice = replace(await Read("invoice", invoice.id, Invoice, "settled"), disputed=False)
    settled_at = await Now("settled")
    back = await _where_from(found, invoice, "settled")
    await together(
        _release(invoice, f"dispute {status}"),
        notice(invoice, f"dispute closed {found.id}", f"Dispute of invoice {invoice.number}: {status}",
               f"Outcome: {status}."),
        crm_invoice(invoice),
        move_document(
            f"settle {found.id}", invoice.id, contested, out_of=Disposition.DISPUTED, into=back,
            cause=events.DISPUTE_CLOSED, at=settled_at.isoformat(), at_most=True,
        ),
        keep_of_invoice(invoice, "disputed"),
    )  # fmt: skip
    await tell_sales_of_money(invoice, "settled")
    if status == "lost" and found.payment_id is not None:
        await _taken_back(found, invoice, settled_at)
    return {"invoice": invoice.number, "outcome": status}


async def _taken_back(found: Dispute, invoice: Invoice, at: datetime) -> None:
    """The payment is reversed by a story of its own, in the order of the invoice's payments."""
    reversal = PaymentReversal(
        id=found.id,
        payment_id=found.payment_id or "",
        invoice_id=invoice.id,
        amount=found.amount,
        reason=f"chargeback: {found.reason}",
        reversed_on=at.date(),
    )
    payload = {"invoice_id": invoice.id, "reason": reversal.reason, "money": to_plain(found.amount)}
    fact = Fact(events.PAYMENT_REVERSED, found.id, at.isoformat(), "accord", payload, invoice.engagement_id)
    await together(keep("payment_reversal", reversal), Tell((fact,)))


def _others(first: Disposition) -> tuple[Disposition, ...]:
    """Where else the money of an invoice may lie."""
    return tuple(each for each in (Disposition.BILLED, Disposition.COLLECTED) if each is not first)


def _net_part(found: Dispute, invoice: Invoice) -> Money:
    """The net part of what is contested: a dispute names a gross amount."""
    if invoice.gross.amount == 0:
        return Money.zero(invoice.currency)
    return invoice.net.times(min(found.amount.amount / invoice.gross.amount, Decimal(1)), Rounding.HALF_UP)


def _hold(invoice: Invoice, reason: str) -> Effect:
    hold = ReceivableHold(id=invoice.id, on_hold=True, reason=reason)
    return _held(invoice, hold, f"Hold the receivable of invoice {invoice.number}")


def _release(invoice: Invoice, reason: str) -> Effect:
    hold = ReceivableHold(id=invoice.id, on_hold=False, reason=reason)
    return _held(invoice, hold, f"Release the receivable of invoice {invoice.number}")


def _held(invoice: Invoice, hold: ReceivableHold, label: str) -> Effect:
    return effect(
        "erp",
        "put",
        "receivable_hold",
        hold,
        label,
        entity=invoice.legal_entity,
        priority=Priority.CLOSE,
        money=invoice.gross,
        links=(("invoice", invoice.id),),
    )
