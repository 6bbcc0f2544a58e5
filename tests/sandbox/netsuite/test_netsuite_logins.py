"""Logins, governance, pushes and what people do in the account."""

from __future__ import annotations

import base64
import hashlib
import hmac
import inspect
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from accord.sandbox.kit.simulator import ManualClock, Request
from accord.sandbox.netsuite import NetSuiteSimulator, build, happenings
from accord.sandbox.netsuite.login import ASSERTION_TYPE, TOKEN_PATH
from accord.sandbox.netsuite.schema import TYPES
from accord.sandbox.netsuite.tba import base_string
from tests.sandbox.netsuite.conftest import START, Caller

TOKEN_URL = f"https://erp.test{TOKEN_PATH}"


def _token(caller: Caller, algorithm: str = "ES256", header: Any = None, **claims: Any) -> Any:
    given = caller.simulator.logins.credentials("PS256" if algorithm[0] in "PR" else "ES256")
    key: Any = (RSAKey if algorithm[0] in "PR" else ECKey).import_key(given["private_key"])
    now = int(caller.wall.at.timestamp())
    said = {"iss": given["client_id"], "scope": "rest_webservices", "aud": TOKEN_URL, "iat": now, "exp": now + 300}
    said = {name: value for name, value in {**said, **claims}.items() if value is not None}
    head = {"typ": "JWT", "alg": algorithm, "kid": given["certificate_id"], **(header or {})}
    if algorithm == "HS256":
        key = OctKey.import_key(b"x" * 32)
    assertion = jwt.encode(head, said, key, algorithms=[algorithm])
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return _ask(caller, form)


def _ask(caller: Caller, form: dict[str, str]) -> Any:
    answer = caller.line.send(
        "POST", TOKEN_URL, {"content-type": "application/x-www-form-urlencoded"}, urlencode(form).encode()
    )
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "PS512"])
def test_a_signed_assertion_buys_a_token_for_an_hour(caller: Caller, algorithm: str) -> None:
    status, reply = _token(caller, algorithm)
    assert (status, reply["token_type"], reply["expires_in"]) == (200, "Bearer", "3600")
    caller.token = reply["access_token"]
    assert caller.send("GET", "record/v1/subsidiary").status == 200
    caller.wall.at += timedelta(minutes=61)
    refused = caller.refused("GET", "record/v1/subsidiary", status=401)
    assert refused["o:errorCode"] == "INVALID_LOGIN"


def test_a_shift_of_business_time_does_not_end_a_login(caller: Caller) -> None:
    caller.simulator.admin("shift_clock", {"seconds": 86400 * 90})
    assert caller.send("GET", "record/v1/subsidiary").status == 200


NOW = int(START.timestamp())


@pytest.mark.parametrize(
    ("algorithm", "header", "claims"),
    [
        ("RS256", {}, {}),
        ("HS256", {}, {}),
        ("ES256", {"kid": "nobody"}, {}),
        ("ES256", {}, {"iss": "somebody"}),
        ("ES256", {}, {"aud": "https://elsewhere.test/token"}),
        ("ES256", {}, {"scope": "restlets"}),
        ("ES256", {}, {"exp": NOW + 3601}),
        ("ES256", {}, {"exp": NOW - 120, "iat": NOW - 300}),
        ("ES256", {}, {"iat": NOW + 600, "exp": NOW + 900}),
        ("ES256", {}, {"exp": None}),
    ],
)
def test_a_wrong_assertion_buys_nothing(caller: Caller, algorithm: str, header: Any, claims: dict[str, Any]) -> None:
    status, reply = _token(caller, algorithm, header, **claims)
    assert status == 400
    assert reply["error"].startswith("invalid_")


