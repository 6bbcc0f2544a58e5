"""Contract change: after activation a changed deal changes schedules where that is safe, and opens a case where not."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import (
    Decide,
    Effect,
    Now,
    Read,
    ReadRelated,
    Require,
    Tell,
    effect,
    keep,
    process,
    together,
    together_all,
)
from accord.model import events
from accord.model.billing import ScheduledMilestone
from accord.model.customer import Customer, Notice
from accord.model.deal import Deal
from accord.model.engagement import Engagement
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.plain import to_plain
from accord.model.project import Task
from accord.model.recurring import RecurringSchedule
from accord.processes.known import known
from accord.rules.changes import Change, Changes, compare
from accord.rules.services import ServiceAmended


@process(
    starts_on=(events.DEAL_CHANGED, events.DEAL_REOPENED),
    one_per=lambda fact: f"{fact.subject} {fact.payload['record_version']}",
    priority=Priority.CUSTOMER,
)
async def contract_change(changed: Fact) -> dict[str, object]:
    """A contract change is applied to the schedules where that is safe; the rest is one case."""
    engagement = await known("engagement", changed.subject, Engagement)
    if engagement is None:
        return {"active": False}
    deal = await Read("deal", changed.subject, Deal)
    if changed.type == events.DEAL_REOPENED:
        return await _reopened(deal, engagement)
    scheduled = await ReadRelated("scheduled_milestone", engagement.id, ScheduledMilestone)
    recurring = await ReadRelated("recurring_schedule", engagement.id, RecurringSchedule)
    before = await known("customer", engagement.customer_id, Customer, "of the engagement")
    if (
        before is not None and before.id == deal.customer_id
    ):  # the two were found to be one: nobody changed the contract
        deal = replace(deal, customer_id=engagement.customer_id)
    today = (await Now("changed")).date()
    changes = compare(deal, engagement, scheduled, recurring, on=today)
    if changes.applied:
        await _apply(changes, engagement, deal, changed)
    await Require(
        reason="contract_change" if len(changes.problems) != 1 else changes.problems[0].code,
        title=f"{deal.name} changed after activation: {'; '.join(each.message for each in changes.problems)}",
        problems=changes.problems,
        owner="PMO",
        money=deal.amount,
        watch=(deal.id, engagement.customer_id),
        name="contract_change",
    )
    return {"active": True, "applied": list(changes.applied)}


async def _apply(changes: Changes, engagement: Engagement, deal: Deal, changed: Fact) -> None:
    """What we keep of each changed milestone and service, its task and schedule, and word to the account team."""
    # First, and only while none of them went into billing since they were read: that would be billed by its old amount.
    if changes.safe:
        read = [change.before for change in changes.safe]
        await keep("scheduled_milestone", *(change.after for change in changes.safe), instead_of=read)
    if changes.services:
        before = [each.before for each in changes.services]
        await keep("recurring_schedule", *(each.after for each in changes.services), instead_of=before)
        await Tell(tuple(_service_changed(each, engagement, changed) for each in changes.services))
    steps = [step for change in changes.safe for step in _steps(change, engagement, deal)]
    await together_all([*steps, *(_schedule(each) for each in changes.services)])
    text = "\n".join(changes.applied)
    about = canonical_id("notice", "contract change", deal.id, text)
    message = Notice(about, "deal", deal.id, f"{deal.name}: schedule changed", text)
    await effect(
        "crm", "put", "notice", message, "Tell the account team: schedule changed",
        priority=Priority.CUSTOMER, links=(("deal", deal.id),),
    )  # fmt: skip


def _steps(change: Change, engagement: Engagement, deal: Deal) -> list[Effect]:
    after = change.after
    project = engagement.project_of(after.legal_entity)
    milestone = next(each for each in deal.milestones if each.id == after.id)
    task = Task(
        id=canonical_id("task", after.id),
        project_id=project.project_id if project is not None else "",
        parent_id=None if milestone.phase_id is None else canonical_id("task", milestone.phase_id),
        name=after.name,
        ends_on=after.planned_on,
        milestone_id=after.id,
        amount=after.amount,
    )
    links = (("project", task.project_id), ("task", task.parent_id))
    return [
        effect("erp", "put", "task", task, f"Change milestone: {change.what}", money=after.amount, links=links),
        effect(
            "billing",
            "put",
            "scheduled_milestone",
            after,
            f"Change schedule: {change.what}",
            entity=after.legal_entity,
            money=after.amount,
            links=(("customer", after.customer_id),),
        ),
    ]


def _schedule(amended: ServiceAmended) -> Effect:
    after = amended.after
    return effect(
        "billing",
        "put",
        "recurring_schedule",
        after,
        f"Change schedule: {amended.what}",
        entity=after.legal_entity,
        money=after.monthly_now,
        links=(("customer", after.customer_id), ("tax_rate", after.tax_rate_id)),
    )


def _service_changed(amended: ServiceAmended, engagement: Engagement, changed: Fact) -> Fact:
    change = amended.after.changes[-1]
    payload = {
        "change_order": change.change_order,
        "what": amended.what,
        "money": to_plain(amended.difference),
        "record_version": changed.payload["record_version"],
    }
    return Fact(events.SERVICE_CHANGED, amended.after.id, changed.occurred_at, "accord", payload, engagement.id)


async def _reopened(deal: Deal, engagement: Engagement) -> dict[str, object]:
    """Nothing is billed on until somebody says what the re-opened opportunity means."""
    await keep("engagement", replace(engagement, status="reopened"))
    choice = await Decide(
        name="reopened",
        question=f"{deal.name} was re-opened (stage {deal.stage!r}) after its project became active. Bill on, or stop?",
        options=("bill on", "stop billing"),
        owner="PMO",
        money=deal.amount,
    )
    status = "active" if choice == "bill on" else "cancelled"
    decided_at = await Now("decided")
    payload = {"choice": choice}
    fact = Fact(events.ENGAGEMENT_DECIDED, engagement.id, decided_at.isoformat(), "accord", payload, engagement.id)
    # What waited for the decision goes on by itself.
    await together(keep("engagement", replace(engagement, status=status)), Tell((fact,)))
    return {"active": status == "active", "choice": choice}
