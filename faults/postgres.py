"""A PostgreSQL of one test's own, with fsync on, that is restarted, cut off and filled up while others work on it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accord.db import embedded

SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "killed": signal.SIGKILL}
GONE_SECONDS = 60


class OwnPostgres:
    """The server of one home. It is ended with the test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = embedded.ensure_running(home)

    @property
    def data(self) -> Path:
        return embedded.status(self.home).data_directory

    def shut_down(self, mode: str) -> None:
        """As `pg_ctl stop -m` does, or by SIGKILL; returns when the postmaster has gone."""
        pid = embedded.status(self.home).pid
        assert pid is not None
        os.kill(pid, SIGNALS[mode])
        deadline = time.monotonic() + GONE_SECONDS
        while embedded.status(self.home).pid == pid:
            assert time.monotonic() < deadline, f"PostgreSQL did not stop ({mode})"
            time.sleep(0.05)

    def start(self) -> None:
        embedded.ensure_running(self.home)

    def restart(self, mode: str) -> float:
        """Stop and start again; the seconds between."""
        began = time.monotonic()
        self.shut_down(mode)
        self.start()
        return time.monotonic() - began


@contextmanager
def own_postgres(home: Path) -> Iterator[OwnPostgres]:
    try:
        yield OwnPostgres(home)
    finally:
        embedded.stop(home)
