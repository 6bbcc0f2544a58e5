"""Refusals in the vendor's own words: an HTTP status and a list of `{message, errorCode, fields?}` (vendors.md 1.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Refused(Exception):
    """Salesforce refuses a request or one record of it. `fields` is None where the vendor leaves the member out."""

    def __init__(
        self, code: str, message: str, fields: Sequence[str] | None = None, status: int = 400, **more: Any
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = None if fields is None else list(fields)
        self.status = status
        self.more = more

    def body(self) -> list[dict[str, Any]]:
        """The body of a call that was refused as a whole."""
        error: dict[str, Any] = {"message": self.message, "errorCode": self.code, **self.more}
        if self.fields is not None:
            error["fields"] = self.fields
        return [error]

    def member(self) -> dict[str, Any]:
        """The error of one record in a collection: `statusCode` here, `errorCode` at the top level."""
        return {"statusCode": self.code, "message": self.message, "fields": self.fields or []}


def not_found(message: str = "The requested resource does not exist") -> Refused:
    return Refused("NOT_FOUND", message, status=404)


def invalid_session() -> Refused:
    return Refused("INVALID_SESSION_ID", "Session expired or invalid", status=401)


def method_not_allowed(method: str, allowed: Sequence[str]) -> Refused:
    names = ",".join(sorted({*allowed, "HEAD"} if "GET" in allowed else set(allowed)))
    return Refused("METHOD_NOT_ALLOWED", f"HTTP Method '{method}' not allowed. Allowed are {names}", status=405)


def no_such_column(field: str, sobject: str) -> Refused:
    return Refused("INVALID_FIELD", f"No such column '{field}' on sobject of type {sobject}")


def malformed(message: str) -> Refused:
    return Refused("MALFORMED_QUERY", message)


def unreadable(message: str) -> Refused:
    return Refused("JSON_PARSER_ERROR", message)
