"""Clients that drip, that never end, that come by the thousand: each is cut off, and others are served meanwhile."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from accord.api.patience import MOST_HEAD_BYTES, Impatient
from tests.attack.conftest import Standing

HEAD, BODY = 0.6, 0.9


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test cannot wait as long as the server."""
    monkeypatch.setattr(Impatient, "head_seconds", HEAD)
    monkeypatch.setattr(Impatient, "body_seconds", BODY)


@contextlib.contextmanager
def connected(standing: Standing) -> Iterator[socket.socket]:
    parts = urlsplit(standing.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as client:
        yield client


def rest(client: socket.socket) -> bytes:
    """What the server says until it closes."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65_536):
            said += chunk
    return said


def drip(client: socket.socket, text: bytes, seconds: float) -> float:
    """Send byte by byte until the server closes; how long it took."""
    began = time.monotonic()
    client.settimeout(0.03)
    for place in range(10_000):
        try:
            client.sendall(text[place % len(text) :][:1])
            if client.recv(1) == b"":
                break
        except TimeoutError:
            pass
        except OSError:
            break
        if time.monotonic() - began > seconds:
            break
    return time.monotonic() - began


def answers(standing: Standing) -> bool:
    with httpx2.Client(base_url=standing.url, timeout=3) as client:
        return client.get("/healthz").status_code == 200


def test_a_client_that_says_nothing_is_let_go(standing: Standing) -> None:
    with connected(standing) as client:
        began = time.monotonic()
        assert rest(client).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - began < HEAD + 1


def test_a_head_that_drips_is_cut_off(standing: Standing) -> None:
    with connected(standing) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")
        assert drip(client, b"X-A: b\r\n", 5) < HEAD + 1
    assert answers(standing)


@pytest.mark.parametrize("path", ["/api/process/v1/references", "/in/stripe", "/sign-in"])
def test_a_body_that_drips_is_cut_off(standing: Standing, path: str) -> None:
    with connected(standing) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
        client.sendall(head.encode())
        assert drip(client, b"x", 6) < BODY + 2
    with connected(standing) as client:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.sendall(head.encode())
        assert drip(client, b"1\r\nx\r\n", 6) < BODY + 2


def test_a_second_request_on_a_connection_is_timed_like_the_first(standing: Standing) -> None:
    with connected(standing) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        assert drip(client, b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 1000, 6) < HEAD + 1


@pytest.mark.parametrize("part", [b"X: " + b"y" * 1000, b"X: y\r\n" * 100], ids=["one header", "many headers"])
def test_a_head_without_end_is_refused(standing: Standing, part: bytes) -> None:
    with connected(standing) as client, contextlib.suppress(OSError):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")
        sent = 0
        while sent < 50 * MOST_HEAD_BYTES:
            client.sendall(part)
            sent += len(part)
            part = part.removeprefix(b"X: ") if b"\r\n" not in part else part
        pytest.fail("it took three megabytes of headers")
    assert answers(standing)


def test_a_slow_honest_request_is_served(standing: Standing) -> None:
    with connected(standing) as client:
        for part in (b"GET /health", b"z HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n"):
            client.sendall(part)
            time.sleep(0.1)  # slow, and in time
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")


def test_hundreds_of_silent_connections_keep_nobody_out(standing: Standing) -> None:
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connected(standing)) for _ in range(300)]
        began = time.monotonic()
        assert answers(standing)
        assert time.monotonic() - began < 2
        time.sleep(HEAD + 0.3)  # the server lets go of them by its own clock
        assert all(rest(client) == b"" or client for client in crowd[:20])
    assert answers(standing)


def test_no_more_connections_than_there_is_room_for(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Impatient, "most", 20)
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connected(standing)) for _ in range(40)]
        closed = sum(rest(client) == b"" for client in crowd)
        assert closed >= 15, "who came too late is let go at once, without a word"
    assert answers(standing)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n\x00", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET  HTTP/9.9\r\n\r\n",
        b"POST /in/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /in/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
        b"POST /in/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /in/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n",
        b"POST /in/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: b\r\n\r\n", b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: y\r\n\r\n",
        b"GET / HTTP/1.1\r\n H: folded\r\n\r\n", b"\r\n" * 40_000,
    ],
    ids=range(14),
)  # fmt: skip
def test_what_is_no_http_is_refused_and_others_are_served(standing: Standing, raw: bytes) -> None:
    with connected(standing) as client, contextlib.suppress(OSError):
        client.sendall(raw)
        said = client.recv(65_536)
        assert not said or said.split(b" ")[1][:1] in (b"3", b"4"), said[:80]
    assert answers(standing)
