"""Recurring to bill: a subscription period closed in billing is posted in the ERP and shown to sales."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import Read, ReadPolicy, Require, Tell, keep, process, together
from accord.ledger.dispositions import Disposition, item, move
from accord.model import events
from accord.model.billing import Invoice
from accord.model.engagement import Engagement
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.problem import Problem
from accord.model.recurring import RecurringSchedule
from accord.processes.billing_steps import post_invoice, tell_sales_of_money
from accord.processes.known import known
from accord.rules.firm import Firm


@process(starts_on=events.SUBSCRIPTION_PERIOD_CLOSED, priority=Priority.REVENUE)
async def recurring_to_bill(closed: Fact) -> dict[str, object]:
    """A closed subscription period becomes a posted invoice."""
    invoice = await Read("invoice", closed.subject, Invoice)
    schedule = await known("recurring_schedule", invoice.subscription_id or "", RecurringSchedule)
    await Require(
        reason="subscription_unknown",
        title=f"Billing closed a period of a subscription that no engagement has: invoice {invoice.number}",
        problems=() if schedule is not None else (_unknown(invoice),),
        owner="finance",
        money=invoice.gross,
        watch=(invoice.id, invoice.subscription_id or ""),
    )
    assert schedule is not None
    engagement = await known("engagement", schedule.engagement_id, Engagement)
    firm = await ReadPolicy("firm", Firm.parse)
    await Require(
        reason="amounts_differ",
        title=f"Subscription invoice {invoice.number} differs from its schedule",
        problems=_differences(invoice, schedule, firm),
        owner="finance",
        money=invoice.gross,
        watch=(invoice.id,),
    )
    project = engagement.project_of(schedule.legal_entity) if engagement is not None else None
    about = item(
        id=canonical_id("billable_item", invoice.id),
        kind="subscription_period",
        engagement=schedule.engagement_id,
        legal_entity=schedule.legal_entity,
        amount=invoice.net,
        source="subscription",
        source_id=invoice.id,
        approved_at=closed.occurred_at,
    )
    invoice = replace(
        invoice,
        engagement_id=schedule.engagement_id,
        deal_id=schedule.engagement_id,
        customer_id=schedule.customer_id,
        legal_entity=schedule.legal_entity,
        project_id=None if project is None else project.project_id,
        terms_days=schedule.terms_days,
        lines=tuple(replace(line, item_id=about["id"]) for line in invoice.lines),
    )
    at = closed.occurred_at
    await move(
        f"approve {invoice.id}", about, invoice.net, out_of=Disposition.APPROVED, into=Disposition.WIP,
        cause=closed.type, at=at, new=True,
    )  # fmt: skip
    await together(
        move(
            f"bill {invoice.id}", about, invoice.net, out_of=Disposition.WIP, into=Disposition.BILLED,
            cause="invoice.issued", at=at, reference=invoice.number, document=invoice.id,
        ),
        keep("invoice", invoice),
    )  # fmt: skip
    await post_invoice(invoice)
    await tell_sales_of_money(invoice)
    # Read once the invoice is kept: of a change that is kept meanwhile, either its settlement finds the invoice or this
    # finds the change.
    now = await known("recurring_schedule", schedule.id, RecurringSchedule, "once billed")
    if now is not None and now.changes:
        payload = {"invoice": invoice.number}
        billed = Fact(events.SUBSCRIPTION_PERIOD_BILLED, schedule.id, at, "accord", payload, schedule.engagement_id)
        await Tell((billed,))
    return {"invoice": invoice.number, "gross": str(invoice.gross)}


def _unknown(invoice: Invoice) -> Problem:
    cure = "Link the subscription in billing to its engagement, or void the invoice."
    return Problem(
        "subscription_unknown", f"No schedule is known for invoice {invoice.number}.", "subscription_id", cure
    )


def _differences(invoice: Invoice, schedule: RecurringSchedule, firm: Firm) -> tuple[Problem, ...]:
    # A period that began before a change reached billing is at the price of before, which is settled afterwards.
    prices = [schedule.monthly, *(each.monthly for each in schedule.changes)]
    if invoice.net not in prices:
        message = f"The invoice is for {invoice.net}, the schedule for {' or '.join(map(str, prices))} a month."
        return (
            Problem("amounts_differ", message, "net", "Correct the subscription in billing, then void and reissue."),
        )
    if schedule.legal_entity not in firm.entities:
        message = f"{schedule.legal_entity} is not a legal entity of the firm."
        return (Problem("legal_entity", message, "legal_entity", "Declare the legal entity in the policy `firm`."),)
    return ()
