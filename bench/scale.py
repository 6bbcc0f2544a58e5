"""Workers on one database: 1, 2 and 4, each beside the loop written by hand, turn and turn about."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from bench import engine, handwritten

WORKERS = (1, 2, 4)


def run(fresh: Callable[..., str], *, workers: int, flows: int, rounds: int = 3) -> dict[str, Any]:
    """The median of `rounds` rounds, each engine then reference, so that a busy machine bothers both."""
    ours, theirs = [], []
    for number in range(rounds):
        ours.append(engine.run(fresh(f"engine_{workers}_{number}"), flows=flows, workers=workers))
        url = fresh(f"hand_{workers}_{number}", migrated=False)
        theirs.append(handwritten.run(url, flows=flows * 2, workers=workers)["flows_per_second"])
    ratios = sorted(mine["flows_per_second"] / other for mine, other in zip(ours, theirs, strict=True))
    middle = sorted(ours, key=lambda each: each["flows_per_second"])[len(ours) // 2]
    return {
        **middle,
        "handwritten_per_second": round(statistics.median(theirs)),
        "ratio": round(statistics.median(ratios), 2),
    }
