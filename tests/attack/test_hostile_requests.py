"""Text no honest caller sends, in every parameter, form field and body of every address: never a defect, never unclear.

What a 500 tells an attacker is that there is something to look for; and it wakes a person.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import sentinel
from urllib.parse import quote, quote_from_bytes

import httpx2
import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accord.api.building import build
from accord.api.process_tier import tier
from accord.connect.vault import Vault
from accord.db import keyset
from accord.governance.state import State
from accord.settings import Settings
from accord.web.pages import add_pages
from tests.attack.conftest import Standing, examples

HOSTILE = (
    "\x00",
    "a\x00b",
    "%00",
    "'; DROP TABLE process; --",
    "\\",
    "%",
    "_",
    "((",
    "&|!:*",
    "'",
    "²³",
    "٣",
    "9" * 400,
    "-1",
    "9223372036854775808",
    "1e999",
    "\ufffe\uffff",
    "\U0010ffff",
    "\u202e",
    "a\u0301" * 30,
    "x" * 100_000,
    "../../../../etc/passwd",
    "\r\nSet-Cookie: a=b",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "[]",
    "{}",
    "null",
    "",
    " ",
)
BYTES = (b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"%", b"%zz")  # what is no UTF-8, and no percent encoding
DEEP = 100_000
FIRST_ALIKE = 1000  # number of the first of the seed's cases that are alike


def _routes() -> list[APIRoute]:
    state = State(sentinel.pool, Settings(home=Path("/nonexistent")), Vault([b"k" * 32]), sentinel.clock)
    own = [each for each in build(state, pages=add_pages).routes if isinstance(each, APIRoute)]
    return [*own, *(each for each in tier.routes if isinstance(each, APIRoute))]


ROUTES = _routes()
READS = [each for each in ROUTES if "GET" in each.methods and each.path not in ("/events", "/metrics")]
WRITES = [each for each in ROUTES if "POST" in each.methods and each.path != "/sign-out"]


@pytest.fixture
def browser(standing: Standing) -> Iterator[tuple[httpx2.Client, str]]:
    """A person who is signed in, and the token that forms carry; by a key of its own, with an allowance of its own."""
    with httpx2.Client(base_url=standing.url, timeout=20) as client:
        header = standing.key("operate")
        client.post("/sign-in", data={"key": header["Authorization"].removeprefix("Bearer ")})
        found = re.search(r'name="form_token" value="([^"]+)"', client.get("/").text)
        assert found is not None
        client.headers.update(header)
        yield client, found[1]


def no_defect(answer: httpx2.Response, about: str) -> None:
    assert answer.status_code < 500, f"{about[:300]}: {answer.status_code}"
    if answer.status_code >= 400 and not answer.headers["content-type"].startswith("text/html"):
        assert answer.headers["content-type"] == "application/problem+json", about[:300]
        assert answer.json()["cure"]


def _filled(path: str, text: str) -> str:
    return re.sub(r"\{\w+\}", lambda _: text, path)


def _parameters(route: APIRoute) -> list[str]:
    return [each.alias for each in route.dependant.query_params]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_in_every_part_of_every_address(browser: tuple[httpx2.Client, str], text: str) -> None:
    client, _ = browser
    short = text[:2000]
    for route in READS:
        answer = client.get(_filled(route.path, quote(short, safe="")))
        no_defect(answer, f"path {route.path} {short!r}")
        for name in _parameters(route):
            answer = client.get(_filled(route.path, "1"), params={name: short})
            no_defect(answer, f"{route.path} {name}={short!r}")


@pytest.mark.parametrize(("place", "text"), list(enumerate(HOSTILE)), ids=range(len(HOSTILE)))
def test_hostile_text_in_every_field_of_every_form_and_body(
    browser: tuple[httpx2.Client, str], standing: Standing, place: int, text: str
) -> None:
    client, token = browser
    seeded = standing.seeded
    # What an earlier text settled is settled: each has an open case of its own besides.
    cases = (seeded.refused_case, FIRST_ALIKE + place)
    fields = ("key", "next", "reason", "vendor_id", "option", "note", "field", "value", "list", "given", "meaning",
              "signature", "type", "subject")  # fmt: skip
    for route in WRITES:
        for path in dict.fromkeys(_filled(route.path, str(number)) for number in cases):
            if path.startswith("/api/"):
                answer = client.post(path, json=dict.fromkeys(fields, text))
                no_defect(answer, f"{path} {text!r}")
                for body in _bodies(text):
                    no_defect(client.post(path, json=body), f"{path} {body!r}")
            else:
                answer = client.post(path, data={**dict.fromkeys(fields, text), "form_token": token})
                no_defect(answer, f"{path} {text!r}")
    answer = client.post("/api/process/v1/processes", json={"type": "deal.won", "subject": "x"},
                         headers={"Idempotency-Key": quote(text[:150])})  # fmt: skip
    no_defect(answer, "Idempotency-Key")


def _bodies(text: str) -> Iterator[dict[str, Any]]:
    yield {"type": "deal.won", "subject": "DEA-AAAAAAAAAAAAAAAA", "payload": {text: text}}
    yield {"vendor_id": text, "details": {text: [text]}}
    yield {"vendor_id": "1", "details": {"number": text}}
    for name in ("reason", "note", "option", "signature"):
        yield {name: text}
    yield {"field": text, "value": text}
    yield {"list": "product", "given": text, "meaning": text}
    yield {"list": "distinct_customers", "given": text, "meaning": "distinct"}


@pytest.mark.parametrize("raw", BYTES, ids=repr)
def test_bytes_that_are_no_text(browser: tuple[httpx2.Client, str], raw: bytes) -> None:
    client, token = browser
    written = raw.decode() if raw.startswith(b"%") else quote_from_bytes(raw, safe="")
    for route in READS:
        no_defect(client.get(_filled(route.path, written)), f"{route.path} {written}")
        no_defect(client.get(f"{_filled(route.path, '1')}?q={written}&cursor={written}"), f"{route.path} ?q={written}")
    form = {"content-type": "application/x-www-form-urlencoded"}
    for route in WRITES:
        path = _filled(route.path, "1")
        no_defect(client.post(path, content=raw), path)
        no_defect(client.post(path, content=raw, headers={"content-type": "application/json"}), path)
        body = f"key={written}&reason={written}&form_token={token}".encode()
        no_defect(client.post(path, content=body, headers=form), path)
        no_defect(client.post(path, content=b"form_token=" + raw, headers=form), path)


BODIES = {
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a deep payload": b'{"type":"deal.won","subject":"x","payload":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    "a payload 300 deep": b'{"type":"deal.won","subject":"x","payload":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}",
    "a huge number": b'{"type":"deal.won","subject":"x","payload":{"n":' + b"9" * 5000 + b"}}",
    "more than 64 bits": b'{"type":"deal.won","subject":"DEA-AAAAAAAAAAAAAAAA","payload":{"n":18446744073709551617}}',
    "no number": b'{"type":"deal.won","subject":"DEA-AAAAAAAAAAAAAAAA","payload":{"n":NaN,"m":Infinity,"k":1e999}}',
    "half a pair": b'{"type":"deal.won","subject":"DEA-AAAAAAAAAAAAAAAA","payload":{"s":"\\ud800","\\udfff":1}}',
    "a zero byte": b'{"type":"deal.won","subject":"DEA-AAAAAAAAAAAAAAAA","payload":{"s":"a\\u0000b"}}',
    "the same name twice": b'{"type":"deal.won","type":"x","subject":"x","subject":[]}',
    "not an object": b'"text"',
    "nothing": b"",
    "a wrong charset": '{"type":"deal.won"}'.encode("utf-16"),
    "ten thousand names": json.dumps({f"n{n}": n for n in range(10_000)}).encode(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_bodies_made_to_break_a_parser(browser: tuple[httpx2.Client, str], body: bytes) -> None:
    client, _ = browser
    for route in WRITES:
        path = _filled(route.path, "1")
        before = time.process_time()  # the server runs in this process; other tests do not count
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        no_defect(answer, f"{path} {body[:60]!r}")
        assert time.process_time() - before < 2, "a body of a megabyte must not hold the server"


def test_case_numbers_beyond_any_case_are_not_found(browser: tuple[httpx2.Client, str], standing: Standing) -> None:
    client, token = browser
    for number in ("0", "-1", str(2**63), str(2**200), "1" * 4000):
        for kind in ("cases", "processes"):
            assert client.get(f"/{kind}/{number}").status_code in (400, 404), number
        for verb in ("retry", "skip", "supply", "answer", "cancel", "resolve", "correct", "declare"):
            answer = client.post(f"/cases/{number}/{verb}", data={"form_token": token, "reason": "x", "note": "x"})
            assert answer.status_code in (400, 404, 409), f"{verb} {number[:30]}"


@given(st.text(max_size=200))
@settings(examples(150), suppress_health_check=list(HealthCheck))
def test_any_text_can_be_looked_for(browser: tuple[httpx2.Client, str], text: str) -> None:
    client, _ = browser
    no_defect(client.get("/api/process/v1/engagements", params={"q": text}), repr(text))
    no_defect(client.get(f"/api/process/v1/engagements/{quote(text[:100], safe='')}"), repr(text))


places = st.lists(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(("2026-11-24T00:00:00+00:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "²")),
    max_size=4,
)  # fmt: skip


@given(places, st.sampled_from([each for each in READS if each.path.rpartition("/")[2] in
                                ("cases", "processes", "engagements", "billing")]),
       st.sampled_from(("open", "resolved", "")), st.sampled_from(("invoiced", "milestone approved")))  # fmt: skip
@settings(examples(150), suppress_health_check=list(HealthCheck))
def test_any_cursor_is_understood_or_refused(
    browser: tuple[httpx2.Client, str], place: list[Any], route: APIRoute, state: str, stage: str
) -> None:
    client, _ = browser
    asked = {"cursor": keyset.encode(*place), "stage": stage} | ({"state": state} if state else {})
    no_defect(client.get(route.path, params=asked), f"{route.path} {place!r} {state}")
