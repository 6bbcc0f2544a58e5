"""The pages of the PMO: what needs doing, pictures, and the rows behind every number."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from accord.errors import NotFound
from accord.governance.state import State
from accord.insight import pmo, pmo_missing, pmo_utilization
from accord.insight.pmo_activation import activation
from accord.insight.pmo_caps import caps
from accord.insight.pmo_engagements import summaries
from accord.insight.pmo_hours import Weeks
from accord.insight.pmo_missing import missing_time
from accord.insight.pmo_utilization import utilization
from accord.web import pmo_pictures as pictures
from accord.web import pmo_words as words
from accord.web.close_pages import Looking
from accord.web.kept import Kept
from accord.web.rendering import page

MOST_PEOPLE = 100
# Sums over all people of weeks change slowly and cost a second in a large firm; each page says as of when it is.
KEPT_SECONDS = 20.0

Cursor = Annotated[str | None, Query(max_length=500)]
WeekCount = Annotated[int, Query(ge=1, le=53)]
Name = Annotated[str, Query(max_length=200)]


def add_pmo_pages(app: FastAPI, state: State) -> None:
    """Add the pages of the PMO to the app."""
    kept = Kept(KEPT_SECONDS)
    _overview(app, state, kept)
    _people(app, state, kept)
    _money(app, state)


def _following(request: Request, cursor: str | None) -> str | None:
    return None if cursor is None else "?" + urlencode({**dict(request.query_params), "cursor": cursor})


def _overview(app: FastAPI, state: State, kept: Kept) -> None:
    @app.get("/pmo", include_in_schema=False)
    async def first(request: Request, session: Looking) -> Response:
        async def read() -> pmo.Overview:
            async with state.pool.connection() as db:
                return await pmo.overview(db, state.now(), session.principal.scope)

        found = await kept.get(("overview", session.principal.entities), read)
        used = pictures.utilization_rows(found.used.whole, found.used.practices, pmo.WEEKS)
        drawn = (
            ("used", "Utilization", used if found.used.people else []),
            ("caps", "Burn against caps", pictures.cap_rows(found.caps)),
            ("funnel", "From won to billed", pictures.funnel_rows(found.activation.steps)),
        )
        shown = [(id, title, pictures.bars(rows), pictures.bars(rows, narrow=True)) for id, title, rows in drawn]
        return page(
            request, "pmo.html", session, it=found, todo=words.todo(found), pictures=shown, now=state.now(),
            hours=words.hours, short=pictures.short, close_means=words.CLOSE_MEANS, formula=pmo_missing.FORMULA,
            weeks=pmo.WEEKS,
        )  # fmt: skip

    @app.get("/pmo/activation", include_in_schema=False)
    async def funnel(request: Request, session: Looking) -> Response:
        async with state.pool.connection() as db:
            found = await activation(db, state.now() - pmo.FUNNEL, session.principal.scope)
        rows = pictures.funnel_rows(found.steps)
        return page(
            request, "pmo_activation.html", session, it=found, now=state.now(), short=pictures.short,
            wide=pictures.bars(rows), narrow=pictures.bars(rows, narrow=True),
        )  # fmt: skip


def _people(app: FastAPI, state: State, kept: Kept) -> None:
    @app.get("/pmo/missing-time", include_in_schema=False)
    async def missing(
        request: Request,
        session: Looking,
        weeks: WeekCount = pmo.WEEKS,
        manager: Annotated[str | None, Query(max_length=200)] = None,
        cursor: Cursor = None,
    ) -> Response:
        span = Weeks.until(state.now().date(), weeks)

        async def read() -> tuple[pmo_missing.MissingTime, datetime]:
            async with state.pool.connection() as db:
                found = await missing_time(db, span, entities=session.principal.scope, manager=manager)
            return found, state.now()

        found, as_of = await kept.get(("missing time", session.principal.entities, span, manager), read)
        some = pmo_missing.page_of(found, cursor, MOST_PEOPLE)
        return page(
            request, "pmo_missing.html", session, it=found, as_of=as_of, people=some.people, manager=manager,
            weeks=weeks, now=state.now(), following=_following(request, some.next), hours=words.hours,
            formula=pmo_missing.FORMULA,
        )  # fmt: skip

    @app.get("/pmo/person", include_in_schema=False)
    async def person(request: Request, session: Looking, worker: Name, weeks: WeekCount = pmo.WEEKS) -> Response:
        span, scope = Weeks.until(state.now().date(), weeks), session.principal.scope
        async with state.pool.connection() as db:
            by_week = await pmo_missing.weeks_of(db, worker, span, scope)
            if not by_week:
                raise NotFound(f"nobody of your legal entities is called {worker!r} in these weeks")
            entries = await pmo_missing.open_entries(db, worker, span, scope)
        return page(
            request, "pmo_person.html", session, worker=worker, by_week=by_week, entries=entries, span=span,
            weeks=weeks, now=state.now(), hours=words.hours,
        )  # fmt: skip

    @app.get("/pmo/utilization", include_in_schema=False)
    async def used(
        request: Request,
        session: Looking,
        weeks: WeekCount = pmo.WEEKS,
        practice: Annotated[str | None, Query(max_length=200)] = None,
        cursor: Cursor = None,
    ) -> Response:
        span = Weeks.until(state.now().date(), weeks)
        scope = session.principal.scope

        async def read() -> tuple[pmo_utilization.Utilization, datetime]:
            async with state.pool.connection() as db:
                found = await utilization(db, span.first_day, span.last_day, entities=scope, practice=practice)
            return found, state.now()

        found, as_of = await kept.get(("utilization", session.principal.entities, span, practice), read)
        some = pmo_utilization.page_of(found, cursor, MOST_PEOPLE)
        rows = pictures.utilization_rows(found.whole, found.practices if practice is None else (), weeks)
        return page(
            request, "pmo_utilization.html", session, it=found, as_of=as_of, people=some.people, practice=practice,
            weeks=weeks, now=state.now(), following=_following(request, some.next), hours=words.hours,
            short=pictures.short, wide=pictures.bars(rows), narrow=pictures.bars(rows, narrow=True),
        )  # fmt: skip


def _money(app: FastAPI, state: State) -> None:
    @app.get("/pmo/caps", include_in_schema=False)
    async def burn(request: Request, session: Looking) -> Response:
        async with state.pool.connection() as db:
            found = await caps(db, state.now().date(), entities=session.principal.scope)
        rows = pictures.cap_rows(found)
        return page(
            request, "pmo_caps.html", session, caps=found, now=state.now(), short=pictures.short,
            close_means=words.CLOSE_MEANS, wide=pictures.bars(rows), narrow=pictures.bars(rows, narrow=True),
        )  # fmt: skip

    @app.get("/pmo/engagements", include_in_schema=False)
    async def listed(
        request: Request, session: Looking, currency: Name = "", owner: Name = "", cursor: Cursor = None
    ) -> Response:
        costs = session.principal.may("costs")
        async with state.pool.connection() as db:
            found = await summaries(
                db, state.now().date(), entities=session.principal.scope, with_costs=costs, currency=currency or None,
                owner=owner or None, cursor=cursor,
            )  # fmt: skip
        return page(
            request, "pmo_engagements.html", session, rows=found.engagements, costs=costs, currency=currency,
            owner=owner, following=_following(request, found.next), hours=words.hours, short=pictures.short,
            now=state.now(),
        )  # fmt: skip
