"""`/api/system/v1/work`: systems without a connector of their own tell time, expenses and usage by a push.

A record is known by its source and key: telling it again as it was changes nothing, telling it otherwise is a revision.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, Field

from accord.api.calling import Operator, TheState
from accord.api.models import Input, Output
from accord.api.process_tier import REFUSALS
from accord.db.pool import transaction
from accord.db.storable import StorableText
from accord.errors import NotPermitted
from accord.governance.keys import Principal
from accord.ledger import bindings
from accord.ledger.bindings import Binding, Bindings
from accord.ledger.work import settle, take
from accord.model.identity import canonical_id
from accord.model.money import Money, TooManyDecimals, UnknownCurrency
from accord.model.work import WorkEntry, WorkKind, WorkProblem, WorkStatus

MOST = 5_000

Short = Annotated[StorableText, Field(min_length=1, max_length=200)]
Amount = Annotated[Decimal, Field(max_digits=18, decimal_places=6, allow_inf_nan=False)]

intake = APIRouter(prefix="/api/system/v1", responses=REFUSALS, tags=["work"])


class Told(Input):
    """One record of work as its source has it now.

    `quantity` is in hours for time and in `unit` for usage; an expense has `cost` and `currency`, tax included, and
    counts as 1. `status` is what those who approve it have said; `deleted` tells that the source has it no more.
    """

    key: Short
    kind: Literal["time", "expense", "usage"] = "time"
    status: Literal["submitted", "approved", "rejected", "recalled", "deleted"]
    project: Short
    worked_on: date
    quantity: Amount = Decimal(1)
    unit: Short = "h"
    worker: Short | None = None
    worker_entity: Short | None = None
    role: Short | None = None
    task: Short | None = None
    category: Short | None = None
    cost: Amount | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    tax_included: Amount | None = None
    receipt: Short | None = None
    billable: bool = True
    note: Annotated[StorableText, Field(max_length=2000)] | None = None
    approver: Short | None = None
    approved_at: AwareDatetime | None = None


class Delivery(Input):
    """What a source tells at once; it is taken whole or not at all, but for records that cannot be used."""

    entries: Annotated[list[Told], Field(min_length=1, max_length=MOST)]


class NotTaken(Output):
    """A record that is kept as a problem until it is told anew."""

    key: str
    reason: str
    message: str
    cure: str


class Answered(Output):
    """What the delivery came to: the rest of `told` says what is known already."""

    told: int
    new: int
    revised: int
    problems: list[NotTaken]


@intake.post("/work/{source}", response_model=Answered)
async def tell_work(
    source: Annotated[str, Path(min_length=1, max_length=60, pattern=r"^[a-z][a-z0-9-]*$")],
    delivery: Delivery,
    state: TheState,
    principal: Operator,
) -> Answered:
    """Tell time, expenses or usage of a source. What is approved gets its price within a second."""
    async with transaction(state.pool) as db:
        known = await bindings.load(db, source)
        entries: list[WorkEntry] = []
        problems: dict[str, WorkProblem] = {}
        for told in delivery.entries:
            found = _entry(source, told, known, principal)
            if isinstance(found, WorkProblem):
                problems[told.key] = found
            else:
                entries.append(found)
        taken = await take(db, entries, problems.values(), source=source)
        await settle(db, source, [_place(told) for told in delivery.entries if told.key not in problems])
    return Answered(
        told=len(delivery.entries),
        new=taken.new,
        revised=taken.revised,
        problems=[
            NotTaken(key=key, reason=each.reason, message=each.message, cure=each.cure)
            for key, each in problems.items()
        ],
    )


def _entry(source: str, told: Told, known: Bindings, principal: Principal) -> WorkEntry | WorkProblem:
    binding = known.of(told.project, told.worked_on)
    if binding is None:
        cure = f"Say in the reference list time_project what {source}/{told.project} is, and tell it again."
        return _problem(told, "project_not_bound", f"The project {told.project} is not bound to an engagement.", cure)
    if principal.scope is not None and binding.legal_entity not in principal.scope:
        raise NotPermitted(f"the key may not tell work of {binding.legal_entity}; ask an admin for one that may")
    cost = _cost(told)
    if isinstance(cost, WorkProblem):
        return cost
    return _bound(source, told, binding, cost)


def _bound(source: str, told: Told, binding: Binding, cost: tuple[Money | None, Money | None]) -> WorkEntry:
    at: datetime | None = told.approved_at
    return WorkEntry(
        id=canonical_id("work", source, told.key),
        revision=1,
        kind=WorkKind(told.kind),
        source=source,
        source_key=told.key,
        status=WorkStatus(told.status),
        worked_on=told.worked_on,
        quantity=told.quantity,
        engagement_id=binding.engagement_id,
        legal_entity=binding.legal_entity,
        worker=told.worker,
        worker_entity=told.worker_entity,
        role=told.role,
        task=told.task,
        unit="item" if told.kind == "expense" else told.unit,
        category=told.category,
        cost=cost[0],
        tax_included=cost[1],
        receipt=told.receipt,
        billable=told.billable,
        note=told.note,
        approver=told.approver,
        approved_at=None if at is None else at.isoformat(),
        recorded_as=f"push of {source}, record {told.key}",
    )


def _cost(told: Told) -> tuple[Money | None, Money | None] | WorkProblem:
    if told.kind != "expense":
        return None, None
    if told.cost is None or told.currency is None:
        return _problem(told, "cost_missing", "The expense has no cost or no currency.", "Tell both.")
    try:
        tax = None if told.tax_included is None else Money.of(told.tax_included, told.currency)
        return Money.of(told.cost, told.currency), tax
    except (UnknownCurrency, TooManyDecimals) as error:
        return _problem(told, "cost_unreadable", str(error), "Correct the amount or its currency.")


def _problem(told: Told, reason: str, message: str, cure: str) -> WorkProblem:
    given = {name: str(value) for name, value in told.model_dump(exclude_none=True).items()}
    hours = told.quantity if told.kind == "time" else None
    return WorkProblem(reason, message, _place(told), cure, hours, given)


def _place(told: Told) -> str:
    return f"record {told.key}"
