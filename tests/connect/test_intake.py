"""The door for pushes: size, signature, ids, in this order, and no push of a stranger makes it raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.connect.connector import Refusal, Webhook
from accord.connect.intake import Accepted, receive
from accord.connect.signature import hmac_matches, is_stale, secrets_named
from tests.connect.rolodex import WEBHOOK_SECRET, Rolodex
from tests.connect.rolodex_bench import connector_of_the_page

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRETS = {"webhook_secret": WEBHOOK_SECRET}


def rolodex_webhook() -> Webhook:
    webhook = connector_of_the_page().webhook
    assert webhook is not None
    return webhook


WEBHOOK = rolodex_webhook()
HEADERS, BODY = Rolodex().push(NOW)


def test_a_genuine_push_is_taken_under_its_ids() -> None:
    assert receive(WEBHOOK, HEADERS, BODY, SECRETS, NOW) == Accepted(("evt-1001",), ("application/json", b"{}"))


def test_header_names_are_read_in_any_case() -> None:
    shouted = {name.upper(): value for name, value in HEADERS.items()}
    assert isinstance(receive(WEBHOOK, shouted, BODY, SECRETS, NOW), Accepted)


def test_size_is_looked_at_before_the_signature_and_ids_last() -> None:
    looked: list[str] = []

    def verify(headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Any], now: datetime) -> Refusal | None:
        looked.append("signature")
        return Refusal(401, "no")

    def event_ids(headers: Mapping[str, str], body: bytes) -> Sequence[str]:
        looked.append("ids")
        return ["1"]

    webhook = replace(WEBHOOK, verify=verify, event_ids=event_ids, max_body=10)
    assert receive(webhook, {}, b"x" * 11, {}, NOW) == Refusal(413, "at most 10 bytes are accepted")
    assert looked == []
    assert receive(webhook, {}, b"x", {}, NOW) == Refusal(401, "no")
    assert looked == ["signature"]


@pytest.mark.parametrize("headers", [{f"h{n}": "" for n in range(200)}, {"long": "x" * 40_000}])
def test_headers_have_a_size_too(headers: dict[str, str]) -> None:
    refusal = receive(WEBHOOK, headers, BODY, SECRETS, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 431


@pytest.mark.parametrize("ids", [[], [""], ["x" * 300], [str(n) for n in range(2000)], [None], ["nul\x00"]])
def test_ids_that_cannot_be_kept_are_refused(ids: list[Any]) -> None:
    webhook = replace(WEBHOOK, event_ids=lambda headers, body: ids)
    refusal = receive(webhook, HEADERS, BODY, SECRETS, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400


def test_an_id_named_twice_in_one_push_is_kept_once() -> None:
    webhook = replace(WEBHOOK, event_ids=lambda headers, body: ["b", "a", "b"])
    taken = receive(webhook, HEADERS, BODY, SECRETS, NOW)
    assert isinstance(taken, Accepted)
    assert taken.event_ids == ("b", "a")


@given(st.dictionaries(st.text(), st.text()), st.binary())
def test_nothing_a_stranger_sends_is_taken_or_raises(headers: dict[str, str], body: bytes) -> None:
    assert isinstance(receive(WEBHOOK, headers, body, SECRETS, NOW), Refusal)


@given(st.text(), st.binary())
def test_no_signature_header_makes_it_raise(signature: str, body: bytes) -> None:
    assert isinstance(receive(WEBHOOK, {"Rolodex-Signature": signature}, body, SECRETS, NOW), Refusal)


def test_a_signed_body_in_another_shape_is_refused() -> None:
    webhook = replace(WEBHOOK, event_ids=lambda headers, body: [1 / 0])
    refusal = receive(webhook, HEADERS, BODY, SECRETS, NOW)
    assert refusal == Refusal(400, "the body is not in the vendor's shape")


def test_while_a_secret_is_rolled_both_are_good() -> None:
    rolled = {"webhook_secret": "the-new-one", "webhook_secret_previous": WEBHOOK_SECRET}
    assert isinstance(receive(WEBHOOK, HEADERS, BODY, rolled, NOW), Accepted)
    assert secrets_named({"s": ["a", "", None, "b"]}, "s") == ["a", "b"]
    assert secrets_named({}, "s") == []


def test_a_signature_of_nothing_and_an_empty_secret_match_nothing() -> None:
    assert not hmac_matches(["secret"], b"text", [])
    assert not hmac_matches([], b"text", ["x"])
    assert not hmac_matches([""], b"text", ["b1b98d0f3ad2df3ee4f6e5eb0bb6d2a2"])


@pytest.mark.parametrize(
    ("signed_at", "stale"),
    [(NOW, False), (NOW - timedelta(seconds=300), False), (NOW - timedelta(seconds=301), True)],
)
def test_a_signature_ages(signed_at: datetime, *, stale: bool) -> None:
    assert is_stale(signed_at.timestamp(), NOW) is stale


@pytest.mark.parametrize("signed_at", ["", "yesterday", "nan", None])
def test_a_signature_of_no_time_is_stale(signed_at: Any) -> None:
    assert is_stale(signed_at, NOW)
