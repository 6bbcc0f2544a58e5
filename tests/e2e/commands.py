"""`accord` as a process of its own, as a person or a program calls it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Accord:
    """The command in one house; every call has to end well."""

    home: Path
    more: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        # Debug, so that a log that would hold a secret holds it here.
        return {**os.environ, "ACCORD_HOME": str(self.home), "ACCORD_LOG_LEVEL": "debug", **self.more}

    def __call__(self, *arguments: str, seconds: float = 150) -> str:
        """What it printed on stdout."""
        command = [sys.executable, "-m", "accord.cli", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.environment, timeout=seconds, check=False
        )
        assert done.returncode == 0, f"accord {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-3000:]}"
        log = self.home / "log"
        log.mkdir(parents=True, exist_ok=True)
        with (log / "commands.log").open("a") as file:
            file.write(done.stderr)
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def logs(self) -> str:
        """All that was logged in this house: by commands, by the processes they started, by its database."""
        files = [*self.home.glob("log/*"), *self.home.glob("pg/data/log/*"), *self.home.glob("pg/*.log")]
        return "\n".join(file.read_text() for file in files)
