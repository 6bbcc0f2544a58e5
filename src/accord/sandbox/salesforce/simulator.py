"""A Salesforce org as a client sees it: sessions, versions, limits, routes, faults, outbound messages.

Shapes and behaviours: vendors.md sections 1 and 10.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from random import Random
from typing import Any
from urllib.parse import unquote

from accord.sandbox.kit.clock import WallClock
from accord.sandbox.kit.faults import Fault, Faults
from accord.sandbox.kit.simulator import Clock, Delivery, Request, Response
from accord.sandbox.salesforce import admin
from accord.sandbox.salesforce.batches import Collections
from accord.sandbox.salesforce.call import Call, Reply, write_json
from accord.sandbox.salesforce.composite import Composite
from accord.sandbox.salesforce.jobs import Jobs
from accord.sandbox.salesforce.limits import ApiLimits
from accord.sandbox.salesforce.org import Org, Writer
from accord.sandbox.salesforce.outbound import OutboundMessages
from accord.sandbox.salesforce.queries import Queries
from accord.sandbox.salesforce.records import Records
from accord.sandbox.salesforce.refusals import Refused, invalid_session, method_not_allowed, not_found
from accord.sandbox.salesforce.resources import Resources
from accord.sandbox.salesforce.rules import Rules
from accord.sandbox.salesforce.setup import populate
from accord.sandbox.salesforce.tokens import LOGIN_HOSTS, Tokens

API_VERSION = "67.0"
_VERSIONS = tuple(range(41, 69))  # Winter '27 is 68.0 (vendors.md 1.1)
_ADDRESS = re.compile(r"/services/data/v(\d+)\.0(?:/(.*))?")
_LONGEST_TARGET = 16_384  # characters of a request line; the vendor answers 414 beyond
_STATUS_CODES = {401: "INVALID_SESSION_ID", 403: "REQUEST_LIMIT_EXCEEDED", 500: "UNKNOWN_EXCEPTION"}


class SalesforceSimulator:
    """One org behind HTTP. `clock` dates the records; `wall` times sessions and limits."""

    vendor = "salesforce"

    def __init__(
        self,
        *,
        clock: Clock,
        wall: Clock | None = None,
        seed: int = 1,
        name: str = "Meridian Consulting Group",
        domain: str = "meridian.example",
        daily_requests: int | None = None,
        open_cursors: int = 10,
    ) -> None:
        self.clock = clock
        self.wall: Clock = wall or WallClock()
        self.random = Random(seed)
        self.faults = Faults()
        self.org = Org(clock, self.random, name)
        self.rules = Rules(self.org)
        self.records = Records(self.org, self.rules)
        self.queries = Queries(self.org, open_cursors)
        self.resources = Resources(self.org, self.records)
        self.collections = Collections(self.org, self.records, self.resources)
        self.jobs = Jobs(self.org, self.records, self.queries)
        self.limits = ApiLimits(self.wall)
        if daily_requests is not None:
            self.limits.daily_requests = daily_requests
        self.composite = Composite(self.org, self._handled, self.limits.count)
        self.outbound = OutboundMessages(self.org, self.faults)
        self.org.listener = self.outbound.changed
        user = populate(self.org, domain)
        self.tokens = Tokens(self.wall, self.random, self.org.id, user)
        self._handlers: dict[str, Callable[[Call], Reply]] = {
            "sobjects": self.resources.answer,
            "composite": self._composite,
            "jobs": self.jobs.answer,
            "query": lambda call: self._query(call, deleted=False),
            "queryAll": lambda call: self._query(call, deleted=True),
            "limits": lambda _: Reply(200, self.limits.shown()),
        }

    def enter(self, request: Request) -> Response | None:
        """Refuse when too many long requests run at once."""
        try:
            self.limits.enter(request)
        except Refused as refused:
            return self._response(Reply(refused.status, refused.body()))
        return None

    def leave(self, request: Request) -> None:
        self.limits.leave(request)

    def handle(self, request: Request) -> Response:
        """Answer one request, with the faults the vendor answers in its own words; lost and late answers are the
        front door's doing (kit/front.py)."""
        if self.faults.any():
            self._disturb(request)
            if refused := self.faults.take(request, "status"):
                return _refused_on_demand(refused)
        return self._response(self._answer(request))

    def _disturb(self, request: Request) -> None:
        if self.faults.take(request, "expire_tokens"):
            self.tokens.revoke()
        if drift := self.faults.take(request, "rename_field"):
            self.rename_field(drift.object, drift.field, drift.to)
        if self.faults.take(request, "partial_batch"):
            self.collections.every_second_fails = True

    def rename_field(self, object_name: str, old: str, new: str) -> None:
        """Schema drift: the field and its values are called otherwise from now on. Raises ValueError."""
        self.org.rename_field(object_name, old, new)

    def _answer(self, request: Request) -> Reply:
        """One request, one transaction."""
        # Who logs in at the login host is sent on to the org's own.
        at_login = request.host.split(":")[0] in LOGIN_HOSTS
        base_url = self.outbound.base_url if at_login else f"https://{request.host}"
        try:
            if len(request.raw_target) > _LONGEST_TARGET:
                return Reply(414, b"URI Too Long", {"content-type": "text/html"})
            if request.path.startswith("/services/oauth2/"):
                return self.tokens.answer(request, base_url)
            if request.path.rstrip("/") == "/services/data":
                return Reply(200, _versions())
            return self._authenticated(request)
        except Refused as refused:
            self.org.rollback(0)
            return Reply(refused.status, refused.body())
        finally:
            self.org.commit()

    def _authenticated(self, request: Request) -> Reply:
        found = _ADDRESS.fullmatch(request.path.rstrip("/"))
        if found is None or int(found.group(1)) not in _VERSIONS:
            raise not_found()
        user_id = self.tokens.session(request.headers)
        self.limits.count()
        parts = _parts(request, found.group(2) or "")
        writer = Writer(user_id, _client(request.headers), _may_duplicate(request.headers))
        version = float(found.group(1))
        return self._handled(
            Call(request.method, version, parts, dict(request.query), request.headers, writer, request.body)
        )

    def _handled(self, call: Call) -> Reply:
        """The router of single calls, of parts of composites too. Raises Refused."""
        if not call.parts:
            return Reply(200, {name: f"{call.prefix}/{name}" for name in self._handlers})
        handler = self._handlers.get(call.parts[0])
        if handler is None:
            raise not_found()
        return handler(call)

    def _composite(self, call: Call) -> Reply:
        if call.parts[1:2] == ("sobjects",):
            return self.collections.answer(call)
        return self.composite.answer(call)

    def _query(self, call: Call, *, deleted: bool) -> Reply:
        if call.method not in ("GET", "HEAD"):
            raise method_not_allowed(call.method, ["GET"])
        if len(call.parts) > 1:
            return self.queries.next_page(call.parts[1])
        return self.queries.first_page(call, deleted=deleted)

    def _response(self, reply: Reply) -> Response:
        headers = {"sforce-limit-info": self.limits.header, **reply.headers}
        if isinstance(reply.body, bytes):
            return Response(reply.status, reply.body, headers)
        if reply.body is None:
            return Response(reply.status, b"", headers)
        headers["content-type"] = "application/json;charset=UTF-8"
        return Response(reply.status, write_json(reply.body), headers)

    def take_deliveries(self) -> list[Delivery]:
        return self.outbound.take()

    def delivered(self, delivery: Delivery, status: int | None, body: bytes | None = None) -> None:
        self.outbound.delivered(delivery, status, body)

    def credentials(self, base_url: str) -> dict[str, Any]:
        """What a client needs: the connected app with its key, the user it runs as, a session and a refresh token."""
        self.outbound.base_url = base_url
        return {
            "base_url": base_url,
            "instance_url": base_url,
            "api_version": API_VERSION,
            "organization_id": self.org.id,
            "username": self.tokens.user["Username"],
            "client_id": self.tokens.consumer_key,
            "client_secret": self.tokens.consumer_secret,
            "private_key": self.tokens.private_key,
            "audience": "https://test.salesforce.com",
            "token_url": f"{base_url}/services/oauth2/token",
            "refresh_token": self.tokens.refresh_token,
            "session_id": self.tokens.open(),
        }

    def dump(self) -> dict[str, Any]:
        """Every record by object, deleted ones too, the changes in order, and the messages still waiting."""
        state: dict[str, Any] = {name: [_plain(row) for row in rows] for name, rows in self.org.dump().items()}
        state["changes"] = [asdict(change) for change in self.org.changes]
        state["outbound_messages"] = self.outbound.waiting()
        state["api_usage"] = [{"used": self.limits.used, "daily": self.limits.daily_requests}]
        return state

    def admin(self, action: str, arguments: Mapping[str, Any]) -> Any:
        """See `admin.ACTIONS`. Raises ValueError for an unknown action and for one Salesforce would refuse."""
        try:
            return admin.perform(self, action, arguments)
        except Refused as refused:
            self.org.rollback(0)
            raise ValueError(f"{refused.code}: {refused.message}") from refused
        finally:
            self.org.commit()


