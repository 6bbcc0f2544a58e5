"""Ten thousand wrong keys: no answer tells one kind of wrong from another, none costs the database for long."""

from __future__ import annotations

import socket
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx2
import psycopg

from accord.api.door import Door, Entrance
from accord.connect.registry import connector
from accord.db.pool import Pool, transaction
from accord.governance import keys
from accord.governance.attempts import Attempts
from accord.settings import Settings
from tests.attack.conftest import Standing

V1 = "/api/process/v1"
GUESSES = 10_000
WRONG_PER_MINUTE = Settings().wrong_keys_per_minute
GUESS = b"GET /api/process/v1/cases HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer accord_key_%043d\r\n\r\n"


def _kinds(standing: Standing) -> dict[str, str]:
    """Keys that are wrong in different ways."""
    revoked = standing.key("operate")["Authorization"].removeprefix("Bearer ")

    async def change() -> str:
        async with transaction(standing.state.pool) as db:
            row = await (
                await db.execute("SELECT id FROM api_key WHERE digest = %s", [keys.digest(revoked)])
            ).fetchone()
            assert row is not None
            await keys.revoke(db, row[0], "test", datetime.now(UTC))
            return await keys.create_sign_in(db, "once", ["operate"], datetime.now(UTC))

    once = standing.run(change())
    right = standing.key("read")["Authorization"].removeprefix("Bearer ")
    return {
        "never was": f"accord_key_{'x' * 43}",
        "no key at all": "guess",
        "revoked": revoked,
        "for signing in": once,
        "right but for its last letter": right[:-1] + ("A" if right[-1] != "A" else "B"),
        "right but for its beginning": right.removeprefix("accord_"),
        "long": "y" * 5000,
    }


def test_every_wrong_key_gets_the_same_answer(standing: Standing) -> None:
    answers = set()
    with httpx2.Client(base_url=standing.url) as client:
        for key in _kinds(standing).values():
            answer = client.get(f"{V1}/cases", headers={"Authorization": f"Bearer {key}"})
            fixed = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
            answers.add((answer.status_code, answer.text, tuple(sorted(fixed.items()))))
    ((status, *_),) = answers
    assert status == 401


async def test_looking_for_a_wrong_key_takes_as_long_whatever_is_wrong_with_it(pool: Pool) -> None:
    """The digest of a guess is what is looked for: how much of a key was guessed cannot change how long that takes."""
    async with transaction(pool) as db:
        right = await keys.create_key(db, "a", ["read"], (), datetime.now(UTC))
        revoked = await keys.create_key(db, "b", ["read"], (), datetime.now(UTC))
        await db.execute("UPDATE api_key SET revoked_at = now() WHERE digest = %s", [keys.digest(revoked)])
    guesses = {"none": "x" * 54, "nearly": right[:-1] + "~", "revoked": revoked}
    taken: dict[str, list[float]] = {name: [] for name in guesses}
    async with pool.connection() as db:
        for _ in range(300):
            for name, guess in guesses.items():
                began = time.perf_counter()
                assert await keys.find(db, guess) is None
                taken[name].append(time.perf_counter() - began)
    medians = [statistics.median(each) for each in taken.values()]
    assert max(medians) < 1.6 * min(medians), dict(zip(taken, medians, strict=True))


def _tried(url: str, first: int, count: int) -> Counter[int]:
    """Guesses as fast as one connection takes them: fifty requests are sent before the first answer is read."""
    parts = urlsplit(url)
    statuses: Counter[int] = Counter()
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as client:
        reader = client.makefile("rb")
        for start in range(first, first + count, 50):
            client.sendall(b"".join(GUESS % n for n in range(start, start + 50)))
            for _ in range(50):
                status, headers = _answer(reader)
                statuses[status] += 1
                assert status == 401 or int(headers[b"retry-after"]) > 0
    return statuses


def _answer(reader: BinaryIO) -> tuple[int, dict[bytes, bytes]]:
    status = int(reader.readline().split()[1])
    headers: dict[bytes, bytes] = {}
    while line := reader.readline().strip():
        name, _, value = line.partition(b": ")
        headers[name.lower()] = value
    reader.read(int(headers[b"content-length"]))
    return status, headers


def _looked(standing: Standing) -> int:
    """How often the keys were looked into, by PostgreSQL's own count."""
    with psycopg.connect(standing.database, autocommit=True) as db:
        db.execute("SELECT pg_stat_clear_snapshot()")
        row = db.execute("SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'api_key'").fetchone()
    assert row is not None
    return int(row[0])


