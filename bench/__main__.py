"""`python -m bench`: one table and one JSON file (bench/last.json); ratios in one run, because machines are noisy.

`--only NAME` measures one part; `--quick` takes a tenth of everything; `--minutes N` of sustained load (10);
`--items N` in the ledger that is there already (1,000,000; ten times that takes a quarter of an hour and 20 GB).
Only a whole run is stored, and compared with the one stored before.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console

from bench import (
    backlog,
    dbos_flow,
    engine,
    hour_to_cash,
    ledger,
    memory,
    one_entry,
    pages,
    place,
    report,
    scale,
    slots,
    sustained,
)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="bench", description=__doc__)
    arguments.add_argument("--only", action="append", default=[])
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--minutes", type=float)
    arguments.add_argument("--items", type=int, default=1_000_000)
    chosen = arguments.parse_args()
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped on the way out
    with place.server() as server:
        found: dict[str, Any] = {"machine": report.machine(server)}
        measured = parts(server, 0.1 if chosen.quick else 1.0, chosen.minutes, chosen.items)
        if unknown := set(chosen.only) - set(measured):
            arguments.error(f"no such part: {', '.join(unknown)}; there are {', '.join(measured)}")
        for name, measure in measured.items():
            if chosen.only and name not in chosen.only:
                continue
            console.print(f"[dim]{name} ...[/dim]")
            place.settle(server)
            started = time.perf_counter()
            found[name] = measure()
            console.print(f"{name}: {found[name]} [dim]{time.perf_counter() - started:.0f} s[/dim]")
    found["machine"]["load_after"] = round(os.getloadavg()[0], 1)
    found["ratios"] = report.ratios(found)
    report.show(found, report.last())
    if not chosen.only and not chosen.quick:
        report.store(found)


def parts(server: str, size: float, minutes: float | None, items: int) -> dict[str, Callable[[], Any]]:
    """What is measured, in order: ours beside its references, one after the other."""
    flows = int(20_000 * size)

    def fresh(name: str, *, migrated: bool = True) -> str:
        return place.database(server, name, migrated=migrated)

    def workers(count: int) -> Callable[[], Any]:
        return lambda: scale.run(fresh, workers=count, flows=flows)

    return {
        "1 worker": workers(1),
        "2 workers": workers(2),
        "4 workers": workers(4),
        "DBOS": lambda: dbos_flow.run(fresh("dbos", migrated=False), flows=max(30, int(300 * size))),
        "five HTTP calls a flow, 2 workers": lambda: over_http(fresh("http"), int(4_000 * size)),
        "one process alone": lambda: engine.latency(fresh("alone"), flows=max(20, int(200 * size))),
        "intake": intake,
        "worker with waiting effects": lambda: memory.run(fresh("memory"), effects=int(100_000 * size)),
        "NetSuite's five slots": lambda: slots.run(
            fresh("slots"), bulk=int(slots.BULK * size), postings=max(10, int(slots.POSTINGS * size))
        ),
        "history": lambda: backlog.run(fresh, flows=flows, levels=tuple(int(each * size) for each in backlog.LEVELS)),
        "sustained": lambda: sustained.run(fresh, minutes=10 * size if minutes is None else minutes),
        "hour to cash": lambda: hour_to_cash.run(fresh, levels=[int(each * size) for each in hour_to_cash.LEVELS]),
        "one entry alone": lambda: one_entry.run(fresh("entry"), entries=max(20, int(one_entry.ENTRIES * size))),
        "beside a full ledger": lambda: full_ledger(fresh("ledger"), int(items * size), size),
        "accord --help": help_seconds,
    }


def over_http(url: str, flows: int) -> dict[str, Any]:
    stub = subprocess.Popen([sys.executable, "-m", "bench.stub"], stdout=subprocess.PIPE, text=True)
    assert stub.stdout is not None
    try:
        return engine.run(url, flows=flows, workers=2, vendor=stub.stdout.readline().strip())
    finally:
        stub.terminate()
        stub.wait()


def intake() -> dict[str, Any]:
    from bench.intake import run

    return run()


def full_ledger(url: str, items: int, size: float) -> dict[str, Any]:
    """Pages of finance, and what new entries cost, where so many items are there already."""
    ledger.fill(url, items)
    asked = pages.run(url, asked=max(20, int(pages.ASKED * size)))
    return {"items": items, **asked, "new entries": hour_to_cash.beside(url, entries=int(200_000 * size))}


def help_seconds() -> dict[str, Any]:
    """Median of five runs, whole process."""
    took = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "accord.cli", "--help"], stdout=subprocess.DEVNULL, check=True)
        took.append(time.perf_counter() - started)
    return {"seconds": round(sorted(took)[2], 2)}


if __name__ == "__main__":
    main()
