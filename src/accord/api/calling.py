"""Who calls, how often they may, and how single things are answered: key, allowance, ETag."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from accord.api.allowance import Allowance
from accord.errors import AccordError
from accord.governance import keys
from accord.governance.attempts import Attempts
from accord.governance.keys import NotSignedIn, Principal
from accord.governance.state import State

_bearer = HTTPBearer(auto_error=False, description="An API key; `accord key create` makes one.")


class TooManyRequests(AccordError):
    """The caller has used up its allowance for now."""

    http_status = 429
    title = "Too many requests"


def state_of(request: Request) -> State:
    """What this server was built with."""
    state: State = request.app.state.accord
    return state


async def caller(
    request: Request,
    response: Response,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Principal:
    """The principal of the request's key. Raises NotSignedIn, TooManyAttempts, TooManyRequests."""
    if given is None:
        raise NotSignedIn("a key is needed: send `Authorization: Bearer ...`")
    attempts: Attempts = request.app.state.attempts
    address = request.client.host if request.client else ""
    taken = attempts.check(address, given.credentials)
    async with state_of(request).pool.connection() as db:
        principal = await keys.find(db, given.credentials)
    if principal is None:
        attempts.wrong(address, given.credentials, taken)
        raise NotSignedIn("the key is not known or was revoked")
    attempts.right(address, given.credentials, taken)
    allowance: Allowance = request.app.state.allowance
    allowed = allowance.take(principal.id)
    request.state.rate_headers = allowed.headers
    for name, value in allowed.headers.items():
        response.headers[name] = value
    if not allowed.ok:
        raise TooManyRequests(f"the allowance is used up; it is filled again in {allowed.headers['Retry-After']} s")
    principal.must("read")
    return principal


async def operator(principal: Annotated[Principal, Depends(caller)]) -> Principal:
    """A principal that may settle cases and start processes. Raises NotPermitted."""
    principal.must("operate")
    return principal


Reader = Annotated[Principal, Depends(caller)]
Operator = Annotated[Principal, Depends(operator)]
TheState = Annotated[State, Depends(state_of)]


def tagged(request: Request, response: Response, body: BaseModel) -> Response:
    """A single thing with its ETag; 304 when the caller has it already."""
    text = body.model_dump_json().encode()
    tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    headers = {**dict(response.headers), "ETag": tag, "Cache-Control": "private, no-cache"}
    offered = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in offered or "*" in offered:
        return Response(status_code=304, headers=headers)
    return Response(text, media_type="application/json", headers=headers)


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """The Link header of the next page (RFC 8288)."""
    if cursor is not None:
        response.headers["Link"] = f'<{request.url.include_query_params(cursor=cursor)}>; rel="next"'
