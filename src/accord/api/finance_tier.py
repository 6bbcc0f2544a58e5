"""`/api/process/v1`: what finance decides and looks at, as its pages have it.

A proposal's ETag is its version. What changes it needs that ETag as `If-Match`, so that nobody approves what they have
not read; `*` says that any version will do.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response

from accord.api import finance_answers as answers
from accord.api import finance_models as models
from accord.api.calling import Operator, Reader, TheState, link_next
from accord.api.models import Problem
from accord.api.process_tier import NOT_MODIFIED, PREFIX, REFUSALS, Cursor, Id, Limit
from accord.db.pool import transaction
from accord.engine.shell import Connection
from accord.errors import AccordError
from accord.governance.keys import Principal
from accord.governance.state import State
from accord.insight import proposals, receivables, unbilled, work_to_cash
from accord.ledger import approving, writing_down
from accord.ledger.approving import ProposalChanged
from accord.reconcile import board, checking

finance = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["finance"])

Line = Annotated[int, Path(ge=1, lt=2**31)]
Currency = Annotated[str | None, Query(pattern="^[A-Z]{3}$", description="ISO 4217.")]
PRECONDITIONS: dict[int | str, dict[str, Any]] = {
    412: {"model": Problem, "description": "The proposal has changed since that ETag."},
    428: {"model": Problem, "description": "`If-Match` is missing."},
}
_TAG = re.compile(r'"(\d{1,9})"')


class PreconditionFailed(AccordError):
    """The thing has changed since the ETag that was sent."""

    http_status = 412
    title = "Precondition failed"


class PreconditionRequired(AccordError):
    """A change needs the ETag of what was read."""

    http_status = 428
    title = "Precondition required"


def version_of(if_match: str | None) -> int | None:
    """The version that If-Match names; None for any. Raises PreconditionRequired, PreconditionFailed."""
    if if_match is None:
        raise PreconditionRequired("send the proposal's ETag as If-Match")
    if if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise PreconditionFailed("If-Match names no version of a proposal; send its ETag as you got it")
    return int(found[1])


@finance.get("/proposals", response_model=models.Proposals)
async def list_proposals(
    request: Request,
    response: Response,
    state: TheState,
    principal: Reader,
    status: Annotated[str | None, Query(description=", ".join(proposals.STATES))] = None,
    currency: Currency = None,
    engagement: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> models.Proposals:
    """Invoice proposals that are open, the greatest first; with an engagement all of it, settled ones too."""
    async with state.pool.connection() as db:
        page = await proposals.list_proposals(
            db, status=status, currency=currency, engagement=engagement, entities=principal.scope, cursor=cursor,
            limit=limit,
        )  # fmt: skip
    link_next(request, response, page.next)
    found = [models.Proposal.model_validate(each) for each in page.rows]
    return models.Proposals(proposals=found, next=page.next)


async def _shown(db: Connection, id: str, principal: Principal, cursor: str | None = None) -> models.ProposalShown:
    return answers.proposal(await proposals.show(db, id, principal.scope, cursor=cursor))


@finance.get("/proposals/{id}", response_model=models.ProposalShown, responses=NOT_MODIFIED)
async def one_proposal(
    request: Request, response: Response, id: Id, state: TheState, principal: Reader, cursor: Cursor = None
) -> Any:
    """One proposal with its lines."""
    async with state.pool.connection() as db:
        found = await _shown(db, id, principal, cursor)
    tag = f'"{found.proposal.version}"'
    response.headers["ETag"] = tag
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={**dict(response.headers)})
    link_next(request, response, found.next)
    return found


@finance.get("/proposals/{id}/lines/{line}", response_model=models.LineExplanation)
async def explain_line(
    request: Request,
    response: Response,
    id: Id,
    line: Line,
    state: TheState,
    principal: Reader,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> models.LineExplanation:
    """One line back to its entries, rates, clauses and caps, each priced again."""
    async with state.pool.connection() as db:
        found = await proposals.explain_line(db, id, line, principal.scope, cursor=cursor, limit=limit)
    link_next(request, response, found.next)
    return answers.line(found)


@finance.get("/items/{item}", response_model=models.Explanation)
async def explain_item(item: Id, state: TheState, principal: Reader) -> models.Explanation:
    """One billable item back to its source, and where its parts lie."""
    async with state.pool.connection() as db:
        return answers.explanation(await proposals.explain_item(db, item, principal.scope))


async def _change(
    state: State, response: Response, id: str, principal: Principal, doing: Callable[[Connection, str], Awaitable[Any]]
) -> models.ProposalShown:
    async with transaction(state.pool) as db:
        await proposals.proposal(db, id, principal.scope)
        try:
            await doing(db, principal.actor)
        except ProposalChanged as error:
            raise PreconditionFailed(str(error)) from error
        found = await _shown(db, id, principal)
    response.headers["ETag"] = f'"{found.proposal.version}"'
    return found


IfMatch = Annotated[str | None, Header(max_length=50, description="The ETag of the proposal as you read it, or `*`.")]


@finance.post("/proposals/{id}/hold", response_model=models.ProposalShown, responses=PRECONDITIONS)
async def hold(
    id: Id, request: models.Why, response: Response, state: TheState, principal: Operator, if_match: IfMatch = None
) -> models.ProposalShown:
    """Keep it from being approved until it is released."""
    version = version_of(if_match)
    return await _change(
        state, response, id, principal,
        lambda db, by: approving.hold(db, id, reason=request.reason, by=by, version=version),
    )  # fmt: skip


@finance.post("/proposals/{id}/release", response_model=models.ProposalShown, responses=PRECONDITIONS)
async def release(
    id: Id, response: Response, state: TheState, principal: Operator, if_match: IfMatch = None
) -> models.ProposalShown:
    """Let a held proposal be approved again."""
    version = version_of(if_match)
    return await _change(
        state, response, id, principal, lambda db, by: approving.release(db, id, by=by, version=version)
    )  # fmt: skip


@finance.post("/proposals/{id}/withdraw", response_model=models.ProposalShown, responses=PRECONDITIONS)
async def withdraw(
    id: Id, request: models.Why, response: Response, state: TheState, principal: Operator, if_match: IfMatch = None
) -> models.ProposalShown:
    """Put all its work back into WIP, to be proposed again."""
    version, now = version_of(if_match), state.now()
    return await _change(
        state, response, id, principal,
        lambda db, by: approving.withdraw(db, id, reason=request.reason, by=by, at=now, version=version),
    )  # fmt: skip


@finance.post("/proposals/{id}/write-down/preview", response_model=models.WriteDownEffect)
async def preview_write_down(
    id: Id, request: models.WriteDownAsked, state: TheState, principal: Operator
) -> models.WriteDownEffect:
    """What a write-down would do, and who could not approve afterwards; nothing is written."""
    async with state.pool.connection() as db:
        await proposals.proposal(db, id, principal.scope)
        effect = await writing_down.preview(db, id, request.amount, line=request.line, by=principal.actor)
    return answers.effect(effect)


@finance.post("/proposals/{id}/write-down", response_model=models.ProposalShown, responses=PRECONDITIONS)
async def write_down(
    id: Id,
    request: models.WriteDown,
    response: Response,
    state: TheState,
    principal: Operator,
    if_match: IfMatch = None,
) -> models.ProposalShown:
    """Write part of it off; whoever does cannot approve the rest."""
    version, now = version_of(if_match), state.now()
    return await _change(
        state, response, id, principal,
        lambda db, by: approving.write_down(
            db, id, request.amount, line=request.line, reason=request.reason, by=by, at=now, version=version
        ),
    )  # fmt: skip


@finance.post("/proposals/{id}/set-aside", response_model=models.ProposalShown, responses=PRECONDITIONS)
async def set_aside(
    id: Id,
    request: models.SetAside,
    response: Response,
    state: TheState,
    principal: Operator,
    if_match: IfMatch = None,
) -> models.ProposalShown:
    """Take one line's work out and hold it."""
    version, now = version_of(if_match), state.now()
    return await _change(
        state, response, id, principal,
        lambda db, by: approving.set_aside(
            db, id, request.line, reason=request.reason, by=by, at=now, version=version
        ),
    )  # fmt: skip


