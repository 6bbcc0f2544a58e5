"""The engine alone: processes of five effects; a vendor that answers at once, after a millisecond, or over HTTP."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any

import orjson
import psycopg

from accord.engine import statements
from accord.engine.router import starts
from accord.model.events import Fact
from bench.flow import FLOWS


def run(url: str, *, flows: int, workers: int, vendor: str = "null") -> dict[str, Any]:
    """Let `workers` processes work off `flows` flows; flows a second, and how long one took from start to end."""
    enter(url, flows)
    started = time.perf_counter()
    children = [_child(url, vendor) for _ in range(workers)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()  # it is connected and waits for the word
    started = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        child.stdin.flush()
    with psycopg.connect(url, autocommit=True) as connection:
        while (row := connection.execute("SELECT count(*) FROM open_process").fetchone()) is not None and row[0]:
            time.sleep(0.05)
    seconds = time.perf_counter() - started
    told = [json.loads(child.communicate(b"stop\n")[0].splitlines()[-1]) for child in children]
    with psycopg.connect(url) as connection:
        checked = connection.execute(
            "SELECT count(*), count(DISTINCT canonical_id) FROM effect WHERE state = 2"
        ).fetchone()
    assert checked == (flows * 5, flows * 5), checked
    return {
        "flows_per_second": round(flows / seconds),
        "flows": flows,
        "workers": workers,
        "peak_mb": max(each["mb"] for each in told),
    }


def latency(url: str, *, flows: int = 100) -> dict[str, Any]:
    """One process at a time at a vendor that takes a millisecond: median and 99th percentile in milliseconds."""
    child = _child(url, "millisecond")
    assert child.stdout is not None
    assert child.stdin is not None
    child.stdout.readline()
    child.stdin.write(b"go\n")
    child.stdin.flush()
    took = []
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(flows):
            started = time.perf_counter()
            _enter(connection, [number])
            while (row := connection.execute("SELECT count(*) FROM open_process").fetchone()) is not None and row[0]:
                time.sleep(0.0005)
            took.append((time.perf_counter() - started) * 1000)
    child.communicate(b"stop\n")
    took = took[flows // 10 :]
    return {"p50_ms": round(statistics.median(took), 1), "p99_ms": round(sorted(took)[int(len(took) * 0.99)], 1)}


def _child(url: str, vendor: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.flow", url, vendor]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)


def enter(url: str, flows: int) -> None:
    """Start this many flows, all ready."""
    with psycopg.connect(url, autocommit=True) as connection:
        for first in range(0, flows, 5000):
            _enter(connection, range(first, min(flows, first + 5000)))
        connection.execute("VACUUM ANALYZE")


def _enter(connection: Any, numbers: Any) -> None:
    facts = [Fact("bench.go", f"flow-{number}", "2026-01-01T00:00:00+00:00", "bench", {}) for number in numbers]
    rows = [
        {"id": 10**12 + number, **row}
        for number, row in zip(numbers, starts(FLOWS, facts, [None] * len(facts)), strict=True)
    ]
    connection.execute(statements.START_PROCESSES, {"rows": orjson.dumps(rows, default=str).decode()})
    connection.execute("SELECT pg_notify('accord_ready', '')")
