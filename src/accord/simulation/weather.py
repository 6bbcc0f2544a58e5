"""What goes wrong in one seed: drawn before the run begins, so that a seed can be run again with less of it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from random import Random

FAULTS = (
    "crash", "lost_answer", "lost_request", "never_answer", "slow", "throttle", "token_expiry", "duplicate_push",
    "delayed_push", "lost_push", "unacknowledged_push", "clock_skew", "outage", "deploy", "operator", "silent_notices",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad it gets: chances a call or push, and numbers a run."""

    crash: float = 0.0  # a statement before which its process dies
    lost_answer: float = 0.0
    lost_request: float = 0.0
    never_answer: float = 0.0
    slow: float = 0.0
    throttle: float = 0.0
    token_expiry: float = 0.0  # a business day on which a vendor forgets its tokens
    duplicate_push: float = 0.0
    delayed_push: float = 0.0
    lost_push: float = 0.0
    unacknowledged_push: float = 0.0
    clock_skew: float = 0.0  # seconds one worker's clock is off
    outage: float = 0.0  # a business day on which a vendor cannot be reached for a while
    deploy: float = 0.0  # a business day on which the workers are replaced by a newer version
    operator: float = 0.0  # a business day on which somebody works on the open cases
    silent_notices: float = 0.0  # a notification that nobody hears

    def without(self, name: str) -> Weather:
        return replace(self, **{name: 0.0})

    def present(self) -> list[str]:
        return [each.name for each in fields(self) if getattr(self, each.name)]


def forecast(seed: int, only: frozenset[str] | None = None) -> Weather:
    """The weather of a seed; a fifth of the seeds are calm in each respect, some have one fault alone and hard."""
    random = Random(f"weather {seed}")  # noqa: S311  (reproducible on purpose)
    strong = {
        "crash": 0.004, "lost_answer": 0.05, "lost_request": 0.05, "never_answer": 0.01, "slow": 0.03,
        "throttle": 0.1, "token_expiry": 0.5, "duplicate_push": 0.3, "delayed_push": 0.3, "lost_push": 0.3,
        "unacknowledged_push": 0.2, "clock_skew": 600.0, "outage": 0.15, "deploy": 0.1, "operator": 0.4,
        "silent_notices": 0.2,
    }  # fmt: skip
    drawn = {}
    for name in FAULTS:
        chance = random.random()
        drawn[name] = 0.0 if chance < 0.4 else strong[name] * (chance - 0.4) / 0.6
    drawn["clock_skew"] = round(drawn["clock_skew"] * random.choice((-1, 1)), 1)
    if only is not None:
        drawn = {name: (strong[name] / 2 if name in only else 0.0) for name in FAULTS}
    return Weather(**drawn)
