"""From a vendor's codes to what to do next: one table per vendor. Pure.

A code wins over a status; a status the vendor's table does not name falls back on HTTP's own meaning below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from accord.connect.failures import http_date, retry_after
from accord.engine.outcomes import Absent, Committed, Misconfigured, Outcome, Rejected, Transient, Unknown


class Then(Enum):
    """What to do after an answer of this kind."""

    REJECT = "rejected: the same will be refused again"
    RETRY = "transient: surely not done, may succeed later"
    SLOW_DOWN = "transient: surely not done, and the budget must shrink"
    DOWN = "transient: surely not done, the vendor is not there for anyone"
    PAUSE = "misconfigured: the connection itself is wrong"
    ASK = "unknown: may have been done, probe first"
    GONE = "absent: the object is not there"
    DONE = "committed: the vendor already holds it"


@dataclass(frozen=True, slots=True)
class VendorError:
    """One error as the vendor put it: its code, its words, the vendor fields at fault."""

    code: str
    message: str
    fields: tuple[str, ...] = ()


ReadErrors = Callable[[Any], tuple[VendorError, ...]]

# HTTP's own meaning (RFC 9110, 6585). 5xx is "ask": a gateway answers 502 or 504, and some proxies 503, after the
# request went through. A 503 with Retry-After was written by someone who turned the request away: that is "down".
BY_STATUS: Mapping[int, Then] = {
    300: Then.REJECT,
    401: Then.PAUSE,
    403: Then.PAUSE,
    404: Then.REJECT,
    405: Then.PAUSE,
    407: Then.PAUSE,
    408: Then.ASK,
    410: Then.REJECT,
    425: Then.RETRY,
    429: Then.SLOW_DOWN,
}


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """A vendor's error codes. `read` finds the errors in a parsed body (None when the body was not JSON).

    `classify` has the shape `Connector.classify` wants: (status, lower-case headers, parsed body) -> Outcome.
    """

    read: ReadErrors
    codes: Mapping[str, Then] = field(default_factory=dict)
    statuses: Mapping[int, Then] = field(default_factory=dict)

    def classify(self, status: int, headers: Mapping[str, str], body: Any) -> Outcome:
        """The outcome of an HTTP answer that is not a success. The first error whose code is known decides."""
        errors = self._errors(status, body)
        known = next((each for each in errors if each.code in self.codes), errors[0])
        wait = retry_after(headers.get("retry-after"), http_date(headers.get("date")))
        return self.outcome(known, status=status, retry_after_seconds=wait, others=errors)

    def outcome(
        self,
        error: VendorError,
        *,
        status: int = 400,
        retry_after_seconds: float | None = None,
        others: tuple[VendorError, ...] = (),
    ) -> Outcome:
        """The outcome of one error, for the members of a batch that was answered with 200 as well."""
        then = self.codes.get(error.code) or self._by_status(status, retry_after_seconds)
        every = others or (error,)
        words = "; ".join(dict.fromkeys(each.message for each in every if each.message)) or error.code
        fields = tuple(dict.fromkeys(name for each in every for name in each.fields))
        return _outcome(then, error.code, words, fields, retry_after_seconds)

    def _by_status(self, status: int, wait: float | None) -> Then:
        if status in self.statuses:
            return self.statuses[status]
        if status == 503 and wait is not None:
            return Then.DOWN
        return BY_STATUS.get(status, Then.ASK if status >= 500 or status < 300 else Then.REJECT)

    def _errors(self, status: int, body: Any) -> tuple[VendorError, ...]:
        try:
            errors = self.read(body) if body is not None else ()
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            errors = ()  # an error page in an unknown shape still has its status
        return errors or (VendorError(f"HTTP_{status}", f"the vendor answered {status}"),)


def _outcome(then: Then, code: str, words: str, fields: tuple[str, ...], wait: float | None) -> Outcome:
    sentence = words if code in words else f"{code}: {words}"
    match then:
        case Then.REJECT:
            return Rejected(code, words, fields)
        case Then.RETRY:
            return Transient(sentence, wait)
        case Then.SLOW_DOWN:
            return Transient(sentence, wait, overload=True)
        case Then.DOWN:
            return Transient(sentence, wait, outage=True)
        case Then.PAUSE:
            return Misconfigured(code, words)
        case Then.ASK:
            return Unknown(sentence)
        case Then.GONE:
            return Absent(sentence)
        case Then.DONE:
            return Committed(details={"note": sentence})
