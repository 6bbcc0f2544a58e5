"""`/api/process/v1`, after the invoice: credits, cash, and the changes that one asks for and another approves."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from accord.api.calling import Operator, Reader, TheState
from accord.api.models import Input, Money, Output, Text
from accord.api.process_tier import PREFIX, REFUSALS, Id, Limit
from accord.db.pool import transaction
from accord.db.storable import StorableText
from accord.ledger import adjusting, cash, crediting, transferring, writing_off
from accord.ledger.adjusting import Adjustment
from accord.ledger.cash import Standing

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
    """A change of money as it was asked for; `kind` is credit_note, refund, write_off, write_up or
    work_transfer."""

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


class Receipt(Input):
    """Money that came in beside billing, such as one transfer for many invoices. `pays` are invoices (id or number) and
    what the customer says that each gets; without it the oldest are paid first. `bank_fee` is what banks kept."""

    customer: Name
    legal_entity: Name
    amount: Amount
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    received_on: date
    reference: Annotated[StorableText, Field(min_length=1, max_length=140)]
    pays: Annotated[dict[Name, Amount], Field(max_length=500)] | None = None
    bank_fee: Amount | None = None


class Applying(Input):
    """The invoice to pay, by id or number; without an amount as much as is open and there."""

    invoice: Name
    amount: Amount | None = None


class GivingBack(Input):
    """Without an amount all that is left."""

    amount: Amount | None = None
    reason: Why


class Unapplied(Output):
    """Money of a customer that pays no invoice; `left` is what can be applied or refunded still."""

    id: str
    customer: str
    legal_entity: str
    engagement: str | None
    source: str
    received_on: date
    amount: Money
    left: Money


class Cash(Output):
    cash: list[Unapplied]


class Put(Output):
    """How much was applied."""

    applied: Money


@after.post("/receipts", status_code=201, response_model=Asked)
async def record_receipt(request: Receipt, state: TheState, principal: Operator) -> Asked:
    """Record a receipt: it is shared out over invoices, and the rest stays as unapplied cash."""
    async with transaction(state.pool) as db:
        id = await cash.record_receipt(
            db, request.customer, request.legal_entity, request.amount, request.currency,
            received_on=request.received_on, reference=request.reference, by=principal.actor, at=state.now(),
            pays=request.pays, bank_fee=request.bank_fee, entities=principal.scope,
        )  # fmt: skip
    return Asked(id=id)


@after.get("/cash", response_model=Cash)
async def list_cash(state: TheState, principal: Reader, limit: Limit = 50) -> Cash:
    """Unapplied cash of which something is left, the oldest first."""
    async with state.pool.connection() as db:
        found = await cash.unapplied(db, entities=principal.scope, limit=limit)
    return Cash(cash=[_unapplied(each) for each in found])


@after.post("/cash/{cash_id}/apply", response_model=Put)
async def apply_cash(cash_id: Id, request: Applying, state: TheState, principal: Operator) -> Put:
    """Let unapplied cash pay an invoice of the same customer, legal entity and currency."""
    async with transaction(state.pool) as db:
        part = await cash.apply_cash(
            db, cash_id, request.invoice, request.amount, by=principal.actor, at=state.now(), entities=principal.scope
        )
    return Put(applied=Money.model_validate(part))


@after.post("/cash/{cash_id}/refund", status_code=201, response_model=Asked)
async def ask_refund(cash_id: Id, request: GivingBack, state: TheState, principal: Operator) -> Asked:
    """Ask for a refund of unapplied cash. Nothing happens until somebody else approves it."""
    async with transaction(state.pool) as db:
        id = await cash.ask_refund(
            db, cash_id, request.amount, reason=request.reason, by=principal.actor, at=state.now(),
            entities=principal.scope,
        )  # fmt: skip
    return Asked(id=id)


def _unapplied(found: Standing) -> Unapplied:
    return Unapplied(
        id=found.cash.id,
        customer=found.cash.customer_id,
        legal_entity=found.cash.legal_entity,
        engagement=found.cash.engagement_id,
        source=f"{found.cash.source_kind} {found.cash.source_id}",
        received_on=found.cash.received_on,
        amount=Money.model_validate(found.cash.amount),
        left=Money.model_validate(found.left),
    )


class GivingUp(Input):
    """An invoice (id or number) of which what is open is given up, gross; or an item, of which what is not invoiced is,
    net. Without an amount all of it."""

    about: Name
    amount: Amount | None = None
    reason: Why


class Adding(Input):
    """Value added to an engagement's work, in the currency of its terms, and why."""

    engagement: Name
    legal_entity: Name
    amount: Amount
    reason: Why


@after.post("/write-offs", status_code=201, response_model=Asked)
async def ask_write_off(request: GivingUp, state: TheState, principal: Operator) -> Asked:
    """Ask for a write-off. Nothing happens until somebody else approves it."""
    async with transaction(state.pool) as db:
        id = await writing_off.ask_write_off(
            db, request.about, request.amount, reason=request.reason, by=principal.actor, at=state.now(),
            entities=principal.scope,
        )  # fmt: skip
    return Asked(id=id)


@after.post("/write-ups", status_code=201, response_model=Asked)
async def ask_write_up(request: Adding, state: TheState, principal: Operator) -> Asked:
    """Ask for a write-up. Nothing happens until somebody else approves it."""
    async with transaction(state.pool) as db:
        id = await writing_off.ask_write_up(
            db, request.engagement, request.legal_entity, request.amount, reason=request.reason, by=principal.actor,
            at=state.now(), entities=principal.scope,
        )  # fmt: skip
    return Asked(id=id)


class Transferring(Input):
    """An item by its id and the engagement that its work belongs to; without an amount all that is not invoiced."""

    item: Name
    to_engagement: Name
    amount: Amount | None = None
    reason: Why


@after.post("/transfers", status_code=201, response_model=Asked)
async def ask_transfer(request: Transferring, state: TheState, principal: Operator) -> Asked:
    """Ask for a transfer of work to another engagement. Nothing happens until somebody else approves it."""
    async with transaction(state.pool) as db:
        id = await transferring.ask_transfer(
            db, request.item, request.to_engagement, request.amount, reason=request.reason, by=principal.actor,
            at=state.now(), entities=principal.scope,
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
