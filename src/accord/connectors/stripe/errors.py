"""What Stripe's errors mean for us: `{error: {type, code, message, param}}` (vendors.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.connect.errortable import ErrorTable, Then, VendorError
from accord.engine.outcomes import Outcome, Transient

CODES: Mapping[str, Then] = {
    "rate_limit": Then.SLOW_DOWN,
    "lock_timeout": Then.RETRY,
    "idempotency_key_in_use": Then.RETRY,
    # An earlier request under our key had other parameters: whether it was done has to be looked up.
    "idempotency_error": Then.ASK,
    "api_key_expired": Then.PAUSE,
    "insufficient_permissions": Then.PAUSE,
    "secret_key_required": Then.PAUSE,
    "platform_api_key_expired": Then.PAUSE,
    # A parameter we always send is not known any more, or the version is not: the connection, not the record.
    "parameter_unknown": Then.PAUSE,
    "resource_missing": Then.REJECT,
    "resource_already_exists": Then.REJECT,
    "invoice_not_editable": Then.REJECT,
    "card_declined": Then.REJECT,
}
STATUSES: Mapping[int, Then] = {402: Then.REJECT, 409: Then.RETRY, 424: Then.RETRY}


def read_errors(body: Any) -> tuple[VendorError, ...]:
    """The one error of a Stripe answer; its type stands in where it has no code."""
    error = body["error"]
    code = error.get("code") or error["type"]
    param = error.get("param")
    return (VendorError(str(code), str(error.get("message") or code), (str(param),) if param else ()),)


TABLE = ErrorTable(
    read=read_errors,
    codes=CODES,
    statuses=STATUSES,
)


def classify(status: int, headers: Mapping[str, str], body: Any) -> Outcome:
    """The outcome of an answer that is no success. `Stripe-Should-Retry: true` is Stripe's word that nothing
    was done."""
    outcome = TABLE.classify(status, headers, body)
    if headers.get("stripe-should-retry") == "true" and status < 500 and not isinstance(outcome, Transient):
        return Transient(str(getattr(outcome, "message", "Stripe asks to try again")))
    return outcome
