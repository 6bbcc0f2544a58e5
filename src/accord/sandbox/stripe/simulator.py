"""A Stripe account as a client sees it: authentication, versions, limits, idempotency, routes, faults.

Shapes follow the API version that PyPI stripe 16.1.0 pins, behaviours vendors.md sections 4 and 10.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from accord.sandbox.kit.clock import WallClock
from accord.sandbox.kit.faults import Fault, Faults
from accord.sandbox.kit.simulator import Clock, Delivery, Request, Response
from accord.sandbox.stripe import (
    accounts,
    admin,
    balances,
    credit_notes,
    customers,
    disputes,
    events,
    invoice_items,
    invoice_lines,
    invoice_states,
    invoices,
    payment_records,
    payments,
    prices,
    products,
    refunds,
    schedules,
    subscriptions,
    tax_rates,
    webhooks,
)
from accord.sandbox.stripe.account import API_VERSION, Account
from accord.sandbox.stripe.call import Call, Handler, Routes
from accord.sandbox.stripe.expansion import expanded
from accord.sandbox.stripe.form import Form, Pairs, decoded, nested
from accord.sandbox.stripe.idempotency import IdempotencyKeys, Kept
from accord.sandbox.stripe.keys import ApiKeys
from accord.sandbox.stripe.limits import RateLimits
from accord.sandbox.stripe.refusals import Refused, invalid, server_error, too_many
from accord.sandbox.stripe.shelf import Json

NOUNS = (
    accounts, customers, products, prices, tax_rates, invoices, invoice_lines, invoice_states, invoice_items, payments,
    refunds, disputes, credit_notes, subscriptions, schedules, events, payment_records, balances,
)  # fmt: skip


class StripeSimulator:
    """One Stripe account behind HTTP. `clock` is the business clock; `wall` times signatures, limits and
    search lag."""

    vendor = "stripe"

    def __init__(
        self,
        *,
        clock: Clock,
        wall: Clock | None = None,
        seed: int = 1,
        name: str = "Meridian Consulting Group",
        country: str = "US",
        per_second: int | None = 100,
        per_endpoint_per_second: int | None = 25,
        search_delay_seconds: float = 2.0,
        retry_seconds: Sequence[float] = webhooks.RETRY_SECONDS,
    ) -> None:
        self.clock = clock
        self.wall: Clock = wall or WallClock()
        self.random = Random(seed)
        self.faults = Faults()
        self.account = Account(
            clock=clock, wall=self.wall, random=self.random, name=name, country=country,
            search_delay_seconds=search_delay_seconds,
        )  # fmt: skip
        self.keys = ApiKeys(self.account)
        self.limits = RateLimits(per_second, per_endpoint_per_second)
        self.idempotency = IdempotencyKeys()
        self.webhooks = webhooks.Webhooks(self.account, self.faults, retry_seconds)
        self.account.listener = self.webhooks
        self._renamed: list[Fault] = []
        self._routes: Routes = webhooks.routes(self.webhooks)
        for noun in NOUNS:
            self._routes |= noun.ROUTES

    def enter(self, request: Request) -> Response | None:
        """Refuse what is over the rate limits, and a second request under an idempotency key still being
        worked on."""
        try:
            over = self.limits.check(f"{request.method} {_endpoint(request.path)}", self.wall.now())
            if over is not None:
                raise over
            if key := _idempotency_key(request):
                self.idempotency.enter(key)
        except Refused as refusal:
            return _refusal(refusal, self.account.new_id("request", 14))
        return None

    def leave(self, request: Request) -> None:
        if key := _idempotency_key(request):
            self.idempotency.leave(key)

    def handle(self, request: Request) -> Response:
        """Answer one request. Faults of the network are the front's doing, not ours."""
        self.account.catch_up()
        if self.faults.take(request, "expire_tokens"):
            self.keys.expire()
        if drift := self.faults.take(request, "rename_field"):
            self._renamed.append(drift)
        return self._answer(request)

    def _answer(self, request: Request) -> Response:
        request_id = self.account.new_id("request", 14)
        key = _idempotency_key(request)
        self.account.request = {"id": request_id, "idempotency_key": key}
        try:
            handler, ids = self._route(request)
            pairs = decoded(request.body) if request.method == "POST" else list(request.query)
            asked = (request.method, request.path, sorted(pairs))
            kept = self.idempotency.replay(key, asked, self.account.now()) if key else None
            if kept is not None:
                return _replayed(kept, request_id, key)
            return self._worked(request, handler, ids, pairs, request_id, asked)
        except Refused as refusal:
            return _refusal(refusal, request_id, key)
        finally:
            self.account.request = None

    def _worked(
        self,
        request: Request,
        handler: Handler,
        ids: tuple[str, ...],
        pairs: Pairs,
        request_id: str,
        asked: tuple[str, str, Pairs],
    ) -> Response:
        """Do the work and keep its answer under the idempotency key, if work had begun."""
        key = _idempotency_key(request)
        try:
            self._fail_on_demand(request)
            response = _response(200, self._result(request, handler, ids, pairs), request_id, key)
        except Refused as refusal:
            response = _refusal(refusal, request_id, key)
            if not refusal.began:
                return response
        if key:
            self.idempotency.keep(key, Kept(asked, response.status, response.body, request_id, self.account.now()))
        return response

    def _result(self, request: Request, handler: Handler, ids: tuple[str, ...], pairs: Pairs) -> Json:
        values = nested(pairs)
        paths = Form(values).texts("expand") or []
        values.pop("expand", None)
        self._read_renamed(values, request.path)
        result = handler(Call(self.account, Form(values), ids, request.path))
        if paths:
            result = expanded(self.account, result, paths)
        return self._write_renamed(result) if self._renamed else result

    def _route(self, request: Request) -> tuple[Handler, tuple[str, ...]]:
        """The handler and the variable parts of the address. Raises Refused: 401, 403, 400 for the version,
        404."""
        parts = request.path.strip("/").split("/")
        resource = parts[1] if len(parts) > 1 else ""
        self.keys.check(request.headers, request.method, resource)
        version = request.headers.get("stripe-version", API_VERSION)
        if version.split(";")[0].strip() != API_VERSION:
            raise invalid(f"Invalid Stripe API version: {version}")
        if parts[0] == "v1":
            for pattern, ids in _patterns(parts[1:]):
                handler = self._routes.get((request.method, pattern))
                if handler is not None:
                    return handler, ids
        raise Refused(
            404,
            f"Unrecognized request URL ({request.method}: {request.path}). If you are trying to list "
            "objects, remove the "
            "trailing slash. If you are trying to retrieve an object, make sure you passed a valid "
            "(non-empty) identifier "
            "in your code. Please see https://stripe.com/docs or we can help at https://support.stripe.com/.",
        )

    def _fail_on_demand(self, request: Request) -> None:
        fault = self.faults.take(request, "status", "partial_batch")
        if fault is None:
            return
        if fault.kind == "partial_batch" or fault.code == "lock_timeout":
            raise too_many("", "lock_timeout")
        if fault.status == 429:
            refusal = too_many("global-rate")
            if fault.retry_after is not None:
                refusal.headers["retry-after"] = f"{fault.retry_after:g}"
            raise refusal
        if fault.status >= 500:
            raise server_error(fault.status)
        kind = "card_error" if fault.status == 402 else "invalid_request_error"
        raise Refused(fault.status, "The request was refused on demand.", kind=kind, code=fault.code or None)

    def _read_renamed(self, values: dict[str, Any], path: str) -> None:
        """Schema drift: the new name of a field is understood, the old one is now unknown."""
        for fault in self._renamed:
            if f"/{fault.object}s" in path:
                value = values.pop(fault.to, None)
                if fault.field in values:
                    name = fault.field
                    raise invalid(f"Received unknown parameter: {name}", name, "parameter_unknown")
                if value is not None:
                    values[fault.field] = value

    def _write_renamed(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._write_renamed(each) for each in node]
        if not isinstance(node, dict):
            return node
        names = {fault.field: fault.to for fault in self._renamed if fault.object == node.get("object")}
        return {names.get(key, key): self._write_renamed(value) for key, value in node.items()}

    def take_deliveries(self) -> list[Delivery]:
        """The webhook pushes due by now."""
        self.account.catch_up()
        return self.webhooks.take()

    def delivered(self, delivery: Delivery, status: int | None) -> None:
        self.webhooks.delivered(delivery, status)

    def credentials(self, base_url: str) -> dict[str, Any]:
        """All a client needs; `webhook_secrets` are those of the endpoints registered so far, newest
        first."""
        endpoints = self.account.shelf("webhook_endpoint").all()
        return {
            "base_url": base_url,
            "account_id": self.account.id,
            "api_key": self.keys.secret,
            "restricted_key": self.keys.restricted,
            "api_version": API_VERSION,
            "webhook_secrets": {each["id"]: self.webhooks.secrets_of(each["id"]) for each in endpoints},
        }

    def dump(self) -> dict[str, Any]:
        """Every object by kind; invoices with all their lines."""
        state: dict[str, Any] = {
            kind: [dict(row) for row in shelf.all()] for kind, shelf in self.account.shelves.items() if kind != "event"
        }
        state["event"] = [
            {"id": row["id"], "type": row["type"], "created": row["created"], "pending": row["pending"]}
            for row in self.account.shelf("event").all()
        ]
        state["line_item"] = [dict(line) for lines in self.account.lines.values() for line in lines]
        return state

    def admin(self, action: str, arguments: Mapping[str, Any]) -> Any:
        """See `admin.ACTIONS`. Raises ValueError for an unknown action and for one Stripe itself would
        refuse."""
        try:
            return admin.perform(self, action, arguments)
        except Refused as refusal:
            raise ValueError(refusal.message) from refusal


