"""`/api/process/v1/revenue`: schedules of engagements, what is declared for them, and the ERP's beside ours."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BeforeValidator, Field

from accord.api.calling import Operator, Reader, TheState
from accord.api.models import CaseProblem, Input, Money, Output
from accord.api.process_tier import PREFIX, REFUSALS
from accord.db.pool import transaction
from accord.db.storable import StorableObject, StorableText
from accord.engine.shell import Connection
from accord.errors import NotFound, UsageError
from accord.governance.keys import Principal
from accord.ledger.revenue import comparing, contracts, keeping
from accord.ledger.terms import Key
from accord.model import money
from accord.model.plain import NotReadable, from_plain
from accord.rules.revenue.contract import RevenueContract

Code = Annotated[StorableText, Path(min_length=1, max_length=100)]
Short = Annotated[StorableText, Field(min_length=1, max_length=200)]
Amount = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6, allow_inf_nan=False)]
Text = Annotated[str, BeforeValidator(str)]

tier = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["revenue"])


class ScheduleRow(Output):
    """One obligation in one period. `progress` is an exact fraction; `told` how it came about, without `costs` null."""

    obligation_id: str
    period: str
    price: Money
    progress: Text
    cumulative: Money
    recognised: Money
    caught_up: Money
    told: str | None


class BalanceRow(Output):
    """The contract at the end of a period: `closing` is recognised less billed since the beginning."""

    period: str
    opening: Money
    billed: Money
    recognised: Money
    closing: Money
    contract_asset: Money
    unbilled_receivable: Money
    contract_liability: Money


class LossProvision(Output):
    expected_loss: Money
    in_margin: Money
    provision: Money
    told: str


class Revenue(Output):
    """Revenue of an engagement in a legal entity as it is by now. `provision` needs the permission `costs`."""

    engagement: str
    legal_entity: str
    version: int
    currency: str
    rows: list[ScheduleRow]
    balances: list[BalanceRow]
    provision: LossProvision | None
    problems: list[CaseProblem]


class Estimate(Input):
    """What is still to come at the end of a period: `cost` in the currency of the contract, or `hours`."""

    obligation: Short
    period: Short
    cost: Amount | None = None
    hours: Amount | None = None


class Acceptance(Input):
    about: Short
    accepted_on: date
    evidence: Short


class DeclaredVersion(Output):
    """The version this became; null when it says nothing new."""

    version: int | None


class RevenueDifference(Output):
    obligation_id: str
    period_code: str
    ours: Money | None
    erp: Money | None
    by: Money | None
    kind: str
    references: list[str]


class Differences(Output):
    differences: list[RevenueDifference]


def _seen(engagement: str, entity: str, principal: Principal) -> Key:
    if principal.scope is not None and entity not in principal.scope:
        raise NotFound(f"{engagement} has no revenue contract in {entity} for this key")
    return engagement, entity


async def _shown(db: Connection, key: Key, principal: Principal, today: date) -> Revenue:
    found = await keeping.recognise(db, [key], today)
    if not found:
        raise NotFound(f"{key[0]} has no revenue contract in {key[1]}")
    one, costs = found[0], "costs" in principal.roles
    rows = [
        ScheduleRow.model_validate({**_fields(row), "period": row.period.code, "told": row.told if costs else None})
        for row in one.rows
    ]
    provision = None
    if costs and one.provision is not None:
        provision = LossProvision.model_validate(one.provision)
    return Revenue(
        engagement=key[0],
        legal_entity=key[1],
        version=one.measured.contract.version,
        currency=one.measured.contract.currency,
        rows=rows,
        balances=[BalanceRow.model_validate({**_fields(each), "period": each.period.code}) for each in one.positions],
        provision=provision,
        problems=[CaseProblem.model_validate(each) for each in one.problems],
    )


def _fields(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).__dataclass_fields__}


@tier.get("/revenue/{entity}/differences", response_model=Differences)
async def revenue_differences(entity: Code, state: TheState, principal: Reader) -> Differences:
    """Where our schedule and what the ERP told of its own differ."""
    _seen("it", entity, principal)
    async with state.pool.connection() as db:
        found = await comparing.compare(db, entity, state.now().date())
    return Differences(differences=[RevenueDifference.model_validate(each) for each in found])


@tier.get("/revenue/{entity}/{engagement}", response_model=Revenue)
async def revenue_of(entity: Code, engagement: Code, state: TheState, principal: Reader) -> Revenue:
    """The schedule by obligation and period, balances, and what is wrong."""
    key = _seen(engagement, entity, principal)
    async with state.pool.connection() as db:
        return await _shown(db, key, principal, state.now().date())


@tier.post("/revenue/contracts", response_model=DeclaredVersion, status_code=201)
async def declare_revenue(request: StorableObject, state: TheState, principal: Operator) -> DeclaredVersion:
    """Declare the next version of a revenue contract; its fields are in docs/reference/revenue.md."""
    try:
        contract = from_plain(RevenueContract, request)
    except (NotReadable, ValueError) as error:
        raise UsageError(str(error)) from error
    _seen(contract.engagement_id, contract.legal_entity, principal)
    async with transaction(state.pool) as db:
        return DeclaredVersion(version=await contracts.declare_contract(db, contract, by=principal.actor))


@tier.post("/revenue/{entity}/{engagement}/estimates", response_model=Revenue)
async def estimate(entity: Code, engagement: Code, request: Estimate, state: TheState, principal: Operator) -> Revenue:
    """Say what is still to come of an obligation, in cost or hours; the last word counts."""
    key = _seen(engagement, entity, principal)
    if (request.cost is None) == (request.hours is None):
        raise UsageError("give what is to come as cost or as hours")
    async with transaction(state.pool) as db:
        to_come: money.Money | Decimal = request.hours or Decimal(0)
        if request.cost is not None:
            to_come = _money(request.cost, (await contracts.current(db, key)).currency)
        await contracts.estimate(db, key, request.obligation, request.period, to_come, by=principal.actor)
        return await _shown(db, key, principal, state.now().date())


@tier.post("/revenue/{entity}/{engagement}/acceptances", response_model=Revenue)
async def accept(entity: Code, engagement: Code, request: Acceptance, state: TheState, principal: Operator) -> Revenue:
    """Say that a milestone, or an obligation satisfied at a point in time, was accepted."""
    key = _seen(engagement, entity, principal)
    async with transaction(state.pool) as db:
        await contracts.accept(
            db, key, request.about, request.accepted_on, evidence=request.evidence, by=principal.actor
        )
        return await _shown(db, key, principal, state.now().date())


def _money(amount: Decimal, currency: str) -> money.Money:
    try:
        return money.Money.of(amount, currency)
    except money.TooManyDecimals as error:
        raise UsageError(str(error)) from error
