"""An access token bought from an OAuth 2 token endpoint: kept in memory, renewed once for all callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accord.connect.answer import Answer
from accord.connect.authenticator import Clock, Exchange, Outgoing
from accord.connect.failures import AccessRefused, AnswerLost, NotSent, http_date, retry_after

# Renew this long before the vendor's own expiry, so that a token does not die between the check and the call.
_EARLY = timedelta(seconds=60)
# A token bought because the last one was refused, and refused itself at once, will not get better by buying another.
_PATIENCE = timedelta(seconds=30)
# No vendor's token lives longer; beyond year 9999 there is no date to keep.
_LONGEST = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and when to stop using it (None: the vendor does not say, it will answer 401)."""

    value: str = field(repr=False)
    good_until: datetime | None = None
    kind: str = "Bearer"


MakeRequest = Callable[[datetime], Outgoing]


class TokenGrant:
    """Buys a token at a token endpoint, keeps it in memory, and buys the next one for all callers at once.

    `about_token(answer)` says whether a 401 is about the token at all: Salesforce answers 401 for an app that is not
    approved, NetSuite under overload (vendors.md 1.2, 2.5); such an answer is handed to the caller instead.
    `base_url_member` names the member of the token reply that holds the host to use from then on.
    """

    def __init__(
        self, make_request: MakeRequest, *, hidden: tuple[str, ...] = (),
        about_token: Callable[[Answer], bool] = lambda _: True, base_url_member: str | None = None,
    ) -> None:  # fmt: skip
        self._make_request = make_request
        self._hidden = hidden
        self._about_token = about_token
        self._base_url_member = base_url_member
        self._token: Token | None = None
        self._address: str | None = None
        self._ticket = 0
        self._refused_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def prepare(self, exchange: Exchange, now: Clock) -> None:
        """Raises AccessRefused when the vendor gives us no token, NotSent when it cannot be asked."""
        if self._usable(now()) is not None:
            return
        async with self._lock:
            if self._usable(now()) is None:
                await self._buy(exchange, now)

    def sign(self, request: Outgoing, now: Clock) -> Mapping[str, str]:  # noqa: ARG002
        if self._token is None:
            raise NotSent("there is no access token")
        return {"Authorization": f"{self._token.kind} {self._token.value}"}

    def ticket(self) -> int:
        return self._ticket

    async def renew(self, ticket: int, answer: Answer, exchange: Exchange, now: Clock) -> bool:
        if not self._about_token(answer):
            return False
        async with self._lock:
            if ticket != self._ticket:
                return True  # somebody else renewed it while we waited
            if self._refused_at is not None and now() - self._refused_at < _PATIENCE:
                return False
            self._token = None
            await self._buy(exchange, now)
            self._refused_at = now()
            return True

    def worked(self, ticket: int) -> None:
        if ticket == self._ticket:
            self._refused_at = None

    def secrets(self) -> tuple[str, ...]:
        return self._hidden + ((self._token.value,) if self._token else ())

    def address(self) -> str | None:
        return self._address

    def _usable(self, at: datetime) -> Token | None:
        token = self._token
        return token if token and (token.good_until is None or at < token.good_until) else None

    async def _buy(self, exchange: Exchange, now: Clock) -> None:
        asked_at = now()
        try:
            answer = await exchange(self._make_request(asked_at))
            reply = answer.json()
        except AnswerLost as error:
            raise NotSent(f"no answer to the request for a token: {error.reason}", outage=True) from None
        if not answer.ok:
            raise _refusal(answer, reply)
        token, address = _token(reply, asked_at), reply.get(self._base_url_member)
        if address is not None and not (isinstance(address, str) and address.startswith("https://")):
            raise AccessRefused(
                "no_address", f"the token endpoint answered with a {self._base_url_member} that is none"
            )
        self._token, self._address = token, address
        self._ticket += 1


def _token(reply: Any, asked_at: datetime) -> Token:
    value = reply.get("access_token") if isinstance(reply, Mapping) else None
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value.strip():
        raise AccessRefused("no_token", "the token endpoint answered without an access_token")
    try:
        life = min(timedelta(seconds=int(reply["expires_in"])), _LONGEST)
    except (KeyError, TypeError, ValueError, OverflowError):
        return Token(value)  # Salesforce says nothing dependable: use it until it answers 401
    return Token(value, asked_at + max(life - _EARLY, life / 2))


def _refusal(answer: Answer, reply: Any) -> NotSent:
    """Why there is no token. 400, 401 and 403 will not pass by themselves (RFC 6749, 5.2); the rest may."""
    said = reply if isinstance(reply, Mapping) else {}
    code = str(said.get("error") or f"HTTP_{answer.status}")
    words = f"no access token: {said.get('error_description') or code}"
    if answer.status in (400, 401, 403, 404):
        return AccessRefused(code, words)
    wait = retry_after(answer.headers.get("retry-after"), http_date(answer.headers.get("date")))
    crowded = answer.status == 429
    return NotSent(words, retry_after_seconds=wait, overload=crowded, outage=not crowded)
