"""The door for pushes: size, path secret, signature; stored raw by group commit; answered only after the commit.

A raw ASGI handler, because a vendor in a hurry sends thousands of small bodies and a framework's routing would cost
more than the check and the share of one insert.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import psycopg
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accord.api.problems import MEDIA_TYPE, problem
from accord.api.shelf import Shelf
from accord.connect import registry
from accord.connect.connector import Refusal, Webhook
from accord.connect.intake import receive as let_in
from accord.connect.store import load_connections
from accord.connect.vault import Vault
from accord.db.pool import Pool

log = structlog.get_logger()

PATH_SECRET = "x-accord-path"  # noqa: S105  (a name)  # how a connector's verify sees the last part of the address; never from a sender
AGAIN_SECONDS = 5  # a failover or a restart of the database is over in some seconds; vendors wait longer by themselves
KEPT_SECONDS = 2.0  # how long a connection's secrets are used before they are read again
_NEXT = {405: [(b"allow", b"POST")], 503: [(b"retry-after", str(AGAIN_SECONDS).encode())]}
_NEVER_STORED = {"authorization", "cookie", "proxy-authorization", PATH_SECRET}


@dataclass(frozen=True, slots=True)
class Entrance:
    """How pushes of one connection are checked. `path_secret` is the secret its address ends with, if it has one."""

    webhook: Webhook
    secrets: Mapping[str, Any]
    path_secret: str | None


class Entrances:
    """The connections that take pushes, read from the database and kept for a moment."""

    def __init__(self, pool: Pool, vault: Vault, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._vault = vault
        self._monotonic = monotonic
        self._known: dict[str, Entrance] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def of(self, connection: str) -> Entrance | None:
        if self._monotonic() - self._read_at > KEPT_SECONDS:
            async with self._reading:
                if self._monotonic() - self._read_at > KEPT_SECONDS:
                    await self._read()
        return self._known.get(connection)

    async def _read(self) -> None:
        """Read the connections anew. Without the database those known before do: what they let in is not stored either,
        and one question at a time would keep every sender waiting for the one before. Raises psycopg.OperationalError.
        """
        try:
            async with self._pool.connection(timeout=KEPT_SECONDS) as db:
                stored = await load_connections(db, self._vault)
        except psycopg.OperationalError:
            if not self._known:
                raise
            self._read_at = self._monotonic()
            return
        known = {}
        for name, each in stored.items():
            webhook = registry.connector(each.vendor).webhook
            if webhook is not None:
                secrets = {**each.config, **each.credentials}
                known[name] = Entrance(webhook, secrets, secrets.get("push_secret"))
        self._known = known
        self._read_at = self._monotonic()


NOT_STORED = Refusal(503, "it could not be stored; send it again")
Look = Callable[[str], Awaitable[Entrance | None]]


class Door:
    """ASGI: `POST /in/{connection}` and `POST /in/{connection}/{secret}`; everything else goes on to the app behind."""

    def __init__(self, app: ASGIApp, *, look: Look, shelf: Shelf, now: Callable[[], datetime]) -> None:
        self._app = app
        self._look = look
        self._shelf = shelf
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/in/"):
            await self._take(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, _, secret = scope["path"][4:].partition("/")
        if scope["method"] != "POST":
            await _say(send, Refusal(405, "pushes are sent by POST"))
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        try:
            entrance = await self._look(name)
        except psycopg.OperationalError:
            await _say(send, NOT_STORED)
            return
        limit = 1_000_000 if entrance is None else entrance.webhook.max_body
        body = await _body(headers, receive, limit)
        if isinstance(body, Refusal):
            await _say(send, body)
            return
        if entrance is None:
            hmac.new(
                b"nobody", body, "sha256"
            ).digest()  # what a known connection's check costs, so that time tells nothing
        if entrance is None or not _knows(entrance, secret):
            # One answer for an unknown connection and a wrong secret: a stranger learns nothing of either.
            await _say(send, Refusal(401, "the signature is missing or wrong"))
            return
        headers.pop(PATH_SECRET, None)
        shown = {**headers, PATH_SECRET: secret} if secret else headers
        accepted = let_in(entrance.webhook, shown, body, entrance.secrets, self._now())
        if isinstance(accepted, Refusal):
            await _say(send, accepted)
            return
        kept = {key: value for key, value in headers.items() if key not in _NEVER_STORED}
        try:
            await self._shelf.put(name, _one_id(accepted.event_ids), body, kept)
        except psycopg.Error as error:
            lost = isinstance(error, psycopg.OperationalError)
            log.warning("a push could not be stored; the vendor will send it again", connection=name,
                        reason=type(error).__name__, exc_info=not lost)  # fmt: skip
            await _say(send, NOT_STORED)
            return
        content_type, text = accepted.answer
        await _send(send, 200, content_type, text)


def _knows(entrance: Entrance, secret: str) -> bool:
    """Whether a secret in the address is the right one; without one, the connector's own check decides."""
    if not secret:
        return True
    return entrance.path_secret is not None and hmac.compare_digest(secret.encode(), entrance.path_secret.encode())


def _one_id(ids: tuple[str, ...]) -> str:
    """The id a push is stored under: a vendor's own, or one made of all of them when a body carries several events."""
    return ids[0] if len(ids) == 1 else f"several {hashlib.sha256(chr(0).join(ids).encode()).hexdigest()}"


async def _body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes | Refusal:
    too_big = Refusal(413, f"at most {limit} bytes are accepted")
    length = headers.get("content-length", "0")
    # isdigit() alone takes a superscript two, which int() does not.
    if not (length.isascii() and length.isdigit()) or int(length) > limit:
        return too_big
    message: Message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > limit:
            return too_big
    return body


async def _say(send: Send, refusal: Refusal) -> None:
    body = orjson.dumps(problem(refusal.status, refusal.reason, title="Push refused"))
    await _send(send, refusal.status, MEDIA_TYPE, body, _NEXT.get(refusal.status, []))


async def _send(
    send: Send, status: int, content_type: str, body: bytes, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode()), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
