"""The pages of invoice proposals: the list, one with its lines, a line explained, a write-down before it happens."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated

from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.governance.state import State
from accord.insight import proposals
from accord.ledger import writing_down
from accord.web import finance_columns as columns
from accord.web.exporting import as_csv
from accord.web.finance_view import (
    As,
    Cursor,
    Looking,
    Word,
    all_pages,
    entities_of,
    export_of,
    following,
    scope_of,
    shown,
)
from accord.web.sign_in import Session


def add_proposal_pages(app: FastAPI, state: State) -> None:
    @app.get("/finance/proposals", include_in_schema=False)
    async def listed(
        request: Request,
        session: Looking,
        status: Word = "",
        currency: Word = "",
        engagement: Word = "",
        entity: Word = "",
        cursor: Cursor = None,
        form: As = "",
    ) -> Response:
        scope = scope_of(session.principal, entity)

        async def ask(db: Connection, at: str | None, limit: int) -> proposals.Page:
            return await proposals.list_proposals(
                db, status=status or None, currency=currency or None, engagement=engagement or None, entities=scope,
                cursor=at, limit=limit,
            )  # fmt: skip

        if form == "csv":
            return as_csv("proposals", columns.PROPOSAL, all_pages(state, ask))
        async with state.pool.connection() as db:
            found = await ask(db, cursor, 50)
            waiting = await proposals.waiting(db, scope)
            choices = await entities_of(db, session.principal)
        return shown(
            request, "finance_proposals.html", session, rows=found.rows, following=following(request, found.next),
            waiting=waiting, states=proposals.STATES if engagement else proposals.OPEN, chosen=status,
            currency=currency, engagement=engagement, entity=entity, choices=choices, export=export_of(request),
        )  # fmt: skip

    @app.get("/finance/proposals/{id}", include_in_schema=False)
    async def one(request: Request, session: Looking, id: str, cursor: Cursor = None) -> Response:
        return await proposal_page(request, state, session, id, cursor=cursor)

    @app.get("/finance/proposals/{id}/lines/{line}", include_in_schema=False)
    async def line(request: Request, session: Looking, id: str, line: int, cursor: Cursor = None) -> Response:
        async with state.pool.connection() as db:
            found = await proposals.explain_line(db, id, line, session.principal.scope, cursor=cursor)
        return shown(
            request, "finance_line.html", session, it=found, following=following(request, found.next),
            done=None, wrong=None,
        )  # fmt: skip

    @app.get("/finance/proposals/{id}/write-down", include_in_schema=False)
    async def preview(
        request: Request,
        session: Looking,
        id: str,
        amount: Annotated[str, Query(max_length=40)] = "",
        line: Annotated[str, Query(max_length=10)] = "",
        reason: Annotated[str, Query(max_length=500)] = "",
    ) -> Response:
        session.principal.must("operate")
        async with state.pool.connection() as db:
            found = await proposals.show(db, id, session.principal.scope, limit=1_000)
            wrong, effect = None, None
            try:
                effect = await writing_down.preview(
                    db, id, read_amount(amount), line=read_line(line), by=session.principal.actor
                )
            except UsageError as error:
                wrong = str(error)
        return shown(
            request, "finance_write_down.html", session, status=400 if wrong else 200, it=found.proposal,
            lines={each.line: each for each in found.lines}, effect=effect, wrong=wrong, amount=amount, line=line,
            reason=reason,
        )  # fmt: skip


async def proposal_page(
    request: Request,
    state: State,
    session: Session,
    id: str,
    *,
    cursor: str | None = None,
    wrong: str | None = None,
    status: int = 200,
) -> Response:
    """One proposal, with what went wrong when a form of it could not do what it was asked."""
    async with state.pool.connection() as db:
        found = await proposals.show(db, id, session.principal.scope, cursor=cursor)
    it = found.proposal
    return shown(
        request, "finance_proposal.html", session, status=status, it=it, detail=found,
        following=following(request, found.next), may_approve=it.may_be_approved_by(session.principal.actor),
        done=None if wrong else request.query_params.get("done"), wrong=wrong,
    )  # fmt: skip


def read_amount(text: str) -> Decimal:
    """An amount as people type it, with a point before its decimals. Raises UsageError."""
    try:
        value = Decimal(text.strip().replace("\u00a0", "").replace(" ", ""))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not -18 < value.adjusted() < 18:
        raise UsageError(f"{text.strip()[:40] or 'nothing'!r} is no amount; write it like 1250.00")
    return value


def read_line(text: str) -> int | None:
    """The number of a line; None for the whole proposal. Raises UsageError."""
    if not text.strip():
        return None
    if not text.strip().isdecimal() or len(text.strip()) > 6:
        raise UsageError(f"{text.strip()[:10]!r} is no number of a line")
    return int(text.strip())
