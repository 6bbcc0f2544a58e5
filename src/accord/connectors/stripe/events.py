"""Events, pushed and polled: one translation for both. The list of events is the net under the webhooks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from accord.connect.connector import (
    Arrival,
    Changed,
    GetMany,
    Observed,
    Page,
    Pointer,
    Refusal,
    Watermark,
    Webhook,
)
from accord.connect.failures import AnswerUnreadable
from accord.connect.session import Session
from accord.connect.signature import REFUSED, STALE, hmac_matches, is_stale, secrets_named
from accord.connect.wire import read_foreign
from accord.connectors.stripe.calls import Json, listed
from accord.connectors.stripe.reading import failure_id, is_ours, observed_invoice

API_VERSION = "2026-10-28.endive"  # pinned by the SDK the shapes were taken from (stripe 16.1.0)
TOLERANCE_SECONDS = 300  # the SDK's own default
OVERLAP_SECONDS = 60  # events are not listed in the order they happen; the last minute is read again
PAGE_SIZE = 100
# "List events, going back up to 30 days" (docs.stripe.com api/events/list), less a day for clocks that differ.
KEPT_SECONDS = 29 * 86_400
# Where the objects of a kind are listed; a failed attempt to pay is no object, and the open invoice tells of it.
LISTS: Mapping[str, str] = {
    "invoice": "invoices",
    "payment": "invoice_payments",
    "payment_reversal": "refunds",
    "dispute": "disputes",
}
EVENTS: Mapping[str, tuple[str, ...]] = {
    "invoice": (
        "invoice.finalized", "invoice.updated", "invoice.paid", "invoice.voided", "invoice.marked_uncollectible",
    ),
    "payment": ("invoice_payment.paid",),
    "payment_failure": ("invoice.payment_failed",),
    "payment_reversal": ("refund.created",),
    "dispute": ("charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"),
}  # fmt: skip
WANTED = tuple(name for names in EVENTS.values() for name in names)
_KINDS = {name: kind for kind, names in EVENTS.items() for name in names}


def arrival(event: Json) -> Arrival:
    """One event as what it says of our objects, or why it is set aside."""
    event_type, found = event["type"], event["data"]["object"]
    items: tuple[Observed | Pointer, ...] = ()
    ignored: str | None = None
    match _KINDS.get(event_type):
        case None:
            ignored = f"{event_type} is of no interest"
        case "invoice" | "payment_failure" as kind:
            if not is_ours(found):
                ignored = "the invoice was not issued by Accord"
            elif kind == "payment_failure":
                items = (Pointer(kind, failure_id(found)),)
            elif found["status"] == "draft":
                ignored = "a draft is no invoice yet"
            else:
                items = (_invoice(event),)
        case kind:
            items = (Pointer(kind, str(found["id"])),)
    return Arrival(event["id"], event_type, datetime.fromtimestamp(event["created"], UTC), items, ignored)


def _invoice(event: Json) -> Observed | Pointer:
    """The invoice in the event, unless lines are left out or it has another version's shape: then it is read
    again."""
    invoice = event["data"]["object"]
    if invoice["lines"]["has_more"] or event.get("api_version") not in (None, API_VERSION):
        return Pointer("invoice", str(invoice["id"]))
    return observed_invoice(invoice, event["created"])


def changed(kind: str, get: GetMany) -> Changed:
    """The poll of one kind: its events since the watermark, oldest first. Where nobody has polled for longer than
    Stripe keeps events, the objects themselves are listed first."""

    async def poll(session: Session, watermark: Watermark | None) -> AsyncIterator[Page]:
        kept_since = int(session.now().timestamp()) - KEPT_SECONDS
        if watermark is not None and int(watermark.at) < kept_since and kind in LISTS:
            async for ids in _listed_ids(session, LISTS[kind]):
                yield Page(tuple(await get(session, ids)), watermark)
            watermark = Watermark(_mark(kept_since))
            yield Page((), watermark)
        events = await _since(session, EVENTS[kind], watermark)
        for start in range(0, len(events), PAGE_SIZE):
            part = events[start : start + PAGE_SIZE]
            last = part[-1]
            at = max(_mark(last["created"]), watermark.at if watermark else "")
            yield Page(await _read(session, part, get), Watermark(at, str(last["id"])))

    return poll


async def _listed_ids(session: Session, path: str) -> AsyncIterator[list[str]]:
    """The ids of everything of a list, a page at a time; of invoices, those that are ours and issued."""
    ids: list[str] = []
    async for row in listed(session, path, {}):
        if path != "invoices" or (is_ours(row) and row["status"] != "draft"):
            ids.append(str(row["id"]))
        if len(ids) == PAGE_SIZE:
            yield ids
            ids = []
    if ids:
        yield ids


async def _since(session: Session, types: Sequence[str], watermark: Watermark | None) -> list[Json]:
    """The events after the watermark, oldest first, with a minute's overlap; none when the newest is the last
    one seen."""
    query: dict[str, Any] = {"types": list(types)}
    if watermark is not None:
        query["created"] = {"gte": max(0, int(watermark.at) - OVERLAP_SECONDS)}
    found: list[Json] = []
    async for event in listed(session, "events", query):
        if watermark is not None and not found and event["id"] == watermark.id:
            return []
        found.append(event)
    return found[::-1]


def _mark(created: int) -> str:
    return f"{created:011d}"


async def _read(session: Session, events: Sequence[Json], get: GetMany) -> tuple[Observed, ...]:
    items = [item for event in events for item in _items(event)]
    again = dict.fromkeys(item.vendor_id for item in items if isinstance(item, Pointer))
    read_again = await get(session, list(again)) if again else ()
    return (*(item for item in items if isinstance(item, Observed)), *read_again)


def _items(event: Json) -> tuple[Observed | Pointer, ...]:
    try:
        return arrival(event).items
    except (KeyError, TypeError, AttributeError) as error:
        raise AnswerUnreadable(f"the event {event.get('id')} has not Stripe's shape: {error}") from error


def verify(headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Any], now: datetime) -> Refusal | None:
    """`Stripe-Signature: t=..,v1=..`: HMAC-SHA256 over `t.body`, any of several v1, no older than five
    minutes."""
    parts = [part.partition("=") for part in headers.get("stripe-signature", "").split(",")]
    stamps = [value for name, _, value in parts if name.strip() == "t"]
    given = [value for name, _, value in parts if name.strip() == "v1"]
    if len(stamps) != 1:
        return REFUSED
    signed = stamps[0].encode() + b"." + body
    if not hmac_matches(secrets_named(secrets, "webhook_secret"), signed, given):
        return REFUSED
    return STALE if is_stale(stamps[0], now, TOLERANCE_SECONDS) else None


def event_ids(_headers: Mapping[str, str], body: bytes) -> Sequence[str]:
    """Only the id, at the door. Raises ValueError or KeyError for what is no event."""
    event = orjson.loads(body)
    if event.get("object") != "event":
        raise ValueError("not an event")
    return [str(event["id"])]


def translate(_headers: Mapping[str, str], body: bytes) -> Sequence[Arrival]:
    return [arrival(read_foreign(body))]


WEBHOOK = Webhook(
    verify=verify,
    event_ids=event_ids,
    translate=translate,
    answer=("application/json", json.dumps({"received": True}).encode()),
)


async def register_webhook(session: Session, url: str) -> tuple[str, str]:
    """Ask Stripe to push the events we want to `url`; answers (endpoint id, signing secret). Raises
    CallFailed."""
    form = {"url": url, "enabled_events": list(WANTED), "api_version": API_VERSION, "description": "Accord"}
    calling = session.call("POST", "v1/webhook_endpoints", form=form, endpoint="POST webhook_endpoints")
    made = (await session.expect(calling)).json()
    return str(made["id"]), str(made["secret"])
