"""`/api/process/v1`, after the invoice: credits, and the changes of money that one asks for and another approves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from accord.api.calling import Operator, Reader, TheState
from accord.api.models import Input, Money, Output, Text
from accord.api.process_tier import PREFIX, REFUSALS, Id, Limit
from accord.db.pool import transaction
from accord.db.storable import StorableText
from accord.ledger import adjusting, crediting
from accord.ledger.adjusting import Adjustment

Amount = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6, allow_inf_nan=False)]
Why = Annotated[StorableText, Field(min_length=1, max_length=500)]
Name = Annotated[StorableText, Field(min_length=1, max_length=100)]

after = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["after the invoice"])


class CreditedLine(Input):
    """A line, counted from 1, and the net amount to credit of it; without one, all that is left."""

    line: Annotated[int, Field(ge=1, le=100_000)]
    amount: Amount | None = None


class Credit(Input):
    """A credit of an issued invoice, by its id or number; without lines, of all that is left of it. With `rebill`,
    whole lines of work go back to be priced and invoiced anew."""

    invoice: Name
    lines: Annotated[list[CreditedLine], Field(max_length=5_000)] = Field(default_factory=list)
    reason: Why
    rebill: bool = False


class Asked(Output):
    """The id under which somebody else approves it."""

    id: str


class AskedFor(Output):
    """A change of money as it was asked for; `kind` is credit_note, refund, write_off or write_up."""

    id: str
    kind: str
    about: str
    engagement: str | None
    legal_entity: str
    money: Money
    reason: str
    status: str
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision: str | None


class Adjustments(Output):
    adjustments: list[AskedFor]


class Decided(Input):
    reason: Text


@after.post("/credits", status_code=201, response_model=Asked)
async def ask_credit(request: Credit, state: TheState, principal: Operator) -> Asked:
    """Ask for a credit. Nothing happens until somebody else approves it."""
    lines = {each.line: each.amount for each in request.lines}
    async with transaction(state.pool) as db:
        id = await crediting.ask_credit(
            db, request.invoice, lines, reason=request.reason, by=principal.actor, at=state.now(),
            rebill=request.rebill, entities=principal.scope,
        )  # fmt: skip
    return Asked(id=id)


@after.get("/adjustments", response_model=Adjustments)
async def list_adjustments(
    state: TheState,
    principal: Reader,
    status: Annotated[Literal["requested", "approved", "refused"], Query()] = "requested",
    about: Annotated[StorableText | None, Query(max_length=100, description="An invoice, item or cash.")] = None,
    limit: Limit = 50,
) -> Adjustments:
    """Changes of money that were asked for, the oldest first."""
    async with state.pool.connection() as db:
        found = await adjusting.waiting(db, status=status, about=about, entities=principal.scope, limit=limit)
    return Adjustments(adjustments=[_asked_for(each) for each in found])


@after.post("/adjustments/{adjustment}/approve", response_model=Asked)
async def approve_adjustment(adjustment: Id, state: TheState, principal: Operator) -> Asked:
    """Approve what somebody else has asked for."""
    async with transaction(state.pool) as db:
        await adjusting.approve(db, adjustment, by=principal.actor, at=state.now(), entities=principal.scope)
    return Asked(id=adjustment)


@after.post("/adjustments/{adjustment}/refuse", response_model=Asked)
async def refuse_adjustment(adjustment: Id, request: Decided, state: TheState, principal: Operator) -> Asked:
    """Refuse it, or take back what one has asked for oneself."""
    async with transaction(state.pool) as db:
        await adjusting.refuse(
            db, adjustment, reason=request.reason, by=principal.actor, at=state.now(), entities=principal.scope
        )
    return Asked(id=adjustment)


def _asked_for(found: Adjustment) -> AskedFor:
    return AskedFor(
        id=found.id,
        kind=found.kind,
        about=found.about,
        engagement=found.engagement,
        legal_entity=found.legal_entity,
        money=Money(amount=str(found.amount), currency=found.currency),
        reason=found.reason,
        status=found.status,
        requested_by=found.requested_by,
        requested_at=found.requested_at,
        decided_by=found.decided_by,
        decided_at=found.decided_at,
        decision=found.decision,
    )
