"""What all pages of finance share: who may look, at which legal entities, the tabs, pages of rows and whole files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from starlette.responses import Response

from accord.engine.shell import Connection
from accord.errors import NotFound
from accord.governance.keys import Principal
from accord.governance.state import State
from accord.rules.measures.catalogue import DEFINITIONS
from accord.web import sign_in
from accord.web.exporting import PAGE
from accord.web.rendering import page
from accord.web.sign_in import Session

# Name, address, and whether the page is made by somebody who may not be there: shown only when it is.
TABS = (
    ("/finance", "Workbench"),
    ("/finance/proposals", "Proposals"),
    ("/finance/unbilled", "Unbilled work"),
    ("/finance/receivables", "Receivables"),
    ("/finance/breaks", "Reconciliation"),
    ("/finance/latency", "Work to cash"),
    ("/finance/unexplained", "Unexplained"),
    ("/finance/close", "Close"),
)
ENTITIES = """
SELECT p.body -> 'entities' FROM policy p WHERE p.name = 'firm' ORDER BY p.version DESC LIMIT 1
"""
WHERE_LABELS = {
    "unbilled": "Unbilled work",
    "wip": "Work in progress",
    "draft": "In proposals",
    "held": "Held",
    "over_cap": "Over a cap",
    "drawn": "Drawn from retainers",
    "non_billable": "Not billable",
    "written_off": "Written off",
    "transferred": "Transferred",
    "billed": "Billed",
    "collected": "Collected",
    "disputed": "Disputed",
    "credited": "Credited",
    "intercompany": "Between legal entities",
    "reversed": "Reversed",
}

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


async def reader(request: Request) -> Session:
    """The session of who looks. Raises NotSignedIn, NotPermitted."""
    session = await sign_in.session_of(request, request.app.state.accord)
    session.principal.must("read")
    return session


Looking = Annotated[Session, Depends(reader)]
Cursor = Annotated[str | None, Query(max_length=500)]
Word = Annotated[str, Query(max_length=100)]
As = Annotated[str, Query(alias="as", max_length=10)]


class Paged(Protocol[R_co]):
    """What every list gives: rows, and where the next ones begin."""

    @property
    def rows(self) -> tuple[R_co, ...]: ...

    @property
    def next(self) -> str | None: ...


def scope_of(principal: Principal, entity: str) -> list[str] | None:
    """The legal entities to show: the one asked for, or all that the reader may see. Raises NotFound."""
    if not entity:
        return principal.scope
    if principal.scope is not None and entity not in principal.scope:
        raise NotFound(f"there is no legal entity {entity!r} that you may see")
    return [entity]


def today() -> date:
    return datetime.now(UTC).date()


def shown(request: Request, template: str, session: Session, *, status: int = 200, **values: Any) -> Response:
    """A page of finance: with the tabs of what is there."""
    there = {getattr(route, "path", "") for route in request.app.routes}
    path = request.url.path.replace("/finance/items", "/finance/unbilled")
    here = max((href for href, _ in TABS if path == href or path.startswith(href + "/")), key=len, default="")
    tabs = [(href, label, href == here) for href, label in TABS if href in there]
    common = {"tabs": tabs, "now": datetime.now(UTC), "where_labels": WHERE_LABELS, "definitions": DEFINITIONS}
    return page(request, template, session, status=status, **{**common, **values})


async def entities_of(db: Connection, principal: Principal) -> list[str]:
    """The legal entities a reader may choose from."""
    row = await (await db.execute(ENTITIES)).fetchone()
    known = sorted(row[0]) if row and row[0] else []
    return known if principal.scope is None else [each for each in principal.scope if each in known] or principal.scope


def following(request: Request, cursor: str | None) -> str | None:
    """The address of the next page."""
    return None if cursor is None else "?" + urlencode({**dict(request.query_params), "cursor": cursor})


def export_of(request: Request) -> str:
    """The address of this list as a file: the same filters, from its beginning."""
    kept = {name: value for name, value in request.query_params.items() if name not in ("cursor", "as", "done")}
    return "?" + urlencode({**kept, "as": "csv"})


async def all_pages(
    state: State, ask: Callable[[Connection, str | None, int], Awaitable[Paged[R]]]
) -> AsyncIterator[Sequence[R]]:
    """Every page of a list, each read by itself: no table is ever in memory whole."""
    cursor: str | None = None
    while True:
        async with state.pool.connection() as db:
            found = await ask(db, cursor, PAGE)
        yield found.rows
        cursor = found.next
        if cursor is None:
            return
