"""Line dispute: disputed lines are set apart until somebody has decided; the rest of the invoice stays payable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time

from accord.engine.states import Priority
from accord.engine.story import (
    Decide,
    Effect,
    Keep,
    Now,
    Post,
    Read,
    ReadRelated,
    WaitFor,
    effect,
    process,
    together_all,
)
from accord.ledger.dispositions import Disposition, move_document, refill_collected
from accord.model import events
from accord.model.billing import Invoice, LineDispute, ReceivableHold
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.money import Money, total
from accord.processes.billing_steps import INVOICE_POSTED, crm_invoice, keep_of_invoice, notice, tell_sales_of_money
from accord.processes.known import known


@process(starts_on=events.LINE_DISPUTE_OPENED)
async def line_dispute(opened: Fact) -> dict[str, object]:
    """Disputed lines lie apart in the ledger, the ERP knows how much, the account team is told; until it is decided."""
    found = await Read("line_dispute", opened.subject, LineDispute)
    if await known("invoice_posting", found.invoice_id, InvoicePosting) is None:
        await WaitFor(INVOICE_POSTED, found.invoice_id)
    invoice = replace(await Read("invoice", found.invoice_id, Invoice), disputed=True)
    contested = _open_amount(invoice, await ReadRelated("line_dispute", found.engagement_id or "", LineDispute), found)
    which = ", ".join(str(each.line) for each in found.lines)
    text = (
        f"The customer disputes {found.amount} of invoice {invoice.number} (lines {which}): {found.reason}."
        f" {found.owner} answers by {found.answer_by}; the rest stays payable."
    )
    await together_all(
        [
            notice(
                invoice, f"dispute {found.id}", f"Lines of invoice {invoice.number} are disputed", text, urgent=True
            ),
            _told_the_erp(invoice, contested + found.amount, found.reason),
            crm_invoice(invoice),
            *_set_apart(found, invoice, opened),
            keep_of_invoice(invoice, "disputed"),
        ]
    )
    await tell_sales_of_money(invoice)
    closed = await WaitFor(events.LINE_DISPUTE_CLOSED, found.id)
    return await _close(found, str((closed or {}).get("outcome")))


async def _close(found: LineDispute, outcome: str) -> dict[str, object]:
    """What was credited is gone from the disputed part by now; what is left of it is owed as before."""
    invoice = await Read("invoice", found.invoice_id, Invoice, "closed")
    others = await ReadRelated("line_dispute", found.engagement_id or "", LineDispute, "closed")
    closed_at = await Now("closed")
    contested = _open_amount(invoice, others, found)
    invoice = replace(invoice, disputed=bool(contested))
    await together_all(
        [
            _told_the_erp(invoice, contested, f"dispute closed: {outcome}"),
            notice(invoice, f"dispute closed {found.id}", f"Dispute of invoice {invoice.number}: {outcome}",
                   f"Outcome for {found.amount}: {outcome}."),
            crm_invoice(invoice),
            *_put_back(found, invoice, closed_at),
            keep_of_invoice(invoice, "disputed"),
            Keep((("line_dispute", found.id, {"id": found.id, "status": "closed"}),)),
        ]
    )  # fmt: skip
    await tell_sales_of_money(invoice, "closed")
    return {"invoice": invoice.number, "outcome": outcome}


@process(starts_on=events.LINE_DISPUTE_OPENED, subject=lambda fact: f"clock of {fact.subject}")
async def dispute_clock(opened: Fact) -> dict[str, object]:
    """A dispute that nobody has answered in time becomes a case of its owner."""
    found = await Read("line_dispute", opened.subject, LineDispute)
    until = datetime.combine(found.answer_by, time(23, 59), UTC)
    if await WaitFor(events.LINE_DISPUTE_CLOSED, found.id, until) is not None:
        return {"in_time": True}
    if (await Read("line_dispute", found.id, LineDispute, "overdue")).status != "open":
        return {"in_time": True}
    await Decide(
        name="overdue",
        question=f"The dispute {found.id} of {found.amount} was to be answered by {found.answer_by}. Decide it.",
        options=("seen",),
        owner=found.owner,
        money=found.amount,
    )
    return {"in_time": False}


def _open_amount(invoice: Invoice, disputes: tuple[LineDispute, ...], but: LineDispute) -> Money:
    """What other disputes of the invoice come to, gross."""
    others = (
        each.amount
        for each in disputes
        if each.invoice_id == invoice.id and each.status == "open" and each.id != but.id
    )
    return total(others, invoice.currency)


def _told_the_erp(invoice: Invoice, disputed: Money, reason: str) -> Effect:
    hold = ReceivableHold(id=invoice.id, on_hold=False, reason=reason, disputed=disputed)
    return effect(
        "erp",
        "put",
        "receivable_hold",
        hold,
        f"{disputed} of invoice {invoice.number} are disputed",
        entity=invoice.legal_entity,
        priority=Priority.CLOSE,
        money=disputed,
        links=(("invoice", invoice.id),),
    )


def _set_apart(found: LineDispute, invoice: Invoice, opened: Fact) -> Iterator[Post]:
    for each in found.lines:
        yield move_document(
            f"contest {found.id} line {each.line}", invoice.id, each.net,
            out_of=(Disposition.BILLED, Disposition.COLLECTED), into=Disposition.DISPUTED,
            cause=opened.type, at=opened.occurred_at, line=invoice.ledger_line(each.line),
        )  # fmt: skip


def _put_back(found: LineDispute, invoice: Invoice, at: datetime) -> Iterator[Post]:
    """What is left of it is billed again, and collected as far as it had been paid."""
    for each in found.lines:
        yield move_document(
            f"settle {found.id} line {each.line}", invoice.id, each.net, out_of=Disposition.DISPUTED,
            into=Disposition.BILLED, cause=events.LINE_DISPUTE_CLOSED, at=at.isoformat(), at_most=True,
            line=invoice.ledger_line(each.line),
        )  # fmt: skip
    yield refill_collected(
        f"settle {found.id} rest", f"contest {found.id}", invoice.id, Money.zero(invoice.currency),
        cause=events.LINE_DISPUTE_CLOSED, at=at.isoformat(),
    )  # fmt: skip
