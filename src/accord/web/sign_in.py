"""Signing in: a key or a one-time token opens a session, a sealed cookie; every form carries the session's token."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from accord.connect.vault import NotOpened, Vault
from accord.db.pool import Pool, transaction
from accord.engine.shell import Connection
from accord.errors import NotPermitted
from accord.governance import keys
from accord.governance.attempts import Attempts
from accord.governance.keys import NotSignedIn, Principal
from accord.governance.state import State

COOKIE = "accord_session"
LIFE = timedelta(hours=12)
_SEALED_AS = "web session"


@dataclass(frozen=True, slots=True)
class Session:
    """Who is looking, the token that every form of this session must carry, and the place in the event log before which
    everything was final when the page was asked for."""

    principal: Principal
    form_token: str
    place: str


async def one_time_address(pool: Pool, base_url: str, now: datetime, roles: Sequence[str] = ("operate",)) -> str:
    """The address of the pages that signs in whoever opens it first, within a quarter of an hour."""
    async with transaction(pool) as db:
        token = await keys.create_sign_in(db, "one-time sign-in", roles, now)
    return f"{base_url.rstrip('/')}/sign-in?token={token}"


async def by_key(request: Request, state: State, key: str) -> Principal | None:
    """The principal of a key typed into the form. Raises TooManyAttempts."""
    return await _tried(request, key.strip(), lambda db: keys.find(db, key.strip()), state)


async def by_token(request: Request, state: State, token: str) -> Principal | None:
    """The principal of a one-time token, which is spent by this. Raises TooManyAttempts."""
    return await _tried(request, token, lambda db: keys.redeem(db, token, state.now()), state)


async def _tried(
    request: Request, secret: str, look: Callable[[Connection], Awaitable[Principal | None]], state: State
) -> Principal | None:
    attempts: Attempts = request.app.state.attempts
    address = request.client.host if request.client else ""
    taken = attempts.check(address, secret)
    async with transaction(state.pool) as db:
        principal = await look(db)
    if principal is None:
        attempts.wrong(address, secret, taken)
    else:
        attempts.right(address, secret, taken)
    return principal


def open_session(response: Response, request: Request, state: State, principal: Principal) -> None:
    """Give the browser its session."""
    content = {"key": principal.id, "at": state.now().isoformat(), "form": secrets.token_urlsafe(16)}
    sealed = base64.urlsafe_b64encode(state.vault.seal(_SEALED_AS, content)).decode()
    response.set_cookie(
        COOKIE,
        sealed,
        max_age=int(LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )


def close_session(response: Response) -> None:
    """Take the session back from the browser."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")


async def session_of(request: Request, state: State) -> Session:
    """The session of a request; its key must still be valid. Raises NotSignedIn."""
    content = _opened(state.vault, request.cookies.get(COOKIE, ""), state.now())
    if content is None:
        raise NotSignedIn("sign in first")
    async with state.pool.connection() as db:
        principal = await keys.by_id(db, content["key"])
        row = await (await db.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")).fetchone()
    if principal is None:
        raise NotSignedIn("the key of this session was revoked; sign in with another")
    return Session(principal, content["form"], row[0] if row else "0")


def check_form(request: Request, session: Session | None, token: str) -> None:
    """Refuse a form that did not come from a page of ours. Raises NotPermitted."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotPermitted("the form came from another site; open the page here and send it again")
    if session is not None and not hmac.compare_digest(session.form_token.encode(), token.encode()):
        raise NotPermitted("the form is from another session; open the page anew and send it again")


def _opened(vault: Vault, cookie: str, now: datetime) -> dict[str, str] | None:
    try:
        content = vault.open_sealed(_SEALED_AS, base64.b64decode(cookie, altchars=b"-_", validate=True))
        fresh = now - datetime.fromisoformat(content["at"]) < LIFE
    except (NotOpened, binascii.Error, ValueError, KeyError, TypeError):
        return None
    return content if fresh else None
