"""Service settlement: a billed period of a service that changed is invoiced, or credited, by what it is worth now.

A signed change order is the approval of both. Runs about one service go in order, so none settles what another does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from accord.engine.states import Priority
from accord.engine.story import Now, Read, ReadPolicy, ReadRelated, Require, Tell, keep, process, together
from accord.ledger.dispositions import Disposition, item, move
from accord.model import events
from accord.model.billing import CreditNote, Invoice
from accord.model.customer import Customer
from accord.model.engagement import Engagement
from accord.model.events import Fact
from accord.model.plain import to_plain
from accord.model.problem import Problem
from accord.model.recurring import RecurringSchedule, ServiceSettlement
from accord.processes.billing_steps import (
    issue_invoice,
    post_invoice,
    tell_sales_of_money,
    with_country,
)
from accord.processes.known import known
from accord.rules.firm import Firm
from accord.rules.invoicing import settlement_invoice
from accord.rules.receivable import credit_line, credit_of
from accord.rules.services import settlement_text, settlements
from accord.rules.tax import treatment


@process(
    starts_on=(events.SERVICE_CHANGED, events.SUBSCRIPTION_PERIOD_BILLED),
    one_per=lambda fact: f"{fact.subject} {fact.payload.get('record_version') or fact.payload.get('invoice')}",
    priority=Priority.REVENUE,
)
async def service_settlement(told: Fact) -> dict[str, object]:
    """A period that was billed at another price than a changed service is worth is settled by the difference."""
    schedule = await Read("recurring_schedule", told.subject, RecurringSchedule)
    invoices = await ReadRelated("invoice", schedule.engagement_id, Invoice)
    done = await ReadRelated("service_settlement", schedule.engagement_id, ServiceSettlement)
    found = settlements(schedule, invoices, done)
    by_id = {each.id: each for each in invoices}
    for each in found:
        if each.difference.amount > 0:
            await _invoice(each, told)
        else:
            newest = schedule.changes[-1].change_order
            await _credit(each, by_id.get(each.invoice_id), newest, await Now("settled"))
    return {"settled": [f"{each.period_from}: {each.difference}" for each in found]}


async def _invoice(found: ServiceSettlement, told: Fact) -> None:
    """The difference as an invoice of its own, like a milestone's."""
    engagement = await known("engagement", found.engagement_id, Engagement)
    customer = await known("customer", found.customer_id, Customer)
    firm = await ReadPolicy("firm", Firm.parse)
    await Require(
        reason="settlement_not_billable",
        title=f"{found.difference} of {found.name} for the period from {found.period_from} cannot be invoiced",
        problems=_not_billable(found, engagement, customer),
        owner="finance",
        money=found.difference,
        watch=(found.engagement_id, found.customer_id),
        name=f"billable {found.id}",
    )
    assert engagement is not None
    assert customer is not None
    entity = firm.entities[found.legal_entity]
    project = engagement.project_of(found.legal_entity)
    invoice = settlement_invoice(
        found,
        entity,
        treatment(firm, entity, with_country(customer, firm)),
        project_id=None if project is None else project.project_id,
    )
    about = item(
        id=invoice.lines[0].item_id,
        kind="service_change",
        engagement=found.engagement_id,
        legal_entity=found.legal_entity,
        amount=found.difference,
        source="service_settlement",
        source_id=found.id,
        approved_at=told.occurred_at,
    )
    at = told.occurred_at
    await together(
        move(
            f"approve {found.id}", about, found.difference, out_of=Disposition.APPROVED, into=Disposition.WIP,
            cause=told.type, at=at, new=True,
        ),
        keep("service_settlement", found),
    )  # fmt: skip
    invoice = await issue_invoice(invoice, firm, customer)
    await together(
        move(
            f"bill {invoice.id}", about, found.difference, out_of=Disposition.WIP, into=Disposition.BILLED,
            cause="invoice.issued", at=at, reference=invoice.number, document=invoice.id,
        ),
        keep("invoice", invoice),
    )  # fmt: skip
    await post_invoice(invoice)
    await tell_sales_of_money(invoice, found.id)


def _not_billable(
    found: ServiceSettlement, engagement: Engagement | None, customer: Customer | None
) -> tuple[Problem, ...]:
    if engagement is None or engagement.status != "active":
        message = f"The engagement is {'not active' if engagement is None else engagement.status}."
        return (Problem("engagement_on_hold", message, "engagement", "Settle the contract change first."),)
    if customer is None:
        message = f"The customer {found.customer_id} is not in the CRM any more."
        return (Problem("customer_missing", message, "customer", "Restore it there, then retry."),)
    return ()


async def _credit(found: ServiceSettlement, invoice: Invoice | None, newest: str, at: datetime) -> None:
    """The difference as a credit of what billed it; its story carries it to billing, ERP, ledger and sales."""
    message = "The earlier settlement that it takes back was given up before it was invoiced."
    await Require(
        reason="settlement_not_invoiced",
        title=f"{found.difference} of {found.name} for the period from {found.period_from} cannot be credited",
        problems=()
        if invoice is not None
        else (Problem("invoice_unknown", message, "invoice_id", "Write off its item in WIP, then cancel this."),),
        owner="finance",
        money=found.difference,
        watch=(found.invoice_id,),
        name=f"creditable {found.id}",
    )
    assert invoice is not None
    line = replace(credit_line(invoice, found.line, -found.difference), text=settlement_text(found))
    net, gross = credit_of((line,), invoice.currency)
    # An order that gives a period back the price it was sold at has set none of its days.
    orders = ", ".join(sorted({each.change_order for each in found.days if each.change_order})) or newest
    note = CreditNote(
        id=found.document_id,
        invoice_id=invoice.id,
        amount=gross,
        reason=f"Change order {orders} of {found.name}",
        issued_on=at.date(),
        lines=(line,),
        net=net,
        customer_id=invoice.customer_id,
        legal_entity=invoice.legal_entity,
        engagement_id=found.engagement_id,
        requested_by="accord",
        approved_by=f"change order {orders}",
    )
    payload = {
        "approved_by": note.approved_by,
        "invoice_id": invoice.id,
        "reason": note.reason,
        "money": to_plain(gross),
    }
    fact = Fact(events.CREDIT_NOTE_APPROVED, note.id, at.isoformat(), "accord", payload, found.engagement_id)
    await together(keep("service_settlement", found), keep("credit_note", note), Tell((fact,)))
