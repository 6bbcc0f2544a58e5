"""Sustained load: seventy per cent of what this machine can do with arrivals, for minutes. Does anything grow?"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psycopg

from bench import engine

WORKERS = 2
PART = 0.7
FEED_SECONDS = 0.05
# Kept waiting while the maximum is looked for: enough for two workers, no more than they soon take on.
QUEUE = 4_000

# A process counts in the minute in which it ended; from its start, so waiting to be taken on is counted.
BY_MINUTE = """
SELECT floor(extract(epoch FROM finished_at - %(since)s) / %(span)s)::int AS minute, count(*),
    percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at) * 1000)
FROM process WHERE started_at >= %(since)s AND finished_at IS NOT NULL GROUP BY 1 ORDER BY 1
"""
TABLES = """
SELECT CASE WHEN s.relname LIKE 'event%%' THEN 'event' ELSE s.relname END, sum(pg_table_size(s.relid))::bigint,
    sum(n_live_tup)::bigint, sum(n_dead_tup)::bigint, sum(n_tup_upd)::bigint, sum(n_tup_hot_upd)::bigint,
    sum(autovacuum_count)::bigint
FROM pg_stat_user_tables s WHERE s.relname ~ '^(open_process|process|effect|waiting_effect|worker_heartbeat|event)'
GROUP BY 1
"""


def run(fresh: Callable[..., str], *, minutes: float = 10.0, seconds_to_find: float = 20.0) -> dict[str, Any]:
    """Each tenth of the time: how long a flow took, the largest worker, and what the tables weigh."""
    most = maximum(fresh("most"), seconds_to_find)
    url = fresh("sustained")
    rate = PART * most
    spans = 10
    span = minutes * 60 / spans
    watched: list[dict[str, Any]] = []
    with Firm(url) as firm, psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        feeding = threading.Thread(target=firm.feed, args=(rate, minutes * 60))
        feeding.start()
        for _ in range(spans):
            feeding.join(span)
            watched.append({"memory_mb": firm.memory_mb(), **_weighed(connection)})
        feeding.join()
        firm.until_done()
        found = connection.execute(BY_MINUTE, {"since": row[0], "span": span}).fetchall()
    late = [round(each[2][1]) for each in found[:spans]]
    return {
        "most_per_second": round(most),
        "flows_per_second": round(rate),
        "minutes": minutes,
        "workers": WORKERS,
        "p50_ms": round(found[spans // 2][2][0]),
        "p99_ms_by_tenth": late,
        "p99_last_to_first": round(sorted(late[-3:])[1] / sorted(late[1:4])[1], 2),
        "memory_mb_by_tenth": [each["memory_mb"] for each in watched],
        **_growth(watched),
    }


def maximum(url: str, seconds: float) -> float:
    """Flows a second while as many arrive as are done: arrivals cost PostgreSQL and this process something, too."""
    with Firm(url) as firm, psycopg.connect(url, autocommit=True) as connection:
        ended = time.perf_counter() + seconds
        began, before = 0.0, 0
        while (now := time.perf_counter()) < ended:
            done = firm.started - _open(connection)
            if firm.started - done < QUEUE:
                firm.start(500)
            else:
                time.sleep(0.02)
            if not began and now > ended - seconds * 0.75:  # caches and plans are warm
                began, before = now, done
        rate = (firm.started - _open(connection) - before) / (time.perf_counter() - began)
        firm.until_done()
    return rate


class Firm:
    """Workers at work, and flows that arrive."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.started = 0

    def __enter__(self) -> Self:
        self._db = psycopg.connect(self._url, autocommit=True)
        self._children = [engine.child_of(self._url, "null") for _ in range(WORKERS)]
        for child in self._children:
            assert child.stdout is not None
            assert child.stdin is not None
            child.stdout.readline()
            child.stdin.write(b"go\n")
            child.stdin.flush()
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            json.loads(child.communicate(b"stop\n")[0].splitlines()[-1])
        self._db.close()

    def start(self, count: int) -> None:
        engine.start(self._db, range(self.started, self.started + count), spread=True)
        self.started += count

    def feed(self, rate: float, seconds: float) -> None:
        """As many as are due twenty times a second, whatever became of those before: an open loop."""
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            if (due := int(elapsed * rate) - self.started) > 0:
                self.start(due)
            time.sleep(FEED_SECONDS)

    def memory_mb(self) -> int:
        return max(_resident_mb(child.pid) for child in self._children)

    def until_done(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while _open(connection):
                time.sleep(0.05)


def _open(connection: Any) -> int:
    row = connection.execute("SELECT count(*) FROM open_process").fetchone()
    return int(row[0])


def _resident_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:"))


def _weighed(connection: Any) -> dict[str, Any]:
    names = ("bytes", "live", "dead", "updates", "hot", "vacuums")
    return {
        "tables": {name: dict(zip(names, rest, strict=True)) for name, *rest in connection.execute(TABLES).fetchall()}
    }


def _growth(watched: list[dict[str, Any]]) -> dict[str, Any]:
    """The queue's size must not follow the history; what keeps history must weigh the same a row, early and late."""
    first, last = watched[len(watched) // 3]["tables"], watched[-1]["tables"]
    queue = [round(each["tables"]["open_process"]["bytes"] / 2**20, 1) for each in watched]

    def a_row(table: dict[str, int]) -> float:
        return table["bytes"] / max(1, table["live"])

    return {
        "open_process_mb_by_tenth": queue,
        "bytes_a_row_last_to_first": {
            name: round(a_row(last[name]) / a_row(first[name]), 2) for name in ("process", "effect", "event")
        },
        "dead_part": {
            name: round(last[name]["dead"] / max(1, last[name]["live"]), 3) for name in ("process", "effect")
        },
        "hot_part": {
            name: round(last[name]["hot"] / max(1, last[name]["updates"]), 3)
            for name in ("open_process", "process", "effect", "worker_heartbeat")
        },
        "vacuums": {name: last[name]["vacuums"] for name in ("open_process", "process", "effect", "event")},
    }
