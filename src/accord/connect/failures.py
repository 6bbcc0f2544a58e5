"""A call that got no answer, by what may have happened at the vendor; and what the engine does about it.

CallFailed
├── NotSent                surely nothing happened at the vendor                         -> Transient
│   ├── AccessRefused      no token, or the vendor does not know us                      -> Misconfigured
│   ├── NotTrusted         the certificate is not signed by an authority we trust        -> Misconfigured
│   └── ForeignAddress     an address outside the connection: no credential goes there   -> Misconfigured
└── AnswerLost             the request began to be written: it may have happened         -> Unknown
    └── AnswerUnreadable   an answer came that cannot be understood                      -> Unknown
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from accord.engine.outcomes import Misconfigured, Outcome, Transient, Unknown

# What reading an answer of another shape than the vendor's own raises: a member missing, of another type, too big.
UNSHAPED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class CallFailed(Exception):
    """A call to a vendor ended without a usable answer. The message holds no secret."""


class NotSent(CallFailed):
    """Surely nothing happened at the vendor: the request was never begun. It may be sent again.

    `overload` says that the vendor asked us to slow down, `retry_after_seconds` is its word for how long; `outage` says
    that the vendor could not be reached.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after_seconds: float | None = None,
        overload: bool = False,
        outage: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.overload = overload
        self.outage = outage


class AccessRefused(NotSent):
    """The vendor gave us no access token, so the call itself was never sent; `code` is the vendor's."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class NotTrusted(NotSent):
    """The vendor's certificate is not trusted: give `ca_file`, or find out who answers there."""


class ForeignAddress(NotSent):
    """The address does not belong to the connection; credentials are sent to the configured host only."""


class AnswerLost(CallFailed):
    """The request began to be written and no whole answer came: it may have happened. Probe before sending again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AnswerUnreadable(AnswerLost):
    """An answer came that cannot be understood (not JSON, too long): what happened is not known from it."""


class Refused(CallFailed):
    """The vendor answered, and it is no success; `outcome` is the class the connector's error table gives it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


def outcome_of(error: CallFailed) -> Outcome:
    """What the engine is told when a call failed this way."""
    match error:
        case Refused():
            return error.outcome
        case AccessRefused():
            return Misconfigured(error.code, error.reason)
        case ForeignAddress():
            return Misconfigured("foreign_address", error.reason)
        case NotTrusted():
            return Misconfigured("certificate_not_trusted", error.reason)
        case NotSent():
            return Transient(error.reason, error.retry_after_seconds, error.overload, error.outage)
        case _:
            return Unknown(str(error))


def retry_after(value: str | None, now: datetime | None) -> float | None:
    """Seconds to wait by a Retry-After header, given in seconds or as an HTTP date (RFC 9110, 10.2.3).

    `now` should be the vendor's own clock (its Date header); without it a date says nothing. Never negative; None when
    the header is missing or unreadable. Fractions are accepted: some vendors send them.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(http_date(value), now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def http_date(value: str | None) -> datetime | None:
    """The moment an HTTP date names, aware; None when it is none."""
    try:
        at = parsedate_to_datetime(value or "")
    except (ValueError, TypeError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _seconds_until(at: datetime | None, now: datetime | None) -> float:
    return math.nan if at is None or now is None else (at - now).total_seconds()
