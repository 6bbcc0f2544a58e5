"""Where approved value can be, and the moves between. Pure; the stories post these.

An item is a sum of parts, and each part lies in exactly one disposition. A move takes a part from one to another: both
sides of the entry are one row of the journal, which the database writes itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from accord.engine.story import Post
from accord.model.money import Money
from accord.model.plain import Plain


class Disposition(StrEnum):
    """Where a part of an item lies. `approved` is where value comes from; nothing lies there."""

    APPROVED = "approved"
    WIP = "wip"
    HELD = "held"
    OVER_CAP = "over_cap"
    DRAWN = "drawn"
    NON_BILLABLE = "non_billable"
    INTERCOMPANY = "intercompany"
    DRAFT = "draft"
    BILLED = "billed"
    COLLECTED = "collected"
    DISPUTED = "disputed"
    CREDITED = "credited"
    WRITTEN_OFF = "written_off"
    TRANSFERRED = "transferred"
    REVERSED = "reversed"


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
    out_of: Disposition | Sequence[Disposition],
    into: Disposition,
    cause: str,
    at: str,
    reference: str | None = None,
    document: str | None = None,
    line: int = 1,
    new: bool = False,
) -> Post:
    """Move `amount` of an item out of the first of the dispositions that has it, then the next. `entry` names the
    happening: posting it again changes nothing. `new` also registers the item; `document` is the invoice it is on
    from now, and `line` the number of its line there."""
    row = _row(entry, amount, out_of=out_of, into=into, cause=cause, at=at, reference=reference)
    return Post(
        entry=entry,
        items=(about,) if new else (),
        postings=({**row, "item_id": about["id"], "into_document": document, "into_line": document and line},),
    )


def move_document(
    entry: str,
    document: str,
    amount: Money,
    *,
    out_of: Disposition | Sequence[Disposition],
    into: Disposition,
    cause: str,
    at: str,
    reference: str | None = None,
    line: int | None = None,
    at_most: bool = False,
) -> Post:
    """Move `amount` of what an invoice or proposal (or one line of it) holds, line by line, the last part split.
    `at_most` moves what is there when less is there than asked for; without it the ledger refuses."""
    row = _row(entry, amount, out_of=out_of, into=into, cause=cause, at=at, reference=reference)
    return Post(entry=entry, items=(), postings=({**row, "document": document, "line": line, "at_most": at_most},))


def refill_collected(entry: str, of: str, document: str, freed: Money, *, cause: str, at: str) -> Post:
    """Money pays an invoice, not a line. What the entries whose names begin with `of` took out of `collected`, but for
    `freed`, still pays the rest of the document: as much is collected of what is billed there."""
    row = _row(entry, freed, out_of=Disposition.BILLED, into=Disposition.COLLECTED, cause=cause, at=at, reference=None)
    return Post(entry=entry, items=(), postings=({**row, "document": document, "refills": of, "at_most": True},))


def rate_again(entry: str, document: str, line: int, named: str) -> Post:
    """The work behind a line gets its price anew, by the terms of the day: its items are taken back and those `named`
    after the reason take their place in WIP."""
    return Post(entry=entry, items=(), postings=({"entry": entry, "document": document, "line": line, "again": named},))


def _row(
    entry: str,
    amount: Money,
    *,
    out_of: Disposition | Sequence[Disposition],
    into: Disposition,
    cause: str,
    at: str,
    reference: str | None,
) -> dict[str, Any]:
    sources = [out_of] if isinstance(out_of, Disposition) else out_of
    return {
        "entry": entry,
        "out_of": [each.value for each in sources],
        "placed_in": into.value,
        "amount": str(amount.amount),
        "reference": reference,
        "cause": cause,
        "posted_at": at,
    }