def _versions() -> list[dict[str, str]]:
    seasons = {2: "Spring", 0: "Summer", 1: "Winter"}
    return [
        {
            "label": f"{seasons[(number - 1) % 3]} '{(number + 13) // 3:02d}",
            "url": f"/services/data/v{number}.0",
            "version": f"{number}.0",
        }
        for number in _VERSIONS
    ]


def _parts(request: Request, rest: str) -> tuple[str, ...]:
    """The path behind the version. An external id may hold an encoded slash, which only the raw target still shows."""
    if "%2F" not in request.raw_target.upper():
        return tuple(rest.split("/")) if rest else ()
    raw = request.raw_target.partition("?")[0].rstrip("/")
    return tuple(unquote(part) for part in raw.split("/")[4:])


def _client(headers: Mapping[str, str]) -> str:
    for option in headers.get("sforce-call-options", "").split(","):
        name, _, value = option.strip().partition("=")
        if name.lower() == "client":
            return value
    return ""


def _may_duplicate(headers: Mapping[str, str]) -> bool:
    return "allowsave=true" in headers.get("sforce-duplicate-rule-header", "").lower().replace(" ", "")


def _refused_on_demand(fault: Fault) -> Response:
    code = fault.code or _STATUS_CODES.get(fault.status) or ("SERVER_UNAVAILABLE" if fault.status > 500 else "UNKNOWN")
    error = invalid_session() if fault.status == 401 else Refused(code, "Refused on demand", status=fault.status)
    headers = {"content-type": "application/json;charset=UTF-8"}
    if fault.retry_after is not None:
        headers["retry-after"] = f"{fault.retry_after:g}"
    return Response(fault.status, write_json(error.body()), headers)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored row without the simulator's own marks, amounts as text."""
    return {
        name: value if value is None or isinstance(value, str | int) else str(value)
        for name, value in row.items()
        if not name.startswith("_")
    }
