"""The question a session asks of whatever proves who it is, and the two simplest answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from accord.connect.answer import Answer

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The request about to be sent: what a signature is made over."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


Exchange = Callable[[Outgoing], Awaitable[Answer]]
"""Sends one request without credentials; raises NotSent or AnswerLost as Session.call does."""


class Authenticator(Protocol):
    """What a session asks. `prepare` makes sure there is something to sign with; `sign` gives the headers."""

    async def prepare(self, exchange: Exchange, now: Clock) -> None: ...

    def sign(self, request: Outgoing, now: Clock) -> Mapping[str, str]: ...

    def ticket(self) -> int:
        """Which token `sign` uses now; given back to `renew` when the vendor refused it."""
        ...

    async def renew(self, ticket: int, answer: Answer, exchange: Exchange, now: Clock) -> bool:
        """After a 401: get something better to sign with. False when there is nothing to be had."""
        ...

    def worked(self, ticket: int) -> None:
        """The vendor accepted what was signed with this token."""

    def secrets(self) -> tuple[str, ...]:
        """Values that must never be shown."""
        ...

    def address(self) -> str | None:
        """The base URL the vendor told us to use from now on, if it did."""
        ...


class Unchanging:
    """An authenticator with nothing to renew."""

    async def prepare(self, exchange: Exchange, now: Clock) -> None:
        """Nothing to fetch."""

    def ticket(self) -> int:
        return 0

    async def renew(self, ticket: int, answer: Answer, exchange: Exchange, now: Clock) -> bool:  # noqa: ARG002
        return False

    def worked(self, ticket: int) -> None:
        """Nothing to remember."""

    def address(self) -> str | None:
        return None


class NoAuth(Unchanging):
    """For a vendor that asks for nothing."""

    def sign(self, request: Outgoing, now: Clock) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def secrets(self) -> tuple[str, ...]:
        return ()


class StaticBearer(Unchanging):
    """`Authorization: Bearer KEY` on every call."""

    def __init__(self, key: str) -> None:
        self._key = key

    def sign(self, request: Outgoing, now: Clock) -> Mapping[str, str]:  # noqa: ARG002
        return {"Authorization": f"Bearer {self._key}"}

    def secrets(self) -> tuple[str, ...]:
        return (self._key,)
