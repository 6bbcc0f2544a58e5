"""Forms that change finance's things: proposals, held work, breaks. Each is one transaction and says what it did.

A form carries the version of the proposal that its page showed: what changed meanwhile is looked at anew first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import FastAPI, Form, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from accord.db.pool import transaction
from accord.engine.shell import Connection
from accord.errors import AccordError
from accord.governance.state import State
from accord.insight import proposals
from accord.ledger import approving
from accord.ledger.holding import release_held
from accord.reconcile import board
from accord.web.finance_view import scope_of
from accord.web.forms import Acting, Text
from accord.web.proposal_pages import proposal_page, read_amount, read_line
from accord.web.sign_in import Session
from accord.web.words import count

Version = Annotated[int, Form(ge=1, lt=2**31)]
Short = Annotated[str, Form(max_length=200)]


def add_finance_forms(app: FastAPI, state: State) -> None:
    """Add every form's address to the app."""
    _proposals(app, state)
    _others(app, state)


def _proposals(app: FastAPI, state: State) -> None:
    async def do(
        request: Request, session: Session, id: str, done: str, doing: Callable[[Connection, str], Awaitable[Any]]
    ) -> Response:
        try:
            async with transaction(state.pool) as db:
                await proposals.proposal(db, id, session.principal.scope)
                await doing(db, session.principal.actor)
        except AccordError as error:
            if error.http_status not in (400, 409):
                raise
            wrong = str(error)[:1].upper() + str(error)[1:]
            return await proposal_page(request, state, session, id, wrong=wrong, status=error.http_status)
        return RedirectResponse(f"/finance/proposals/{id}?{urlencode({'done': done})}", status_code=303)

    @app.post("/finance/proposals/{id}/approve", include_in_schema=False)
    async def approve(request: Request, session: Acting, id: str, version: Version) -> Response:
        done = "Approved: the invoice is being made."
        return await do(
            request, session, id, done,
            lambda db, by: approving.approve(db, id, by=by, at=state.now(), version=version),
        )  # fmt: skip

    @app.post("/finance/proposals/{id}/hold", include_in_schema=False)
    async def hold(request: Request, session: Acting, id: str, version: Version, reason: Text = "") -> Response:
        done = "It is held until somebody releases it."
        return await do(
            request, session, id, done,
            lambda db, by: approving.hold(db, id, reason=reason, by=by, version=version),
        )  # fmt: skip

    @app.post("/finance/proposals/{id}/release", include_in_schema=False)
    async def release(request: Request, session: Acting, id: str, version: Version) -> Response:
        done = "It is released and waits for approval."
        return await do(
            request, session, id, done, lambda db, by: approving.release(db, id, by=by, version=version)
        )  # fmt: skip

    @app.post("/finance/proposals/{id}/withdraw", include_in_schema=False)
    async def withdraw(request: Request, session: Acting, id: str, version: Version, reason: Text = "") -> Response:
        done = "It is withdrawn; its work is back in WIP."
        return await do(
            request, session, id, done,
            lambda db, by: approving.withdraw(db, id, reason=reason, by=by, at=state.now(), version=version),
        )  # fmt: skip

    @app.post("/finance/proposals/{id}/write-down", include_in_schema=False)
    async def write_down(
        request: Request,
        session: Acting,
        id: str,
        version: Version,
        amount: Short = "",
        line: Short = "",
        reason: Text = "",
    ) -> Response:
        async def doing(db: Connection, by: str) -> None:
            await approving.write_down(
                db, id, read_amount(amount), line=read_line(line), reason=reason, by=by, at=state.now(), version=version
            )

        done = f"{amount} is written off; somebody else than you must approve the rest."
        return await do(request, session, id, done, doing)

    @app.post("/finance/proposals/{id}/lines/{line}/set-aside", include_in_schema=False)
    async def set_aside(
        request: Request, session: Acting, id: str, line: int, version: Version, reason: Text = ""
    ) -> Response:
        done = f"Line {line} is set aside; its work is held until it is released."
        return await do(
            request, session, id, done,
            lambda db, by: approving.set_aside(db, id, line, reason=reason, by=by, at=state.now(), version=version),
        )  # fmt: skip


def _others(app: FastAPI, state: State) -> None:
    @app.post("/finance/held/release", include_in_schema=False)
    async def release(
        session: Acting, engagement: Short = "", entity: Short = "", currency: Short = "", reason: Text = ""
    ) -> Response:
        scope_of(session.principal, entity)
        async with transaction(state.pool) as db:
            freed = await release_held(
                db, engagement, entity, currency, reason, by=session.principal.actor, at=state.now()
            )
        done = f"{count(freed, 'part')} released: what the caps have room for goes into the next proposal."
        about = {"engagement": engagement, "entity": entity, "currency": currency, "where": "wip", "done": done}
        return RedirectResponse(f"/finance/items?{urlencode(about)}", status_code=303)

    @app.post("/finance/breaks/attest", include_in_schema=False)
    async def attest(
        session: Acting, match: Short = "", key: Short = "", difference: Short = "", text: Text = ""
    ) -> Response:
        told: Decimal = read_amount(difference)
        async with transaction(state.pool) as db:
            await board.attest(db, match, key, told, text, by=session.principal.actor, entities=session.principal.scope)
        done = f"Attested: {key} may stand as long as its difference stays {told}."
        return RedirectResponse(f"/finance/breaks?{urlencode({'match': match, 'done': done})}", status_code=303)
