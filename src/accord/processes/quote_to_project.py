"""Quote to project: the first flow of the house."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from accord.engine.states import Priority
from accord.engine.story import (
    Effect,
    Now,
    Read,
    ReadPolicy,
    ReadRelated,
    Require,
    Tell,
    WaitFor,
    effect,
    keep,
    process,
    together,
    together_all,
)
from accord.model import events
from accord.model.customer import Customer
from accord.model.deal import Deal, Handover
from accord.model.engagement import Engagement, EngagementProject
from accord.model.events import Fact
from accord.model.identity import canonical_id
from accord.model.project import Project, Task
from accord.processes.known import known
from accord.rules.activation import Plan, check
from accord.rules.customer_needs import Need, with_needs
from accord.rules.firm import Firm

ACCOUNT_PATIENCE = timedelta(minutes=10)


@process(starts_on=events.DEAL_WON)
async def quote_to_project(won: Fact) -> dict[str, object]:
    """A won opportunity becomes an active project with a billing schedule, and sales is told."""
    deal = await Read("deal", won.subject, Deal)
    customer = await known("customer", deal.customer_id or "", Customer)
    if customer is None and deal.customer_id is not None:
        # The account is named before it was read: deals and accounts come by ways of their own.
        seen_by = (await Now()) + ACCOUNT_PATIENCE
        await WaitFor(events.CUSTOMER_SEEN, deal.customer_id, until=seen_by)
        customer = await known("customer", deal.customer_id, Customer, name="seen")
    twins = await ReadRelated("customer_twins", deal.customer_id or "", Customer)
    firm = await ReadPolicy("firm", Firm.parse)
    checked = check(deal, customer, twins, firm)
    await Require(
        reason="activation_gate" if len(checked.problems) != 1 else checked.problems[0].code,
        title=f"{deal.name} cannot be activated: {'; '.join(each.message for each in checked.problems)}",
        problems=checked.problems,
        owner="sales operations",
        money=deal.amount,
        watch=tuple(id for id in (deal.id, deal.customer_id) if id is not None),
        name="activation_gate",
    )
    plan = checked.plan
    if plan is None:
        return {"activated": False}
    needs = await ReadRelated("customer_needs", plan.customer.id, Need)
    plan = replace(plan, customer=with_needs(plan.customer, needs, firm))
    await _provision_customer(plan)
    await together_all([_project(each) for each in plan.projects])
    if plan.phases:
        await together_all([_task(each, "Create phase") for each in plan.phases])
    await together_all([*_milestones(plan), *_schedules(plan)])
    now = await Now()
    engagement = replace(_engagement(deal, plan, firm), activated_on=now.date())
    await together(
        keep("engagement", engagement),
        keep("scheduled_milestone", *plan.milestones),
        keep("recurring_schedule", *plan.services),
        keep("project", *plan.projects),
        keep("provisioned_customer", plan.customer),
    )
    await _tell_sales(deal, plan)
    await Tell((_activated(deal, plan, now.isoformat()),))
    return {"activated": True, "projects": [project.number for project in plan.projects]}


async def _provision_customer(plan: Plan) -> None:
    """The customer in ERP and billing, and the tax rates billing will need; each found or made once for all deals."""
    customer = plan.customer
    await together(
        effect("erp", "put", "customer", customer, "Customer in the ERP"),
        effect("billing", "put", "customer", customer, "Customer in billing"),
        *(effect("billing", "put", "tax_rate", rate, f"Tax rate {rate.label}") for rate in plan.tax_rates),
    )


def _project(project: Project) -> Effect:
    return effect(
        "erp",
        "put",
        "project",
        project,
        f"Create project {project.number}",
        entity=project.legal_entity,
        undo=("put", replace(project, status="closed")),
        links=(("customer", project.customer_id),),
    )


def _task(task: Task, label: str) -> Effect:
    return effect(
        "erp",
        "put",
        "task",
        task,
        f"{label} {task.name}",
        money=task.amount,
        links=(("project", task.project_id), ("task", task.parent_id)),
    )


def _milestones(plan: Plan) -> Iterator[Effect]:
    """Each milestone as a task in the ERP, where it is approved, and as a priced entry of the schedule in billing."""
    yield from (_task(each, "Create milestone") for each in plan.milestone_tasks)
    for each in plan.milestones:
        yield effect(
            "billing",
            "put",
            "scheduled_milestone",
            each,
            f"Schedule milestone {each.name}",
            entity=each.legal_entity,
            money=each.amount,
            undo=("put", replace(each, status="cancelled")),
            links=(("customer", each.customer_id),),
        )


def _schedules(plan: Plan) -> Iterator[Effect]:
    for each in plan.services:
        yield effect(
            "billing",
            "put",
            "recurring_schedule",
            each,
            f"Schedule {each.name} for {each.months} months",
            entity=each.legal_entity,
            money=each.monthly,
            undo=("put", replace(each, status="cancelled")),
            links=(("customer", each.customer_id), ("tax_rate", each.tax_rate_id)),
        )


async def _tell_sales(deal: Deal, plan: Plan) -> None:
    number = plan.projects[0].number
    handover = Handover(
        id=canonical_id("notice", "handover", deal.id),
        deal_id=deal.id,
        project_number=number,
        project_status="active",
        status="in accord",
    )
    await together(
        effect(
            "crm",
            "put",
            "handover",
            handover,
            f"Project {number} is active",
            priority=Priority.CUSTOMER,
            undo=("put", replace(handover, project_status="cancelled")),
            links=(("deal", deal.id),),
        ),
        effect(
            "crm",
            "put",
            "customer",
            Customer(id=plan.customer.id, legal_name=plan.customer.legal_name),
            "Customer is known to ERP and billing",
            priority=Priority.CUSTOMER,
            links=(("customer", plan.customer.id),),
        ),
    )


def _engagement(deal: Deal, plan: Plan, firm: Firm) -> Engagement:
    return Engagement(
        id=deal.id,
        number=deal.number,
        name=deal.name,
        customer_id=plan.customer.id,
        projects=tuple(EngagementProject(each.legal_entity, each.id, each.number) for each in plan.projects),
        terms_days=plan.terms_days,
        value=plan.value,
        status="active",
        policy_version=firm.version,
        currency=deal.currency or (deal.amount.currency if deal.amount is not None else None),
        translations=tuple(
            f"{each.list} {each.given!r} = {each.meaning!r} ({each.rule})" for each in plan.translations
        ),
    )


def _activated(deal: Deal, plan: Plan, at: str) -> Fact:
    value = [{"amount": str(each.amount), "currency": each.currency} for each in plan.value]
    payload = {
        "number": deal.number,
        "name": deal.name,
        "projects": [each.number for each in plan.projects],
        "value": value,
    }
    return Fact(events.PROJECT_ACTIVATED, deal.id, at, "accord", payload, correlation=deal.id)
