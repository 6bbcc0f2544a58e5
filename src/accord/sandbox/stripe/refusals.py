"""What Stripe answers when it does not do what was asked: `{error: {type, code, message, param, ...}}`."""

from __future__ import annotations

from typing import Any

DOC_URL = "https://stripe.com/docs/error-codes/"
RATE_LIMIT_ADVICE = "See https://stripe.com/docs/rate-limits."


class Refused(Exception):
    """A request Stripe turns down, with the body it answers.

    `began` says whether work had begun: such an answer is kept under the request's idempotency key, a failed
    validation is not (docs.stripe.com idempotent_requests).
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        began: bool = False,
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code, self.param = status, message, kind, code, param
        self.began = began
        self.headers = headers or {}
        self.more = more or {}

    def body(self, request_id: str) -> dict[str, Any]:
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = DOC_URL + self.code.replace("_", "-")
        if self.param:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": {**error, **self.more}}


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refused:
    """A parameter that does not fit: HTTP 400, nothing was begun."""
    return Refused(400, message, code=code, param=param)


def refused(message: str, code: str | None = None, param: str | None = None) -> Refused:
    """The object is not in a state that allows this: HTTP 400, kept under the idempotency key."""
    return Refused(400, message, code=code, param=param, began=True)


def not_there(label: str, object_id: str, param: str | None = None) -> Refused:
    """No object of that id: HTTP 404 when the address names it, 400 when a parameter does."""
    status = 404 if param is None else 400
    return Refused(status, f"No such {label}: '{object_id}'", code="resource_missing", param=param or "id")


def too_many(reason: str, code: str = "rate_limit") -> Refused:
    """HTTP 429. `rate_limit` is not to be retried at once, a `lock_timeout` is (vendors.md section 4)."""
    headers = {"stripe-should-retry": "true"} if code == "lock_timeout" else {"stripe-rate-limited-reason": reason}
    message = (
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it. If you see this error intermittently, retry the request."
        if code == "lock_timeout"
        else f"Request rate limit exceeded. {RATE_LIMIT_ADVICE}"
    )
    return Refused(429, message, code=code, headers=headers)


def server_error(status: int) -> Refused:
    """Stripe's own failure, kept under the idempotency key once work had begun (500)."""
    headers = {"stripe-should-retry": "false"} if status == 500 else {}
    message = "An unknown error occurred. Please contact support@stripe.com."
    return Refused(status, message, kind="api_error", began=status == 500, headers=headers)
