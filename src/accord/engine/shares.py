"""Who may hold how many of a vendor's slots. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """What one worker holds, what it could use now, and how much of that is urgent (more than bulk)."""

    held: int
    wanted: int
    urgent: int = 0


def fair_share(limit: int, me: int, claims: Mapping[int, Claim], *, turn: int = 0) -> int:
    """How many of `limit` slots worker `me` may hold now.

    One after the other gets one, first those with urgent calls, then those with any, until the slots are given out or
    nobody wants more; what is left over is kept ready, one a worker. Never more than the others do not hold: who holds
    too much gives back first. `turn` moves who is first, so that with more workers than slots everybody's turn comes.
    """
    workers = sorted(claims)
    first = turn % len(workers) if len(workers) > limit else 0
    order = workers[first:] + workers[:first]
    shares = dict.fromkeys(order, 0)
    left = limit
    for goal in (
        {worker: min(claims[worker].urgent, claims[worker].wanted) for worker in order},
        {worker: claims[worker].wanted for worker in order},
        {worker: max(1, claims[worker].wanted) for worker in order},
    ):
        left = _deal(shares, goal, left)
    others = sum(claim.held for worker, claim in claims.items() if worker != me)
    return max(0, min(shares[me], limit - others))


def _deal(shares: dict[int, int], goal: Mapping[int, int], left: int) -> int:
    """One each, round after round; what is left."""
    while left:
        short = [worker for worker in shares if shares[worker] < goal[worker]]
        if not short:
            break
        for worker in short[:left]:
            shares[worker] += 1
        left -= min(left, len(short))
    return left
