"""A NetSuite account as a client sees it: login, governance, records, queries, jobs, faults.

Behaviours follow vendors.md sections 2 and 10; what is not documented there is a setting of the constructor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import orjson

from accord.sandbox.kit.clock import WallClock
from accord.sandbox.kit.faults import Fault, Faults
from accord.sandbox.kit.simulator import Clock, Delivery, Request, Response
from accord.sandbox.netsuite import happenings, jobs, suiteql
from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.firm import Firm, settle
from accord.sandbox.netsuite.governance import Governance
from accord.sandbox.netsuite.login import TOKEN_PATH, Logins
from accord.sandbox.netsuite.pushes import Pushes
from accord.sandbox.netsuite.reading import RECORD_PATH, shown
from accord.sandbox.netsuite.record_api import RecordApi, read_body
from accord.sandbox.netsuite.refusals import TOO_MANY, Refused, login_refused
from accord.sandbox.netsuite.schema import TYPES
from accord.sandbox.netsuite.tba import TokenSignatures

LIMITS_PATH = "/services/rest/system/v1/governanceLimits"
_CODES = {401: "INVALID_LOGIN", 403: "INSUFFICIENT_PERMISSION", 500: "UNEXPECTED_ERROR", 503: "SERVICE_UNAVAILABLE"}


class NetSuiteSimulator:
    """One account behind HTTP. `clock` is the business clock; `wall` times logins, signatures and jobs."""

    vendor = "netsuite"

    def __init__(
        self,
        *,
        clock: Clock,
        wall: Clock | None = None,
        seed: int = 1,
        firm: Firm | None = None,
        account_id: str = "1234567_SB1",
        time_zone: str = "America/Los_Angeles",
        concurrency: int = 5,
        service_seconds: float = 0.01,
        queue_seconds: float = 0.05,
        record_seconds: float = 0.001,
        list_progress: bool = True,
        batch_result: str = "one_task",
        batch_id_field: str = "externalId",
        locate_upserts: bool = True,
        clock_hours: bool = False,
    ) -> None:
        self.clock = clock
        self.wall: Clock = wall or WallClock()
        self.random = Random(seed)
        self.faults = Faults()
        self.service_seconds = service_seconds
        self.account = Account(account_id=account_id, clock=clock, random=self.random, time_zone=time_zone)
        settle(self.account, firm or Firm())
        self.logins = Logins(account_id=account_id, wall=self.wall, random=self.random)
        self.signatures = TokenSignatures(account_id=account_id, wall=self.wall, random=self.random)
        self.governance = Governance(concurrency)
        self.jobs = jobs.Jobs(
            self.wall, queue_seconds=queue_seconds, record_seconds=record_seconds, batch_result=batch_result,
            list_progress=list_progress,
        )  # fmt: skip
        self.records = RecordApi(self.account, self.jobs, batch_id_field, locate_upserts)
        self.queries = suiteql.SuiteQl(self.account)
        self.queries.mirror.hours_by_the_clock = clock_hours
        self.pushes = Pushes(self.account, self.wall, self.faults)

    def enter(self, request: Request) -> Response | None:
        """Refuse what is over the account's concurrency limit; the token endpoint does not count."""
        return None if request.path == TOKEN_PATH else self.governance.enter()

    def leave(self, request: Request) -> None:
        if request.path != TOKEN_PATH:
            self.governance.leave()

    def handle(self, request: Request) -> Response:
        """Answer one request, with the faults a vendor has to play itself; the network's are the front door's."""
        self.jobs.catch_up()
        if self.faults.take(request, "expire_tokens"):
            self.logins.expire()
        if drift := self.faults.take(request, "rename_field"):
            self._rename(drift)
        if _is_write(request) and self.faults.take(request, "partial_batch"):
            self.records.failing = True
        return self._answer(request)

    def _answer(self, request: Request) -> Response:
        base = f"https://{request.host}"
        try:
            if fault := self.faults.take(request, "status"):
                raise _on_demand(fault)
            if request.path == TOKEN_PATH:
                return self._token(request, base)
            self._check_login(request)
            return replace(self._route(request, base), service_seconds=self.service_seconds)
        except Refused as refusal:
            return refusal.response()

    def _token(self, request: Request, base: str) -> Response:
        if request.method != "POST":
            raise Refused(405, "METHOD_NOT_ALLOWED", "The token endpoint takes POST only.")
        return self.logins.token(request, base)

    def _check_login(self, request: Request) -> None:
        authorization = request.headers.get("authorization", "")
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() == "bearer":
            if not self.logins.accepts(credential.strip()):
                raise login_refused('Bearer realm="NetSuite", error="invalid_token"')
        elif scheme.lower() == "oauth":
            if problem := self.signatures.problem(request, authorization):
                raise login_refused(f'OAuth realm="{self.signatures.realm}", error="{problem}"')
        else:
            raise login_refused('Bearer realm="NetSuite", error="invalid_request"')

    def _route(self, request: Request, base: str) -> Response:
        path = request.path.rstrip("/")
        if path.startswith(f"{RECORD_PATH}/"):
            return self.records.answer(request, base)
        if path == suiteql.PATH and request.method == "POST":
            return _json(self.queries.answer(request, read_body(request), base))
        if path.startswith(f"{jobs.PATH}/") and request.method == "GET":
            return self.jobs.answer(path[len(jobs.PATH) + 1 :].split("/"), base)
        if path == LIMITS_PATH and request.method == "GET":
            return _json(self.governance.limits())
        raise Refused(
            404, "NOT_FOUND", f"The resource {request.path} does not exist.", request.path, place="o:errorUrl"
        )

    def _rename(self, fault: Fault) -> None:
        kind = TYPES.get(fault.object)
        if kind is not None and fault.field in kind.fields:
            self.records.renamed[kind.name, fault.field] = fault.to
            self.queries.mirror.rename(kind, fault.field, fault.to)

    def take_deliveries(self) -> list[Delivery]:
        """The pushes due by now."""
        self.jobs.catch_up()
        return self.pushes.take()

    def delivered(self, delivery: Delivery, status: int | None) -> None:
        self.pushes.delivered(delivery, status)

    def credentials(self, base_url: str) -> dict[str, Any]:
        """All a client needs, for OAuth 2.0 (client_id .. private_key) and for TBA (consumer_key .. token_secret)."""
        return {
            "base_url": base_url,
            "account_id": self.account.id,
            "time_zone": self.account.zone.key,
            **self.logins.credentials(),
            **self.signatures.credentials(),
        }

    def dump(self) -> dict[str, Any]:
        """Every record by type, sublists expanded, without links."""
        return {
            name: [_bare(shown(self.account, TYPES[name], row, "", expand=True)) for row in table.all()]
            for name, table in self.account.tables.items()
        }

    def admin(self, action: str, arguments: Mapping[str, Any]) -> Any:
        """See `happenings.ACTIONS`. Raises ValueError for an unknown action and for one NetSuite would refuse."""
        self.jobs.catch_up()
        return happenings.perform(self, action, arguments)


def _on_demand(fault: Fault) -> Refused:
    """The fault's status with NetSuite's own body; the code is the fault's, or what NetSuite uses for that status."""
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
    if fault.status == 429:
        return Refused(429, fault.code or "CONCURRENCY_LIMIT_EXCEEDED", TOO_MANY, headers=headers)
    if fault.status == 401 and not fault.code:
        return login_refused('Bearer realm="NetSuite", error="invalid_token"')
    code = fault.code or _CODES.get(fault.status, "USER_ERROR")
    return Refused(fault.status, code, "The request was refused on demand.", headers=headers)


def _is_write(request: Request) -> bool:
    return request.method != "GET" and request.path.startswith(RECORD_PATH)


def _json(value: Any) -> Response:
    return Response(200, orjson.dumps(value), {"content-type": "application/vnd.oracle.resource+json; type=collection"})


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(item) for name, item in value.items() if name != "links"}
    return [_bare(item) for item in value] if isinstance(value, list) else value
