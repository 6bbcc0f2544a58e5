"""Recurring to bill: a subscription period closed in billing is posted in the ERP and shown to sales."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import Read, ReadPolicy, Require, Tell, keep, process, together_all
from accord.ledger.dispositions import Disposition, item, move
from accord.model import events
from accord.model.billing import Invoice
from accord.model.engagement import Engagement
from accord.model.events import Fact
from accord.model.identity import item_of_line
from accord.model.money import total
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
        watch=(invoice.id, schedule.id),
    )
    project = engagement.project_of(schedule.legal_entity) if engagement is not None else None
    # A line a period; a schedule that began before its deal was activated has several on its first invoice.
    lines = [replace(each, item_id=item_of_line(invoice.id, n)) for n, each in enumerate(invoice.lines, 1)]
    at = closed.occurred_at
    items = [
        item(
            id=each.item_id,
            kind="subscription_period",
            engagement=schedule.engagement_id,
            legal_entity=schedule.legal_entity,
            amount=each.net,
            source="subscription",
            source_id=invoice.id,
            approved_at=at,
        )
        for each in lines
    ]
    invoice = replace(
        invoice,
        engagement_id=schedule.engagement_id,
        deal_id=schedule.engagement_id,
        customer_id=schedule.customer_id,
        legal_entity=schedule.legal_entity,
        project_id=None if project is None else project.project_id,
        terms_days=schedule.terms_days,
        lines=tuple(lines),
    )
    numbered = list(zip(items, lines, _entries(invoice), strict=True))
    await together_all(
        [
            move(
                f"approve {entry}", about, line.net, out_of=Disposition.APPROVED, into=Disposition.WIP,
                cause=closed.type, at=at, new=True,
            )
            for about, line, entry in numbered
        ]
    )  # fmt: skip
    await together_all(
        [
            *(
                move(
                    f"bill {entry}", about, line.net, out_of=Disposition.WIP, into=Disposition.BILLED,
                    cause="invoice.issued", at=at, reference=invoice.number, document=invoice.id, line=number,
                )
                for number, (about, line, entry) in enumerate(numbered, 1)
            ),
            keep("invoice", invoice),
        ]
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


def _entries(invoice: Invoice) -> list[str]:
    return [invoice.id, *(f"{invoice.id} line {number}" for number in range(2, len(invoice.lines) + 1))]


def _unknown(invoice: Invoice) -> Problem:
    cure = "Link the subscription in billing to its engagement, or void the invoice."
    return Problem(
        "subscription_unknown", f"No schedule is known for invoice {invoice.number}.", "subscription_id", cure
    )


def _differences(invoice: Invoice, schedule: RecurringSchedule, firm: Firm) -> tuple[Problem, ...]:
    # A period that began before a change reached billing is at the price of before, which is settled afterwards.
    prices = [schedule.monthly, *(each.monthly for each in schedule.changes)]
    other = next((each.net for each in invoice.lines if each.net not in prices), None)
    if (
        other is not None
        or not invoice.lines
        or total((each.net for each in invoice.lines), invoice.currency) != invoice.net
    ):
        message = (
            f"The invoice is for {invoice.net}{f', {other} of it for a month' if other else ''}, the schedule for "
            f"{' or '.join(map(str, prices))} a month."
        )
        return (
            Problem("amounts_differ", message, "net", "Correct the subscription in billing, then void and reissue."),
        )
    if schedule.legal_entity not in firm.entities:
        message = f"{schedule.legal_entity} is not a legal entity of the firm."
        return (Problem("legal_entity", message, "legal_entity", "Declare the legal entity in the policy `firm`."),)
    return ()
