"""What the SuiteScript user event in connectors/netsuite/suiteapp posts: one signed JSON per change, at least once."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson

from accord.sandbox.kit.faults import Faults
from accord.sandbox.kit.simulator import Clock, Delivery
from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.fields import Row, show_scalar
from accord.sandbox.netsuite.reading import instant
from accord.sandbox.netsuite.schema import RecordType

RETRY_SECONDS = (10.0, 60.0, 300.0, 1800.0, 7200.0)  # the script's map/reduce queue, not a service of NetSuite
# The script posts only what someone waits for: a project task is worth a push when its approval changed.
WATCHED: Mapping[str, tuple[str, ...]] = {
    "projectTask": (
        "custevent_milestone_approved",
        "custevent_milestone_approved_on",
        "custevent_milestone_approved_by",
    ),
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """`watched` names the fields whose change is worth a push; empty = every change."""

    record: str
    url: str
    secret: str
    watched: tuple[str, ...] = ()


class Pushes:
    """Who is told of what, and the pushes waiting to go out."""

    def __init__(
        self, account: Account, wall: Clock, faults: Faults, retry_seconds: Sequence[float] = RETRY_SECONDS
    ) -> None:
        self._account, self._wall, self._faults, self._retry_seconds = account, wall, faults, retry_seconds
        self._waiting: list[Delivery] = []
        self._count = 0
        self.subscriptions: list[Subscription] = []
        account.listeners.append(self._changed)

    def subscribe(self, record: str, url: str, secret: str, watched: Collection[str] | None) -> Subscription:
        chosen = WATCHED.get(record, ()) if watched is None else tuple(watched)
        subscription = Subscription(record, url, secret, chosen)
        self.subscriptions = [each for each in self.subscriptions if (each.record, each.url) != (record, url)]
        self.subscriptions.append(subscription)
        return subscription

    def take(self) -> list[Delivery]:
        """The pushes due now, after the event faults have had their way."""
        if not self._waiting:
            return []
        now = self._account.clock.now()
        due = [each for each in self._waiting if each.due_at <= now]
        self._waiting = [each for each in self._waiting if each.due_at > now]
        sent = [copy for each in due for copy in self._faulted(each, now)]
        if len(sent) > 1 and self._faults.take_event("reorder_events"):
            sent.reverse()
        return sent

    def delivered(self, delivery: Delivery, status: int | None) -> None:
        """Anything but 2xx is tried again until the waits are used up."""
        if status is not None and 200 <= status < 300:
            return
        if delivery.attempt <= len(self._retry_seconds):
            wait = timedelta(seconds=self._retry_seconds[delivery.attempt - 1])
            due = self._account.clock.now() + wait
            self._waiting.append(replace(delivery, due_at=due, attempt=delivery.attempt + 1))

    def _changed(self, kind: RecordType, what: str, before: Row | None, after: Row | None) -> None:
        row = after if after is not None else before
        if row is None:
            return
        for each in self.subscriptions:
            if each.record == kind.name and _worth(each.watched, what, before, after):
                self._queue(each, kind, what, row)

    def _queue(self, subscription: Subscription, kind: RecordType, what: str, row: Row) -> None:
        self._count += 1
        event_id = f"{self._account.id}-{kind.name}-{row['id']}-{self._count}"
        body = orjson.dumps({
            "event_id": event_id, "type": what, "record": kind.name, "id": row["id"],
            "externalId": row.get("externalId"), "fields": _fields(kind, row), "at": instant(self._account.now()),
        })  # fmt: skip
        self._waiting.append(
            Delivery(
                event_id,
                subscription.url,
                body,
                "application/json",
                self._account.clock.now(),
                self._signer(subscription.secret, body),
            )
        )

    def _signer(self, secret: str, body: bytes) -> Callable[[datetime], Mapping[str, str]]:
        def sign(_attempt: datetime) -> Mapping[str, str]:
            # The wall clock signs, so that a receiver's tolerance holds after a shift of the business clock.
            return {"X-Accord-Signature": signature(body, secret, int(self._wall.now().timestamp()))}

        return sign

    def _faulted(self, delivery: Delivery, now: datetime) -> list[Delivery]:
        if self._faults.take_event("drop_events"):
            return []
        delay = self._faults.take_event("delay_events")
        if delay is not None:
            self._waiting.append(replace(delivery, due_at=now + timedelta(seconds=delay.seconds)))
            return []
        return [delivery, delivery] if self._faults.take_event("duplicate_events") else [delivery]


def signature(body: bytes, secret: str, at: int) -> str:
    """`t=..,v1=hex(hmac_sha256(secret, t + "." + body))`."""
    return f"t={at},v1={hmac.new(secret.encode(), str(at).encode() + b'.' + body, sha256).hexdigest()}"


def _worth(watched: tuple[str, ...], what: str, before: Row | None, after: Row | None) -> bool:
    if not watched or what == "delete":
        return True
    # a flag that was never set and one that is off are the same to the script
    return any(((before or {}).get(name) or None) != ((after or {}).get(name) or None) for name in watched)


def _fields(kind: RecordType, row: Row) -> dict[str, Any]:
    shown = {
        name: show_scalar(spec.kind, row[name])
        for name, spec in kind.fields.items()
        if not spec.computed and row.get(name) is not None
    }
    return shown | {"lastModifiedDate": instant(row["lastModifiedDate"])}
