"""`python -m bench`: one table and one JSON file (bench/last.json); ratios in one run, because machines are noisy.

`--only NAME` measures one part; `--quick` takes a tenth of the flows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import dbos_flow, engine, handwritten, memory, place

LAST = Path(__file__).parent / "last.json"


def main() -> None:
    arguments = argparse.ArgumentParser(prog="bench", description=__doc__)
    arguments.add_argument("--only", action="append", default=[])
    arguments.add_argument("--quick", action="store_true")
    chosen = arguments.parse_args()
    scale = 0.1 if chosen.quick else 1.0
    console = Console(stderr=True)
    found: dict[str, Any] = {"machine": machine()}
    with place.server() as server:
        for name, measure in parts(server, scale).items():
            if chosen.only and name not in chosen.only:
                continue
            console.print(f"[dim]{name} ...[/dim]")
            place.settle(server)
            started = time.perf_counter()
            found[name] = measure()
            console.print(f"{name}: {found[name]} [dim]{time.perf_counter() - started:.0f} s[/dim]")
    found["ratios"] = ratios(found)
    before = json.loads(LAST.read_text()) if LAST.exists() else None
    show(found, before)
    if not chosen.only:
        LAST.write_text(json.dumps(found, indent=2) + "\n")


def parts(server: str, scale: float) -> dict[str, Callable[[], Any]]:
    """What is measured, in order: ours beside its references, one after the other."""
    flows = int(20_000 * scale)

    def fresh(name: str, *, migrated: bool = True) -> str:
        return place.database(server, name, migrated=migrated)

    return {
        "engine, 1 worker": lambda: engine.run(fresh("e1"), flows=flows, workers=1),
        "hand-written loop, 1 worker": lambda: handwritten.run(fresh("h1", migrated=False), flows=flows, workers=1),
        "engine, 2 workers": lambda: engine.run(fresh("e2"), flows=flows * 2, workers=2),
        "hand-written loop, 2 workers": lambda: handwritten.run(
            fresh("h2", migrated=False), flows=flows * 2, workers=2
        ),
        "DBOS": lambda: dbos_flow.run(fresh("dbos", migrated=False), flows=max(30, int(300 * scale))),
        "five HTTP calls a flow, 2 workers": lambda: over_http(fresh("http"), int(4_000 * scale)),
        "one process alone": lambda: engine.latency(fresh("alone"), flows=max(20, int(200 * scale))),
        "intake": intake,
        "worker with waiting effects": lambda: memory.run(fresh("memory"), effects=int(100_000 * scale)),
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


def help_seconds() -> dict[str, Any]:
    """Median of five runs, whole process."""
    took = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "accord.cli", "--help"], stdout=subprocess.DEVNULL, check=True)
        took.append(time.perf_counter() - started)
    return {"seconds": round(sorted(took)[2], 2)}


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Ours to the references of the same run."""

    def speed(name: str) -> float | None:
        value = found.get(name, {}).get("flows_per_second")
        return None if value is None else float(value)

    pairs = {
        "engine to hand-written loop, 1 worker": (speed("engine, 1 worker"), speed("hand-written loop, 1 worker")),
        "engine to hand-written loop, 2 workers": (speed("engine, 2 workers"), speed("hand-written loop, 2 workers")),
        "engine (1 worker) to DBOS": (speed("engine, 1 worker"), speed("DBOS")),
    }
    return {name: round(ours / theirs, 2) for name, (ours, theirs) in pairs.items() if ours and theirs}


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "load": round(os.getloadavg()[0], 1),
        "memory_mb": resource.getpagesize() * os.sysconf("SC_PHYS_PAGES") // 2**20,
    }


def show(found: dict[str, Any], before: dict[str, Any] | None) -> None:
    table = Table(title="Accord bench", title_justify="left")
    for column in ("what", "figures", "last run"):
        table.add_column(column)
    for name, value in found.items():
        last = (before or {}).get(name)
        table.add_row(name, _words(value), _words(last) if isinstance(last, dict) else "")
    Console().print(table)


def _words(value: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {each}" for name, each in value.items())


if __name__ == "__main__":
    main()
