"""Milestone approvals: project tasks that carry a milestone of ours, polled by SuiteQL and pushed by the user event.

SuiteQL writes times in the account's zone, to the second, without saying which zone (vendors.md 2.3). The poll reads a
little behind its watermark again, and an hour more while the clock has just been put back; observations are ordered by
the moment in UTC, of two that may be meant the later.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from accord.connect.connector import Arrival, Observed, Page, Pointer, Refusal, Resource, Watermark, Webhook
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import day, flag, key, own, text
from accord.connect.observation import observed
from accord.connect.pages import pages
from accord.connect.session import Session
from accord.connect.signature import REFUSED, STALE, hmac_matches, is_stale, secrets_named
from accord.connect.wire import read_foreign
from accord.connectors.netsuite.calls import Json, first_page, rows
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
OVERLAP_SECONDS = 60  # NetSuite dates a record when its save begins and shows it when it ends
PAGE_SIZE = 1000
ZONE = "America/Los_Angeles"  # where new accounts start; `time_zone` in the settings
TOLERANCE_SECONDS = 300
_FORM = "'YYYY-MM-DD HH24:MI:SS'"
_EPOCH = "1970-01-01 00:00:00"


async def changed(session: Session, watermark: Watermark | None) -> AsyncIterator[Page]:
    """Tasks changed since the watermark, oldest first; pages are cut by time and id, so that a task that changes while
    we read moves to the end and is not skipped. The watermark never goes back."""
    size = int(session.config.get("page_size") or PAGE_SIZE)
    start = Watermark(_behind(session, watermark.at) if watermark is not None else _EPOCH)

    async def fetch(after: Watermark | None) -> tuple[list[Json], Watermark | None]:
        found = await first_page(session, _query(session, _since(after or start)), size)
        return found, Watermark(found[-1]["modified"], found[-1]["id"]) if len(found) == size else None

    async for found in pages(fetch):
        if found:
            last = Watermark(found[-1]["modified"], found[-1]["id"])
            reached = max(last, watermark or last, key=lambda mark: mark.at)
            yield Page(tuple(_observed(session, row) for row in found), reached)


async def get(session: Session, vendor_ids: Sequence[str]) -> Sequence[Observed]:
    """Tasks read again by NetSuite's id; one that is gone is left out."""
    wanted = [each for each in vendor_ids if each.isdigit()]
    found: list[Json] = []
    for start in range(0, len(wanted), PAGE_SIZE):
        listed = ", ".join(wanted[start : start + PAGE_SIZE])
        found += await rows(session, _query(session, f"id IN ({listed})"))
    return [_observed(session, row) for row in found]


def _query(session: Session, test: str) -> str:
    own_at, approved, on, by = (path.lower() for path in table_of(session, APPROVAL).fields()[1:5])
    return (
        f"SELECT id, {own_at}, NVL({approved}, 'F') AS {approved}, TO_CHAR({on}, 'YYYY-MM-DD') AS {on}, {by}, "
        f"TO_CHAR(lastmodifieddate, {_FORM}) AS modified FROM projecttask "
        f"WHERE {own_at} IS NOT NULL AND {test} ORDER BY lastmodifieddate, id"
    )


def _since(mark: Watermark) -> str:
    at = f"TO_TIMESTAMP('{datetime.fromisoformat(mark.at):%Y-%m-%d %H:%M:%S}', {_FORM})"
    if not mark.id:
        return f"lastmodifieddate >= {at}"
    return f"(lastmodifieddate > {at} OR (lastmodifieddate = {at} AND id > {int(mark.id)}))"


def _zone(session: Session) -> ZoneInfo:
    return ZoneInfo(str(session.config.get("time_zone") or ZONE))


def _behind(session: Session, at: str) -> str:
    """The watermark less the overlap, and less what the account's clock was put back by in the last hours."""
    moments = [(session.now() - timedelta(hours=hours)).astimezone(_zone(session)) for hours in (3, 0)]
    before, after = (each.utcoffset() or timedelta(0) for each in moments)
    back = max(timedelta(0), before - after)
    overlap = timedelta(seconds=float(session.config.get("overlap_seconds") or OVERLAP_SECONDS))
    return (datetime.fromisoformat(at) - overlap - back).isoformat(" ")


def _moment(local: str, zone: ZoneInfo, now: datetime) -> str:
    """A local time as UTC text. In the hour that comes twice the later meaning is taken, unless it lies ahead."""
    meanings = [datetime.fromisoformat(local).replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0)]
    return next((each for each in meanings if each <= now + timedelta(minutes=5)), meanings[1]).isoformat()


def _observed(session: Session, row: Json) -> Observed:
    version = _moment(row["modified"], _zone(session), session.now())
    return observed(table_of(session, APPROVAL), row, version=version)


# The push of suiteapp/accord_user_event.js: {event_id, type, record, id, externalId, fields, at}


def verify(headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Any], now: datetime) -> Refusal | None:
    """`X-Accord-Signature: t=..,v1=..`: HMAC-SHA256 over `t.body`, no older than five minutes."""
    parts = [part.strip().partition("=") for part in headers.get("x-accord-signature", "").split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(stamps) != 1:
        return REFUSED
    if not hmac_matches(secrets_named(secrets, "push_secret"), stamps[0].encode() + b"." + body, given):
        return REFUSED
    return STALE if is_stale(stamps[0], now, TOLERANCE_SECONDS) else None


def event_ids(_: Mapping[str, str], body: bytes) -> Sequence[str]:
    """Only the id, at the door. Raises ValueError or KeyError for what is no event."""
    return [str(orjson.loads(body)["event_id"])]


def translate(_: Mapping[str, str], body: bytes) -> Sequence[Arrival]:
    """The approval as the script posted it, or why it is set aside."""
    event = read_foreign(body)
    occurred = datetime.fromisoformat(event["at"])
    items: tuple[Observed | Pointer, ...] = ()
    ignored: str | None = None
    if event["record"] != "projectTask":
        ignored = f"a {event['record']} is of no interest"
    elif not event["fields"].get("custevent_accord_milestone"):
        ignored = "the task is no milestone of ours"
    else:
        items = (_pushed(event, occurred),)
    return [Arrival(str(event["event_id"]), f"{event['record']}.{event['type']}", occurred, items, ignored)]


def _pushed(event: Json, occurred: datetime) -> Observed | Pointer:
    """The task itself when the push says when it was modified; otherwise it is read again, because the time of posting
    says nothing of the order of changes."""
    gone = event["type"] == "delete"
    modified = event["fields"].get("lastModifiedDate") or (event["at"] if gone else None)
    if modified is None:
        return Pointer(KIND, str(event["id"]))
    version = datetime.fromisoformat(modified).astimezone(UTC).isoformat()
    fields = {"custevent_milestone_approved": False, **event["fields"], "id": str(event["id"])}
    return observed(APPROVAL, fields, version=version, deleted=gone, observed_at=occurred)


WEBHOOK = Webhook(verify, event_ids, translate, ("application/json", json.dumps({"received": True}).encode()))
RESOURCE = Resource(
    KIND, "Project task with a milestone", get=get, changed=changed, poll_seconds=30.0, mapping=APPROVAL
)
