"""`/api/process/v1/disputes`: lines of an invoice that a customer objects to, their evidence, and what is decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from accord.api.after_invoice import Asked, CreditedLine, Name, Why
from accord.api.calling import Operator, Reader, TheState
from accord.api.models import Input, Money, Output
from accord.api.process_tier import PREFIX, REFUSALS, Id, Limit
from accord.db.pool import transaction
from accord.ledger import disputing
from accord.model.billing import LineDispute

lines_disputed = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["disputes"])


class Objection(Input):
    """Lines of an issued invoice, or net parts of them, and why the customer objects."""

    invoice: Name
    lines: Annotated[list[CreditedLine], Field(min_length=1, max_length=5_000)]
    reason: Why
    owner: Name = "finance"
    answer_days: Annotated[int, Field(ge=1, le=365)] = disputing.ANSWER_DAYS


class Decision(Input):
    """`uphold` the claim, `credit` the disputed part (or other net amounts of lines), or `rebill` whole lines."""

    outcome: Literal["uphold", "credit", "rebill"]
    note: Why
    lines: Annotated[list[CreditedLine], Field(max_length=5_000)] = Field(default_factory=list)


class Made(Output):
    """The credit that was asked for, which somebody else approves; none when the claim is upheld."""

    credit: str | None


class DisputedLine(Output):
    line: int
    text: str
    net: Money
    tax: Money


class Dispute(Output):
    """A dispute of lines. `answer_by` is its clock; `outcome` is none until somebody has decided."""

    id: str
    invoice_id: str
    lines: list[DisputedLine]
    amount: Money
    reason: str
    opened_by: str
    opened_on: date
    owner: str
    answer_by: date
    legal_entity: str
    status: str
    outcome: str | None
    credit_id: str | None
    decided_by: str | None
    note: str | None


class Disputes(Output):
    disputes: list[Dispute]


class WithPacket(Output):
    """A dispute with its evidence: by line the items with entry, approval, rate row, terms and clause, and the amount
    made again, as they were when the dispute was opened."""

    dispute: Dispute
    packet: Mapping[str, Any]


@lines_disputed.post("/disputes", status_code=201, response_model=Asked)
async def open_dispute(request: Objection, state: TheState, principal: Operator) -> Asked:
    """Open a dispute of lines. Its evidence is put together and kept; the rest of the invoice stays payable."""
    async with transaction(state.pool) as db:
        id = await disputing.open_dispute(
            db, request.invoice, {each.line: each.amount for each in request.lines}, reason=request.reason,
            by=principal.actor, at=state.now(), owner=request.owner, answer_days=request.answer_days,
            entities=principal.scope,
        )  # fmt: skip
    return Asked(id=id)


@lines_disputed.get("/disputes", response_model=Disputes)
async def list_disputes(
    state: TheState,
    principal: Reader,
    status: Annotated[Literal["open", "closed"], Query()] = "open",
    limit: Limit = 50,
) -> Disputes:
    """Disputes of lines, those to be answered first before the others."""
    async with state.pool.connection() as db:
        found = await disputing.disputes(db, status=status, entities=principal.scope, limit=limit)
    return Disputes(disputes=[_dispute(each) for each in found])


@lines_disputed.get("/disputes/{dispute}", response_model=WithPacket)
async def one_dispute(dispute: Id, state: TheState, principal: Reader) -> WithPacket:
    """One dispute with its evidence packet."""
    async with state.pool.connection() as db:
        found, packet = await disputing.show(db, dispute, principal.scope)
    return WithPacket(dispute=_dispute(found), packet=packet)


@lines_disputed.post("/disputes/{dispute}/decide", response_model=Made)
async def decide_dispute(dispute: Id, request: Decision, state: TheState, principal: Operator) -> Made:
    """Decide a dispute. A credit is asked for by this; somebody else approves it."""
    amounts = {each.line: each.amount for each in request.lines} or None
    async with transaction(state.pool) as db:
        credit = await disputing.decide(
            db, dispute, request.outcome, note=request.note, by=principal.actor, at=state.now(), amounts=amounts,
            entities=principal.scope,
        )  # fmt: skip
    return Made(credit=credit)


def _dispute(found: LineDispute) -> Dispute:
    return Dispute.model_validate(found)
