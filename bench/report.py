"""What a run is told by: the machine, the ratios that may be compared from run to run, one table, one JSON file."""

from __future__ import annotations

import json
import os
import platform
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

LAST = Path(__file__).parent / "last.json"
WORSE = 1.25  # a ratio this much worse than last time is pointed out; runs on one machine differ by a tenth

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure without the machine in it: `of` divided by (or, for a time, counted in flows of) the reference's speed
    in the same run. `of` and `by` are part and figure; `less` when less is better."""

    name: str
    of: tuple[str, str]
    by: tuple[str, str] | None = None
    less: bool = False
    times: float = 1.0

    def value(self, found: Found) -> float | None:
        top = found.get(self.of[0], {}).get(self.of[1])
        if top is None or self.by is None:
            return top if top is None else float(top)
        speed = found.get(self.by[0], {}).get(self.by[1])
        if not speed:
            return None
        return round(top * speed * self.times if self.less else top / speed, 3)


ONE, TWO = ("1 worker", "handwritten_per_second"), ("2 workers", "handwritten_per_second")
RATIOS = (
    Ratio("engine to hand-written loop, 1 worker", ("1 worker", "ratio")),
    Ratio("engine to hand-written loop, 2 workers", ("2 workers", "ratio")),
    Ratio("engine to hand-written loop, 4 workers", ("4 workers", "ratio")),
    Ratio("the same in processor time, 1 worker", ("1 worker", "cost_ratio")),
    Ratio("engine (1 worker) to DBOS", ("1 worker", "flows_per_second"), ("DBOS", "flows_per_second")),
    Ratio("five HTTP calls a flow", ("five HTTP calls a flow, 2 workers", "flows_per_second"), TWO),
    Ratio("one process alone, p50, in flows of the loop", ("one process alone", "p50_ms"), ONE, True, 0.001),
    Ratio("pushes stored, to the framework's route not storing", ("intake", "ratio_to_fastapi_route_not_storing")),
    Ratio("beside 100,000 finished, to none", ("history", "middle_to_empty")),
    Ratio("beside 1,000,000 finished, to none", ("history", "last_to_empty")),
    Ratio("processor time beside 1,000,000 finished, to none", ("history", "last_cost_to_empty"), less=True),
    Ratio("most under arrivals", ("sustained", "most_per_second"), TWO),
    Ratio("p99 under sustained load, last to first minutes", ("sustained", "p99_last_to_first"), less=True),
    Ratio("slot time used", ("NetSuite's five slots", "slot_time_used")),
    Ratio("p95 wait of a posting, in calls", ("NetSuite's five slots", "wait_p95_calls"), less=True),
    Ratio("hour to cash, in times of bare SQL that sums", ("hour to cash", "times_bare_sql"), less=True),
    Ratio("the same in processor time", ("hour to cash", "cost_times_bare_sql"), less=True),
    Ratio("hour to cash, in times of bare SQL that keeps", ("hour to cash", "times_bare_sql_that_keeps"), less=True),
    Ratio("cost of an entry, of the last level to the first", ("hour to cash", "cost_last_to_first"), less=True),
)


def ratios(found: Found) -> dict[str, float]:
    """What can be compared with another run, on whatever machine."""
    values = {ratio.name: ratio.value(found) for ratio in RATIOS}
    return {name: value for name, value in values.items() if value is not None}


def compared(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, str]:
    """Each ratio beside the last run's, in words."""
    told = {}
    for ratio in RATIOS:
        if ratio.name not in now:
            continue
        new, old = now[ratio.name], before.get(ratio.name)
        if not old or not new:
            told[ratio.name] = f"{new:g}" if old is None else f"{new:g}, was {old:g}"
            continue
        worse = new / old if ratio.less else old / new
        word = "worse" if worse > WORSE else "better" if worse < 1 / WORSE else "as before"
        told[ratio.name] = f"{new:g}, was {old:g}: {word}"
    return told


def machine(server: str) -> dict[str, Any]:
    """What the figures were measured on."""
    with psycopg.connect(server) as connection:
        row = connection.execute("SELECT current_setting('server_version'), current_setting('fsync')").fetchone()
    assert row is not None
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_mb": resource.getpagesize() * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "postgresql": f"{row[0]}, fsync {row[1]}",
        "load_before": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def show(found: dict[str, Any], before: Found | None) -> None:
    """The one table: figures of this run, and the ratios beside the last stored run's."""
    table = Table(title="Accord bench", title_justify="left", show_lines=True)
    for column in ("what", "figures"):
        table.add_column(column)
    for name, value in found.items():
        if name == "ratios":
            value = compared(value, (before or {}).get("ratios", {}))  # noqa: PLW2901  (in words)
        table.add_row(name, _words(value))
    Console().print(table)


def _words(value: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {_plain(each)}" for name, each in value.items())


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def last() -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(LAST.read_text()) if LAST.exists() else None
    return found


def store(found: Mapping[str, Any]) -> None:
    LAST.write_text(json.dumps(found, indent=2) + "\n")
