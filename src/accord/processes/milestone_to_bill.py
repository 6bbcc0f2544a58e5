"""Milestone to bill: an approved milestone becomes an invoice; a withdrawn approval becomes a question."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import (
    Decide,
    ReadPolicy,
    Require,
    keep,
    process,
    together,
)
from accord.ledger.dispositions import Disposition, item, move
from accord.model import events
from accord.model.billing import Invoice, ScheduledMilestone
from accord.model.customer import Customer
from accord.model.engagement import Engagement
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.problem import Problem
from accord.processes.billing_steps import (
    issue_invoice,
    post_invoice,
    tell_sales_of_money,
    with_country,
)
from accord.processes.known import known
from accord.rules.firm import Firm
from accord.rules.invoicing import milestone_invoice
from accord.rules.tax import treatment


@process(starts_on=events.MILESTONE_APPROVED, priority=Priority.REVENUE)
async def milestone_to_bill(approved: Fact) -> dict[str, object]:
    """An approved milestone becomes an invoice in billing, posted in the ERP and shown to sales."""
    milestone = await known("scheduled_milestone", approved.subject, ScheduledMilestone)
    await Require(
        reason="milestone_unknown",
        title=f"A milestone was approved that no engagement has: {approved.subject}",
        problems=() if milestone is not None else (_unknown(approved.subject),),
        owner="PMO",
        watch=(approved.subject,),
    )
    assert milestone is not None
    engagement = await known("engagement", milestone.engagement_id, Engagement)
    customer = await known("customer", milestone.customer_id, Customer)
    firm = await ReadPolicy("firm", Firm.parse)
    await Require(
        reason="milestone_not_billable",
        title=f"{milestone.name} cannot be billed",
        problems=_not_billable(milestone, engagement, customer),
        owner="finance",
        money=milestone.amount,
        watch=(milestone.id, milestone.engagement_id, milestone.customer_id),
    )
    assert engagement is not None
    assert customer is not None
    # From here on its amount is the invoice's: a change of the contract that comes later finds it in billing.
    await keep("scheduled_milestone", replace(milestone, status="billing"), instead_of=(milestone,))
    invoice = _invoice(milestone, engagement, customer, firm)
    about = item(
        id=invoice.lines[0].item_id,
        kind="milestone",
        engagement=milestone.engagement_id,
        legal_entity=milestone.legal_entity,
        amount=milestone.amount,
        source="milestone",
        source_id=milestone.id,
        approved_at=approved.occurred_at,
    )
    at = approved.occurred_at
    await move(
        f"approve {milestone.id}", about, milestone.amount, out_of=Disposition.APPROVED, into=Disposition.WIP,
        cause=approved.type, at=at, new=True,
    )  # fmt: skip
    invoice = await issue_invoice(invoice, firm, customer)
    await together(
        move(
            f"bill {invoice.id}", about, milestone.amount, out_of=Disposition.WIP, into=Disposition.BILLED,
            cause="invoice.issued", at=at, reference=invoice.number, document=invoice.id,
        ),
        keep("invoice", invoice),
        keep("scheduled_milestone", replace(milestone, status="billed")),
    )  # fmt: skip
    await post_invoice(invoice)
    await tell_sales_of_money(invoice)
    return {"invoice": invoice.number, "gross": str(invoice.gross)}


def _unknown(id: str) -> Problem:
    cure = "Check the milestone's reference in the ERP, or activate its engagement."
    return Problem("milestone_unknown", f"No schedule holds the milestone {id}.", "milestone", cure)


def _not_billable(
    milestone: ScheduledMilestone, engagement: Engagement | None, customer: Customer | None
) -> tuple[Problem, ...]:
    if milestone.status == "cancelled":
        return (
            Problem(
                "milestone_cancelled", "The milestone was cancelled.", "status", "Withdraw the approval in the ERP."
            ),
        )
    if engagement is None:
        return (
            Problem("engagement_missing", "Its engagement is not active.", "engagement", "Activate the engagement."),
        )
    if engagement.status != "active":
        message = f"The engagement is {engagement.status}."
        return (Problem("engagement_on_hold", message, "engagement", "Settle the contract change first."),)
    if customer is None:
        message = f"The customer {milestone.customer_id} is not in the CRM any more."
        return (Problem("customer_missing", message, "customer", "Restore it there, or cancel the milestone."),)
    return ()


def _invoice(milestone: ScheduledMilestone, engagement: Engagement, customer: Customer, firm: Firm) -> Invoice:
    entity = firm.entities[milestone.legal_entity]
    project = engagement.project_of(milestone.legal_entity)
    return milestone_invoice(
        milestone,
        entity,
        treatment(firm, entity, with_country(customer, firm)),
        project_id=project.project_id if project is not None else "",
        deal_id=engagement.id,
        terms_days=engagement.terms_days,
    )


@process(
    starts_on=events.MILESTONE_UNAPPROVED,
    one_per=lambda fact: f"{fact.subject} {fact.payload['record_version']}",
    priority=Priority.REVENUE,
)
async def milestone_withdrawn(withdrawn: Fact) -> dict[str, object]:
    """The approval of a milestone was withdrawn: nothing happens by itself once it is billed."""
    invoice = await known("invoice", canonical_id("invoice", withdrawn.subject), Invoice)
    if invoice is None:
        return {"billed": False}
    choice = await Decide(
        name="withdrawn_after_billing",
        question=f"The approval behind invoice {invoice.number} was withdrawn. Keep the invoice, or credit it?",
        options=("keep", "credit by hand"),
        owner="finance",
        money=invoice.gross,
    )
    return {"billed": True, "choice": choice}
