"""What NetSuite's errors mean: `{"o:errorDetails": [{"o:errorCode", detail, "o:errorPath"}]}` (vendors.md 2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.connect.errortable import ErrorTable, Then, VendorError
from accord.engine.outcomes import Outcome, Transient

# Too many at once, by whichever API's code: the REST 429's own is not documented (vendors.md 0.1).
_TOO_MANY = ("CONCURRENCY_LIMIT_EXCEEDED", "SSS_REQUEST_LIMIT_EXCEEDED", "WS_CONCUR_SESSION_DISALLWD",
             "WS_REQUEST_BLOCKED", "REQUEST_LIMIT_EXCEEDED")  # fmt: skip
_PLACES = ("o:errorPath", "o:errorQueryParam", "o:errorHeader")
CODES: Mapping[str, Then] = {
    **dict.fromkeys(_TOO_MANY, Then.SLOW_DOWN),
    "RCRD_HAS_BEEN_CHANGED": Then.RETRY,
    "INVALID_LOGIN": Then.PAUSE,
    "INVALID_LOGIN_ATTEMPT": Then.PAUSE,
    "INSUFFICIENT_PERMISSION": Then.PAUSE,
    # A field or a query of ours is not known any more: the account's schema, not the record.
    "NONEXISTENT_FIELD": Then.PAUSE,
    "INVALID_PARAMETER": Then.PAUSE,
    "INVALID_HEADER": Then.PAUSE,
    "USER_ERROR": Then.REJECT,
    "INVALID_CONTENT": Then.REJECT,
    "INVALID_KEY_OR_REF": Then.REJECT,
    "DUP_RCRD": Then.REJECT,
    "NONEXISTENT_ID": Then.REJECT,
    "IDEMPOTENCY_ERROR": Then.ASK,
    "UNEXPECTED_ERROR": Then.ASK,
}


def read_errors(body: Any) -> tuple[VendorError, ...]:
    """Every error of an answer; the token endpoint's `{error, error_description}` as well."""
    if "error" in body:
        return (VendorError(str(body["error"]), str(body.get("error_description") or body["error"])),)
    return tuple(
        VendorError(
            str(each.get("o:errorCode") or body["title"]),
            str(each.get("detail") or body["title"]),
            tuple(str(each[place]) for place in _PLACES if each.get(place)),
        )
        for each in body["o:errorDetails"]
    )


TABLE = ErrorTable(read=read_errors, codes=CODES, statuses={429: Then.SLOW_DOWN})


def classify(status: int, headers: Mapping[str, str], body: Any) -> Outcome:
    """The outcome of an answer that is no success.

    Under overload NetSuite has answered 401 instead of 429 (vendors.md 2.5). A login that is really refused comes with
    a challenge that names the error; one without it must not pause a connection that works.
    """
    if status == 401 and "error=" not in headers.get("www-authenticate", ""):
        return Transient("INVALID_LOGIN without a challenge: the account may be overloaded", overload=True)
    return TABLE.classify(status, headers, body)
