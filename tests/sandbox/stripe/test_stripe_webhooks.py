"""Webhooks: signatures, retries, faults and secrets that roll."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import stripe
import time_machine

from accord.sandbox.kit.faults import Fault


@pytest.fixture
def endpoint(caller: Any) -> Any:
    form = {"url": "https://localhost/hook", "enabled_events[]": ["customer.created", "customer.updated"]}
    return caller.post("webhook_endpoints", form)


def _verified(caller: Any, delivery: Any, secret: str, tolerance: int = 300) -> Any:
    header = delivery.signer(caller.wall.now())["Stripe-Signature"]
    with time_machine.travel(caller.wall.now(), tick=False):
        stripe.WebhookSignature.verify_header(delivery.body.decode(), header, secret, tolerance)
    return header


def test_the_sdk_accepts_our_signature_even_after_a_shift_of_the_business_clock(caller: Any, endpoint: Any) -> None:
    caller.shift(days=200)
    caller.customer()
    (delivery,) = caller.simulator.take_deliveries()
    assert delivery.url == "https://localhost/hook"
    header = _verified(caller, delivery, endpoint["secret"])
    assert header.startswith(f"t={int(caller.wall.now().timestamp())},")
    event = json.loads(delivery.body)
    assert (event["object"], event["type"], event["api_version"]) == (
        "event",
        "customer.created",
        "2026-10-28.endive",
    )
    assert event["pending_webhooks"] == 1
    assert event["request"]["id"].startswith("req_")


def test_the_sdk_refuses_a_body_that_was_changed(caller: Any, endpoint: Any) -> None:
    caller.customer()
    (delivery,) = caller.simulator.take_deliveries()
    header = delivery.signer(caller.wall.now())["Stripe-Signature"]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(delivery.body.decode() + " ", header, endpoint["secret"])


def test_only_wanted_events_are_pushed(caller: Any, endpoint: Any) -> None:
    caller.post("products", {"name": "P"})
    assert caller.simulator.take_deliveries() == []
    caller.post(f"webhook_endpoints/{endpoint['id']}", {"enabled_events[]": "*"})
    caller.post("products", {"name": "P"})
    assert len(caller.simulator.take_deliveries()) == 1


def test_a_secret_that_rolls_signs_twice_until_the_old_one_ends(caller: Any, endpoint: Any) -> None:
    new = caller.simulator.admin("roll_webhook_secret", {"keep_old_seconds": 60})[endpoint["id"]]
    caller.customer()
    (delivery,) = caller.simulator.take_deliveries()
    assert _verified(caller, delivery, endpoint["secret"]).count("v1=") == 2
    _verified(caller, delivery, new)
    caller.wall.at += timedelta(seconds=61)
    assert _verified(caller, delivery, new).count("v1=") == 1
    with pytest.raises(stripe.SignatureVerificationError):
        _verified(caller, delivery, endpoint["secret"])


def test_a_push_that_fails_is_tried_again_with_growing_pauses(caller: Any, endpoint: Any) -> None:
    caller.customer()
    (delivery,) = caller.simulator.take_deliveries()
    for seconds, status in ((10, 500), (60, None), (300, 404)):
        caller.simulator.delivered(delivery, status)
        caller.clock.at += timedelta(seconds=seconds - 1)
        assert caller.simulator.take_deliveries() == []
        caller.clock.at += timedelta(seconds=1)
        (delivery,) = caller.simulator.take_deliveries()
    assert delivery.attempt == 4
    caller.simulator.delivered(delivery, 200)
    assert caller.simulator.take_deliveries() == []
    assert caller.events("customer.created")[0]["pending_webhooks"] == 0


def test_an_endpoint_that_never_answers_is_given_up_after_three_days(caller: Any, endpoint: Any) -> None:
    caller.customer()
    attempts = 0
    for _ in range(40):
        for delivery in caller.simulator.take_deliveries():
            attempts += 1
            caller.simulator.delivered(delivery, None)
        caller.shift(hours=12)
    assert attempts == 12
    assert caller.get("events", {"delivery_success": "false", "type": "customer.created"})["data"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("duplicate_events", ["A", "A", "B"]),
        ("reorder_events", ["B", "A"]),
        ("delay_events", ["B"]),
        ("drop_events", ["B"]),
    ],
)
def test_event_faults(caller: Any, endpoint: Any, kind: Any, expected: list[str]) -> None:
    caller.simulator.faults.add(Fault(kind, seconds=30))
    caller.customer(name="A")
    caller.customer(name="B")
    pushed = [json.loads(each.body)["data"]["object"]["name"] for each in caller.simulator.take_deliveries()]
    assert pushed == expected
    if kind in ("delay_events", "drop_events"):
        caller.clock.at += timedelta(seconds=30)
        late = [json.loads(each.body)["data"]["object"]["name"] for each in caller.simulator.take_deliveries()]
        assert late == ["A"]


def test_an_old_event_can_be_replayed_with_its_old_signature(caller: Any, endpoint: Any) -> None:
    caller.customer()
    (first,) = caller.simulator.take_deliveries()
    event = caller.events("customer.created")[0]["id"]
    caller.simulator.admin("resend_event", {"event": event, "old_timestamp": True})
    (replay,) = caller.simulator.take_deliveries()
    assert json.loads(replay.body)["id"] == json.loads(first.body)["id"]
    _verified(caller, replay, endpoint["secret"], tolerance=0)
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        _verified(caller, replay, endpoint["secret"])


def test_the_secret_is_shown_once_and_a_deleted_endpoint_gets_nothing(caller: Any, endpoint: Any) -> None:
    assert endpoint["secret"].startswith("whsec_")
    assert "secret" not in caller.get(f"webhook_endpoints/{endpoint['id']}")
    caller.customer()
    caller.delete(f"webhook_endpoints/{endpoint['id']}")
    assert caller.simulator.take_deliveries() == []
