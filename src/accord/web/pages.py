"""The pages. Each reads what it shows in one connection; forms that change anything are in forms.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import psycopg
from fastapi import Depends, FastAPI, Form, Query, Request
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from accord.db import storable
from accord.db.pool import AWAY, AWAY_SAID
from accord.errors import AccordError, NotFound, UsageError
from accord.governance.keys import NotSignedIn
from accord.governance.state import State
from accord.insight import billing, engagements, finding, flow, processes, timeline
from accord.web import (
    change_pages,
    close_pages,
    finance_forms,
    finance_pages,
    forms,
    pictures,
    pmo_pages,
    proposal_pages,
    sign_in,
)
from accord.web.live import Feed
from accord.web.rendering import page, serve_asset
from accord.web.sign_in import Session
from accord.workbench import cases

MOST_ENTRIES = 1500
OURS = ("/api/", "/in/", "/healthz", "/readyz", "/metrics", "/events", "/static/")  # paths that people do not look at


def add_pages(app: FastAPI, state: State) -> None:
    """Add every page to the app."""
    feed = Feed(state.pool, lambda: _stopping(app))
    _sign_in(app, state)
    _home(app, state)
    _engagements(app, state)
    _cases(app, state)
    _processes(app, state)
    change_pages.add_change_pages(app, state)
    close_pages.add_close_pages(app, state)
    pmo_pages.add_pmo_pages(app, state)
    forms.add_forms(app, state)
    finance_pages.add_finance_pages(app, state)
    proposal_pages.add_proposal_pages(app, state)
    finance_forms.add_finance_forms(app, state)
    _live(app, state, feed)
    _errors(app, state)


def _stopping(app: FastAPI) -> bool:
    stopping = getattr(app.state, "stopping", None)
    return stopping is not None and bool(stopping.is_set())


async def reader(request: Request) -> Session:
    """The session of who looks. Raises NotSignedIn, NotPermitted."""
    session = await sign_in.session_of(request, request.app.state.accord)
    session.principal.must("read")
    return session


Looking = Annotated[Session, Depends(reader)]
Cursor = Annotated[str | None, Query(max_length=500)]


def _now() -> datetime:
    """Pages show how long ago something was by the time they are read; nothing is decided by it."""
    return datetime.now(UTC)


def _next_page(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    return "?" + urlencode({**dict(request.query_params), "cursor": cursor})


def _sign_in(app: FastAPI, state: State) -> None:
    @app.get("/sign-in", include_in_schema=False)
    async def form(request: Request, token: str = "", goes_to: Annotated[str, Query(alias="next")] = "/") -> Response:
        if not token:
            return page(request, "sign_in.html", None, goes_to=_safe(goes_to), wrong=None)
        principal = await sign_in.by_token(request, state, token)
        if principal is None:
            wrong = (
                "This address was used already or is too old. Sign in with a key, or start Accord again for a new one."
            )
            return page(request, "sign_in.html", None, status=403, goes_to="/", wrong=wrong)
        response = RedirectResponse(_safe(goes_to), status_code=303)
        sign_in.open_session(response, request, state, principal)
        return response

    @app.post("/sign-in", include_in_schema=False)
    async def enter(
        request: Request,
        key: Annotated[str, Form(max_length=200)],
        goes_to: Annotated[str, Form(alias="next", max_length=2000)] = "/",
    ) -> Response:
        sign_in.check_form(request, None, "")
        principal = await sign_in.by_key(request, state, key)
        if principal is None:
            wrong = "This key is not known or was revoked. `accord key create` makes one."
            return page(request, "sign_in.html", None, status=403, goes_to=_safe(goes_to), wrong=wrong)
        response = RedirectResponse(_safe(goes_to), status_code=303)
        sign_in.open_session(response, request, state, principal)
        return response

    @app.post("/sign-out", include_in_schema=False)
    async def leave(request: Request, session: Looking, form_token: Annotated[str, Form()] = "") -> Response:
        sign_in.check_form(request, session, form_token)
        response = RedirectResponse("/sign-in", status_code=303)
        sign_in.close_session(response)
        return response


def _safe(address: str) -> str:
    """An address here, never another site's: a path with one slash at its beginning."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"


