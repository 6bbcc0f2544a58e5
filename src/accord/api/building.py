"""Builds the server: APIs, health, metrics, the door for pushes, and the pages that are handed in."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, LiteralString

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from psycopg import AsyncConnection

from accord.api import models, problems
from accord.api.after_invoice import after
from accord.api.allowance import Allowance
from accord.api.changes import tier as changes_tier
from accord.api.closing import tier as closing_tier
from accord.api.door import Door, Entrances
from accord.api.edge import Edge
from accord.api.experience_tier import tier as experience_tier
from accord.api.finance_tier import finance
from accord.api.line_disputes import lines_disputed
from accord.api.process_tier import tier
from accord.api.revenue import tier as revenue_tier
from accord.api.shelf import Shelf
from accord.api.work_intake import intake
from accord.db.migrate import DatabaseNewerThanCode, pending
from accord.db.session import settle
from accord.errors import NotFound
from accord.governance.attempts import Attempts
from accord.governance.state import State
from accord.insight import metrics

DESCRIPTION = """
The process tier of Accord: engagements from won to cash, their timelines, and the cases that wait for a person.
The experience tier: what PMO leads and account managers look at, with every measure's definition and sources.
Every request carries an API key; every error is `application/problem+json` with the cure; amounts are text with their
currency; lists are paged by `cursor`; single things have an ETag.
"""

Pages = Callable[[FastAPI, State], None]


def build(state: State, *, pages: Pages | None = None) -> FastAPI:
    """The whole server as one app; `pages` adds what people look at."""
    shelf = Shelf(lambda: _storing(state))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await shelf.close()

    app = FastAPI(
        title="Accord",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,  # those pages would load their script from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.accord = state
    app.state.allowance = Allowance(time.monotonic)
    app.state.attempts = Attempts(time.monotonic, state.settings.wrong_keys_per_minute)
    app.include_router(tier)
    app.include_router(closing_tier)
    app.include_router(experience_tier)
    app.include_router(revenue_tier)
    app.include_router(finance)
    app.include_router(changes_tier)
    app.include_router(intake)
    app.include_router(after)
    app.include_router(lines_disputed)
    _for_machines(app, state)
    problems.explain(app)
    if pages is not None:
        pages(app, state)
    app.add_middleware(Edge)
    # Added last, so outermost: a push passes nothing that it does not need.
    app.add_middleware(Door, look=Entrances(state.pool, state.vault).of, shelf=shelf, now=state.now)
    _document_problems(app)
    return app


async def _storing(state: State) -> AsyncConnection[Any]:
    """The connection that pushes are stored on: its own, so that a busy pool never delays a vendor."""
    connection = await psycopg.AsyncConnection.connect(
        _address(state), autocommit=True, application_name="accord intake", connect_timeout=5
    )
    await settle(connection, {})
    return connection


def _address(state: State) -> str:
    assert isinstance(state.pool.conninfo, str)
    return state.pool.conninfo


def _for_machines(app: FastAPI, state: State) -> None:
    readiness = Readiness(state)

    @app.get("/healthz", response_model=models.Health, tags=["machines"])
    async def healthz() -> models.Health:
        """This process answers."""
        return models.Health(status="ok")

    @app.get(
        "/readyz", response_model=models.Readiness, tags=["machines"], responses={503: {"model": models.Readiness}}
    )
    async def readyz() -> Response:
        """The database answers and its tables are up to date."""
        checks = await readiness.checks()
        ok = all(value == "ok" for value in checks.values())
        body = models.Readiness(status="ok" if ok else "not ready", checks=checks)
        return JSONResponse(body.model_dump(), status_code=200 if ok else 503)

    @app.get("/metrics", response_class=Response, tags=["machines"],
             responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})  # fmt: skip
    async def measured() -> Response:
        """The state of the house for Prometheus; no names, no records."""
        async with state.pool.connection() as db:
            return Response(await metrics.exposition(db), media_type=metrics.CONTENT_TYPE)

    @app.get("/api/problems/{slug}", include_in_schema=False)
    async def about_problem(slug: str, request: Request) -> Response:
        """What the `type` of a problem leads to."""
        for status, cure in problems.CURES.items():
            title = problems.problem(status, "")["type"].rpartition("/")[2]
            if title == slug:
                return problems.answer(request, status, cure)
        raise NotFound(f"no kind of problem is called {slug!r}")


# A file that PostgreSQL makes for a moment beside the tables: nothing is written into one, and no log of changes grows.
TAKE_ROOM: tuple[LiteralString, ...] = (
    "SET LOCAL work_mem = '64kB'",
    "SET LOCAL temp_tablespaces = ''",
    "SELECT count(*) FROM generate_series(1, 20000)",
)
ROOM_SECONDS = 2.0  # so often at most, however often somebody asks


class Readiness:
    """Migrations are looked up until there are none left to run, then only the database is asked."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._migrated = False
        self._room_at = float("-inf")

    async def checks(self) -> dict[str, str]:
        try:
            async with self._state.pool.connection(timeout=3) as db:
                await db.execute("SELECT 1")
                await self._find_room(db)
        except psycopg.errors.DiskFull:
            return {"database": "has no room on its disk", "migrations": "not known"}
        except psycopg.Error as error:
            return {"database": f"does not answer ({type(error).__name__})", "migrations": "not known"}
        if not self._migrated:
            try:
                missing = await asyncio.to_thread(pending, _address(self._state))
            except DatabaseNewerThanCode as error:
                return {"database": "ok", "migrations": str(error)}
            if missing:
                return {"database": "ok", "migrations": f"{', '.join(missing)} not run; run `accord migrate`"}
            self._migrated = True
        return {"database": "ok", "migrations": "ok"}

    async def _find_room(self, db: AsyncConnection[Any]) -> None:
        """Whether the disk of the tables takes half a megabyte more. Raises psycopg.errors.DiskFull."""
        if time.monotonic() - self._room_at < ROOM_SECONDS:
            return
        async with db.transaction():
            for statement in TAKE_ROOM:
                await db.execute(statement)
        self._room_at = time.monotonic()


def _document_problems(app: FastAPI) -> None:
    """Say in OpenAPI that errors come as problem+json, which FastAPI would describe as its own JSON."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = original()
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    for status, answer in operation["responses"].items():
                        content = answer.get("content", {})
                        if (
                            status.isdigit()
                            and int(status) >= 400
                            and path != "/readyz"
                            and "application/json" in content
                        ):
                            content[problems.MEDIA_TYPE] = content.pop("application/json")
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document