@finance.post("/proposals/{id}/approve", response_model=models.ProposalShown, responses=PRECONDITIONS)
async def approve(
    id: Id, response: Response, state: TheState, principal: Operator, if_match: IfMatch = None
) -> models.ProposalShown:
    """Approve it: it is locked and becomes an invoice. Not by whoever proposed it or changed its amount."""
    version, now = version_of(if_match), state.now()
    return await _change(
        state, response, id, principal, lambda db, by: approving.approve(db, id, by=by, at=now, version=version)
    )  # fmt: skip


@finance.get("/finance/unexplained", response_model=models.Unexplained)
async def unexplained(
    request: Request,
    response: Response,
    state: TheState,
    principal: Reader,
    currency: Currency = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> models.Unexplained:
    """What the last check could not explain, the greatest first; empty when every unit is where it should be."""
    async with state.pool.connection() as db:
        checked = await checking.last(db)
        sums = await checking.sums(db, principal.scope)
        page = await checking.found(db, entities=principal.scope, currency=currency, cursor=cursor, limit=limit)
    link_next(request, response, page.next)
    return answers.unexplained(checked, sums, page)


@finance.get("/finance/wip-ageing", response_model=models.WipAgeing)
async def wip_ageing(state: TheState, principal: Reader) -> models.WipAgeing:
    """Approved work that is not invoiced, by age, in each currency."""
    today = state.now().date()
    async with state.pool.connection() as db:
        aged, _ = await unbilled.by_age(db, today, principal.scope)
    return answers.wip_ageing(aged, today)


@finance.get("/finance/receivables", response_model=models.Receivables)
async def owed(state: TheState, principal: Reader) -> models.Receivables:
    """Open invoices by days overdue, and how long customers take to pay."""
    today = state.now().date()
    async with state.pool.connection() as db:
        found = await receivables.receivables(db, today, principal.scope)
    return answers.receivables(found, today)


@finance.get("/finance/invoice-latency", response_model=models.Ways)
async def latency(
    state: TheState,
    principal: Reader,
    days: Annotated[int, Query(ge=7, le=730, description="Invoices issued in so many days.")] = 90,
    currency: Currency = None,
) -> models.Ways:
    """The way from work to cash, step by step, weighted by amount."""
    today = state.now().date()
    async with state.pool.connection() as db:
        found = await work_to_cash.ways(db, today, days=days, currency=currency, entities=principal.scope)
    return answers.ways(found)


@finance.get("/breaks", response_model=models.Breaks)
async def breaks(
    request: Request,
    response: Response,
    state: TheState,
    principal: Reader,
    match: Annotated[str | None, Query(max_length=100)] = None,
    only_open: Annotated[bool, Query(description="Without those somebody has attested.")] = False,  # noqa: FBT002  (a query parameter)
    cursor: Cursor = None,
    limit: Limit = 50,
) -> models.Breaks:
    """Where two systems differ, the greatest first, and how each match ran last."""
    async with state.pool.connection() as db:
        lines = await board.board(db, state.now(), principal.scope)
        page = await board.breaks(
            db, match=match, only_open=only_open, entities=principal.scope, cursor=cursor, limit=limit
        )
    link_next(request, response, page.next)
    return answers.breaks(lines, page)


@finance.post("/breaks/attest", response_model=models.Attested)
async def attest(request: models.Attestation, state: TheState, principal: Operator) -> models.Attested:
    """Say that a break is known and why it may stand; it is open again as soon as its difference changes."""
    async with transaction(state.pool) as db:
        await board.attest(
            db, request.match, request.key, request.difference, request.text, by=principal.actor,
            entities=principal.scope,
        )  # fmt: skip
    return models.Attested(match=request.match, key=request.key, attested_by=principal.actor)