def _home(app: FastAPI, state: State) -> None:
    @app.get("/", include_in_schema=False)
    async def home(request: Request, session: Looking) -> Response:
        scope = session.principal.scope
        async with state.pool.connection() as db:
            now = await flow.home(db, scope)
            stuck = await cases.list_cases(db, cases.Filter(entities=scope), limit=8)
        return page(
            request,
            "home.html",
            session,
            home=now,
            now=now.as_of,
            stuck=stuck.cases,
            todo=forms.todo(now),
            wide=pictures.flow_picture(now),
            narrow=pictures.flow_picture(now, narrow=True),
            labels=pictures.LABELS,
            addresses=pictures.ADDRESSES,
        )

    @app.get("/billing", include_in_schema=False)
    async def rows(request: Request, session: Looking, stage: str = "invoiced", cursor: Cursor = None) -> Response:
        async with state.pool.connection() as db:
            found = await billing.rows_behind(db, stage, entities=session.principal.scope, cursor=cursor)
        following = _next_page(request, found.next)
        label = pictures.LABELS[stage]
        return page(
            request, "billing.html", session, rows=found.rows, stage=stage, label=label, following=following,
            stages=billing.STAGES,
            labels=pictures.LABELS,
        )  # fmt: skip


def _engagements(app: FastAPI, state: State) -> None:
    @app.get("/engagements", include_in_schema=False)
    async def listed(
        request: Request, session: Looking, q: str = "", status: str = "", stuck: str = "", cursor: Cursor = None
    ) -> Response:
        async with state.pool.connection() as db:
            found = await engagements.list_engagements(
                db,
                text=q[:200] or None,
                status=status or None,
                stuck=bool(stuck),
                entities=session.principal.scope,
                cursor=cursor,
            )
        if q and cursor is None and len(found.engagements) == 1 and not status:
            return RedirectResponse(f"/engagements/{quote(found.engagements[0].id)}", status_code=303)
        following = _next_page(request, found.next)
        return page(
            request, "engagements.html", session, lines=found.engagements, following=following,
            statuses=engagements.STATUSES,
            q=q, chosen=status, stuck=bool(stuck), now=_now(),
        )  # fmt: skip

    @app.get("/engagements/{engagement}", include_in_schema=False)
    async def one(request: Request, session: Looking, engagement: str, everything: str = "") -> Response:
        scope = session.principal.scope
        async with state.pool.connection() as db:
            found = await finding.find_engagement(db, engagement, scope)
            overview = await engagements.overview(db, found.id, scope)
            told = await timeline.timeline(db, found.id, limit=None if everything else MOST_ENTRIES)
        if found.id != engagement:
            return RedirectResponse(f"/engagements/{quote(found.id)}", status_code=303)
        picture = pictures.story_picture(told.entries)
        return page(
            request,
            "engagement.html",
            session,
            it=overview,
            told=told,
            picture=picture,
            now=_now(),
            lanes=dict(pictures.LANES),
        )


def _cases(app: FastAPI, state: State) -> None:
    @app.get("/cases", include_in_schema=False)
    async def listed(
        request: Request,
        session: Looking,
        case_state: Annotated[str, Query(alias="state")] = "open",
        owner: str = "",
        reason: str = "",
        signature: str = "",
        engagement: str = "",
        cursor: Cursor = None,
    ) -> Response:
        scope = session.principal.scope
        filters = cases.Filter(case_state, owner or None, reason or None, engagement or None, signature or None, scope)
        async with state.pool.connection() as db:
            found = await cases.list_cases(db, filters, cursor=cursor)
            plain = not (owner or reason or signature or engagement or cursor) and case_state == "open"
            clusters = await cases.clusters(db, limit=12, entities=scope) if plain else []
            owners, reasons = await cases.facets(db)
        following = _next_page(request, found.next)
        return page(
            request, "cases.html", session, found=found.cases, clusters=[each for each in clusters if each.cases > 1],
            following=following, owners=owners, reasons=reasons, filters=filters, now=_now(),
        )  # fmt: skip

    @app.get("/cases/{case}", include_in_schema=False)
    async def one(request: Request, session: Looking, case: int) -> Response:
        async with state.pool.connection() as db:
            found = await cases.show(db, case, session.principal.scope)
        return page(
            request, "case.html", session, it=found, case=found.case, now=_now(), done=request.query_params.get("done")
        )


