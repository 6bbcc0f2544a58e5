"""Contract plan: the milestones of an applied change reach the billing platform and the ERP."""

from __future__ import annotations

from accord.engine.states import Priority
from accord.engine.story import Effect, Require, effect, keep, process, together_all
from accord.model import events
from accord.model.billing import ScheduledMilestone
from accord.model.engagement import Engagement
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.plain import from_plain
from accord.model.problem import Problem
from accord.model.project import Task
from accord.processes.known import known


@process(
    starts_on=events.CONTRACT_PLAN_APPLIED,
    one_per=lambda fact: f"{fact.payload['plan']} {fact.occurred_at}",
    priority=Priority.CUSTOMER,
)
async def contract_plan(applied: Fact) -> dict[str, object]:
    """The milestones of an applied contract change are scheduled in billing and planned in the ERP."""
    wanted = [from_plain(ScheduledMilestone, each) for each in applied.payload["milestones"]]
    engagement = await known("engagement", applied.subject, Engagement)
    now = [await known("scheduled_milestone", each.id, ScheduledMilestone) for each in wanted]
    await Require(
        reason="contract_plan",
        title=f"Milestones of the change {applied.payload['plan']} cannot be scheduled",
        problems=_problems(wanted, now, engagement),
        owner="PMO",
        money=wanted[0].amount,
        watch=(applied.subject,),
    )
    assert engagement is not None
    await keep("scheduled_milestone", *wanted, instead_of=now)
    await together_all([step for each in wanted for step in _steps(each, engagement)])
    return {"plan": applied.payload["plan"], "milestones": [each.id for each in wanted]}


def _problems(
    wanted: list[ScheduledMilestone], now: list[ScheduledMilestone | None], engagement: Engagement | None
) -> tuple[Problem, ...]:
    if engagement is None:
        message = "The engagement has no project yet."
        return (Problem("engagement_not_active", message, "engagement", "Activate it, then try again."),)
    return tuple(
        Problem("billed_milestone_changed", f"{each.name} was billed meanwhile.", "milestones", "Credit and rebill it.")
        for each, known_now in zip(wanted, now, strict=True)
        if known_now is not None and known_now.in_billing
    )


def _steps(milestone: ScheduledMilestone, engagement: Engagement) -> list[Effect]:
    project = engagement.project_of(milestone.legal_entity)
    task = Task(
        id=canonical_id("task", milestone.id),
        project_id=project.project_id if project is not None else "",
        name=milestone.name,
        ends_on=milestone.planned_on,
        milestone_id=milestone.id,
        amount=milestone.amount,
    )
    return [
        effect(
            "erp", "put", "task", task, f"Change milestone: {milestone.name}", entity=milestone.legal_entity,
            money=milestone.amount, links=(("project", task.project_id),),
        ),
        effect(
            "billing", "put", "scheduled_milestone", milestone, f"Change schedule: {milestone.name}",
            entity=milestone.legal_entity, money=milestone.amount, links=(("customer", milestone.customer_id),),
        ),
    ]  # fmt: skip
