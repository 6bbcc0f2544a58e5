"""A NetSuite account that counts its slots: `python -m bench.slots_vendor FOLDER` prints where it is.

Then a line `seconds S` makes every call take that long and starts counting; `tell` prints what was counted.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import uvloop

from accord.sandbox.kit.clock import WallClock
from accord.sandbox.kit.serve import serve
from accord.sandbox.kit.simulator import Response
from accord.sandbox.netsuite import NetSuiteSimulator
from accord.sandbox.netsuite.governance import Governance


class Counted(Governance):
    """Knows when each place was taken and given back."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.begin()

    def begin(self) -> None:
        self.most, self.refused, self.calls = self.under_way, 0, 0
        self.busy_seconds, self._since = 0.0, time.perf_counter()
        self.first = self.last = self._since
        self.busy_at_last = 0.0

    def enter(self) -> Response | None:
        self._add_up()
        refusal = super().enter()
        if refusal is None:
            if not self.calls:
                self.first, self.busy_seconds = self._since, 0.0
            self.calls += 1
            # Only up to the last call that began was there work for every place.
            self.last, self.busy_at_last = self._since, self.busy_seconds
        return refusal

    def leave(self) -> None:
        self._add_up()
        super().leave()

    def _add_up(self) -> None:
        now = time.perf_counter()
        self.busy_seconds += self.under_way * (now - self._since)
        self._since = now

    def told(self) -> dict[str, Any]:
        seconds = self.last - self.first
        used = self.busy_at_last / (seconds * self.limit) if seconds else 0.0
        return {"calls": self.calls, "most": self.most, "refused": self.refused, "used": used, "seconds": seconds}


async def work(folder: Path) -> None:
    account = NetSuiteSimulator(clock=WallClock(), service_seconds=0.0)
    counted = account.governance = Counted(5)
    loop = asyncio.get_running_loop()
    async with serve([account], state_dir=folder) as running:
        print(orjson.dumps(running.description()).decode(), flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            match line.split():
                case ["seconds", seconds]:
                    account.service_seconds = float(seconds)
                    counted.begin()
                case ["tell"]:
                    print(orjson.dumps(counted.told()).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(work(Path(sys.argv[1])))
