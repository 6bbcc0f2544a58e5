"""Time to bill: an approved proposal of work becomes an invoice in billing, posted in the ERP and shown to sales."""

from __future__ import annotations

from accord.engine.states import Priority
from accord.engine.story import Read, ReadPolicy, Require, keep, process, together
from accord.ledger.dispositions import Disposition, move_document
from accord.model import events
from accord.model.billing import InvoiceProposal
from accord.model.customer import Customer
from accord.model.engagement import Engagement
from accord.model.events import Fact
from accord.model.problem import Problem
from accord.processes.billing_steps import (
    issue_invoice,
    post_invoice,
    tell_sales_of_money,
    with_country,
)
from accord.processes.known import known
from accord.rules.firm import Firm
from accord.rules.invoicing import work_invoice
from accord.rules.tax import treatment


@process(starts_on=events.PROPOSAL_APPROVED, priority=Priority.REVENUE)
async def time_to_bill(approved: Fact) -> dict[str, object]:
    """What was approved is what is invoiced: line by line, to the minor unit, once."""
    proposal = await Read("invoice_proposal", approved.subject, InvoiceProposal)
    engagement = await known("engagement", proposal.engagement_id, Engagement)
    customer = await known("customer", proposal.customer_id, Customer)
    firm = await ReadPolicy("firm", Firm.parse)
    await Require(
        reason="proposal_not_billable",
        title=f"The proposal for work up to {proposal.period_to} cannot be invoiced",
        problems=_not_billable(proposal, engagement, customer, firm),
        owner="finance",
        money=proposal.net,
        watch=(proposal.engagement_id, proposal.customer_id),
    )
    assert engagement is not None
    assert customer is not None
    entity = firm.entities[proposal.legal_entity]
    project = engagement.project_of(proposal.legal_entity)
    invoice = work_invoice(
        proposal,
        entity,
        treatment(firm, entity, with_country(customer, firm)),
        project_id=project.project_id if project is not None else "",
        deal_id=engagement.id,
    )
    invoice = await issue_invoice(invoice, firm, customer, f"work up to {proposal.period_to}")
    await together(
        move_document(
            f"bill {invoice.id}", invoice.id, invoice.net, out_of=Disposition.DRAFT, into=Disposition.BILLED,
            cause="invoice.issued", at=approved.occurred_at, reference=invoice.number,
        ),
        keep("invoice", invoice),
    )  # fmt: skip
    await post_invoice(invoice)
    await tell_sales_of_money(invoice)
    return {"invoice": invoice.number, "gross": str(invoice.gross), "lines": len(invoice.lines)}


def _not_billable(
    proposal: InvoiceProposal, engagement: Engagement | None, customer: Customer | None, firm: Firm
) -> tuple[Problem, ...]:
    problems = []
    if engagement is None:
        problems.append(
            Problem("engagement_missing", "Its engagement is not active.", "engagement", "Activate the engagement.")
        )
    elif engagement.status != "active":
        message = f"The engagement is {engagement.status}."
        problems.append(Problem("engagement_on_hold", message, "engagement", "Settle the contract change first."))
    if customer is None:
        message = f"The customer {proposal.customer_id} is not known."
        problems.append(Problem("customer_missing", message, "customer", "Bind the terms to a customer of the CRM."))
    if proposal.legal_entity not in firm.entities:
        message = f"{proposal.legal_entity} is not a legal entity of the firm."
        problems.append(Problem("legal_entity", message, "legal_entity", "Declare it in the policy `firm`."))
    return tuple(problems)
