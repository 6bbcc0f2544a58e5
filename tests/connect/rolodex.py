"""Rolodex, a vendor small enough to read in one sitting: the example of docs/how-to/add-a-vendor.md, and the vendor
the conformance suite is itself tested against."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import parse_qsl

from accord.sandbox.kit.clock import WallClock
from accord.sandbox.kit.faults import Faults
from accord.sandbox.kit.simulator import Clock, Delivery, Request, Response

CLIENT = {"client_id": "rolodex-client", "client_secret": "correct-horse-battery"}
WEBHOOK_SECRET = "stapled-to-the-card"


class Rolodex:
    """Customers with names and balances: `POST /token`, `GET /me`, `GET /customers`, `PUT /customers/{reference}`."""

    vendor = "rolodex"
    own_faults: tuple[str, ...] = ("rename_field",)

    def __init__(self) -> None:
        self.clock: Clock = WallClock()
        self.random = Random(1)
        self.faults = Faults()
        self.cards: dict[str, dict[str, Any]] = {}
        self.tokens: set[str] = set()
        self.bought = 0
        self.now_working = 0
        self.peak = 0
        self.renamed: dict[str, str] = {}
        self._ticks = 0

    def enter(self, request: Request) -> Response | None:
        self.now_working += request.path != "/token"
        self.peak = max(self.peak, self.now_working)
        return None

    def leave(self, request: Request) -> None:
        self.now_working -= request.path != "/token"

    def handle(self, request: Request) -> Response:
        if fault := self.faults.take(request, "rename_field"):
            self.renamed[fault.field] = fault.to
        if request.path == "/token":
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _refused(401, "bad_token", f"the token {request.headers.get('authorization')} is not known")
        if request.path == "/me":
            return _answer({"name": "the front desk"}, service_seconds=0.002)
        if request.path == "/customers" and request.method == "GET":
            return self._list(dict(request.query))
        return self._card(request)

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def take_deliveries(self) -> list[Delivery]:
        return []

    def delivered(self, delivery: Delivery, status: int | None) -> None:
        """Nothing is pushed by itself."""

    def credentials(self, base_url: str) -> dict[str, Any]:
        return dict(CLIENT)

    def dump(self) -> dict[str, Any]:
        return {"customer": list(self.cards.values())}

    def admin(self, action: str, arguments: Mapping[str, Any]) -> Any:
        raise ValueError(f"{action} {arguments}: there are no actions")

    def file(self, name: str, reference: str | None = None) -> str:
        """File a card by hand; its id."""
        id = f"C{len(self.cards) + 1:06}"
        self.cards[id] = {"id": id, "name": name, "balance": None, "currency": None, "reference": reference}
        self.touch(id)
        return id

    def touch(self, id: str) -> None:
        self._ticks += 1
        self.cards[id]["changed"] = f"{self._ticks:09}"

    def held(self, reference: str) -> int:
        return sum(1 for card in self.cards.values() if card["reference"] == reference)

    def push(self, at: datetime) -> tuple[dict[str, str], bytes]:
        """A genuine push about the first card, signed at a time."""
        body = json.dumps({"events": [{"id": "evt-1001", "type": "customer.changed", "customer": "C000001"}]}).encode()
        signed_at = str(int(at.timestamp()))
        digest = hmac.new(WEBHOOK_SECRET.encode(), f"{signed_at}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Rolodex-Signature": f"{signed_at} {digest}"}, body

    def _token(self, request: Request) -> Response:
        form = dict(parse_qsl(request.body.decode()))
        if {name: form.get(name) for name in CLIENT} != CLIENT:
            return _answer({"error": "invalid_client", "error_description": f"no client {form}"}, 401)
        self.bought += 1
        token = f"rolodex-token-{self.bought:04}"
        self.tokens.add(token)
        return _answer({"access_token": token, "expires_in": 3600})

    def _list(self, query: dict[str, str]) -> Response:
        size = int(query.get("limit", "10"))
        after = (query.get("since", ""), query.get("after", ""))
        cards = sorted(self.cards.values(), key=lambda card: (card["changed"], card["id"]))
        found = [card for card in cards if (card["changed"], card["id"]) > after]
        page, more = found[:size], len(found) > size
        next_page = {"since": page[-1]["changed"], "after": page[-1]["id"]} if more else None
        return _answer({"customers": [self._shown(card) for card in page], "next": next_page})

    def _card(self, request: Request) -> Response:
        key = request.path.removeprefix("/customers/")
        if request.method == "GET":
            found = [card for card in self.cards.values() if key in (card["id"], f"ref:{card['reference']}")]
            return _answer(self._shown(found[0])) if found else _refused(404, "no_card", "there is no such card")
        sent = json.loads(request.body)
        if not sent.get("name") or sent["name"] == "nobody":
            return _refused(422, "bad_name", "this is not a name", ["name"])
        return self._put(key.removeprefix("ref:"), sent)

    def _put(self, reference: str, sent: dict[str, Any]) -> Response:
        found = [id for id, card in self.cards.items() if card["reference"] == reference]
        id = found[0] if found else self.file(sent["name"], reference)
        self.cards[id] |= sent
        self.touch(id)
        return _answer(self._shown(self.cards[id]))

    def _shown(self, card: dict[str, Any]) -> dict[str, Any]:
        return {self.renamed.get(name, name): value for name, value in card.items()}


def _answer(value: Any, status: int = 200, service_seconds: float = 0.0) -> Response:
    at = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"content-type": "application/json", "date": at}
    return Response(status, json.dumps(value).encode(), headers, service_seconds)


def _refused(status: int, code: str, message: str, fields: list[str] | None = None) -> Response:
    return _answer({"code": code, "message": message, "fields": fields or []}, status)
