"""Steps that billing flows share: an invoice's way into ERP and CRM, and what sales is told of its money."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import Done, Effect, Keep, ReadRelated, Require, Tell, effect, keep, together
from accord.model.billing import Invoice, ReceivableHold
from accord.model.customer import Customer, Notice
from accord.model.engagement import Engagement, InvoicePosting
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.model.problem import Problem
from accord.processes.known import known
from accord.rules.firm import Firm, country_of
from accord.rules.invoicing import customer_status, engagement_status, issued
from accord.rules.tax import rate_for, treatment

INVOICE_POSTED = "invoice.posted"


def erp_invoice(invoice: Invoice) -> Effect:
    """The posted invoice in the ERP."""
    return effect(
        "erp",
        "put",
        "invoice",
        replace(invoice, paid=None, status="open", disputed=False),
        f"Post invoice {invoice.number or invoice.id} in the ERP",
        entity=invoice.legal_entity,
        priority=Priority.CLOSE,
        money=invoice.gross,
        links=(("customer", invoice.customer_id), ("project", invoice.project_id)),
    )


def crm_invoice(invoice: Invoice) -> Effect:
    """The invoice as sales sees it."""
    return effect(
        "crm",
        "put",
        "invoice",
        invoice,
        f"Show invoice {invoice.number or invoice.id} ({invoice.status}) to sales",
        priority=Priority.CUSTOMER,
        money=invoice.gross,
        links=(("deal", invoice.deal_id), ("customer", invoice.customer_id)),
    )


async def post_invoice(invoice: Invoice) -> None:
    """Post an issued invoice in the ERP and show it to sales; then say so, for payments that wait for it."""
    posted, _ = await together(erp_invoice(invoice), crm_invoice(invoice))
    await keep("invoice_posting", InvoicePosting(invoice.id, invoice.engagement_id, posted.vendor_id))
    payload = {"number": invoice.number, "erp_id": posted.vendor_id}
    at = (
        invoice.issued_on.isoformat() + "T00:00:00+00:00"
        if invoice.issued_on is not None
        else "1970-01-01T00:00:00+00:00"
    )
    await Tell((Fact(INVOICE_POSTED, invoice.id, at, "accord", payload, correlation=invoice.engagement_id),))


def keep_of_invoice(invoice: Invoice, *fields: str) -> Keep:
    """Keep these fields alone: another story may have changed the others since this one read the invoice."""
    plain = to_plain(invoice)
    return Keep((("invoice", invoice.id, {name: plain[name] for name in ("id", *fields)}),))


def hold_receivable(invoice: Invoice, reason: str, *, on_hold: bool) -> Effect:
    """Whether the ERP holds the receivable back from collection, and why."""
    return effect(
        "erp",
        "put",
        "receivable_hold",
        ReceivableHold(id=invoice.id, on_hold=on_hold, reason=reason),
        f"{'Hold' if on_hold else 'Release'} the receivable of invoice {invoice.number}",
        entity=invoice.legal_entity,
        priority=Priority.CLOSE,
        money=invoice.gross,
        links=(("invoice", invoice.id),),
    )


async def tell_sales_of_money(invoice: Invoice, when: str = "") -> None:
    """Payment status on the opportunity and on the account, from all invoices as they stand."""
    engagement = await known("engagement", invoice.engagement_id or "", Engagement)
    own = await ReadRelated("invoice", invoice.engagement_id or "", Invoice, when)
    # Merged with another in the CRM since: what sales sees is the other, with the invoices of both.
    customer = await known("customer", invoice.customer_id, Customer, when or "of the invoice")
    customer_id = invoice.customer_id if customer is None else customer.id
    all_of_customer = await ReadRelated("customer_invoices", customer_id, Invoice, when)
    current = {each.id: each for each in (*all_of_customer, *own)} | {invoice.id: invoice}
    status = customer_status(customer_id, invoice.currency, tuple(current.values()))
    steps = [
        effect(
            "crm",
            "put",
            "customer_status",
            status,
            f"Receivable of the customer: {status.receivable}",
            priority=Priority.CUSTOMER,
            links=(("customer", customer_id),),
        )
    ]
    if engagement is not None:
        ours = tuple(each for each in current.values() if each.engagement_id == engagement.id)
        handover = engagement_status(engagement.id, engagement.currency, ours, engagement.projects[0].number)
        steps.append(
            effect(
                "crm",
                "put",
                "handover",
                handover,
                f"Payment status of the engagement: {handover.payment_status}",
                priority=Priority.CUSTOMER,
                links=(("deal", engagement.id),),
            )
        )
    await together(*steps)


def notice(about: Invoice, name: str, subject: str, text: str, *, urgent: bool = False) -> Effect:
    """A message to the account team of an invoice's deal, or of its customer where there is no deal."""
    kind, id = ("deal", about.deal_id) if about.deal_id is not None else ("customer", about.customer_id)
    message = Notice(
        id=canonical_id("notice", name, about.id),
        about_kind=kind,
        about_id=id,
        subject=subject,
        text=text,
        urgent=urgent,
    )
    return effect(
        "crm",
        "put",
        "notice",
        message,
        f"Tell the account team: {subject}",
        priority=Priority.CUSTOMER,
        money=about.gross,
        links=((kind, id),),
    )


def with_country(customer: Customer, firm: Firm) -> Customer:
    """The customer with its country as the firm understands it."""
    found = country_of(firm, customer.country or customer.country_as_given or "")
    return customer if found is None else replace(customer, country=found.meaning)


async def issue_invoice(invoice: Invoice, firm: Firm, customer: Customer, what: str = "") -> Invoice:
    """The tax rate the line needs, then the invoice: issued once, whatever happens, for what was approved. It has its
    number and dates then."""
    entity = firm.entities[invoice.legal_entity]
    rate = rate_for(entity, treatment(firm, entity, with_country(customer, firm)))
    await effect("billing", "put", "tax_rate", rate, f"Tax rate {rate.label}")
    done = await effect(
        "billing",
        "issue",
        "invoice",
        invoice,
        f"Issue the invoice for {what or invoice.lines[0].text}",
        entity=invoice.legal_entity,
        once=True,
        money=invoice.gross,
        links=(("customer", invoice.customer_id), ("tax_rate", rate.id)),
    )
    await same_money(invoice, done)
    return issued(
        invoice,
        number=done.details.get("number"),
        billing_ref=done.vendor_id,
        issued_on=done.details["issued_on"],
        due_on=done.details["due_on"],
    )


async def same_money(invoice: Invoice, done: Done) -> None:
    """What billing computed must be what we computed, to the minor unit."""
    told = done.details.get("gross")
    theirs = None if told is None else Money.of(told["amount"], told["currency"])
    wrong = theirs is not None and theirs != invoice.gross
    problem = Problem(
        "amounts_differ",
        f"Billing computed {theirs}, the contract says {invoice.gross}.",
        "gross",
        "Correct the tax rate or the schedule, void the invoice in billing and retry.",
    )
    await Require(
        reason="amounts_differ",
        title=f"Invoice {done.details.get('number')} differs from what was approved",
        problems=(problem,) if wrong else (),
        owner="finance",
        money=invoice.gross,
    )
