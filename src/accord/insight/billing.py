"""The rows behind the numbers of the flow: billable items, and invoices by what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accord.db import keyset
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.insight.engagements import money
from accord.model.money import Money

INVOICES = """
SELECT i.id, i.body, i.correlation, d.body ->> 'name', i.changed_at,
       EXISTS (SELECT FROM record n WHERE n.kind = 'invoice_posting' AND n.id = i.id)
FROM record i LEFT JOIN record d ON d.kind = 'deal' AND d.id = i.correlation
WHERE i.kind = 'invoice' AND NOT i.deleted AND i.body ->> 'status' NOT IN ('draft', 'void')
  AND (%(entities)s::text[] IS NULL OR i.body ->> 'legal_entity' = ANY(%(entities)s))
  AND CASE %(stage)s
      WHEN 'posted' THEN EXISTS (SELECT FROM record n WHERE n.kind = 'invoice_posting' AND n.id = i.id)
      WHEN 'paid' THEN coalesce((i.body -> 'paid' ->> 'amount')::numeric, 0) > 0
      WHEN 'disputed' THEN coalesce((i.body ->> 'disputed')::boolean, false)
      ELSE true END
  AND (%(after_at)s::timestamptz IS NULL OR i.changed_at < %(after_at)s
      OR (i.changed_at = %(after_at)s AND i.id > %(after_id)s))
ORDER BY i.changed_at DESC, i.id LIMIT %(limit)s
"""
ITEMS = """
SELECT b.id, b.kind, b.engagement, d.body ->> 'name', b.legal_entity, b.amount, b.currency, b.approved_at,
       (SELECT array_agg(disposition ORDER BY disposition) FROM (
           SELECT DISTINCT p.disposition FROM item_part p WHERE p.item_id = b.id) stands)
FROM billable_item b LEFT JOIN record d ON d.kind = 'deal' AND d.id = b.engagement
WHERE (%(entities)s::text[] IS NULL OR b.legal_entity = ANY(%(entities)s))
  AND (%(after_id)s::text IS NULL OR b.id > %(after_id)s)
ORDER BY b.id LIMIT %(limit)s
"""
STAGES = ("milestone approved", "invoiced", "posted", "paid", "disputed")


@dataclass(frozen=True, slots=True)
class Row:
    """One billable item or invoice. `status` is in words; `second` the paid part of an invoice."""

    id: str
    label: str
    engagement: str | None
    engagement_name: str | None
    legal_entity: str
    status: str
    on: str | None
    amount: Money
    second: Money | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows and the cursor of the next one."""

    rows: tuple[Row, ...]
    next: str | None = None


async def rows_behind(
    db: Connection, stage: str, *, entities: Sequence[str] | None = None, cursor: str | None = None, limit: int = 50
) -> Page:
    """The rows one number of the flow is made of. Raises UsageError, CursorNotUnderstood."""
    if stage not in STAGES:
        raise UsageError(f"the stage is one of {', '.join(STAGES)}; {stage!r} was asked for")
    about = {"stage": stage, "entities": None if entities is None else list(entities), "limit": limit + 1}
    if stage == "milestone approved":
        (after_id,) = (None,) if cursor is None else keyset.decode(cursor, str)
        found = await (await db.execute(ITEMS, {**about, "after_id": after_id})).fetchall()
        items = tuple(_item(row) for row in found[:limit])
        return Page(items, keyset.encode(found[limit - 1][0]) if len(found) > limit else None)
    after_at, after_id = (None, None) if cursor is None else keyset.decode(cursor, str, str)
    place = {"after_at": None if after_at is None else keyset.moment(after_at), "after_id": after_id}
    found = await (await db.execute(INVOICES, {**about, **place})).fetchall()
    invoices = tuple(_invoice(row) for row in found[:limit])
    following = keyset.encode(found[limit - 1][4].isoformat(), found[limit - 1][0]) if len(found) > limit else None
    return Page(invoices, following)


def _item(row: Sequence[Any]) -> Row:
    id, kind, engagement, name, entity, amount, currency, approved_at, dispositions = row
    status = ", ".join(dispositions) if dispositions else "unexplained"
    on = f"{approved_at:%Y-%m-%d}"
    label = kind.replace("_", " ")
    return Row(id, label, engagement, name, entity, status, on, Money(amount, currency), None)


def _invoice(row: Sequence[Any]) -> Row:
    id, body, engagement, name, _, posted = row
    paid = money(body.get("paid"), str(body["currency"]))
    status = "disputed" if body.get("disputed") else str(body.get("status"))
    return Row(
        id=id,
        label=str(body.get("number") or id),
        engagement=engagement,
        engagement_name=name,
        legal_entity=str(body["legal_entity"]),
        status=status if posted else f"{status}, not posted",
        on=body.get("issued_on"),
        amount=money(body["gross"]),
        second=paid,
    )
