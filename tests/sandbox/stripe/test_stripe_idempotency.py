"""The idempotency store, lost answers and rate limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.simulator import Request

KEY = {"idempotency-key": "k1"}


def test_the_same_key_gives_the_same_answer_and_one_object(caller: Any) -> None:
    first = caller.send("POST", "customers", {"name": "A"}, KEY)
    again = caller.send("POST", "customers", {"name": "A"}, KEY)
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    assert "idempotent-replayed" not in first.headers
    assert len(caller.simulator.dump()["customer"]) == 1


def test_other_parameters_under_a_used_key_are_an_idempotency_error(caller: Any) -> None:
    caller.send("POST", "customers", {"name": "A"}, KEY)
    response = caller.send("POST", "customers", {"name": "B"}, KEY)
    assert response.status == 400
    assert json.loads(response.body)["error"]["type"] == "idempotency_error"


def test_a_key_of_256_characters_is_refused(caller: Any) -> None:
    assert caller.send("POST", "customers", {"name": "A"}, {"idempotency-key": "k" * 256}).status == 400
    assert caller.send("POST", "customers", {"name": "A"}, {"idempotency-key": "k" * 255}).status == 200


def test_a_failed_validation_is_not_kept(caller: Any) -> None:
    assert caller.send("POST", "customers", {"email": "not an address"}, KEY).status == 400
    assert caller.send("POST", "customers", {"email": "a@b.example"}, KEY).status == 200


def test_a_500_is_kept_and_replayed_but_a_503_is_not(caller: Any) -> None:
    caller.simulator.faults.add(Fault("status", path="customers", status=503))
    assert caller.send("POST", "customers", {"name": "A"}, KEY).status == 503
    caller.simulator.faults.add(Fault("status", path="customers", status=500))
    assert caller.send("POST", "customers", {"name": "A"}, KEY).status == 500
    again = caller.send("POST", "customers", {"name": "A"}, KEY)
    assert (again.status, again.headers["idempotent-replayed"]) == (500, "true")
    assert caller.send("POST", "customers", {"name": "A"}, {"idempotency-key": "k2"}).status == 200


def test_a_key_is_forgotten_after_a_day_of_the_business_clock(caller: Any) -> None:
    caller.send("POST", "customers", {"name": "A"}, KEY)
    caller.shift(hours=23, minutes=59)
    assert caller.send("POST", "customers", {"name": "A"}, KEY).headers.get("idempotent-replayed") == "true"
    caller.shift(minutes=2)
    assert "idempotent-replayed" not in caller.send("POST", "customers", {"name": "A"}, KEY).headers
    assert len(caller.simulator.dump()["customer"]) == 2


def test_two_requests_at_once_under_one_key_conflict(caller: Any) -> None:
    request = Request("POST", "/v1/customers", headers=KEY)
    assert caller.simulator.enter(request) is None
    busy = caller.simulator.enter(request)
    assert busy is not None
    assert busy.status == 409
    caller.simulator.leave(request)
    assert caller.simulator.enter(request) is None


def test_a_lost_answer_did_the_work_and_the_key_finds_it(caller: Any) -> None:
    caller.simulator.faults.add(Fault("lose_answer", method="POST", path="customers"))
    assert caller.send("POST", "customers", {"name": "A"}, KEY).drop
    again = caller.send("POST", "customers", {"name": "A"}, KEY)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(caller.simulator.dump()["customer"]) == 1


def test_a_lost_request_did_nothing(caller: Any) -> None:
    caller.simulator.faults.add(Fault("lose_request", method="POST", path="customers"))
    assert caller.send("POST", "customers", {"name": "A"}, KEY).drop
    assert not caller.simulator.dump()["customer"]


def test_an_answer_that_never_comes_did_the_work(caller: Any) -> None:
    caller.simulator.faults.add(Fault("never_answer", method="POST", path="customers", seconds=30))
    response = caller.send("POST", "customers", {"name": "A"}, KEY)
    assert (response.drop, response.service_seconds) == (True, 30)
    assert len(caller.simulator.dump()["customer"]) == 1


def _entered(caller: Any, path: str) -> int:
    response = caller.simulator.enter(Request("GET", f"/v1/{path}"))
    return 200 if response is None else response.status


def test_an_endpoint_has_25_requests_a_second(caller: Any) -> None:
    statuses = [_entered(caller, f"customers/cus_{number}") for number in range(26)]
    assert statuses == [200] * 25 + [429]
    assert _entered(caller, "invoices/in_1") == 200
    caller.wall.at = caller.wall.at.replace(second=1)
    assert _entered(caller, "customers/cus_1") == 200


def test_an_account_has_100_requests_a_second(caller: Any) -> None:
    statuses = [_entered(caller, f"resource{number}") for number in range(101)]
    assert statuses == [200] * 100 + [429]


def test_the_limits_can_be_set(caller: Any) -> None:
    caller.simulator.admin("set_rate_limit", {"per_second": None, "per_endpoint_per_second": 1})
    assert [_entered(caller, "customers"), _entered(caller, "customers")] == [200, 429]


def test_a_429_says_why_and_is_not_to_be_retried_at_once(caller: Any) -> None:
    caller.simulator.admin("set_rate_limit", {"per_endpoint_per_second": 0})
    response = caller.simulator.enter(Request("GET", "/v1/customers"))
    assert json.loads(response.body)["error"]["code"] == "rate_limit"
    assert response.headers["stripe-rate-limited-reason"] == "endpoint-rate"
    assert "stripe-should-retry" not in response.headers


@pytest.mark.parametrize("kind", ["status", "partial_batch"])
def test_a_lock_timeout_asks_for_a_retry(caller: Any, kind: Any) -> None:
    caller.simulator.faults.add(Fault(kind, path="customers", status=429, code="lock_timeout"))
    response = caller.send("POST", "customers", {"name": "A"}, KEY)
    assert (response.status, response.headers["stripe-should-retry"]) == (429, "true")
    assert json.loads(response.body)["error"]["code"] == "lock_timeout"
    assert caller.send("POST", "customers", {"name": "A"}, KEY).status == 200


def test_an_expired_key_is_401_until_the_new_one_is_used(caller: Any) -> None:
    old = {"authorization": f"Bearer {caller.simulator.keys.secret}"}
    caller.simulator.faults.add(Fault("expire_tokens"))
    response = caller.send("GET", "customers", headers=old)
    assert json.loads(response.body)["error"]["code"] == "api_key_expired"
    assert caller.send("GET", "customers").status == 200


def test_a_renamed_field_is_gone_under_its_old_name(caller: Any) -> None:
    customer = caller.customer(email="a@b.example")
    caller.simulator.faults.add(Fault("rename_field", object="customer", field="email", to="mail"))
    shown = caller.get(f"customers/{customer}")
    assert shown["mail"] == "a@b.example"
    assert "email" not in shown
    assert caller.refused("POST", "customers", {"email": "c@d.example"})["code"] == "parameter_unknown"
