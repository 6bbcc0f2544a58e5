"""What every request passes first: an id for it, a limit to its body, headers that are always there."""

from __future__ import annotations

import re
import secrets

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accord.api.problems import MEDIA_TYPE, problem

MAX_BODY_BYTES = 1_000_000
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class BodyTooLarge(Exception):
    """The body went over the limit while it was read."""


class Edge:
    """ASGI middleware: request ids, body limit, and headers against sniffing."""

    def __init__(self, app: ASGIApp, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = over = False

        async def told(message: Message) -> None:
            nonlocal began
            if over and not began:
                # Whatever the app made of a body that was cut off, this is what was wrong with it.
                began = True
                await self._refuse(scope, headed)
            elif not over:
                began = True
                await headed(message)

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._max:
            await self._refuse(scope, headed)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen, over
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max:
                over = True
                raise BodyTooLarge
            return message

        try:
            await self._app(scope, counted, told)
        except BodyTooLarge:
            if not began:
                await self._refuse(scope, headed)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")

    async def _refuse(self, scope: Scope, send: Send) -> None:
        detail = f"At most {self._max} bytes are accepted."
        body = orjson.dumps(problem(413, detail, title="Body too large", instance=scope["path"]))
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
