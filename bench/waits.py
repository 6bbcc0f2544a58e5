"""What the sessions of the workers wait for, sampled from pg_stat_activity while something is measured."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType
from typing import Self

import psycopg

APPLICATION = "accord bench worker"
EVERY_SECONDS = 0.01
# `ClientRead` within a transaction: PostgreSQL waits for the worker's Python. No wait event: PostgreSQL computes.
LOOK = """
SELECT CASE WHEN wait_event IS NULL THEN 'PostgreSQL computes'
            WHEN wait_event = 'ClientRead' AND state = 'idle' THEN 'between transactions'
            WHEN wait_event = 'ClientRead' THEN 'Python computes'
            ELSE wait_event_type || ':' || wait_event END, count(*)
FROM pg_stat_activity WHERE datname = current_database() AND application_name = %(name)s GROUP BY 1
"""


class Waits:
    """Samples in a thread of its own from `with` to its end; `shares` is each wait's part of all samples."""

    def __init__(self, url: str, application: str = APPLICATION) -> None:
        self._url = url
        self._application = application
        self._seen: Counter[str] = Counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def shares(self, *, least: float = 0.01) -> dict[str, float]:
        """The commonest first; what has less than `least` of the samples is left out."""
        total = sum(self._seen.values()) or 1
        return {name: round(count / total, 2) for name, count in self._seen.most_common() if count / total >= least}

    def _sample(self) -> None:
        with psycopg.connect(self._url, autocommit=True, application_name="accord bench") as connection:
            while not self._ended.wait(EVERY_SECONDS):
                for name, count in connection.execute(LOOK, {"name": self._application}, prepare=True).fetchall():
                    self._seen[name] += count
