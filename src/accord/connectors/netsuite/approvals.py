"""Milestone approvals: project tasks that carry a milestone of ours, polled by SuiteQL and pushed by the user event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from accord.connect.connector import Observed, Page, Pointer, Resource, Watermark
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import day, flag, key, own, text
from accord.connect.observation import observed
from accord.connect.session import Session
from accord.connectors.netsuite import recent
from accord.connectors.netsuite.calls import Json
from accord.connectors.netsuite.chart import table_of
from accord.model.project import MilestoneApproval

KIND = "milestone_approval"
APPROVAL = Table(
    "netsuite.milestone_approval", KIND, "Project task with a milestone", of=MilestoneApproval, sparse=True,
    rows=(
        key("id"),
        own("custevent_accord_milestone"),
        flag("approved", "custevent_milestone_approved", style="T/F", required=True),
        day("approved_on", "custevent_milestone_approved_on"),
        text("approved_by", "custevent_milestone_approved_by"),
    ),
)  # fmt: skip


async def changed(session: Session, watermark: Watermark | None) -> AsyncIterator[Page]:
    """Tasks changed since the watermark, oldest first."""
    async for found, reached in recent.rows_since(session, watermark, lambda test: _query(session, test)):
        yield Page(tuple(_observed(session, row) for row in found), reached)


async def get(session: Session, vendor_ids: Sequence[str]) -> Sequence[Observed]:
    """Tasks read again by NetSuite's id; one that is gone is left out."""
    found = await recent.rows_of(session, vendor_ids, lambda test: _query(session, test))
    return [_observed(session, row) for row in found]


def _query(session: Session, test: str) -> str:
    own_at, approved, on, by = (path.lower() for path in table_of(session, APPROVAL).fields()[1:5])
    return (
        f"SELECT id, {own_at}, NVL({approved}, 'F') AS {approved}, TO_CHAR({on}, 'YYYY-MM-DD') AS {on}, {by}, "
        f"{recent.MODIFIED} FROM projecttask WHERE {own_at} IS NOT NULL AND {test} ORDER BY lastmodifieddate, id"
    )


def _observed(session: Session, row: Json) -> Observed:
    version = recent.moment(row["modified"], recent.zone(session), session.now())
    return observed(table_of(session, APPROVAL), row, version=version)


def pushed(event: Json, occurred: datetime) -> Observed | Pointer | str:
    """The task itself when the push says when it was modified; otherwise it is read again, because the time of posting
    says nothing of the order of changes. Or why it is of no interest."""
    if not event["fields"].get("custevent_accord_milestone"):
        return "the task is no milestone of ours"
    gone = event["type"] == "delete"
    modified = event["fields"].get("lastModifiedDate") or (event["at"] if gone else None)
    if modified is None:
        return Pointer(KIND, str(event["id"]))
    version = datetime.fromisoformat(modified).astimezone(UTC).isoformat()
    fields = {"custevent_milestone_approved": False, **event["fields"], "id": str(event["id"])}
    return observed(APPROVAL, fields, version=version, deleted=gone, observed_at=occurred)


RESOURCE = Resource(
    KIND, "Project task with a milestone", get=get, changed=changed, poll_seconds=30.0, mapping=APPROVAL
)
