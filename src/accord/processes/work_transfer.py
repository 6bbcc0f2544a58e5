"""Work transfer: work that was told of the wrong engagement is invoiced with the right one, for a reason and by two."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import Read, keep, process, together
from accord.ledger.dispositions import Disposition, item, move
from accord.model import events
from accord.model.billing import WorkTransfer
from accord.model.events import Fact
from accord.model.identity import canonical_id


@process(
    starts_on=events.WORK_TRANSFER_APPROVED,
    subject=lambda fact: str(fact.payload.get("about")),
    priority=Priority.REVENUE,
)
async def work_transfer(approved: Fact) -> dict[str, object]:
    """An approved transfer takes value out of an item of one engagement and makes it an item of another, in WIP."""
    found = await Read("work_transfer", approved.subject, WorkTransfer)
    there = item(
        id=canonical_id("billable_item", found.id),
        kind="transfer",
        engagement=found.to_engagement_id,
        legal_entity=found.legal_entity,
        amount=found.amount,
        source="work_transfer",
        source_id=found.id,
        approved_at=approved.occurred_at,
    )
    at, by = approved.occurred_at, found.approved_by
    await together(
        move(
            f"transfer {found.id}", {"id": found.item_id}, found.amount,
            out_of=(Disposition.WIP, Disposition.HELD, Disposition.OVER_CAP), into=Disposition.TRANSFERRED,
            cause=found.reason, at=at, reference=by,
        ),
        move(
            f"transferred {found.id}", there, found.amount, out_of=Disposition.APPROVED, into=Disposition.WIP,
            cause=found.reason, at=at, reference=by, new=True,
        ),
        keep("work_transfer", replace(found, status="done")),
    )  # fmt: skip
    return {"item": there["id"], "from": found.engagement_id, "to": found.to_engagement_id, "value": str(found.amount)}
