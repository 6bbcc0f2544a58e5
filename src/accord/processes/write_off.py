"""Write-offs and write-ups that were approved: value given up or added, with its reason and the names of two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import (
    Effect,
    Post,
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
from accord.ledger.dispositions import Disposition, item, move, move_document
from accord.model import events
from accord.model.billing import Invoice, Payment, WriteOff, WriteUp
from accord.model.engagement import InvoicePosting
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.processes.billing_steps import INVOICE_POSTED, crm_invoice, keep_of_invoice, tell_sales_of_money
from accord.processes.known import known
from accord.rules.receivable import applied_to, collected_net, open_amount, write_off_problems, written_off


@process(
    starts_on=events.WRITE_OFF_APPROVED,
    subject=lambda fact: str(fact.payload.get("about")),
    priority=Priority.REVENUE,
)
async def write_off(approved: Fact) -> dict[str, object]:
    """An approved write-off: of a debt in billing, ERP, ledger and for sales; of work in the ledger alone."""
    found = await Read("write_off", approved.subject, WriteOff)
    if found.invoice_id is not None:
        return await _debt(found, found.invoice_id, approved)
    await together(
        move(
            f"write off {found.id}", {"id": found.item_id}, found.amount,
            # What cannot be invoiced is given up before what can.
            out_of=(Disposition.OVER_CAP, Disposition.HELD, Disposition.WIP), into=Disposition.WRITTEN_OFF,
            cause=found.reason, at=approved.occurred_at, reference=found.approved_by,
        ),
        keep("write_off", replace(found, status="done")),
    )  # fmt: skip
    return {"item": found.item_id, "written_off": str(found.amount)}


async def _debt(found: WriteOff, invoice_id: str, approved: Fact) -> dict[str, object]:
    if await known("invoice_posting", invoice_id, InvoicePosting) is None:
        await WaitFor(INVOICE_POSTED, invoice_id)
    invoice = await Read("invoice", invoice_id, Invoice)
    paid = applied_to(invoice, await ReadRelated("payment_application", invoice.engagement_id or "", Payment))
    await Require(
        reason="less_is_open",
        title=f"{found.amount} of invoice {invoice.number} cannot be written off",
        problems=write_off_problems(found.amount, invoice, paid),
        owner="finance",
        money=found.amount,
    )
    after, net = written_off(invoice, found.amount, paid)
    found = replace(found, net=net, status="done")
    await together_all([_in_erp(found, invoice), *(() if open_amount(after) else (_in_billing(invoice),))])
    await together_all(
        [
            *_posts(found, invoice, net, collected_net(after, paid) - collected_net(invoice, paid), approved),
            keep("write_off", found),
            keep_of_invoice(after, "written_off", "reduced_net", "status"),
        ]
    )
    await crm_invoice(after)
    await tell_sales_of_money(after)
    return {"invoice": invoice.number, "written_off": str(found.amount), "status": after.status}


def _in_erp(found: WriteOff, invoice: Invoice) -> Effect:
    return effect(
        "erp",
        "put",
        "write_off",
        found,
        f"Write {found.amount} of invoice {invoice.number} off",
        entity=invoice.legal_entity,
        once=True,
        priority=Priority.CLOSE,
        money=found.amount,
        links=(("invoice", invoice.id), ("customer", invoice.customer_id)),
    )


def _in_billing(invoice: Invoice) -> Effect:
    """Nothing is asked for any more."""
    return effect(
        "billing",
        "write_off",
        "invoice",
        replace(invoice, status="uncollectible"),
        f"Mark invoice {invoice.number} as uncollectible",
        entity=invoice.legal_entity,
        once=True,
        money=invoice.gross,
        links=(("customer", invoice.customer_id),),
    )


def _posts(found: WriteOff, invoice: Invoice, net: Money, more: Money, approved: Fact) -> Iterator[Post]:
    """`more` is what the payments collect beyond what they did, a unit of rounding at most."""
    at = approved.occurred_at
    yield move_document(
        f"write off {found.id}", invoice.id, net, out_of=(Disposition.BILLED, Disposition.DISPUTED),
        into=Disposition.WRITTEN_OFF, cause=found.reason, at=at, reference=found.approved_by,
    )  # fmt: skip
    if more:
        ways = (Disposition.BILLED, Disposition.COLLECTED)
        out_of, into = ways if more.amount > 0 else ways[::-1]
        size = more if more.amount > 0 else -more
        yield move_document(
            f"round {found.id}", invoice.id, size, out_of=out_of, into=into, cause=approved.type, at=at, at_most=True
        )


@process(starts_on=events.WRITE_UP_APPROVED, priority=Priority.REVENUE)
async def write_up(approved: Fact) -> dict[str, object]:
    """An approved write-up is an item of its own in WIP, and goes onto the next invoice of the engagement's work."""
    found = await Read("write_up", approved.subject, WriteUp)
    about = item(
        id=canonical_id("billable_item", found.id),
        kind="write_up",
        engagement=found.engagement_id,
        legal_entity=found.legal_entity,
        amount=found.amount,
        source="write_up",
        source_id=found.id,
        approved_at=approved.occurred_at,
    )
    await together(
        move(
            f"write up {found.id}", about, found.amount, out_of=Disposition.APPROVED, into=Disposition.WIP,
            cause=found.reason, at=approved.occurred_at, reference=found.approved_by, new=True,
        ),
        keep("write_up", replace(found, status="done")),
    )  # fmt: skip
    return {"item": about["id"], "written_up": str(found.amount)}
