"""Faults on demand, the same for every driver."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.front import VENDORS_OWN, Front
from accord.sandbox.kit.inprocess import InProcess, NoAnswer
from accord.sandbox.kit.simulator import Delivery, ManualClock, Request


def test_a_status_on_demand_does_no_work(vendor: Any) -> None:
    vendor.faults.add(Fault("status", path="^/a", status=503, retry_after=2, code="busy"))
    answer = InProcess(vendor).send("POST", "/a")
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"busy", "2")
    assert vendor.handled == []
    assert vendor.inside == 0
    assert InProcess(vendor).send("POST", "/a").status == 200


def test_a_status_is_left_to_a_vendor_with_its_own_body(vendor: Any) -> None:
    """A vendor that says nothing is taken to have its own error bodies."""
    vendor.own_faults = VENDORS_OWN
    vendor.faults.add(Fault("status"))
    assert InProcess(vendor).send("POST", "/a").status == 200
    assert len(vendor.faults.waiting()) == 1


def test_after_and_times_count_matching_requests_only(vendor: Any) -> None:
    vendor.faults.add(Fault("status", method="POST", path="^/a$", after=1, times=2))
    caller = InProcess(vendor)
    asked = [("POST", "/a"), ("GET", "/a"), ("POST", "/b"), ("POST", "/a"), ("POST", "/a"), ("POST", "/a")]
    assert [caller.send(*each).status for each in asked] == [200, 200, 200, 503, 503, 200]


def test_tokens_are_expired_before_the_work(vendor: Any) -> None:
    vendor.faults.add(Fault("expire_tokens"))
    InProcess(vendor).send("GET", "/a")
    assert (vendor.expired, len(vendor.handled)) == (1, 1)


@pytest.mark.parametrize(("kind", "worked"), [("lose_request", 0), ("lose_answer", 1), ("never_answer", 1)])
def test_no_answer_is_an_exception_without_a_socket(vendor: Any, kind: Any, worked: int) -> None:
    vendor.faults.add(Fault(kind, seconds=30))
    caller = InProcess(vendor)
    call = caller.begin("POST", "/a")
    assert vendor.inside == 1
    assert call.service_seconds == (30 if kind == "never_answer" else 0)
    with pytest.raises(NoAnswer):
        call.finish()
    assert (len(vendor.handled), vendor.inside) == (worked, 0)
    assert caller.journal.counts == {("POST", "/a", 0): 1}


def test_a_slow_answer_occupies_its_place_until_finished(vendor: Any) -> None:
    vendor.refuse_above = 1
    vendor.faults.add(Fault("slow", seconds=5))
    caller = InProcess(vendor)
    slow = caller.begin("GET", "/a")
    assert slow.service_seconds == 5
    assert caller.send("GET", "/b").status == 429
    assert slow.finish().status == 200
    assert caller.send("GET", "/b").status == 200


def test_a_refusal_at_the_door_is_not_left_again(vendor: Any) -> None:
    vendor.refuse_above = 0
    caller = InProcess(vendor)
    assert caller.send("GET", "/a").status == 429
    assert vendor.inside == 0
    assert caller.journal.counts == {("GET", "/a", 429): 1}


def test_a_url_becomes_the_request_a_vendor_sees(vendor: Any) -> None:
    InProcess(vendor).send("GET", "https://host:8443/a%20b?x=1&x=2&e=", {"X-Thing": "Yes"})
    assert vendor.handled == [
        Request(
            "GET", "/a b", (("x", "1"), ("x", "2"), ("e", "")), {"host": "host:8443", "x-thing": "Yes"},
            b"", "host:8443", "/a%20b?x=1&x=2&e=",
        )
    ]  # fmt: skip


def _due(vendor: Any, moment: datetime) -> list[str]:
    vendor.queue = [Delivery(f"d{n}", "http://x", b"", "text/plain", moment) for n in (1, 2, 3)]
    vendor.clock = ManualClock(moment)
    return [each.delivery_id for each in Front(vendor).take_deliveries()]


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("drop_events", ["d2", "d3"]),
        ("duplicate_events", ["d1", "d1", "d2", "d3"]),
        ("reorder_events", ["d3", "d2", "d1"]),
    ],
)
def test_pushes_are_dropped_doubled_and_reordered(vendor: Any, moment: datetime, kind: Any, sent: list[str]) -> None:
    vendor.faults.add(Fault(kind))
    assert _due(vendor, moment) == sent
    assert _due(vendor, moment) == ["d1", "d2", "d3"]


def test_a_push_is_held_back(vendor: Any, moment: datetime) -> None:
    vendor.faults.add(Fault("delay_events", seconds=60))
    vendor.queue = [Delivery("d1", "http://x", b"", "text/plain", moment)]
    vendor.clock = ManualClock(moment)
    assert Front(vendor).take_deliveries()[0].due_at == moment + timedelta(seconds=60)


def test_the_subscribers_words_are_told_to_a_vendor_that_reads_them(vendor: Any, moment: datetime) -> None:
    delivery = Delivery("d1", "http://x", b"", "text/plain", moment)
    InProcess(vendor).delivered(delivery, 200, b"<Ack/>")
    assert vendor.outcomes == [("d1", 200)]
    heard: list[tuple[int | None, bytes | None]] = []

    def delivered(_delivery: Delivery, status: int | None, body: bytes | None = None) -> None:
        heard.append((status, body))

    vendor.delivered = delivered
    InProcess(vendor).delivered(delivery, 200, b"<Ack/>")
    assert heard == [(200, b"<Ack/>")]
