"""`/api/process/v1/changes`: contract changes with their impact, and the verbs that apply them and take them back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from accord.api.calling import Operator, Reader, TheState
from accord.api.models import CaseProblem, Money, Output
from accord.api.process_tier import PREFIX, REFUSALS
from accord.db.pool import transaction
from accord.db.storable import StorableObject, StorableText
from accord.governance.keys import Principal
from accord.ledger.changes import planning
from accord.ledger.changes.planning import PlanFile
from accord.ledger.changes.reading import look

Id = Annotated[StorableText, Path(min_length=1, max_length=100)]

tier = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["changes"])


class ChangeEffect(Output):
    """One thing that changes, in money."""

    area: str
    subject: str
    before: Money
    after: Money
    by: Money
    told: str


class Impact(Output):
    """What a change would do. `treatment` is how revenue follows. Margin and provision need the permission `costs`."""

    currency: str
    applicable: bool
    effects: list[ChangeEffect]
    problems: list[CaseProblem]
    treatment: str | None


class ChangeStep(Output):
    nth: int
    verb: str
    subject: str
    before: str
    after: str
    outcome: str
    undoes: bool
    at: datetime


class ContractChange(Output):
    """A change as it stands: proposed, applied, taken_back or dropped, with the impact as it was shown."""

    id: str
    engagement: str
    legal_entity: str
    state: str
    why: str
    impact: Impact
    proposed_by: str
    proposed_at: datetime
    applied_by: str | None
    applied_at: datetime | None
    taken_back_by: str | None
    taken_back_at: datetime | None
    steps: list[ChangeStep]


class ContractChanges(Output):
    changes: list[ContractChange]


def _impact(plain: Mapping[str, Any], principal: Principal) -> Impact:
    costs = "costs" in principal.roles
    told = [each for each in plain["effects"] if costs or each["area"] not in planning.OF_COST]
    problems = [
        CaseProblem(code=each["code"], message=each["message"], field=each.get("field", ""), cure=each.get("cure", ""))
        for each in plain["problems"]
    ]
    return Impact(
        currency=plain["currency"],
        applicable=plain["applicable"],
        effects=[ChangeEffect.model_validate(each) for each in told],
        problems=problems,
        treatment=plain["treatment"],
    )


def _change(found: PlanFile, principal: Principal) -> ContractChange:
    costs = "costs" in principal.roles
    own = ("why", "impact", "steps")
    told = {name: getattr(found, name) for name in ContractChange.model_fields if name not in own}
    steps = [each for each in found.steps if costs or each.verb != "set_provision"]
    shown: dict[str, BaseModel | list[ChangeStep] | str] = {
        "why": found.order.why,
        "impact": _impact(found.impact, principal),
        "steps": [ChangeStep.model_validate(each) for each in steps],
    }
    return ContractChange.model_validate({**told, **shown})


@tier.post("/changes/impact", response_model=Impact)
async def impact(request: StorableObject, state: TheState, principal: Reader) -> Impact:
    """Show in money what a change order would do; nothing is written. Its fields are in docs/reference/changes.md."""
    order = planning.order_of(request, principal.scope)
    async with state.pool.connection() as db:
        return _impact(planning.plain_impact(await look(db, order, state.now().date())), principal)


@tier.post("/changes", response_model=ContractChange, status_code=201)
async def propose(request: StorableObject, state: TheState, principal: Operator) -> ContractChange:
    """Keep a change order with its impact; again, to bring that up to date."""
    order = planning.order_of(request, principal.scope)
    async with transaction(state.pool) as db:
        await planning.propose(db, order, by=principal.actor, now=state.now())
        return _change(await planning.one_plan(db, order.id), principal)


@tier.get("/changes", response_model=ContractChanges)
async def list_changes(
    state: TheState,
    principal: Reader,
    engagement: Annotated[StorableText | None, Query(max_length=100)] = None,
) -> ContractChanges:
    """Changes without their journals, the last proposed first."""
    async with state.pool.connection() as db:
        found = await planning.list_plans(db, engagement, principal.scope)
    return ContractChanges(changes=[_change(each, principal) for each in found])


@tier.get("/changes/{change}", response_model=ContractChange)
async def one_change(change: Id, state: TheState, principal: Reader) -> ContractChange:
    """One change with its journal."""
    async with state.pool.connection() as db:
        return _change(await planning.one_plan(db, change, principal.scope), principal)


@tier.post("/changes/{change}/apply", response_model=ContractChange)
async def apply(change: Id, state: TheState, principal: Operator) -> ContractChange:
    """Apply a proposed change, all of it or nothing; whoever proposed it cannot."""
    async with transaction(state.pool) as db:
        found = await planning.apply(db, change, by=principal.actor, now=state.now(), entities=principal.scope)
        return _change(found, principal)


@tier.post("/changes/{change}/take-back", response_model=ContractChange)
async def take_back(change: Id, state: TheState, principal: Operator) -> ContractChange:
    """Take an applied change back, the last step first; whoever applied it cannot."""
    async with transaction(state.pool) as db:
        found = await planning.take_back(db, change, by=principal.actor, now=state.now(), entities=principal.scope)
        return _change(found, principal)


@tier.post("/changes/{change}/drop", response_model=ContractChange)
async def drop(change: Id, state: TheState, principal: Operator) -> ContractChange:
    """Give a proposed change up."""
    async with transaction(state.pool) as db:
        await planning.drop(db, change, by=principal.actor, entities=principal.scope)
        return _change(await planning.one_plan(db, change), principal)
