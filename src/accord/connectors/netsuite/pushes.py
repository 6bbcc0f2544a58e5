"""The push of suiteapp/accord_user_event.js: {event_id, type, record, id, externalId, fields, at}, signed.

Of milestones it says what was approved; of time and expenses only what to read again, since the worker's legal entity
and a report's lines are not in it. A deletion is told by the push itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from accord.connect.connector import Arrival, Observed, Pointer, Refusal, Webhook
from accord.connect.signature import REFUSED, STALE, hmac_matches, is_stale, secrets_named
from accord.connect.wire import read_foreign
from accord.connectors.netsuite import approvals, told
from accord.connectors.netsuite.calls import Json

TOLERANCE_SECONDS = 300
# What a push of each record comes to: an object, a pointer to it, or why it is of no interest.
READERS: Mapping[str, Callable[[Json, datetime], Observed | Pointer | str]] = {
    "projectTask": approvals.pushed,
    **dict.fromkeys(told.RECORDS, told.pushed),
}


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
    """What the script posted, or why it is set aside."""
    event = read_foreign(body)
    occurred = datetime.fromisoformat(event["at"])
    reader = READERS.get(event["record"])
    found = f"a {event['record']} is of no interest" if reader is None else reader(event, occurred)
    items, ignored = ((), found) if isinstance(found, str) else ((found,), None)
    return [Arrival(str(event["event_id"]), f"{event['record']}.{event['type']}", occurred, items, ignored)]


WEBHOOK = Webhook(verify, event_ids, translate, ("application/json", json.dumps({"received": True}).encode()))
