"""`/api/process/v1/close`: periods, their gates, and the verbs that close and open them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BeforeValidator, Field

from accord.api.calling import Operator, Reader, TheState
from accord.api.models import Input, Money, Output, Reason
from accord.api.process_tier import PREFIX, REFUSALS, Limit
from accord.db.pool import transaction
from accord.db.storable import StorableText
from accord.engine.shell import Connection
from accord.errors import NotFound
from accord.governance.keys import Principal
from accord.reconcile import closing, gate, late
from accord.reconcile.calendar import LateWork, Standing, declare_calendar, list_periods, one_period
from accord.rules.periods import months, weeks_445

Code = Annotated[StorableText, Path(min_length=1, max_length=50)]
Amount = Annotated[str, BeforeValidator(str)]

tier = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["close"])


class Period(Output):
    """An accounting period of a legal entity; `state` is open, closing or closed."""

    legal_entity: str
    period: str
    starts_on: date
    ends_on: date
    late_work: str
    state: str
    closing_at: datetime | None
    closing_by: str | None
    closed_at: datetime | None
    closed_by: str | None


class Periods(Output):
    periods: list[Period]


class GateRow(Output):
    subject: str
    what: str
    amount: Amount | None
    currency: str | None
    link: str | None


class GateLine(Output):
    """`stops`: the period cannot be closed while this is so. `rows` are the greatest."""

    name: str
    says: str
    owner: str
    blocks: bool
    stops: bool
    overridden: str | None
    count: int
    money: list[Money]
    rows: list[GateRow]


class Gate(Output):
    """The gate as it was last looked at; `looked_at` is null and `lines` empty when nobody has."""

    period: Period
    looked_at: datetime | None
    stopped_by: str | None
    lines: list[GateLine]


class LateItem(Output):
    """Work that came after its period was closed; `booked_in` is null while nobody has opened it again."""

    item_id: str
    period: str
    policy: str
    outcome: str
    booked_in: str | None
    amount: Amount
    currency: str
    engagement: str | None
    accrued: Amount | None
    decided_at: datetime


class LateItems(Output):
    items: list[LateItem]


class Calendar(Input):
    """`months` calendar months, or with `weeks` the fiscal year of that label in 4-4-5 weeks."""

    starts_on: Annotated[date, Field(ge=date(1990, 1, 1), le=date(2100, 1, 1))]
    months: Annotated[int, Field(ge=1, le=120)] = 12
    weeks: Annotated[StorableText, Field(min_length=1, max_length=20)] | None = None
    long_year: bool = False
    late_work: Literal["next_period", "accrue_and_reverse", "reopen"] = "next_period"


class Override(Input):
    line: Annotated[StorableText, Field(min_length=1, max_length=50)]
    reason: Annotated[StorableText, Field(min_length=1, max_length=500)]


class Agreement(Input):
    """`what` is a line of the gate that somebody asked to close over, or `reopen`."""

    what: Annotated[StorableText, Field(min_length=1, max_length=50)]


def _seen(entity: str, principal: Principal) -> str:
    if principal.scope is not None and entity not in principal.scope:
        raise NotFound(f"there are no periods of {entity!r} for this key")
    return entity


def _period(of: Standing) -> Period:
    return Period.model_validate(of)


async def _gate(db: Connection, entity: str, period: str) -> Gate:
    of = await one_period(db, entity, period)
    looked_at, found = await gate.last_look(db, of)
    lines = [GateLine.model_validate(each) for each in found]
    return Gate(period=_period(of), looked_at=looked_at, stopped_by=closing.stopped_by(found), lines=lines)


@tier.get("/close", response_model=Periods)
async def periods(state: TheState, principal: Reader) -> Periods:
    """The periods of every legal entity the key may see."""
    async with state.pool.connection() as db:
        found = await list_periods(db, entities=principal.scope)
    return Periods(periods=[_period(each) for each in found])


@tier.post("/close/{entity}", status_code=201, response_model=Periods)
async def calendar(entity: Code, request: Calendar, state: TheState, principal: Operator) -> Periods:
    """Declare periods of a legal entity; those that are known keep their days."""
    _seen(entity, principal)
    declared = (
        months(request.starts_on, request.months)
        if request.weeks is None
        else weeks_445(request.starts_on, request.weeks, long_year=request.long_year)
    )
    async with transaction(state.pool) as db:
        await declare_calendar(db, entity, declared, LateWork(request.late_work), by=principal.actor)
        found = await list_periods(db, entity=entity)
    return Periods(periods=[_period(each) for each in found])


@tier.get("/close/{entity}/late", response_model=LateItems)
async def late_items(entity: Code, state: TheState, principal: Reader, limit: Limit = 50) -> LateItems:
    """Work that came after its period was closed, and what became of it, the last decided first."""
    _seen(entity, principal)
    async with state.pool.connection() as db:
        found = await late.list_late(db, entity, limit=limit)
    return LateItems(items=[LateItem.model_validate(each) for each in found])


@tier.get("/close/{entity}/{period}", response_model=Gate)
async def one_gate(entity: Code, period: Code, state: TheState, principal: Reader) -> Gate:
    """The gate of a period as it was last looked at."""
    _seen(entity, principal)
    async with state.pool.connection() as db:
        return await _gate(db, entity, period)


@tier.post("/close/{entity}/{period}/look", response_model=Gate)
async def look(entity: Code, period: Code, state: TheState, principal: Operator) -> Gate:
    """Look at every line of the gate now."""
    _seen(entity, principal)
    async with transaction(state.pool) as db:
        await gate.look(db, await one_period(db, entity, period), state.now())
        return await _gate(db, entity, period)


@tier.post("/close/{entity}/{period}/close", response_model=Gate)
async def close(entity: Code, period: Code, state: TheState, principal: Operator) -> Gate:
    """Close the period if nothing stops it; it is `closing` and `stopped_by` says why if something does."""
    _seen(entity, principal)
    async with transaction(state.pool) as db:
        found = await closing.close(db, entity, period, by=principal.actor, now=state.now())
        told = await _gate(db, entity, period)
    # The overrides of a closed period are used up, and it was closed with them.
    return told.model_copy(
        update={
            "stopped_by": closing.stopped_by(found),
            "lines": [GateLine.model_validate(each) for each in found],
        }
    )


@tier.post("/close/{entity}/{period}/override", response_model=Gate)
async def override(entity: Code, period: Code, request: Override, state: TheState, principal: Operator) -> Gate:
    """Ask to close over a line of the gate; it counts when another person has agreed."""
    _seen(entity, principal)
    async with transaction(state.pool) as db:
        await closing.override(
            db, entity, period, request.line, reason=request.reason, by=principal.actor, now=state.now()
        )
        return await _gate(db, entity, period)


@tier.post("/close/{entity}/{period}/reopen", response_model=Gate)
async def reopen(entity: Code, period: Code, request: Reason, state: TheState, principal: Operator) -> Gate:
    """Ask to open a closed period again; it happens when another person has agreed."""
    _seen(entity, principal)
    async with transaction(state.pool) as db:
        await closing.reopen(db, entity, period, reason=request.reason, by=principal.actor, now=state.now())
        return await _gate(db, entity, period)


@tier.post("/close/{entity}/{period}/agree", response_model=Gate)
async def agree(entity: Code, period: Code, request: Agreement, state: TheState, principal: Operator) -> Gate:
    """Agree to what another person asked for."""
    _seen(entity, principal)
    async with transaction(state.pool) as db:
        await closing.agree(db, entity, period, request.what, by=principal.actor, now=state.now())
        return await _gate(db, entity, period)