def _processes(app: FastAPI, state: State) -> None:
    @app.get("/processes", include_in_schema=False)
    async def listed(
        request: Request,
        session: Looking,
        name: str = "",
        process_state: Annotated[str, Query(alias="state")] = "",
        engagement: str = "",
        cursor: Cursor = None,
    ) -> Response:
        async with state.pool.connection() as db:
            found = await processes.list_processes(
                db,
                name=name or None,
                state=process_state or None,
                engagement=engagement or None,
                entities=session.principal.scope,
                cursor=cursor,
            )
        following = _next_page(request, found.next)
        return page(
            request, "processes.html", session, lines=found.processes, following=following, states=processes.states(),
            chosen=process_state, now=_now(),
        )  # fmt: skip

    @app.get("/processes/{process}", include_in_schema=False)
    async def one(request: Request, session: Looking, process: int) -> Response:
        async with state.pool.connection() as db:
            found = await processes.one_process(db, process, session.principal.scope)
        return page(request, "process.html", session, it=found, line=found.line, now=_now())


def _live(app: FastAPI, state: State, feed: Feed) -> None:
    @app.get("/events", include_in_schema=False)
    async def events(request: Request, after: Annotated[str, Query(max_length=20)] = "0") -> Response:
        session = await sign_in.session_of(request, state)
        session.principal.must("read")
        if feed.full:
            return Response(status_code=503, headers={"Retry-After": "30"})
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            feed.stream(request.headers.get("last-event-id", after)), media_type="text/event-stream", headers=headers
        )

    @app.get("/static/{digest}/{name}", include_in_schema=False)
    async def static(digest: str, name: str) -> Response:
        found = serve_asset(digest, name)
        if found is None:
            raise NotFound(f"there is no file {name!r}")
        return found


Handler = Callable[[Request, Exception], Awaitable[Response]]


def _errors(app: FastAPI, state: State) -> None:
    """On pages an error is a page with the cure, and a stranger is led to the sign-in; elsewhere it is as before."""
    before: dict[Any, Any] = dict(app.exception_handlers)

    def on_pages(kind: type[Exception], handler: Handler) -> None:
        original = before.get(kind)

        async def either(request: Request, error: Exception) -> Response:
            if original is not None and request.url.path.startswith(OURS):
                found: Response = await original(request, error)
                return found
            return await handler(request, error)

        app.add_exception_handler(kind, either)

    async def explained(request: Request, error: Exception) -> Response:
        assert isinstance(error, AccordError)
        if isinstance(error, NotSignedIn):
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            goes_to = here if request.method == "GET" else "/"
            return RedirectResponse(f"/sign-in?{urlencode({'next': goes_to})}", status_code=303)
        return await _error_page(request, state, error.http_status, error.title, str(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = (
            "there is no such page; the menu above leads to those there are"
            if error.status_code == 404
            else error.detail
        )
        return await _error_page(
            request, state, error.status_code, "Not found" if error.status_code == 404 else "Error", detail
        )

    async def not_valid(request: Request, _: Exception) -> Response:
        error = UsageError("a part of this address or form is not what it must be; go back and correct it")
        return await _error_page(request, state, 400, error.title, str(error))

    async def unstorable(request: Request, error: Exception) -> Response:
        if not storable.is_unstorable_text(error):
            return await unexpected(request, error)
        return await _error_page(request, state, 400, UsageError.title, storable.REFUSED)

    async def away(request: Request, _: Exception) -> Response:
        # Without asking who reads it: that would wait for the database once more.
        detail = f"{AWAY_SAID} Try again after some seconds."
        told = page(request, "error.html", None, status=503, title="Database away", detail=detail)
        told.headers["Retry-After"] = "5"
        return told

    async def unexpected(request: Request, error: Exception) -> Response:
        if Exception in before:
            await before[Exception](request, error)
        request_id = request.scope.get("state", {}).get("request_id", "")
        detail = f"something here is not right; tell whoever runs this Accord the request id {request_id}"
        return await _error_page(request, state, 500, "Something went wrong", detail)

    from fastapi.exceptions import RequestValidationError

    on_pages(AccordError, explained)
    on_pages(HTTPException, http)
    on_pages(RequestValidationError, not_valid)
    on_pages(psycopg.DataError, unstorable)
    on_pages(UnicodeEncodeError, unstorable)
    for kind in AWAY:
        on_pages(kind, away)
    on_pages(Exception, unexpected)


async def _error_page(request: Request, state: State, status: int, title: str, detail: str) -> Response:
    try:
        session = await sign_in.session_of(request, state)
    except Exception:  # noqa: BLE001  (whatever is wrong, the page that says so must not fail over it)
        session = None
    return page(request, "error.html", session, status=status, title=title, detail=detail[:1].upper() + detail[1:])


__all__ = ["add_pages"]
