"""The pages of closing: all periods, and the gate of one with its rows and verbs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from accord.db.pool import transaction
from accord.engine.shell import Connection
from accord.errors import AccordError
from accord.governance.state import State
from accord.model.money import Money
from accord.reconcile import closing, gate, late
from accord.reconcile.calendar import Standing, list_periods, one_period
from accord.reconcile.gate import Finding
from accord.web import sign_in
from accord.web.finance_view import shown
from accord.web.forms import Acting, Text
from accord.web.sign_in import Session
from accord.web.words import count, in_one_line


async def reader(request: Request) -> Session:
    """The session of who looks. Raises NotSignedIn, NotPermitted."""
    session = await sign_in.session_of(request, request.app.state.accord)
    session.principal.must("read")
    return session


Looking = Annotated[Session, Depends(reader)]


def _todo(of: Standing, found: Sequence[Finding]) -> str:
    """What keeps the period open, in words and money."""
    if of.state == "closed":
        return f"{of.period} of {of.legal_entity} is closed."
    if not found:
        return f"Nobody has looked at {of.period} of {of.legal_entity} yet."
    stops = [each for each in found if each.stops]
    if not stops:
        return f"Nothing stops {of.period} of {of.legal_entity}: it can be closed."
    told = ", ".join(
        f"{count(each.count, each.name.replace('_', ' '), each.name.replace('_', ' '))}"
        + (f" ({in_one_line(each.money)})" if each.money else "")
        for each in stops
    )
    return f"{of.period} of {of.legal_entity} stays open: {told}."


def add_close_pages(app: FastAPI, state: State) -> None:
    """Add the pages and forms of closing to the app."""

    @app.get("/finance/close", include_in_schema=False)
    async def listed(request: Request, session: Looking) -> Response:
        async with state.pool.connection() as db:
            found = await list_periods(db, entities=session.principal.scope)
        waiting = [each for each in found if each.state != "closed" and each.ends_on < state.now().date()]
        return shown(request, "close.html", session, periods=found, waiting=waiting, now=state.now())

    @app.get("/finance/close/{entity}/{period}", include_in_schema=False)
    async def one(request: Request, session: Looking, entity: str, period: str) -> Response:
        return await _shown(request, state, session, entity, period)

    async def act(
        request: Request,
        session: Session,
        entity: str,
        period: str,
        done: str,
        doing: Callable[[Connection, dict[str, Any]], Awaitable[str | None]],
    ) -> Response:
        """Do it and show the gate again; what `doing` gives is said instead of `done`."""
        who = {"by": session.principal.actor, "now": state.now()}
        try:
            async with transaction(state.pool) as db:
                await one_period(db, entity, period, entities=session.principal.scope)
                done = await doing(db, who) or done
        except AccordError as error:
            if error.http_status not in (400, 409):
                raise
            return await _shown(request, state, session, entity, period, wrong=str(error), status=error.http_status)
        address = f"/finance/close/{quote(entity, safe='')}/{quote(period, safe='')}"
        return RedirectResponse(f"{address}?{urlencode({'done': done})}", status_code=303)

    @app.post("/finance/close/{entity}/{period}/look", include_in_schema=False)
    async def look(request: Request, session: Acting, entity: str, period: str) -> Response:
        async def doing(db: Connection, who: dict[str, Any]) -> None:
            await gate.look(db, await one_period(db, entity, period), who["now"])

        return await act(request, session, entity, period, "Looked at every line.", doing)

    @app.post("/finance/close/{entity}/{period}/close", include_in_schema=False)
    async def close(request: Request, session: Acting, entity: str, period: str) -> Response:
        async def doing(db: Connection, who: dict[str, Any]) -> str | None:
            stopped = closing.stopped_by(await closing.close(db, entity, period, **who))
            return None if stopped is None else f"It stays open: {stopped}."

        return await act(request, session, entity, period, "The period is closed.", doing)

    @app.post("/finance/close/{entity}/{period}/override", include_in_schema=False)
    async def override(
        request: Request, session: Acting, entity: str, period: str, line: Text = "", reason: Text = ""
    ) -> Response:
        done = "Asked. It counts when somebody else has agreed."
        return await act(
            request, session, entity, period, done,
            lambda db, who: closing.override(db, entity, period, line, reason=reason, **who),
        )  # fmt: skip

    @app.post("/finance/close/{entity}/{period}/reopen", include_in_schema=False)
    async def reopen(request: Request, session: Acting, entity: str, period: str, reason: Text = "") -> Response:
        async def doing(db: Connection, who: dict[str, Any]) -> str | None:
            opened = await closing.reopen(db, entity, period, reason=reason, **who)
            return "The period is open." if opened == "open" else None

        done = "Asked. The period opens when somebody else has agreed."
        return await act(request, session, entity, period, done, doing)

    @app.post("/finance/close/{entity}/{period}/agree", include_in_schema=False)
    async def agree(request: Request, session: Acting, entity: str, period: str, what: Text = "") -> Response:
        async def doing(db: Connection, who: dict[str, Any]) -> None:
            await closing.agree(db, entity, period, what, **who)

        return await act(request, session, entity, period, "Agreed; both names are on record.", doing)


async def _shown(
    request: Request,
    state: State,
    session: Session,
    entity: str,
    period: str,
    *,
    wrong: str | None = None,
    status: int = 200,
) -> Response:
    """The gate of a period; of another legal entity than the session may see, there is none."""
    scope = session.principal.scope
    async with state.pool.connection() as db:
        of = await one_period(db, entity, period, entities=scope)
        looked_at, found = await gate.last_look(db, of)
        asked = await closing.asked_for(db, of)
        came_late = await late.list_late(db, entity, period)
    money = {each.item_id: Money(each.amount, each.currency) for each in came_late}
    return shown(
        request, "close_gate.html", session, status=status, of=of, looked_at=looked_at, found=found, asked=asked,
        late=came_late, money=money, todo=_todo(of, found), wrong=wrong, now=state.now(),
        money_of=lambda row: Money(row.amount, row.currency) if row.amount and row.currency else None,
    )  # fmt: skip