@pytest.mark.parametrize(
    "form",
    [{}, {"grant_type": "password"}, {"grant_type": "client_credentials"},
     {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": "a.b.c"},
     {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": "é"}],
)  # fmt: skip
def test_what_is_no_assertion_is_400(caller: Caller, form: dict[str, str]) -> None:
    status, reply = _ask(caller, form)
    assert (status, "error" in reply) == (400, True)


def test_an_assertion_signed_by_another_key_buys_nothing(caller: Caller) -> None:
    caller.simulator.logins.credentials()
    kid, _ = caller.simulator.logins._private["ES256"]
    caller.simulator.logins._map("ES256")  # the key is now another, the certificate asked for the old one
    status, _ = _token(caller, header={"kid": kid})
    assert status == 400


def test_a_refreshed_sandbox_knows_nobody(caller: Caller) -> None:
    before = caller.simulator.credentials("https://erp.test")
    caller.simulator.admin("refresh_sandbox", {})
    assert caller.refused("GET", "record/v1/subsidiary", status=401)
    after = caller.simulator.credentials("https://erp.test")
    assert before["certificate_id"] != after["certificate_id"]
    assert before["token_secret"] != after["token_secret"]
    assert _token(caller)[0] == 200


# Token-based authentication


def _signed(caller: Caller, path: str, body: bytes = b"", secret: str | None = None, **changed: str) -> dict[str, str]:
    given = caller.simulator.credentials("https://erp.test")
    oauth = {
        "realm": "1234567_SB1", "oauth_consumer_key": given["consumer_key"], "oauth_token": given["token_id"],
        "oauth_nonce": "n1", "oauth_timestamp": str(int(caller.wall.at.timestamp())), "oauth_version": "1.0",
        "oauth_signature_method": "HMAC-SHA256",
        "oauth_body_hash": base64.b64encode(hashlib.sha1(body).digest()).decode(), **changed,
    }  # fmt: skip
    request = Request("GET", f"/services/rest/{path}", host="erp.test", body=body)
    key = f"{given['consumer_secret']}&{secret or given['token_secret']}".encode()
    signed = hmac.new(key, base_string(request, oauth).encode(), hashlib.sha256).digest()
    oauth["oauth_signature"] = base64.b64encode(signed).decode()
    return {"authorization": "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in oauth.items())}


def test_a_signature_over_every_parameter_is_accepted_once(caller: Caller) -> None:
    headers = _signed(caller, "record/v1/subsidiary")
    assert caller.send("GET", "record/v1/subsidiary", **headers).status == 200
    assert caller.send("GET", "record/v1/subsidiary", **headers).status == 401  # the nonce was used


@pytest.mark.parametrize(
    "changed",
    [{"realm": "1234567_sb1"}, {"oauth_consumer_key": "x"}, {"oauth_token": "x"}, {"oauth_timestamp": "1"},
     {"oauth_timestamp": "x"}, {"oauth_nonce": ""}, {"oauth_signature_method": "HMAC-SHA1"}, {"oauth_version": "2.0"},
     {"oauth_body_hash": "wrong"}, {"secret": "wrong"}],
)  # fmt: skip
def test_a_signature_with_anything_wrong_is_refused_with_a_challenge(caller: Caller, changed: dict[str, str]) -> None:
    answer = caller.send("GET", "record/v1/subsidiary", **_signed(caller, "record/v1/subsidiary", **changed))
    assert answer.status == 401
    assert "error=" in answer.headers["www-authenticate"]


def test_the_query_is_signed_too(caller: Caller) -> None:
    headers = _signed(caller, "record/v1/subsidiary")
    assert caller.send("GET", "record/v1/subsidiary", query={"limit": 1}, **headers).status == 401


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic eDp5", "OAuth", "Nonsense"])
def test_no_login_no_answer(caller: Caller, authorization: str) -> None:
    refused = caller.refused("GET", "record/v1/subsidiary", status=401, authorization=authorization)
    assert refused["o:errorCode"] == "INVALID_LOGIN"


# Governance


def test_one_too_many_at_once_is_refused_and_a_place_is_freed(caller: Caller) -> None:
    address = "https://erp.test/services/rest/record/v1/subsidiary"
    headers = {"authorization": f"Bearer {caller.token}"}
    running = [caller.line.begin("GET", address, headers) for _ in range(5)]
    assert all(call.response.status == 200 for call in running)
    assert caller.refused("GET", "record/v1/subsidiary", status=429)["o:errorCode"] == "CONCURRENCY_LIMIT_EXCEEDED"
    running.pop().finish()
    assert caller.send("GET", "record/v1/subsidiary").status == 200


def test_overload_may_look_like_a_slow_refused_login(caller: Caller) -> None:
    caller.simulator.admin("set_concurrency", {"limit": 1, "answer": "slow_login"})
    headers = {"authorization": f"Bearer {caller.token}"}
    running = caller.line.begin("GET", "https://erp.test/services/rest/record/v1/subsidiary", headers)
    late = caller.send("GET", "record/v1/subsidiary")
    assert (late.status, late.service_seconds, "www-authenticate" in late.headers) == (401, 6.0, False)
    running.finish()


def test_the_limits_can_be_asked_for(caller: Caller) -> None:
    caller.simulator.admin("set_concurrency", {"limit": 15})
    assert json.loads(caller.send("GET", "system/v1/governanceLimits").body)["accountConcurrencyLimit"] == 15


# Pushes and people


def _milestone(caller: Caller) -> None:
    caller.firm()
    caller.put(
        "projectTask", "TSK-1", title="Go-live", project={"externalId": "PRJ-1"}, custevent_accord_milestone="MIL-1"
    )


def _subscribe(caller: Caller, **more: Any) -> None:
    caller.simulator.admin("subscribe", {"record": "projectTask", "url": "https://x.test/in", "secret": "s", **more})


def test_only_a_changed_approval_is_pushed_unless_everything_is_wanted(caller: Caller) -> None:
    _subscribe(caller)
    _milestone(caller)
    caller.patch("projectTask", "TSK-1", {"title": "New"})
    assert caller.simulator.take_deliveries() == []
    caller.simulator.admin("approve_milestone", {"external_id": "TSK-1", "by": "Dana", "on": "2026-11-20"})
    (delivery,) = caller.simulator.take_deliveries()
    event = json.loads(delivery.body)
    assert (event["type"], event["record"], event["externalId"]) == ("edit", "projectTask", "TSK-1")
    assert (event["fields"]["custevent_milestone_approved"], event["fields"]["custevent_milestone_approved_by"]) == (
        True,
        "Dana",
    )
    _subscribe(caller, watched=[])
    caller.patch("projectTask", "TSK-1", {"title": "Newer"})
    caller.simulator.admin("delete", {"record": "projectTask", "external_id": "TSK-1"})
    assert [json.loads(each.body)["type"] for each in caller.simulator.take_deliveries()] == ["edit", "delete"]


def test_a_push_is_signed_at_the_moment_it_is_sent_and_sent_until_taken(caller: Caller) -> None:
    _milestone(caller)
    _subscribe(caller)
    caller.simulator.admin("approve_milestone", {"external_id": "MIL-1"})
    (delivery,) = caller.simulator.take_deliveries()
    caller.wall.at += timedelta(minutes=2)
    stamp = str(int(caller.wall.at.timestamp()))
    expected = hmac.new(b"s", stamp.encode() + b"." + delivery.body, hashlib.sha256).hexdigest()
    assert delivery.signer(caller.wall.at) == {"X-Accord-Signature": f"t={stamp},v1={expected}"}
    caller.simulator.delivered(delivery, 503)
    assert caller.simulator.take_deliveries() == []
    caller.clock.at += timedelta(seconds=10)
    (again,) = caller.simulator.take_deliveries()
    assert (again.delivery_id, again.attempt) == (delivery.delivery_id, 2)
    caller.simulator.delivered(again, 200)
    caller.clock.at += timedelta(days=1)
    assert caller.simulator.take_deliveries() == []


@pytest.mark.parametrize(("fault", "sent"), [("drop_events", 0), ("duplicate_events", 2), ("delay_events", 0)])
def test_pushes_can_be_lost_doubled_and_late(caller: Caller, fault: str, sent: int) -> None:
    _milestone(caller)
    _subscribe(caller)
    caller.fault(fault, seconds=60)
    caller.simulator.admin("approve_milestone", {"external_id": "MIL-1"})
    assert len(caller.simulator.take_deliveries()) == sent
    caller.clock.at += timedelta(seconds=61)
    assert len(caller.simulator.take_deliveries()) == (1 if fault == "delay_events" else 0)


def test_what_people_cannot_do_is_said_in_a_sentence(caller: Caller) -> None:
    _milestone(caller)
    caller.put("projectTask", "TSK-2", title="Phase", project={"externalId": "PRJ-1"})
    for action, arguments in [
        ("dance", {}), ("approve_milestone", {"external_id": "TSK-2"}), ("approve_milestone", {"id": "999"}),
        ("close_period", {"name": "Smarch 2026"}), ("update", {"record": "nothing"}), ("shift_clock", {"seconds": -1}),
        ("subscribe", {"record": "projectTask"}), ("set_concurrency", {"answer": "silence"}),
        ("update", {"record": "customer", "external_id": "CUS-1", "fields": {"colour": "blue"}}),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=r"\w{3}"):
            caller.simulator.admin(action, arguments)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 503, "retry_after": 5}, "SERVICE_UNAVAILABLE"),
        ({"status": 429}, "CONCURRENCY_LIMIT_EXCEEDED"),
        ({"status": 400, "code": "RCRD_HAS_BEEN_CHANGED"}, "RCRD_HAS_BEEN_CHANGED"),
    ],
)
def test_refusals_on_demand_have_netsuites_body(caller: Caller, fault: dict[str, Any], code: str) -> None:
    caller.fault("status", path="customer", **fault)
    assert caller.refused("GET", "record/v1/customer", status=fault["status"])["o:errorCode"] == code


def test_the_same_seed_gives_the_same_account(caller: Caller) -> None:
    _milestone(caller)
    other = Caller(
        build(clock=ManualClock(START), wall=ManualClock(START), seed=7), ManualClock(START), ManualClock(START)
    )
    _milestone(other)
    assert caller.simulator.dump() == other.simulator.dump()


README = (Path(happenings.__file__).parent / "README.md").read_text()


@pytest.mark.parametrize("action", sorted(happenings.ACTIONS))
def test_every_action_is_in_the_readme(action: str) -> None:
    assert f"`{action}`" in README


def test_every_setting_and_record_is_in_the_readme() -> None:
    settings = set(inspect.signature(NetSuiteSimulator.__init__).parameters) - {"self", "clock", "wall", "seed", "firm"}
    assert [name for name in sorted(settings) if f"`{name}`" not in README] == []
    assert [name for name in TYPES if name not in README] == []
