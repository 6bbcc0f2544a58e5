"""The pages of contract changes: what each would do in money, who proposed and applied it, and the verbs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import FastAPI, Form, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from accord.db.pool import transaction
from accord.db.storable import REFUSED
from accord.engine.shell import Connection
from accord.errors import AccordError, UsageError
from accord.governance.keys import Principal
from accord.governance.state import State
from accord.ledger.changes import planning
from accord.ledger.changes.reading import look
from accord.model.money import Money
from accord.rules.change_impact.order import ChangeOrder
from accord.web.close_pages import Looking
from accord.web.forms import Acting
from accord.web.rendering import page
from accord.web.sign_in import Session

LONGEST = 100_000

Told = Annotated[str, Form(max_length=LONGEST)]


def _order(text: str, principal: Principal) -> ChangeOrder:
    try:
        given = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise UsageError("one change order is expected: an object with an id, an engagement and what changes")
    if "\x00" in text or "\\u0000" in text:
        raise UsageError(REFUSED)
    return planning.order_of(given, principal.scope)


def _shown(impact: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
    """An impact with its money; what shows what people cost is left out without the permission."""
    costs = "costs" in principal.roles
    effects = [
        {**each, **{name: _money(each[name]) for name in ("before", "after", "by")}}
        for each in impact["effects"]
        if costs or each["area"] not in planning.OF_COST
    ]
    return {**impact, "effects": effects}


def _money(plain: Mapping[str, str]) -> Money:
    return Money(Decimal(plain["amount"]), plain["currency"])


def add_change_pages(app: FastAPI, state: State) -> None:
    """Add the pages and forms of contract changes to the app."""

    @app.get("/changes", include_in_schema=False)
    async def listed(request: Request, session: Looking, engagement: str = "") -> Response:
        return await _list(request, state, session, engagement)

    @app.post("/changes/impact", include_in_schema=False)
    async def look_or_propose(
        request: Request, session: Acting, order: Told = "", do: Annotated[str, Form(max_length=20)] = "look"
    ) -> Response:
        who = session.principal
        try:
            told = _order(order, who)
            async with transaction(state.pool) as db:
                if do == "propose":
                    await planning.propose(db, told, by=who.actor, now=state.now())
                    address = f"/changes/{quote(told.id, safe='')}"
                    done = urlencode({"done": "Proposed. Somebody else can apply it."})
                    return RedirectResponse(f"{address}?{done}", status_code=303)
                impact = planning.plain_impact(await look(db, told, state.now().date()))
        except AccordError as error:
            if error.http_status not in (400, 404, 409):
                raise
            return await _list(request, state, session, "", order=order, wrong=str(error), status=error.http_status)
        return await _list(request, state, session, told.engagement_id, order=order, impact=_shown(impact, who))

    @app.get("/changes/{change:path}", include_in_schema=False)
    async def one(request: Request, session: Looking, change: str) -> Response:
        return await _one(request, state, session, change)

    async def act(
        request: Request,
        session: Session,
        change: str,
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
            return await _one(request, state, session, change, wrong=str(error), status=error.http_status)
        return RedirectResponse(f"/changes/{quote(change, safe='')}?{urlencode({'done': done})}", status_code=303)

    @app.post("/change/apply", include_in_schema=False)
    async def apply(request: Request, session: Acting, change: Told = "") -> Response:
        return await act(
            request, session, change, "The change is applied.",
            lambda db, who: planning.apply(db, change, now=state.now(), **who),
        )  # fmt: skip

    @app.post("/change/take-back", include_in_schema=False)
    async def take_back(request: Request, session: Acting, change: Told = "") -> Response:
        return await act(
            request, session, change, "The change is taken back.",
            lambda db, who: planning.take_back(db, change, now=state.now(), **who),
        )  # fmt: skip

    @app.post("/change/drop", include_in_schema=False)
    async def drop(request: Request, session: Acting, change: Told = "") -> Response:
        done = "The change is dropped."
        return await act(request, session, change, done, lambda db, who: planning.drop(db, change, **who))


async def _list(
    request: Request,
    state: State,
    session: Session,
    engagement: str,
    *,
    order: str = "",
    impact: Mapping[str, Any] | None = None,
    wrong: str | None = None,
    status: int = 200,
) -> Response:
    async with state.pool.connection() as db:
        found = await planning.list_plans(db, engagement or None, session.principal.scope)
    return page(
        request, "changes.html", session, status=status, changes=found, engagement=engagement, order=order,
        impact=impact, wrong=wrong, now=state.now(),
        waiting=[each for each in found if each.state == "proposed"],
    )  # fmt: skip


async def _one(
    request: Request, state: State, session: Session, change: str, *, wrong: str | None = None, status: int = 200
) -> Response:
    async with state.pool.connection() as db:
        found = await planning.one_plan(db, change, session.principal.scope)
    costs = "costs" in session.principal.roles
    steps = [each for each in found.steps if costs or each.verb != "set_provision"]
    return page(
        request, "change.html", session, status=status, it=found, impact=_shown(found.impact, session.principal),
        steps=steps, wrong=wrong, now=state.now(),
    )  # fmt: skip
