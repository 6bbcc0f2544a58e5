"""A vendor made of lists, to test what the platform does with pushes and polls: nothing goes over a wire."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from accord.connect.connector import (
    Arrival,
    Connector,
    Limits,
    Observed,
    Page,
    Pointer,
    Resource,
    Watermark,
    Webhook,
)
from accord.connect.failures import CallFailed
from accord.connect.session import Session
from accord.connect.switchboard import Line, LocalBudget, Switchboard
from accord.db.pool import Pool, transaction
from accord.engine.outcomes import Outcome, Rejected

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ENTER = "INSERT INTO connection (name, vendor) VALUES (%(name)s, 'exchange')"
BIND = "INSERT INTO binding (role, legal_entity, valid_from, connection) VALUES (%s, %s, %s, %s)"
STORE = "INSERT INTO inbox (connection, vendor_event_id, body_digest, headers, body) VALUES (%s, %s, %s, '{}', %s)"


def payment(number: int, *, version: str = "1", invoice: str = "in_1", **body: Any) -> Observed:
    """The n-th payment as the exchange holds it."""
    return Observed("payment", f"pay_{number}", version, {"reference": f"R{number}", **body},
                    links={"invoice_id": ("invoice", invoice)})  # fmt: skip


def push(event_id: str, *things: Observed | Pointer, type: str = "changed") -> bytes:
    """A push as the exchange writes it."""
    items = [
        {"kind": each.kind, "vendor_id": each.vendor_id, "points": True}
        if isinstance(each, Pointer)
        else {"kind": each.kind, "vendor_id": each.vendor_id, "version": each.version, "body": each.body}
        for each in things
    ]
    return orjson.dumps({"id": event_id, "type": type, "items": items})


def _translate(_: Mapping[str, str], body: bytes) -> Sequence[Arrival]:
    told = orjson.loads(body)
    if told["type"] != "changed":
        return [Arrival(told["id"], told["type"], None, (), ignored=f"{told['type']} is of no interest")]
    return [Arrival(told["id"], told["type"], None, tuple(_item(each) for each in told["items"]))]


def _item(told: Mapping[str, Any]) -> Observed | Pointer:
    if "points" in told:
        return Pointer(told["kind"], told["vendor_id"])
    return Observed(told["kind"], told["vendor_id"], told["version"], told["body"])


def _rejected(*_: Any) -> Outcome:
    return Rejected("no", "never called")


@dataclass
class _Still:
    """A session that is never used, with the settings of its connection."""

    config: dict[str, Any] = field(default_factory=dict)
    closed: bool = False

    async def close(self) -> None:
        self.closed = True


class Exchange:
    """`pages` is what polls read, `shelf` what is read again by id, `down` what the vendor fails with."""

    def __init__(self, name: str = "exchange", **config: Any) -> None:
        self.name = name
        self.session = _Still(config)
        self.pages: list[Page] = []
        self.shelf: dict[str, Observed] = {}
        self.down: CallFailed | None = None
        self.asked: list[list[str]] = []
        self.read_from: list[Watermark | None] = []

    async def get(self, _: Session, vendor_ids: Sequence[str]) -> Sequence[Observed]:
        self.asked.append(list(vendor_ids))
        if self.down is not None:
            raise self.down
        return [self.shelf[each] for each in vendor_ids if each in self.shelf]

    async def changed(self, _: Session, watermark: Watermark | None) -> AsyncIterator[Page]:
        self.read_from.append(watermark)
        for page in self.pages:
            yield page
        if self.down is not None:
            raise self.down

    def table(self) -> Connector:
        return Connector(
            vendor="exchange", label="Exchange", roles=("billing",), credentials=(), auth=dict,
            base_url=lambda _: "", classify=_rejected,
            resources={
                "payment": Resource("payment", "Payment", get=self.get, changed=self.changed, poll_seconds=30.0),
                "invoice": Resource("invoice", "Invoice", get=self.get),
            },
            limits=Limits(), check=lambda _: cast(Any, None),
            webhook=Webhook(verify=lambda *_: None, event_ids=lambda *_: (), translate=_translate),
        )  # fmt: skip

    def line(self) -> Line:
        return Line(self.name, self.table(), cast(Session, self.session), LocalBudget(), {})


async def opened(pool: Pool, *exchanges: Exchange) -> Switchboard:
    """A switchboard on which every exchange is connected and plays billing."""
    switchboard = Switchboard()
    async with transaction(pool) as db:
        for n, each in enumerate(exchanges):
            await db.execute(ENTER, {"name": each.name})
            await db.execute(BIND, ["billing", "" if n == 0 else f"E{n}", "0001-01-01", each.name])
            switchboard.add(each.line())
        await switchboard.refresh(db)
    return switchboard


async def arrive(pool: Pool, *bodies: bytes, connection: str = "exchange") -> None:
    """Pushes stored as the door stores them."""
    async with transaction(pool) as db:
        for n, body in enumerate(bodies):
            await db.execute(STORE, [connection, f"evt_{n}", hashlib.sha256(body).digest(), body])


async def rows(pool: Pool, query: str) -> list[Any]:
    async with pool.connection() as db:
        return await (await db.execute(query)).fetchall()
