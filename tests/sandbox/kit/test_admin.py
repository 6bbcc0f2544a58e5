"""The admin addresses of a served vendor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest

from accord.sandbox.kit.admin import Admin
from accord.sandbox.kit.front import Front
from accord.sandbox.kit.inprocess import request_for
from accord.sandbox.kit.simulator import Request

Asks = Callable[..., tuple[int, Any]]


@pytest.fixture
def front(vendor: Any) -> Front:
    return Front(vendor)


@pytest.fixture
def ask(front: Front) -> Asks:
    admin = Admin(front, "secret")

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        sent = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        answer = admin.answer(request_for(method, f"/_admin/secret/{path}", {}, sent))
        return answer.status, orjson.loads(answer.body)

    return ask


@pytest.mark.parametrize("path", ["/_admin/", "/_admin/wrong/state", "/_admin/secret", "/_admin/secretstate"])
def test_without_the_token_there_is_nothing(front: Front, path: str) -> None:
    assert Admin(front, "secret").answer(Request("GET", path)).status == 404


def test_state_whole_in_part_and_counted(front: Front, ask: Asks) -> None:
    front.answer(Request("GET", "/a"))
    assert ask("GET", "state") == (200, {"request": [{"path": "/a"}], "none": []})
    assert ask("GET", "state?kinds=none,unheard") == (200, {"none": [], "unheard": []})
    assert ask("GET", "state?counts") == (200, {"request": 1, "none": 0})


def test_calls_are_told_and_forgotten(front: Front, ask: Asks) -> None:
    front.answer(Request("POST", "/a/1"))
    status, told = ask("GET", "calls?last=1")
    assert (status, told["counts"]) == (200, [{"method": "POST", "path": "/a/*", "status": 200, "count": 1}])
    assert ask("DELETE", "calls") == (200, {})
    assert ask("GET", "calls")[1]["total"] == 0


def test_faults_are_put_in_and_taken_out(vendor: Any, ask: Asks) -> None:
    status, told = ask("POST", "faults", {"kind": "status", "status": 429, "path": "/a", "times": 3})
    assert status == 201
    assert (told["waiting"][0]["kind"], told["waiting"][0]["times"]) == ("status", 3)
    assert len(vendor.faults.waiting()) == 1
    assert ask("DELETE", "faults") == (200, {"waiting": []})
    assert vendor.faults.waiting() == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"kind": "explode"}, "kind: Input should be 'status'"),
        ({}, "kind: Field required"),
        ({"kind": "status", "colour": "red"}, "Unknown member 'colour'"),
        ({"kind": "status", "path": "("}, "path: not a regular"),
        ({"kind": "status", "times": "many"}, "times: Input should be a valid integer"),
        ([], "must be a JSON object"),
        (b"{", ""),
    ],
)
def test_a_wrong_fault_is_refused_with_its_reason(vendor: Any, ask: Asks, body: Any, problem: str) -> None:
    status, told = ask("POST", "faults", body)
    assert status == 400
    assert problem in told["error"]
    assert vendor.faults.waiting() == []


def test_actions_are_the_vendors_own(ask: Asks) -> None:
    assert ask("POST", "actions/say", {"word": "hello"}) == (200, {"result": {"said": "hello"}})
    status, told = ask("POST", "actions/dance")
    assert (status, told["error"]) == (400, "Unknown action 'dance'; known are say, shift_clock.")


def test_the_clock_goes_forward_by_a_stretch_or_to_a_moment(vendor: Any, ask: Asks) -> None:
    before = vendor.clock.now()
    assert ask("POST", "clock", {"seconds": 3600})[0] == 200
    assert timedelta(hours=1) <= vendor.clock.now() - before < timedelta(hours=1, minutes=1)
    to = (before + timedelta(days=2)).isoformat()
    assert ask("POST", "clock", {"to": to})[1]["now"] >= to
    again = vendor.clock.offset
    assert ask("POST", "clock", {"to": to})[0] == 200
    assert vendor.clock.offset == again
    assert ask("POST", "clock", {"seconds": -1})[0] == 400
    assert ask("POST", "clock", {"to": "2030-01-01T00:00:00"})[0] == 400
    assert ask("POST", "clock", {"seconds": "nan"})[0] == 400


def test_an_unknown_address_says_so(ask: Asks) -> None:
    assert ask("GET", "nothing")[0] == 404
    assert ask("PUT", "faults")[0] == 404
