"""A simulated account with two virtual clocks, and two ways to call it: raw requests and the real SDK."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import stripe

from accord.sandbox.kit.front import Front
from accord.sandbox.kit.simulator import ManualClock, Request, Response
from accord.sandbox.stripe import StripeSimulator, build

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@dataclass
class Caller:
    """Raw calls against the core, without a socket."""

    simulator: StripeSimulator
    clock: ManualClock
    wall: ManualClock

    def __post_init__(self) -> None:
        self.front = Front(self.simulator, wall=self.wall)

    def send(
        self,
        method: str,
        path: str,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        pairs = urlencode(list((form or {}).items()), doseq=True)
        return self.front.answer(
            Request(
                method,
                f"/v1/{path}",
                query=() if method == "POST" else tuple(parse_qsl(pairs, keep_blank_values=True)),
                headers={"authorization": f"Bearer {self.simulator.keys.secret}", **(headers or {})},
                body=pairs.encode() if method == "POST" else b"",
            )
        )

    def get(self, path: str, form: Mapping[str, Any] | None = None) -> Any:
        return self._answer(self.send("GET", path, form), 200)

    def post(self, path: str, form: Mapping[str, Any] | None = None, key: str | None = None) -> Any:
        return self._answer(self.send("POST", path, form, {"idempotency-key": key} if key else None), 200)

    def delete(self, path: str) -> Any:
        return self._answer(self.send("DELETE", path), 200)

    def refused(self, method: str, path: str, form: Mapping[str, Any] | None = None, status: int = 400) -> Any:
        return self._answer(self.send(method, path, form), status)["error"]

    def shift(self, **delta: float) -> None:
        self.simulator.admin("shift_clock", {"seconds": timedelta(**delta).total_seconds()})

    def events(self, *types: str) -> list[dict[str, Any]]:
        """Events of these types, oldest first."""
        found = [each for each in self.simulator.dump()["event"] if not types or each["type"] in types]
        return [self.get(f"events/{each['id']}") for each in found]

    def customer(self, **more: Any) -> str:
        return str(self.post("customers", {"name": "Acme GmbH", "address[country]": "DE", **more})["id"])

    def tax_rate(self, percentage: str = "19", inclusive: str = "false") -> str:
        form = {"display_name": "USt", "percentage": percentage, "inclusive": inclusive, "country": "DE"}
        return str(self.post("tax_rates", form)["id"])

    def draft(self, customer: str, currency: str = "eur", **more: Any) -> str:
        form = {
            "customer": customer,
            "currency": currency,
            "collection_method": "send_invoice",
            "days_until_due": 30,
        }
        return str(self.post("invoices", {**form, **more})["id"])

    def issued(self, customer: str, amount: int, currency: str = "eur", **line: Any) -> Any:
        """An open invoice over one line."""
        invoice = self.draft(customer, currency)
        form = {f"lines[0][{name}]": value for name, value in {"amount": amount, **line}.items()}
        self.post(f"invoices/{invoice}/add_lines", form)
        return self.post(f"invoices/{invoice}/finalize")

    @staticmethod
    def _answer(response: Response, status: int) -> Any:
        answer = json.loads(response.body)
        assert response.status == status, answer
        return answer


@pytest.fixture
def caller() -> Caller:
    clock, wall = ManualClock(START), ManualClock(START)
    return Caller(build(clock=clock, wall=wall, seed=7, search_delay_seconds=2), clock, wall)


class CoreTransport(stripe.HTTPClient):
    """The SDK's transport, handing requests to the core: everything but the socket is the SDK's own."""

    name = "core"

    def __init__(self, front: Front) -> None:
        super().__init__()
        self.front = front

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: Any = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        parts = urlsplit(url)
        request = Request(
            method.upper(),
            parts.path,
            query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): str(value) for name, value in (headers or {}).items()},
            body=(post_data or "").encode(),
        )
        response = self.front.enter(request)
        if response is None:
            response = self.front.answer(request)
            self.front.leave(request)
        if response.drop:
            raise stripe.APIConnectionError("connection closed", should_retry=True)
        return response.body.decode(), response.status, dict(response.headers)

    def close(self) -> None:
        pass


@pytest.fixture
def sdk(caller: Caller) -> stripe.StripeClient:
    """PyPI stripe as an independent client."""
    return stripe.StripeClient(caller.simulator.keys.secret, http_client=CoreTransport(caller.front))
