"""Answers and pushes mangled in one place, as a broken or hostile vendor would; the same seed mangles the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from accord.connect.answer import Answer
from accord.connect.authenticator import Outgoing
from accord.connect.transport import Sending, Wire

# Written in place of the text of the same name once the JSON is made: Python would not write them.
LITERALS = (
    "1e999999999",
    "-1e400",
    "1e99999999999999999999",
    "NaN",
    "1" * 5000,
    "18446744073709551617",
    "-0",
    "0.1e-99",
)
VALUES: tuple[Any, ...] = (
    None, "", " ", "\x00", "a\x00b", "\ud800", "\U0010ffff", "x" * 10_000, "<![CDATA[", "'; DROP TABLE process; --",
    "2026-99-99", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999+23:59",
    "http://169.254.169.254/latest/meta-data",
    "//127.0.0.1/", "../../../etc/passwd", "eid:|", "NaN", "1e400", 0, -1, 1, 2**31, 2**63, -(2**70), 10**17, True,
    False, [], {}, [[]], [None], {"": None}, ["\x00"], {"id": {}}, [{}] * 3, "ZZZ", "eur", "T", "F",
)  # fmt: skip
BODIES = (
    b"", b"null", b"[]", b"{}", b'""', b"0", b"<html><body>504</body></html>", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}",
    b"[" * 50_000, b'{"a":' * 50_000, b"\xed\xa0\x80", b'{"error":"\\u0000\\ud800"}',
    b'[{"errorCode":"\\u0000","message":1}]',
    b'{"error":{"code":["x"],"message":{"\\u0000":1}}}',
    b'{"o:errorDetails":[{"detail":"\\u0000","o:errorCode":"\\udfff"}]}',
    b'{"records":[],"done":false,"nextRecordsUrl":"https://169.254.169.254/x"}', b'{"data":[{}],"has_more":true}',
    b'{"items":[{}],"hasMore":true}', b'{"access_token":{"a":1},"expires_in":1e99}',
    b'{"access_token":"t","expires_in":1e60,"instance_url":["x"]}', b'{"access_token":"t\\r\\nx: y","expires_in":-1e9}',
)  # fmt: skip
HEADERS = (
    ("retry-after", "1e400"), ("retry-after", "-5"), ("retry-after", "nan"),
    ("retry-after", "Fri, 99 Foo 9999 99:99:99 GMT"),
    ("retry-after", "9" * 400), ("date", "x"), ("location", "https://169.254.169.254/1"), ("location", "//x/%00"),
    ("location", ""), ("location", "/" + "9" * 400), ("content-type", "text/html"),
)  # fmt: skip
STATUSES = (200, 201, 202, 204, 207, 300, 301, 302, 400, 401, 403, 404, 409, 429, 500, 503, 599)


def mangled(body: bytes, random: Random) -> bytes:
    """The same body, broken in one place."""
    try:
        value = json.loads(body)
    except ValueError:
        return _cut(body, random)
    if random.random() < 0.15:
        return random.choice((random.choice(BODIES), _cut(body, random)))
    places = list(_places(value))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        if places:
            _break(random.choice(places), random)
    return _written(value)


def _cut(body: bytes, random: Random) -> bytes:
    at = random.randrange(len(body) + 1)
    return (
        body[:at]
        + bytes(random.randrange(256) for _ in range(random.choice((0, 1, 7))))
        + body[at + random.choice((0, 1, 9)) :]
    )


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key inside, so that any value can be replaced."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _break(place: tuple[Any, Any], random: Random) -> None:
    inside, key = place
    if isinstance(inside, list) and key >= len(inside):
        return
    match random.randrange(10):
        case 0:
            inside.pop(key, None) if isinstance(inside, dict) else inside.pop(key)
        case 1:
            inside[key] = f"LITERAL {random.choice(LITERALS)}"
        case 2:
            inside[key] = _deep(random.choice((30, 300)))
        case 3 if isinstance(inside, list):
            inside.append(inside[key])
        case 3:
            inside[random.choice(("", "\x00", "id", "x" * 300))] = inside.pop(key, None)
        case _:
            inside[key] = random.choice(VALUES)


def _deep(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = {"a": [value]}
    return value


def _written(value: Any) -> bytes:
    text = json.dumps(value)
    for literal in LITERALS:
        text = text.replace(f'"LITERAL {literal}"', literal)
    return text.encode()


class Mangling:
    """A wire to a real simulator, one of whose answers comes back mangled: the `turn`-th, counted from 0."""

    def __init__(self, wire: Wire, random: Random, turn: int) -> None:
        self._wire = wire
        self._random = random
        self._turn = turn
        self.asked: list[str] = []
        self.answer: Answer | None = None

    async def send(self, request: Outgoing, sending: Sending, timeout_seconds: float) -> Answer:
        answer = await self._wire.send(request, sending, timeout_seconds)
        self.asked.append(request.url)
        if len(self.asked) - 1 != self._turn:
            return answer
        self.answer = self._broken(answer)
        return self.answer

    def _broken(self, answer: Answer) -> Answer:
        status, headers, body = answer.status, dict(answer.headers), answer.body
        if self._random.random() < 0.2:
            status = self._random.choice(STATUSES)
        if self._random.random() < 0.2:
            headers |= [self._random.choice(HEADERS)]
        return Answer(status, headers, mangled(body, self._random))

    async def close(self) -> None:
        await self._wire.close()
