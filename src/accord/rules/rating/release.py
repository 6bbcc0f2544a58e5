"""What a raised cap sets free: parts over it go to WIP, in the order of the work or as a person chose. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class OverCap:
    """A part that lies over a cap."""

    item_id: str
    part: int
    worked_on: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Released:
    """How much of a part becomes billable; the rest stays over the cap."""

    item_id: str
    part: int
    amount: Decimal


def release(parts: Sequence[OverCap], room: Decimal, chosen: Sequence[str] = ()) -> tuple[Released, ...]:
    """Fill `room` with parts over the cap: those of the items `chosen` first, in that order, then by day of work.

    The last one is split at the cap. The sum is never above `room`.
    """
    released = []
    for each in in_order(parts, chosen):
        if room <= 0:
            break
        amount = min(each.amount, room)
        if amount > 0:
            released.append(Released(each.item_id, each.part, amount))
            room -= amount
    return tuple(released)


def in_order(parts: Sequence[OverCap], chosen: Sequence[str] = ()) -> list[OverCap]:
    """Parts in the order in which they become billable: the chosen items in theirs, the others by day of work."""
    place = {item: nth for nth, item in enumerate(chosen)}
    return sorted(
        parts, key=lambda each: (place.get(each.item_id, len(place)), each.worked_on, each.item_id, each.part)
    )
