"""One connection's authenticated calls to its vendor: what surely did not happen is told from what may have happened.

A call goes: token, slot of the shared budget, connection, last look at the lease, request, answer. Up to the last look
a failure is NotSent; from the first byte of the request on it is AnswerLost. Any HTTP status is an answer.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from accord.connect.answer import Answer
from accord.connect.authenticator import Authenticator, Outgoing
from accord.connect.egress import Egress
from accord.connect.failures import (
    AccessRefused,
    AnswerLost,
    AnswerUnreadable,
    CallFailed,
    ForeignAddress,
    NotSent,
    NotTrusted,
    Refused,
    outcome_of,
)
from accord.connect.paths import path_template
from accord.connect.redaction import Redaction
from accord.connect.slots import Slots, Unlimited
from accord.connect.transport import ConnectionDropped, Sending, Transport, Wire
from accord.connect.wire import write_form, write_json, write_query
from accord.engine.outcomes import Committed, Misconfigured, Outcome, Rejected, Transient, Unknown
from accord.settings import Settings

__all__ = [
    "AccessRefused",
    "Answer",
    "AnswerLost",
    "AnswerUnreadable",
    "CallFailed",
    "CallRecord",
    "ForeignAddress",
    "NotSent",
    "NotTrusted",
    "Refused",
    "Session",
    "outcome_of",
]

log = logging.getLogger(__name__)

Query = Mapping[str, Any] | Iterable[tuple[str, Any]]
_SAFE_TO_REPEAT = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call as metrics see it. `status` is None when there was no answer; `seconds` includes reading the body."""

    connection: str
    method: str
    path_template: str
    endpoint: str
    status: int | None
    seconds: float


