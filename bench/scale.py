"""Workers on one database: 1, 2 and 4, each beside the loop written by hand, turn and turn about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench import engine, handwritten


def run(fresh: Callable[..., str], *, workers: int, flows: int, rounds: int = 3) -> dict[str, Any]:
    """The median of `rounds` rounds, each engine then reference, so that a busy machine bothers both."""
    measured = [
        beside(engine.run(fresh(f"engine_{workers}"), flows=flows, workers=workers), fresh, flows=flows)
        for _ in range(rounds)
    ]
    return sorted(measured, key=lambda each: each["ratio"])[rounds // 2]


def beside(ours: dict[str, Any], fresh: Callable[..., str], *, flows: int) -> dict[str, Any]:
    """What the engine did, with the loop written by hand measured at once: in speed, and in processor time a flow."""
    workers = ours["workers"]
    hand = handwritten.run(fresh("beside", migrated=False), flows=flows * 2, workers=workers)
    cost, least = (each["python_us"] + each["postgres_us"] for each in (ours, hand))
    return {
        **ours,
        "handwritten_per_second": hand["flows_per_second"],
        "handwritten_python_us": hand["python_us"],
        "handwritten_postgres_us": hand["postgres_us"],
        "ratio": round(ours["flows_per_second"] / hand["flows_per_second"], 2),
        "cost_ratio": round(least / cost, 2),
    }
