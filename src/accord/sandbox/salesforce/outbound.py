"""Outbound messages: SOAP posts about changed records, repeated until acknowledged (vendors.md 1.6).

A message carries the state of the record when it is sent, not when it changed. Undelivered ones are kept for 24 hours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from accord.sandbox.kit.faults import Faults
from accord.sandbox.kit.simulator import Delivery
from accord.sandbox.salesforce.fields import written_number
from accord.sandbox.salesforce.org import Change, Org
from accord.sandbox.salesforce.schema import Row

NAMESPACE = "http://soap.sforce.com/2005/09/outbound"
_MOST = 100  # notifications a message
_KEPT = timedelta(hours=24)
_FIRST_RETRY, _LONGEST_RETRY = timedelta(seconds=15), timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Changes of `object` that meet `wanted` are told to `url` with these fields."""

    action_id: str
    object: str
    fields: tuple[str, ...]
    url: str
    wanted: Callable[[Row], bool] | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """One record to tell about. `attempt` counts the sends so far."""

    id: str
    action_id: str
    record_id: str
    since: datetime
    due_at: datetime
    attempt: int = 0


class OutboundMessages:
    """Subscriptions, what is waiting, and what is on its way."""

    def __init__(self, org: Org, faults: Faults) -> None:
        self.org = org
        self.faults = faults
        self.base_url = "https://localhost"
        self.subscriptions: dict[str, Subscription] = {}
        self._waiting: dict[tuple[str, str], Notification] = {}  # (action, record): latest state only
        self._sent: dict[str, list[Notification]] = {}
        self._count = 0

    def subscribe(
        self, object_name: str, fields: Sequence[str], url: str, wanted: Callable[[Row], bool] | None = None
    ) -> Subscription:
        """Raises ValueError for an object or field that is not there."""
        sobject = self.org.schema.find(object_name)
        if sobject is None:
            raise ValueError(f"there is no object {object_name!r}")
        names = [sobject.find(name) for name in fields]
        if None in names:
            raise ValueError(f"{object_name} has not all of the fields {', '.join(fields)}")
        named = tuple(field.name for field in names if field)
        made = Subscription(self.org.ids.new("04k"), sobject.name, named, url, wanted)
        self.subscriptions[made.action_id] = made
        return made

    def changed(self, changes: Sequence[Change]) -> None:
        """Remember what to tell. A deleted record is not told: workflow does not fire on delete."""
        if not self.subscriptions:
            return
        now = self.org.clock.now()
        for change in changes:
            for each in self.subscriptions.values():
                if each.object != change.object or change.kind == "DELETE":
                    continue
                row = self.org.table(change.object).get(change.id)
                if row is None or (each.wanted and not each.wanted(row)):
                    continue
                key = (each.action_id, change.id)
                if key not in self._waiting:
                    self._waiting[key] = Notification(self.org.ids.new("04l"), *key, now, now)

    def waiting(self) -> list[dict[str, Any]]:
        pending = [*self._waiting.values(), *(one for sent in self._sent.values() for one in sent)]
        return [
            {"id": each.id, "record": each.record_id, "attempt": each.attempt, "due_at": each.due_at.isoformat()}
            for each in pending
        ]

    def take(self) -> list[Delivery]:
        """The messages due now, after the event faults have had their way."""
        now = self.org.clock.now()
        due: dict[str, list[Notification]] = {}
        for key, each in list(self._waiting.items()):
            if now - each.since > _KEPT:
                del self._waiting[key]
            elif each.due_at <= now:
                due.setdefault(each.action_id, []).append(each)
                del self._waiting[key]
        deliveries: list[Delivery] = []
        for action_id, notes in due.items():
            for start in range(0, len(notes), _MOST):
                deliveries += self._faulted(action_id, notes[start : start + _MOST], now)
        if len(deliveries) > 1 and self.faults.take_event("reorder_events"):
            deliveries.reverse()
        return deliveries

    def delivered(self, delivery: Delivery, status: int | None, body: bytes | None = None) -> None:
        """Anything but a 2xx whose body says Ack=true (where the body is known) is sent again, later and later."""
        notes = self._sent.pop(delivery.delivery_id, [])
        if status is not None and 200 <= status < 300 and (body is None or acknowledged(body)):
            return
        for each in notes:
            wait = min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(each.attempt - 1, 20))
            again = replace(each, due_at=self.org.clock.now() + wait)
            # A newer change of the record waits already: its message will carry the same latest state.
            self._waiting.setdefault((each.action_id, each.record_id), again)

    def _faulted(self, action_id: str, notes: list[Notification], now: datetime) -> list[Delivery]:
        if self.faults.take_event("drop_events"):
            return []
        delay = self.faults.take_event("delay_events")
        if delay is not None:
            late = now + timedelta(seconds=delay.seconds)
            self._waiting |= {(each.action_id, each.record_id): replace(each, due_at=late) for each in notes}
            return []
        made = self._made(action_id, notes, now)
        if self.faults.take_event("duplicate_events"):
            return [made, replace(made, delivery_id=f"{made.delivery_id}-again")]
        return [made]

    def _made(self, action_id: str, notes: list[Notification], now: datetime) -> Delivery:
        self._count += 1
        delivery_id = f"{action_id}-{self._count}"
        tried = [replace(each, attempt=each.attempt + 1) for each in notes]
        self._sent[delivery_id] = tried
        subscription = self.subscriptions[action_id]
        return Delivery(
            delivery_id,
            subscription.url,
            self._message(subscription, notes),
            "text/xml; charset=utf-8",
            now,
            signer=lambda _: {"SOAPAction": '""'},
            attempt=tried[0].attempt,
        )

    def _message(self, subscription: Subscription, notes: Sequence[Notification]) -> bytes:
        org = self.org.id
        told = "".join(self._notification(subscription, each) for each in notes)
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n <soapenv:Body>\n'
            f'  <notifications xmlns="{NAMESPACE}">\n   <OrganizationId>{org}</OrganizationId>\n'
            f'   <ActionId>{subscription.action_id}</ActionId>\n   <SessionId xsi:nil="true"/>\n'
            f"   <EnterpriseUrl>{self.base_url}/services/Soap/c/67.0/{org[:15]}</EnterpriseUrl>\n"
            f"   <PartnerUrl>{self.base_url}/services/Soap/u/67.0/{org[:15]}</PartnerUrl>\n"
            f"{told}  </notifications>\n </soapenv:Body>\n</soapenv:Envelope>"
        ).encode()

    def _notification(self, subscription: Subscription, note: Notification) -> str:
        row = self.org.table(subscription.object).rows[note.record_id]
        values = "".join(
            f"     <sf:{name}>{_xml(row[name])}</sf:{name}>\n"
            for name in ("Id", *(each for each in subscription.fields if each != "Id"))
            if row.get(name) is not None
        )
        return (
            f"   <Notification>\n    <Id>{note.id}</Id>\n"
            f'    <sObject xsi:type="sf:{subscription.object}" '
            f'xmlns:sf="urn:sobject.enterprise.soap.sforce.com">\n{values}    </sObject>\n   </Notification>\n'
        )


def acknowledged(body: bytes) -> bool:
    """Whether a listener's answer says `notificationsResponse/Ack = true`."""
    try:
        root = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError):
        return False
    return any(each.tag == f"{{{NAMESPACE}}}Ack" and (each.text or "").strip() == "true" for each in root.iter())


def _xml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return written_number(value)
    text = str(value)
    return escape(text.replace("+0000", "Z") if len(text) == 28 and text.endswith("+0000") else text)
