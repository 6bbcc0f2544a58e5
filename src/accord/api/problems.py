"""Every error as `application/problem+json` (RFC 9457): type, title, status, detail, instance, and the cure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from accord.db import storable
from accord.db.pool import AWAY, AWAY_SAID
from accord.errors import AccordError, UsageError

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"

# What to do next, by status; the detail says what is wrong with this very request.
CURES = {
    400: "Correct the request as the detail says and send it again.",
    401: "Send a valid key as `Authorization: Bearer ...`; `accord key create` makes one.",
    403: "Ask an admin for a key with the role or legal entity this needs.",
    404: "Check the id; the lists show what there is.",
    405: "Use a method the Allow header names.",
    409: "Read the thing again: its state does not allow this.",
    412: "Read the thing again and send its new ETag.",
    413: "Send less at once.",
    415: "Send `application/json`.",
    422: "Correct the fields named in `errors` and send it again.",
    428: "Read the thing and send its ETag as If-Match, so that nothing is decided on what has changed.",
    429: "Wait as long as Retry-After says.",
    500: "Tell whoever runs this Accord, with the request id.",
    503: "Try again after some seconds.",
}


RETRY_AFTER = {"Retry-After": "5"}


def problem(status: int, detail: str, *, title: str | None = None, instance: str = "", **more: Any) -> dict[str, Any]:
    """The body of a problem."""
    title = title or HTTPStatus(status).phrase
    slug = "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())
    cure = CURES.get(status, CURES[400] if status < 500 else CURES[500])
    return {
        "type": f"/api/problems/{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "cure": cure,
        **more,
    }


def answer(
    request: Request, status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """A problem as the answer to a request."""
    body = problem(status, detail, instance=request.url.path, **more)
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def explain(app: FastAPI) -> None:
    """Let every error of an app leave it as a problem."""
    app.add_exception_handler(AccordError, _explained)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(psycopg.DataError, _unstorable)
    app.add_exception_handler(UnicodeEncodeError, _unstorable)
    app.add_exception_handler(ClientDisconnect, _gone)
    for kind in AWAY:
        app.add_exception_handler(kind, _database_away)
    app.add_exception_handler(Exception, _unexpected)


async def _explained(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AccordError)
    headers = {"WWW-Authenticate": "Bearer"} if error.http_status == 401 else None
    if error.http_status == 503:
        headers = RETRY_AFTER
    if error.http_status == 429:
        headers = {"Retry-After": "60", **getattr(request.state, "rate_headers", {})}
    return answer(request, error.http_status, str(error), title=error.title, headers=headers)


async def _not_valid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [{"field": ".".join(str(part) for part in each["loc"]), "message": each["msg"]} for each in error.errors()]
    detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors[:5])
    return answer(request, 422, detail, title="Request not valid", errors=errors)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(request, error.status_code, str(error.detail), headers=dict(error.headers or {}))


async def _database_away(request: Request, error: Exception) -> JSONResponse:
    log.warning("the database did not answer a request", path=request.url.path, reason=type(error).__name__)
    return answer(request, 503, AWAY_SAID, headers=RETRY_AFTER)


async def _gone(request: Request, _: Exception) -> JSONResponse:
    """The caller went away in the middle of its body: no defect, and nobody hears the answer."""
    return answer(request, 400, "The body ended early.")


async def _unstorable(request: Request, error: Exception) -> JSONResponse:
    if not storable.is_unstorable_text(error):
        return await _unexpected(request, error)
    return await _explained(request, UsageError(storable.REFUSED))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """What nobody expected is loud in the log and says nothing of itself to the caller."""
    log.error("a request failed", path=request.url.path, exc_info=error)
    return answer(request, 500, "Something went wrong here that is not your request's fault.")
