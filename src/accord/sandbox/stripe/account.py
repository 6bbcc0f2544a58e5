"""One Stripe account: its objects, its two clocks, its agenda and its log of events."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from accord.sandbox.kit.simulator import Clock
from accord.sandbox.stripe.agenda import Agenda
from accord.sandbox.stripe.refusals import not_there
from accord.sandbox.stripe.search import SearchIndex
from accord.sandbox.stripe.shelf import Json, Shelf

API_VERSION = "2026-10-28.endive"  # the version PyPI stripe 16.1.0 pins (vendors.md section 0.10)
EVENT_LIFE_SECONDS = 30 * 86_400  # events are listed for 30 days (docs.stripe.com api/events)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# kind -> (label in "No such ...", prefix of its event types or None for none, indexed fields)
KINDS: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "customer": ("customer", "customer", ("email",)),
    "tax_id": ("tax id", "customer.tax_id", ("customer",)),
    "product": ("product", "product", ()),
    "price": ("price", "price", ("product", "lookup_key")),
    "tax_rate": ("tax rate", "tax_rate", ()),
    "invoice": ("invoice", "invoice", ("customer",)),
    "invoiceitem": ("invoiceitem", "invoiceitem", ("customer", "invoice")),
    "invoice_payment": ("invoice_payment", None, ("invoice",)),
    "subscription": ("subscription", "customer.subscription", ("customer",)),
    "subscription_schedule": ("subscription schedule", "subscription_schedule", ("customer",)),
    "credit_note": ("credit note", "credit_note", ("invoice", "customer")),
    "payment_intent": ("payment_intent", "payment_intent", ("customer",)),
    "charge": ("charge", None, ("payment_intent", "customer")),
    "refund": ("refund", "refund", ("charge", "payment_intent")),
    "dispute": ("dispute", "charge.dispute", ("charge", "payment_intent")),
    "payment_record": ("payment_record", None, ()),
    "customer_balance_transaction": ("customer balance transaction", None, ("customer",)),
    "webhook_endpoint": ("webhook endpoint", None, ()),
    "event": ("event", None, ("type",)),
}
PREFIXES = {
    "customer": "cus", "tax_id": "txi", "product": "prod", "price": "price", "tax_rate": "txr",
    "invoice": "in",
    "line_item": "il", "invoiceitem": "ii", "invoice_payment": "inpay", "subscription": "sub",
    "subscription_item": "si", "subscription_schedule": "sub_sched", "credit_note": "cn",
    "credit_note_line_item": "cnli", "payment_intent": "pi", "charge": "ch", "refund": "re", "dispute": "du",
    "webhook_endpoint": "we", "event": "evt", "payment_record": "pr", "request": "req",
    "customer_balance_transaction": "cbtxn",
}  # fmt: skip


class Listener(Protocol):
    """Who wants to know of events (the webhooks). `announced` answers how many endpoints it will be pushed
    to."""

    def announced(self, event: Json) -> int: ...


class Account:
    """The state of one account. `clock` dates everything; `wall` is for what no shift of the clock may
    touch."""

    def __init__(
        self,
        *,
        clock: Clock,
        wall: Clock,
        random: Random,
        name: str,
        country: str,
        search_delay_seconds: float,
    ) -> None:
        self.clock, self.wall, self.random = clock, wall, random
        self.name, self.country = name, country
        self.shelves = {kind: Shelf(label, fields) for kind, (label, _, fields) in KINDS.items()}
        self.lines: dict[str, list[Json]] = {}  # invoice id -> its line items, oldest first
        self.line_rates: dict[str, list[str]] = {}  # line id -> tax rate ids; not part of what Stripe shows
        self.phases: dict[str, list[Any]] = {}  # schedule id -> its phases as `schedules` reads them
        self.deleted: dict[str, str] = {}  # id -> kind
        self.agenda = Agenda()
        self.search = SearchIndex(wall, search_delay_seconds)
        self.listener: Listener | None = None
        self.request: Json | None = None  # {id, idempotency_key} of the request being handled
        self._at: int | None = None
        self.id = self.new_id("acct")

    def now(self) -> int:
        """Unix seconds by the business clock; while the agenda is worked off, the time the task was due."""
        return int(self.clock.now().timestamp()) if self._at is None else self._at

    def new_id(self, kind: str, length: int = 24) -> str:
        return f"{PREFIXES.get(kind, kind)}_{''.join(self.random.choices(_ALPHABET, k=length))}"

    def catch_up(self) -> None:
        """Do everything the agenda has due by now, in order, each dated when it was due."""
        if self._at is not None:
            return
        request, self.request = self.request, None
        now = self.now()
        try:
            while (task := self.agenda.next_due(now)) is not None:
                self._at = task.at
                task.do()
        finally:
            self._at = None
            self.request = request

    def shelf(self, kind: str) -> Shelf:
        return self.shelves[kind]

    def find(self, kind: str, object_id: str, param: str | None = None) -> Json:
        """The object, or Refused with Stripe's `resource_missing`."""
        row = self.shelves[kind].get(object_id)
        if row is None:
            raise not_there(self.shelves[kind].label, object_id, param)
        return row

    def create(self, row: Json) -> Json:
        """Shelve a new object and tell of it."""
        self.shelves[row["object"]].add(row)
        self.search.changed(row)
        prefix = KINDS[row["object"]][1]
        if prefix:
            self.emit(f"{prefix}.created", row)
        return row

    def change(self, row: Json, changes: Json, *events: str) -> Json:
        """Change an object; `events` are told with the previous values, when anything changed."""
        before = self.shelves[row["object"]].change(row, changes)
        if before:
            self.search.changed(row)
            for event in events:
                self.emit(event, row, before if event.endswith(".updated") else None)
        return row

    def remove(self, row: Json, event: str | None = None) -> Json:
        """Delete an object; answers `{id, object, deleted: true}`."""
        kind = row["object"]
        self.shelves[kind].remove(row["id"])
        self.search.removed(row)
        self.deleted[row["id"]] = kind
        if event:
            self.emit(event, row)
        return {"id": row["id"], "object": kind, "deleted": True}

    def emit(self, event_type: str, row: Json, previous: Json | None = None) -> None:
        """Log an event with the object as it is now. The object is kept as text: it goes on changing."""
        event = {
            "id": self.new_id("event"),
            "object": "event",
            "type": event_type,
            "created": self.now(),
            "snapshot": json.dumps(row),
            "previous": json.dumps(previous) if previous else None,
            "request": self.request or {"id": None, "idempotency_key": None},
            "pending": 0,
            "failed": False,
        }
        self.shelves["event"].add(event)
        if self.listener is not None:
            event["pending"] = self.listener.announced(event)

    def later(self, at: int, rank: int, do: Callable[[], None]) -> None:
        self.agenda.add(at, rank, do)


def event_as_seen(event: Json) -> Json:
    """The event envelope (vendors.md section 4)."""
    data: dict[str, Any] = {"object": json.loads(event["snapshot"])}
    if event["previous"]:
        data["previous_attributes"] = json.loads(event["previous"])
    return {
        "id": event["id"],
        "object": "event",
        "api_version": API_VERSION,
        "created": event["created"],
        "data": data,
        "livemode": False,
        "pending_webhooks": event["pending"],
        "request": event["request"],
        "type": event["type"],
    }