def _patterns(parts: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The route patterns an address may match: fixed words first, then ids in second and fourth place."""
    found: list[tuple[str, tuple[str, ...]]] = [("/".join(parts), ())]
    if len(parts) >= 2:
        found.append(("/".join([parts[0], "*", *parts[2:]]), (parts[1],)))
    if len(parts) == 4:
        found.append((f"{parts[0]}/*/{parts[2]}/*", (parts[1], parts[3])))
    return found


def _endpoint(path: str) -> str:
    """The rate bucket of an address: its resource and verb without the ids."""
    parts = path.strip("/").split("/")[1:]
    return "/".join(part for index, part in enumerate(parts) if index % 2 == 0 or part == "search")


def _idempotency_key(request: Request) -> str | None:
    return request.headers.get("idempotency-key") if request.method == "POST" else None


def _response(
    status: int, answer: Json, request_id: str, key: str | None, more: Mapping[str, str] | None = None
) -> Response:
    headers = {
        "content-type": "application/json",
        "request-id": request_id,
        "stripe-version": API_VERSION,
        **(more or {}),
    }
    if key:
        headers["idempotency-key"] = key
    return Response(status, json.dumps(answer).encode(), headers)


def _refusal(refusal: Refused, request_id: str, key: str | None = None) -> Response:
    return _response(refusal.status, refusal.body(request_id), request_id, key, refusal.headers)


def _replayed(kept: Kept, request_id: str, key: str | None) -> Response:
    headers = {
        "content-type": "application/json",
        "request-id": request_id,
        "stripe-version": API_VERSION,
        "idempotency-key": key or "",
        "idempotent-replayed": "true",
        "original-request": kept.request_id,
    }
    return Response(kept.status, kept.body, headers)
