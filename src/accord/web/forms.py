"""Forms that settle cases, and the sentence that says what needs doing. Each form carries the session's token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from accord.db.pool import transaction
from accord.engine.shell import Connection
from accord.errors import AccordError
from accord.governance.state import State
from accord.insight.flow import Home
from accord.web import sign_in
from accord.web.rendering import page
from accord.web.sign_in import Session
from accord.web.words import count, in_one_line, span
from accord.workbench import cases


async def operator(request: Request, form_token: Annotated[str, Form(max_length=100)] = "") -> Session:
    """The session of who acts, by a form of its own. Raises NotSignedIn, NotPermitted."""
    session = await sign_in.session_of(request, request.app.state.accord)
    sign_in.check_form(request, session, form_token)
    session.principal.must("operate")
    return session


Acting = Annotated[Session, Depends(operator)]
Text = Annotated[str, Form(max_length=2000)]


def todo(home: Home) -> str:
    """What needs doing, in words and money."""
    stopped = [each.name for each in home.connections if each.health == "stopped"]
    first = []
    if home.unexplained:
        first.append(f"{count(len(home.unexplained), 'ledger')} cannot be explained to the cent.")
    if stopped:
        first.append(f"{', '.join(stopped)} {'is' if len(stopped) == 1 else 'are'} stopped.")
    if home.stuck.cases:
        age = span((home.as_of - home.stuck.oldest_at).total_seconds()) if home.stuck.oldest_at else ""
        held = f"{'holds' if home.stuck.cases == 1 else 'hold'} back {in_one_line(home.stuck.money)}"
        first.append(f"{count(home.stuck.cases, 'case')} {held}; the oldest is {age} old.")
    if first:
        return " ".join(first)
    active = home.stage("active").count
    return f"Nothing waits for you. {count(active, 'engagement')} {'is' if active == 1 else 'are'} in accord."


def add_forms(app: FastAPI, state: State) -> None:
    """Add every form's address to the app."""

    async def settle(
        request: Request,
        session: Session,
        case: int,
        done: str,
        doing: Callable[[Connection, dict[str, Any]], Awaitable[Any]],
    ) -> Response:
        who = {"by": session.principal.actor, "entities": session.principal.scope}
        try:
            async with transaction(state.pool) as db:
                await doing(db, who)
        except AccordError as error:
            if error.http_status not in (400, 409):
                raise
            async with state.pool.connection() as db:
                found = await cases.show(db, case, session.principal.scope)
            wrong = str(error)
            now = state.now()
            return page(
                request,
                "case.html",
                session,
                status=error.http_status,
                it=found,
                case=found.case,
                now=now,
                done=None,
                wrong=wrong,
            )
        return RedirectResponse(f"/cases/{case}?{urlencode({'done': done})}", status_code=303)

    @app.post("/cases/{case}/retry", include_in_schema=False)
    async def retry(request: Request, session: Acting, case: int) -> Response:
        return await settle(request, session, case, "It is tried again.", lambda db, who: cases.retry(db, case, **who))

    @app.post("/cases/{case}/skip", include_in_schema=False)
    async def skip(request: Request, session: Acting, case: int, reason: Text = "") -> Response:
        done = "It goes on without it."
        return await settle(request, session, case, done, lambda db, who: cases.skip(db, case, reason, **who))

    @app.post("/cases/{case}/supply", include_in_schema=False)
    async def supply(request: Request, session: Acting, case: int, vendor_id: Text = "") -> Response:
        done = "It goes on with what was done by hand."
        return await settle(request, session, case, done, lambda db, who: cases.supply(db, case, vendor_id, {}, **who))

    @app.post("/cases/{case}/answer", include_in_schema=False)
    async def answer(request: Request, session: Acting, case: int, option: Text = "") -> Response:
        done = f"Answered: {option}."
        return await settle(request, session, case, done, lambda db, who: cases.answer(db, case, option, **who))

    @app.post("/cases/{case}/cancel", include_in_schema=False)
    async def cancel(request: Request, session: Acting, case: int, reason: Text = "") -> Response:
        done = "It is cancelled; what it did is being taken back."
        return await settle(request, session, case, done, lambda db, who: cases.cancel(db, case, reason, **who))

    @app.post("/cases/{case}/resolve", include_in_schema=False)
    async def resolve(request: Request, session: Acting, case: int, note: Text = "") -> Response:
        return await settle(
            request, session, case, "It is closed.", lambda db, who: cases.resolve(db, case, note, **who)
        )

    @app.post("/cases/{case}/correct", include_in_schema=False)
    async def correct(request: Request, session: Acting, case: int, field: Text = "", value: Text = "") -> Response:
        done = f"{field.replace('.', ' ').replace('_', ' ')} is corrected; it is tried again."
        now = state.now()
        return await settle(
            request, session, case, done, lambda db, who: cases.correct_field(db, case, field, value, now=now, **who)
        )

    @app.post("/cases/{case}/declare", include_in_schema=False)
    async def declare(
        request: Request,
        session: Acting,
        case: int,
        list_name: Annotated[str, Form(alias="list", max_length=50)] = "",
        given: Text = "",
        meaning: Text = "",
    ) -> Response:
        done = f"“{given}” means “{meaning}” now; every case this cures is tried again."
        return await settle(
            request,
            session,
            case,
            done,
            lambda db, who: cases.correct_reference(db, list_name, given, meaning, by=who["by"]),
        )

    @app.post("/cases/retry-cause", include_in_schema=False)
    async def retry_cause(session: Acting, signature: Annotated[str, Form(max_length=500)] = "") -> Response:
        async with transaction(state.pool) as db:
            tried = await cases.retry_cluster(
                db, signature, by=session.principal.actor, entities=session.principal.scope
            )
        return RedirectResponse(f"/cases?{urlencode({'done': f'{tried} cases are tried again.'})}", status_code=303)
