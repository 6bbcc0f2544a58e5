"""Processor time of this process and of its PostgreSQL sessions: what a flow costs however busy the machine is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of processor time."""

    python: float
    postgres: float

    def since(self, before: Spent) -> Spent:
        return Spent(self.python - before.python, self.postgres - before.postgres)


def spent(backends: Iterable[int]) -> Spent:
    """Up to now; a session that has ended counts nothing, so ask before it does. Linux, same machine."""
    return Spent(time.process_time(), sum(_seconds(pid) for pid in backends))


def _seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
