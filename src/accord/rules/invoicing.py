"""Invoices from approved milestones, closed subscription periods and changed services, and what payments mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from accord.model.billing import Invoice, InvoiceLine, InvoiceProposal, Payment, ScheduledMilestone, TaxTreatment
from accord.model.customer import CustomerStatus
from accord.model.deal import Handover
from accord.model.identity import canonical_id
from accord.model.money import Money, total
from accord.model.recurring import ServiceSettlement
from accord.rules.firm import LegalEntity
from accord.rules.receivable import collected_net, open_amount, standing_paid, status_of
from accord.rules.services import settlement_text
from accord.rules.tax import rate_for, tax_on


def milestone_invoice(
    milestone: ScheduledMilestone,
    entity: LegalEntity,
    how: TaxTreatment,
    *,
    project_id: str,
    deal_id: str,
    terms_days: int,
) -> Invoice:
    """The invoice of one approved milestone: one line, taxed as `how` says."""
    tax = tax_on(milestone.amount, how)
    line = InvoiceLine(
        item_id=canonical_id("billable_item", milestone.id),
        text=milestone.name,
        net=milestone.amount,
        tax=tax,
        tax_rate_id=rate_for(entity, how).id,
    )
    return Invoice(
        id=canonical_id("invoice", milestone.id),
        customer_id=milestone.customer_id,
        legal_entity=milestone.legal_entity,
        currency=milestone.amount.currency,
        lines=(line,),
        net=milestone.amount,
        tax=tax,
        gross=milestone.amount + tax,
        origin="milestone",
        engagement_id=milestone.engagement_id,
        project_id=project_id,
        deal_id=deal_id,
        terms_days=terms_days,
    )


def settlement_invoice(
    found: ServiceSettlement, entity: LegalEntity, how: TaxTreatment, *, project_id: str | None
) -> Invoice:
    """The invoice of what a period of a changed service is worth beyond what was billed: one line, taxed as `how`
    says, for the days from its first change on."""
    net = found.difference
    tax = tax_on(net, how)
    line = InvoiceLine(
        item_id=canonical_id("billable_item", found.id),
        text=settlement_text(found),
        net=net,
        tax=tax,
        tax_rate_id=rate_for(entity, how).id,
        service_from=found.days[min(1, len(found.days) - 1)].from_on,
        service_to=found.period_to - timedelta(days=1),
    )
    return Invoice(
        id=found.document_id,
        customer_id=found.customer_id,
        legal_entity=found.legal_entity,
        currency=net.currency,
        lines=(line,),
        net=net,
        tax=tax,
        gross=net + tax,
        origin="service_change",
        engagement_id=found.engagement_id,
        project_id=project_id,
        deal_id=found.engagement_id,
        terms_days=found.terms_days,
    )


def work_invoice(
    proposal: InvoiceProposal, entity: LegalEntity, how: TaxTreatment, *, project_id: str, deal_id: str
) -> Invoice:
    """The invoice of an approved proposal. Each line is taxed and rounded by itself, as the billing platform does."""
    rate = rate_for(entity, how).id
    lines = tuple(
        InvoiceLine(
            item_id=line.id,
            text=line.text,
            net=line.net,
            tax=tax_on(line.net, how),
            tax_rate_id=rate,
            service_from=line.service_from,
            service_to=line.service_to,
        )
        for line in proposal.lines
    )
    tax = total((line.tax for line in lines), proposal.currency)
    return Invoice(
        id=proposal.id,
        customer_id=proposal.customer_id,
        legal_entity=proposal.legal_entity,
        currency=proposal.currency,
        lines=lines,
        net=proposal.net,
        tax=tax,
        gross=proposal.net + tax,
        origin="work",
        engagement_id=proposal.engagement_id,
        project_id=project_id,
        deal_id=deal_id,
        terms_days=proposal.terms_days,
    )


def issued(invoice: Invoice, *, number: str | None, billing_ref: str | None, issued_on: str, due_on: str) -> Invoice:
    """The invoice once the billing platform has issued it."""
    return replace(
        invoice,
        number=number,
        billing_ref=billing_ref,
        issued_on=date.fromisoformat(issued_on),
        due_on=date.fromisoformat(due_on),
        status="open",
    )


def payment_status(invoice: Invoice) -> str:
    """What sales is told of one invoice."""
    if invoice.disputed:
        return "disputed"
    status = status_of(invoice)
    return "partially paid" if status == "open" and standing_paid(invoice) else status


def overall_status(invoices: Sequence[Invoice]) -> str:
    """The payment status of all invoices together: the one that needs most attention."""
    found = {payment_status(invoice) for invoice in invoices}
    order = ("disputed", "uncollectible", "partially paid", "open", "paid", "written off", "credited", "void", "draft")
    return next((status for status in order if status in found), "nothing billed")


def engagement_status(
    deal_id: str, currency: str | None, invoices: Sequence[Invoice], project_number: str | None
) -> Handover:
    """What sales is told of an engagement's money, in the deal's currency; other currencies are not converted."""
    billed = [invoice for invoice in invoices if invoice.currency == currency and invoice.status != "void"]
    zero = None if currency is None else Money.zero(currency)
    return Handover(
        id=canonical_id("notice", "handover", deal_id),
        deal_id=deal_id,
        project_number=project_number,
        project_status="active",
        payment_status=overall_status(invoices),
        billed=None if zero is None else sum((each.gross - (each.credited or zero) for each in billed), start=zero),
        paid=None if zero is None else sum((standing_paid(each) for each in billed), start=zero),
        status="in accord",
    )


def customer_status(customer_id: str, currency: str, invoices: Sequence[Invoice]) -> CustomerStatus:
    """What sales is told of a customer's receivable, in the customer's currency."""
    receivable = Money.zero(currency)
    for invoice in invoices:
        if invoice.currency == currency and invoice.status not in ("draft", "void"):
            receivable = receivable + open_amount(invoice)
    id = canonical_id("notice", "customer_status", customer_id)
    return CustomerStatus(
        id=id, customer_id=customer_id, payment_status=overall_status(invoices), receivable=receivable
    )


def collected_by(payment: Payment, invoice: Invoice, paid_before: Money) -> Money:
    """The part of the invoice's net amount that a payment collects: the difference to the share before it."""
    return collected_net(invoice, paid_before + payment.amount) - collected_net(invoice, paid_before)
