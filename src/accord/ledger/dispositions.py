"""Where approved value can be, and the balanced entries that move it. Pure; the stories post these.

An item's whole value sits in dispositions at any time. Entries move it; each entry sums to zero per legal entity and
currency. `approved` is the source account: its sum is minus the value approved.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from accord.engine.story import Post
from accord.model.money import Money
from accord.model.plain import Plain


class Disposition(StrEnum):
    APPROVED = "approved"
    WIP = "wip"
    BILLED = "billed"
    COLLECTED = "collected"
    DISPUTED = "disputed"
    CREDITED = "credited"


def item(
    *,
    id: str,
    kind: str,
    engagement: str,
    legal_entity: str,
    amount: Money,
    source: str,
    source_id: str,
    approved_at: str,
) -> Plain:
    """A billable item: one approved unit of work. `approved_at` is ISO text, aware."""
    return {
        "id": id,
        "kind": kind,
        "engagement": engagement,
        "legal_entity": legal_entity,
        "currency": amount.currency,
        "amount": str(amount.amount),
        "source": source,
        "source_id": source_id,
        "approved_at": approved_at,
    }


def move(
    entry: str,
    about: Plain,
    amount: Money,
    *,
    out_of: Disposition,
    into: Disposition,
    cause: str,
    at: str,
    reference: str | None = None,
    new: bool = False,
) -> Post:
    """Move `amount` of an item from one disposition into another. `entry` names the happening: posting it again changes
    nothing. `new` also registers the item."""

    def line(disposition: Disposition, value: Money) -> dict[str, Any]:
        return {
            "item_id": about["id"],
            "engagement": about["engagement"],
            "legal_entity": about["legal_entity"],
            "currency": amount.currency,
            "disposition": disposition.value,
            "amount": str(value.amount),
            "reference": reference,
            "cause": cause,
            "posted_at": at,
        }

    return Post(entry=entry, items=(about,) if new else (), postings=(line(out_of, -amount), line(into, amount)))