def test_ten_thousand_wrong_keys_are_refused_without_asking_the_database(standing: Standing) -> None:
    good = standing.key("read")
    before = _looked(standing)
    began = time.monotonic()
    with httpx2.Client(base_url=standing.url) as client:
        assert client.get(f"{V1}/cases", headers=good).status_code == 200
        with ThreadPoolExecutor(4) as crowd:
            parts = [crowd.submit(_tried, standing.url, n * GUESSES // 4, GUESSES // 4) for n in range(4)]
            waits = []
            while not all(part.done() for part in parts):
                asked = time.perf_counter()
                assert client.get(f"{V1}/cases", headers=good).status_code == 200, "who is known is not shut out"
                waits.append(time.perf_counter() - asked)
                time.sleep(0.2)  # a person who looks now and then
        statuses = sum((part.result() for part in parts), Counter[int]())
        # One guess a second comes back: of three in a row at least the last is too many.
        refused = [client.get(f"{V1}/cases", headers={"Authorization": "Bearer guess"}) for _ in range(3)][-1]
    minutes = (time.monotonic() - began) / 60
    assert set(statuses) == {401, 429}
    # What an earlier test of this file used up comes back with time.
    assert statuses[401] <= WRONG_PER_MINUTE * (1 + minutes) + 1
    assert refused.status_code == 429
    assert refused.json()["title"] == "Too many requests"
    assert statistics.median(waits) < 0.5
    time.sleep(1.2)  # PostgreSQL tells its counts once a second
    assert _looked(standing) - before < WRONG_PER_MINUTE * (1 + minutes) + len(waits) + 50


def test_the_sign_in_takes_no_more_guesses_than_the_api(standing: Standing) -> None:
    with httpx2.Client(base_url=standing.url) as client:
        tried = [client.post("/sign-in", data={"key": f"guess {n}"}).status_code for n in range(WRONG_PER_MINUTE + 5)]
        assert tried[-1] == 429
        assert set(tried) <= {403, 429}
        assert client.get("/sign-in?token=accord_once_guess").status_code == 429


def test_attempts_come_back_with_time_and_a_known_key_is_never_stopped() -> None:
    clock = [0.0]
    attempts = Attempts(lambda: clock[0], per_minute=3)
    attempts.right("a", "known", attempts.check("a", "known"))
    for n in range(3):
        attempts.wrong("a", f"guess {n}", attempts.check("a", f"guess {n}"))
    refused = [_refuses(attempts, "a", "guess"), _refuses(attempts, "b", "guess"), _refuses(attempts, "a", "known")]
    assert refused == [True, False, False]
    clock[0] = 40.0
    attempts.wrong("a", "known", 0)
    assert [_refuses(attempts, "a", "known"), _refuses(attempts, "a", "known")] == [False, True], (
        "revoked: known no more"
    )
    clock[0] = 3600.0
    assert not _refuses(attempts, "a", "guess")


def test_guesses_that_come_at_once_are_counted_before_they_are_looked_up() -> None:
    attempts = Attempts(lambda: 0.0, per_minute=3)
    assert [_refuses(attempts, "a", f"guess {n}") for n in range(5)] == [False, False, False, True, True]


def _refuses(attempts: Attempts, address: str, key: str) -> bool:
    from accord.governance.attempts import TooManyAttempts

    try:
        attempts.check(address, key)
    except TooManyAttempts:
        return True
    return False


async def test_nobody_learns_at_the_door_which_connections_there_are() -> None:
    """The answer is the same, and a large body is checked as long for a connection that is none."""
    webhook = connector("stripe").webhook
    assert webhook is not None
    entrance = Entrance(webhook, {"webhook_secret": "whsec_right"}, None)

    async def look(connection: str) -> Entrance | None:
        return entrance if connection == "stripe" else None

    async def behind(*_: Any) -> None:
        raise AssertionError("a push goes no further")

    door = Door(behind, look=look, shelf=None, now=lambda: datetime.now(UTC))  # type: ignore[arg-type]
    transport = httpx2.ASGITransport(app=door)
    taken: dict[str, list[float]] = {"stripe": [], "nobody": []}
    texts = set()
    headers = {"stripe-signature": "t=1795000000,v1=00"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://accord.test") as client:
        for _ in range(60):
            for name, times in taken.items():
                began = time.perf_counter()
                answer = await client.post(f"/in/{name}", content=b"x" * 900_000, headers=headers)
                times.append(time.perf_counter() - began)
                texts.add((answer.status_code, answer.text))
        for name in taken:
            answer = await client.post(f"/in/{name}", content=b"x" * 1_000_001, headers=headers)
            texts.add((answer.status_code, answer.text))
    assert {status for status, _ in texts} == {401, 413}
    assert len(texts) == 2
    slow, quick = sorted((statistics.median(times) for times in taken.values()), reverse=True)
    assert slow < 1.6 * quick