class Session:
    """Calls to one vendor for one connection and worker. Close it with `async with` or `close()`.

    `may_send()` tells whether this worker still holds its lease, without asking anybody; `classify` is the connector's;
    `secrets` are hidden from everything logged or raised, with every token got later; `egress` says which addresses may
    be reached, by this process's own settings when it is not given.
    """

    def __init__(
        self,
        connection: str,
        *,
        base_url: str,
        authenticator: Authenticator,
        now: Callable[[], datetime],
        classify: Callable[[int, Mapping[str, str], Any], Outcome],
        config: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        slots: Slots | None = None,
        may_send: Callable[[], bool] = lambda: True,
        on_call: Callable[[CallRecord], None] | None = None,
        max_answer_bytes: int = 64_000_000,
        wire: Wire | None = None,
        egress: Egress | None = None,
    ) -> None:
        self.connection = connection
        self.config: Mapping[str, Any] = config or {}
        self.now = now
        self.slots = slots or Unlimited()
        self._base_url = base_url.rstrip("/")
        self._authenticator = authenticator
        self._classify = classify
        self._headers = {"Accept": "application/json", "User-Agent": "accord", **(headers or {})}
        self._redaction = Redaction([*secrets, *authenticator.secrets()])
        self.may_send = may_send
        self._on_call = on_call
        self._wire = wire or _transport(self.config.get("ca_file"), max_answer_bytes, egress)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; calls still open end as AnswerLost."""
        await self._wire.close()

    @property
    def authenticator(self) -> Authenticator:
        """What proves who we are: for a connector whose vendor is not called over HTTP."""
        return self._authenticator

    @property
    def base_url(self) -> str:
        """Where calls go: the configured address, or the one the vendor named when it gave us a token."""
        return (self._authenticator.address() or self._base_url).rstrip("/")

    async def call(
        self,
        method: str,
        path_or_url: str,
        *,
        query: Query = (),
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        endpoint: str = "",
        timeout_seconds: float = 30.0,
    ) -> Answer:
        """One call. A path is added to the base URL (already percent-encoded); a URL must be of the same origin.

        Redirects are not followed. A 401 about the token renews it once, for all callers. Raises NotSent or AnswerLost
        for what has no answer, neither for any HTTP status.
        """
        payload, kind = _payload(json, form, body)
        named = {**self._headers, **kind, **(headers or {})}
        await self._prepare()
        request = Outgoing(method.upper(), self._address(path_or_url, query), named, payload)
        ticket = self._authenticator.ticket()
        answer = await self._send(request, endpoint, timeout_seconds)
        if answer.status != 401:
            self._authenticator.worked(ticket)
        elif await self._renew(ticket, answer):
            answer = await self._send(request, endpoint, timeout_seconds)
        self._tell_overload(answer)
        return answer

    async def outcome(
        self, calling: Awaitable[Answer], committed: Callable[[Answer], Outcome] = lambda _: Committed()
    ) -> Outcome:
        """The outcome of one call: `committed(answer)` for a 2xx, the connector's classes for the rest, never a raise.

        `await session.outcome(session.call("PUT", path, json=body), lambda answer: Committed(answer.json()["id"]))`
        """
        try:
            answer = await calling
            return committed(answer) if answer.ok else self.classify(answer)
        except CallFailed as error:
            return outcome_of(error)

    async def expect(self, calling: Awaitable[Answer]) -> Answer:
        """The answer of a call that must succeed, for readers: raises Refused with its outcome when it did not.

        `records = (await session.expect(session.call("GET", path))).json()`
        """
        answer = await calling
        if not answer.ok:
            raise Refused(self.classify(answer))
        return answer

    def classify(self, answer: Answer) -> Outcome:
        """The connector's outcome for an answer that is not a success, without secrets."""
        try:
            body = answer.json()
        except AnswerUnreadable:
            body = None
        return self._shown(self._classify(answer.status, answer.headers, body))

    def overloaded(self, retry_after_seconds: float | None = None) -> None:
        """Tell the budget about an overload found inside a 200 answer (one member of a batch, say)."""
        self.slots.overloaded(retry_after_seconds)

    def redact(self, text: str) -> str:
        """The text without any secret of this connection."""
        return self._redaction.text(text)

    def secrets(self) -> tuple[str, ...]:
        """What must never be shown of how it logs in, with the token it holds now."""
        return self._authenticator.secrets()

    async def _prepare(self) -> None:
        """Have a token before taking a slot, so that a budget of one call can still buy one."""
        failed: CallFailed | None = None
        try:
            await self._authenticator.prepare(self._exchange, self.now)
        except CallFailed as error:
            failed = error
        self._learn()
        if failed is not None:
            raise self._redacted(failed)

    async def _renew(self, ticket: int, answer: Answer) -> bool:
        """A renewal that fails leaves the 401 as it is, unless the token endpoint could not be reached."""
        try:
            return await self._authenticator.renew(ticket, answer, self._exchange, self.now)
        except CallFailed as error:
            raise self._redacted(error) from None
        finally:
            self._learn()

    def _learn(self) -> None:
        self._redaction.learn(*self._authenticator.secrets())

    async def _exchange(self, request: Outgoing) -> Answer:
        """A call of the authenticator: no credential of ours added, outside the vendor's call budget."""
        return await self._once(request, "token", 30.0)

    async def _send(self, request: Outgoing, endpoint: str, timeout_seconds: float) -> Answer:
        try:
            return await self._in_slot(request, endpoint, timeout_seconds)
        except _StaleConnection as error:
            stale = error.reason
        if request.method not in _SAFE_TO_REPEAT:
            raise AnswerLost(stale)
        return await self._in_slot(request, endpoint, timeout_seconds, fresh=True)

    async def _in_slot(
        self, request: Outgoing, endpoint: str, timeout_seconds: float, *, fresh: bool = False
    ) -> Answer:
        async with self.slots.slot(endpoint):
            proof = self._authenticator.sign(request, self.now)
            signed = replace(request, headers={**request.headers, **proof})
            return await self._once(signed, endpoint, timeout_seconds, fresh=fresh)

    async def _once(self, request: Outgoing, endpoint: str, timeout_seconds: float, *, fresh: bool = False) -> Answer:
        """Send one request once. What went wrong is raised outside the handler: aiohttp's errors hold requests."""
        started = time.perf_counter()
        sending = Sending(self._still_leased)
        answer: Answer | None = None
        failed: CallFailed | None = None
        try:
            answer = await self._wire.send(request, sending, timeout_seconds)
        except CallFailed as error:
            failed = error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failed = self._failure(error, sending, fresh=fresh)
        self._record(request, endpoint, answer, time.perf_counter() - started)
        if answer is not None:
            return answer
        assert failed is not None
        raise self._redacted(failed)

    def _failure(self, error: Exception, sending: Sending, *, fresh: bool) -> CallFailed:
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return NotTrusted(words)
        if not sending.begun:
            return NotSent(words, outage=True)
        stale = sending.reused and not fresh and isinstance(error, ConnectionDropped)
        return _StaleConnection(words) if stale else AnswerLost(words)

    def _still_leased(self) -> None:
        """The last look before the first byte: a worker that was stopped and woken up must not send any more."""
        if not self.may_send():
            raise NotSent("the lease of this worker ran out before the call was sent")

    def _address(self, path_or_url: str, query: Query) -> str:
        base = self.base_url
        url = path_or_url if "://" in path_or_url else f"{base}/{path_or_url.lstrip('/')}"
        if _origin(url) != _origin(base):
            raise ForeignAddress(f"{urlsplit(url).hostname} does not belong to the connection {self.connection}")
        text = write_query(query)
        return f"{url}{'&' if '?' in url else '?'}{text}" if text else url

    def _tell_overload(self, answer: Answer) -> None:
        if answer.status < 400:
            return
        outcome = self.classify(answer)
        if isinstance(outcome, Transient) and outcome.overload:
            self.slots.overloaded(outcome.retry_after_seconds)

    def _record(self, request: Outgoing, endpoint: str, answer: Answer | None, seconds: float) -> None:
        template = self.redact(path_template(request.url))
        status = answer.status if answer else None
        log.debug("%s %s %s %s in %.3f s", self.connection, request.method, template, status, seconds)
        if self._on_call is not None:
            self._on_call(CallRecord(self.connection, request.method, template, endpoint, status, seconds))

    def _redacted(self, error: CallFailed) -> CallFailed:
        reason = self.redact(str(error))
        match error:
            case AccessRefused():
                return AccessRefused(self.redact(error.code), reason)
            case NotSent() if type(error) is NotSent:
                return NotSent(
                    reason,
                    retry_after_seconds=error.retry_after_seconds,
                    overload=error.overload,
                    outage=error.outage,
                )
            case _:
                return type(error)(reason)

    def _shown(self, outcome: Outcome) -> Outcome:
        match outcome:
            case Rejected():
                return replace(outcome, code=self.redact(outcome.code), message=self.redact(outcome.message))
            case Misconfigured():
                return replace(outcome, code=self.redact(outcome.code), message=self.redact(outcome.message))
            case Transient() | Unknown():
                return replace(outcome, reason=self.redact(outcome.reason))
            case _:
                return outcome


class _StaleConnection(AnswerLost):
    """A kept-alive connection was closed under our request: a read may be sent again on a new one."""


def _payload(json: Any, form: Mapping[str, Any] | None, body: bytes | None) -> tuple[bytes | None, dict[str, str]]:
    if form is not None:
        return write_form(form), {"Content-Type": "application/x-www-form-urlencoded"}
    if json is not None:
        return write_json(json), {"Content-Type": "application/json"}
    return body, {}


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = URL(url, encoded=True)
    return parts.scheme, parts.host, parts.port


def _transport(ca_file: str | None, max_answer_bytes: int, egress: Egress | None) -> Transport:
    return Transport(_trust(ca_file), max_answer_bytes, egress or Egress.of(Settings(), ca_file))


def _trust(ca_file: str | None) -> ssl.SSLContext:
    """The system's authorities, or only those of `ca_file` (a simulator's, a firm's own)."""
    return ssl.create_default_context(cafile=ca_file)
