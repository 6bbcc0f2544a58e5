"""What NetSuite answers when it does not do what was asked: `{type, title, status, "o:errorDetails": [...]}`.

Shape and the codes INVALID_LOGIN, INVALID_CONTENT and IDEMPOTENCY_ERROR are documented; the others are what integrators
report (vendors.md 2.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

from accord.sandbox.kit.simulator import Response

ERROR_TYPE = "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html"
LOGIN_REFUSED = (
    "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite UI at Setup > Users/Roles > "
    "User Management > View Login Audit Trail."
)
TOO_MANY = "Concurrent request limit exceeded. Request blocked."


class Refused(Exception):
    """A request NetSuite turns down. `path` is the field at fault (`item.items[0].item`), `place` how it is named:
    o:errorPath for the body, o:errorUrl, o:errorHeader or o:errorQueryParam for the rest."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        path: str | None = None,
        *,
        place: str = "o:errorPath",
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.path, self.place = status, code, detail, path, place
        self.title = title or HTTPStatus(status).phrase
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        details: dict[str, Any] = {"detail": self.detail}
        if self.path is not None:
            details[self.place] = self.path
        details["o:errorCode"] = self.code
        return {"type": ERROR_TYPE, "title": self.title, "status": self.status, "o:errorDetails": [details]}

    def response(self) -> Response:
        headers = {"content-type": "application/vnd.oracle.resource+json; type=error; charset=UTF-8"}
        return Response(self.status, orjson.dumps(self.body()), {**headers, **self.headers})


def invalid(path: str, why: str = "Provide a valid value.") -> Refused:
    """A value of the body that does not fit its field."""
    detail = f"Error while accessing a resource. Invalid value for the resource or sub-resource field '{path}'. {why}"
    return Refused(400, "INVALID_CONTENT", detail, path)


def unknown_field(path: str) -> Refused:
    """A field the record does not have, under X-NetSuite-PropertyNameValidation: Error."""
    return Refused(400, "NONEXISTENT_FIELD", f"Unknown reference or field '{path}'.", path)


def broken_rule(why: str, path: str | None = None) -> Refused:
    """A business rule of the account."""
    return Refused(400, "USER_ERROR", f"Error while accessing a resource. {why}", path)


def missing(*names: str) -> Refused:
    return broken_rule(f"Please enter value(s) for: {', '.join(names)}.", names[0])


def already_exists(what: str, code: str = "USER_ERROR") -> Refused:
    return Refused(400, code, f"Error while accessing a resource. {what} already exists.")


def not_there(url: str) -> Refused:
    detail = "The record instance does not exist. Provide a valid record instance ID."
    return Refused(404, "NONEXISTENT_ID", detail, url, place="o:errorUrl")


def bad_parameter(name: str, why: str) -> Refused:
    return Refused(400, "INVALID_PARAMETER", why, name, place="o:errorQueryParam")


def bad_header(name: str, why: str) -> Refused:
    return Refused(400, "INVALID_HEADER", why, name, place="o:errorHeader")


def login_refused(challenge: str | None = None) -> Refused:
    """HTTP 401. `challenge` goes into WWW-Authenticate; the 401 that overload causes carries none (vendors.md 2.5)."""
    headers = {"www-authenticate": challenge} if challenge else {}
    return Refused(401, "INVALID_LOGIN", LOGIN_REFUSED, headers=headers)
