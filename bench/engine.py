"""The engine alone: processes of five effects; a vendor that answers at once, after a millisecond, or over HTTP."""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import psycopg

from accord.engine import statements
from accord.engine.router import starts
from accord.model.events import Fact
from bench import waits
from bench.flow import FLOWS

BEGAN = "2026-01-01T00:00:00+00:00"


# From the turn that took a process on to the one that ended it.
TOOK = """
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
    ORDER BY extract(epoch FROM p.finished_at - e.recorded_at) * 1000)
FROM process p JOIN event e ON e.type = 'process.started' AND e.causation = 'process ' || p.id
WHERE p.started_at >= %(since)s AND e.recorded_at >= %(since)s
"""
DONE = "SELECT count(*), count(DISTINCT canonical_id) FROM effect WHERE intended_at >= %(since)s AND state = 2"


def run(
    url: str, *, flows: int, workers: int, vendor: str = "null", spread: bool = False, first: int = 0
) -> dict[str, Any]:
    """Let `workers` processes work off `flows` flows; flows a second, how long one took from being taken on to its end,
    and what the sessions of the workers waited for. With `spread` the things' ids are no sequence, as in a real firm.
    """
    with psycopg.connect(url) as connection:
        since = connection.execute("SELECT clock_timestamp()").fetchone()
    assert since is not None
    enter(url, flows, spread=spread, first=first)
    children = [child_of(url, vendor) for _ in range(workers)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()  # it is connected and waits for the word
    with waits.Waits(url) as waited, psycopg.connect(url, autocommit=True) as connection:
        started = time.perf_counter()
        for child in children:
            assert child.stdin is not None
            child.stdin.write(b"go\n")
            child.stdin.flush()
        while connection.execute("SELECT FROM open_process LIMIT 1", prepare=True).fetchone() is not None:
            time.sleep(0.02)
        seconds = time.perf_counter() - started
    told = [json.loads(child.communicate(b"stop\n")[0].splitlines()[-1]) for child in children]
    with psycopg.connect(url) as connection:
        assert connection.execute(DONE, {"since": since[0]}).fetchone() == (flows * 5, flows * 5)
        took = connection.execute(TOOK, {"since": since[0]}).fetchone()
    assert took is not None
    return {
        "flows_per_second": round(flows / seconds),
        "flows": flows,
        "workers": workers,
        "p50_ms": round(took[0][0]),
        "p99_ms": round(took[0][1]),
        "peak_mb": max(each["mb"] for each in told),
        **cost(told, flows),
        "waits": waited.shares(),
    }


def cost(told: Sequence[Mapping[str, float]], flows: int) -> dict[str, int]:
    """Microseconds of processor time a flow: of the workers, and of their PostgreSQL sessions."""
    return {f"{name}_us": round(sum(each[name] for each in told) / flows * 1e6) for name in ("python", "postgres")}


def latency(url: str, *, flows: int = 100) -> dict[str, Any]:
    """One process at a time at a vendor that takes a millisecond: median and 99th percentile in milliseconds."""
    child = child_of(url, "millisecond")
    assert child.stdout is not None
    assert child.stdin is not None
    child.stdout.readline()
    child.stdin.write(b"go\n")
    child.stdin.flush()
    took = []
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(flows):
            started = time.perf_counter()
            start(connection, [number])
            while (row := connection.execute("SELECT count(*) FROM open_process").fetchone()) is not None and row[0]:
                time.sleep(0.0005)
            took.append((time.perf_counter() - started) * 1000)
    child.communicate(b"stop\n")
    took = took[flows // 10 :]
    return {"p50_ms": round(statistics.median(took), 1), "p99_ms": round(sorted(took)[int(len(took) * 0.99)], 1)}


def child_of(url: str, vendor: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.flow", url, vendor]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)


def enter(url: str, flows: int, *, spread: bool = False, first: int = 0) -> None:
    """Start this many flows from the one numbered `first`, all ready."""
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(first, first + flows, 5000):
            start(connection, range(number, min(first + flows, number + 5000)), spread=spread)
        connection.execute("VACUUM ANALYZE")


def start(connection: Any, numbers: Sequence[int], *, spread: bool = False, first_id: int = 10**12) -> None:
    """Start the flows of these numbers; one transaction."""
    facts = [Fact("bench.go", subject_of(number, spread=spread), BEGAN, "bench", {}) for number in numbers]
    rows = [
        {"id": first_id + number, **row}
        for number, row in zip(numbers, starts(FLOWS, facts, [None] * len(facts)), strict=True)
    ]
    connection.execute(statements.START_PROCESSES, {"rows": orjson.dumps(rows, default=str).decode()})
    connection.execute("SELECT pg_notify('accord_ready', '')")


def subject_of(number: int, *, spread: bool) -> str:
    return hashlib.blake2b(b"%d" % number, digest_size=10).hexdigest() if spread else f"flow-{number}"
