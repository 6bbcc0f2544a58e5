"""Outbound messages: SOAP posts that say which record changed; what it holds now is read again (vendors.md 1.6).

They are not signed. What proves them is the org's id in the body and a secret part of the address, which the door hands
over in the header `x-accord-path`; in production a client certificate on the proxy besides.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from accord.connect.connector import Arrival, Pointer, Refusal, Translate, Webhook
from accord.connect.signature import REFUSED, secrets_named
from accord.connectors.salesforce.deals import PARENT
from accord.connectors.salesforce.work import OBJECTS, object_of

NO_KINDS: Mapping[str, str] = {}
PATH_HEADER = "x-accord-path"
_OUT = "{http://soap.sforce.com/2005/09/outbound}"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_ACK = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)


def verify(headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Any], now: datetime) -> Refusal | None:  # noqa: ARG001
    """The secret part of the address in constant time, then the org the body says it is from."""
    given = headers.get(PATH_HEADER, "").strip("/").encode("utf-8", "replace")
    hits = [hmac.compare_digest(each.encode(), given) for each in secrets_named(secrets, "push_secret")]
    if not any(hits):
        return REFUSED
    try:
        org = _text(_notifications(body), "OrganizationId")
    except (ParseError, DefusedXmlException, ValueError):
        return Refusal(400, "the body is no outbound message")
    wanted = str(secrets.get("organization_id") or "")
    return None if wanted and hmac.compare_digest(org[:15].encode(), wanted[:15].encode()) else REFUSED


def event_ids(_headers: Mapping[str, str], body: bytes) -> Sequence[str]:
    """The ids of the notifications: the same when a message is repeated."""
    return [_text(each, "Id") for each in _notifications(body).findall(f"{_OUT}Notification")]


def translate(_headers: Mapping[str, str], body: bytes, kinds: Mapping[str, str] = NO_KINDS) -> Sequence[Arrival]:
    """Each notification as a pointer to the deal or customer it is about, or to the time or expense that an object of
    `kinds` holds."""
    return [_arrival(each, kinds) for each in _notifications(body).findall(f"{_OUT}Notification")]


def configured(config: Mapping[str, Any]) -> Translate:
    """A translator that knows which objects hold the firm's time and expenses."""
    kinds = {name: kind for kind in OBJECTS if (name := object_of(config, kind)) is not None}
    return lambda headers, body: translate(headers, body, kinds)


def _arrival(notification: Element, kinds: Mapping[str, str]) -> Arrival:
    record = notification.find(f"{_OUT}sObject")
    if record is None:
        raise ValueError("a notification without its record")
    name = record.get(_XSI_TYPE, "").rpartition(":")[2]
    fields = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in record}
    pointer = Pointer(kinds[name], fields["Id"]) if name in kinds else _pointer(name, fields)
    ignored = None if pointer else f"{name or 'a record without type'} is of no interest"
    return Arrival(_text(notification, "Id"), f"{name}.changed", None, (pointer,) if pointer else (), ignored)


def _pointer(name: str, fields: Mapping[str, str]) -> Pointer | None:
    """A part of a deal points to its opportunity, or to itself when the message does not say which that is."""
    match name:
        case "Account":
            return Pointer("customer", fields["Id"])
        case "Opportunity":
            return Pointer("deal", fields["Id"])
        case "Contract":
            return Pointer("deal", f"Contract/{fields['Id']}")
        case _ if name.endswith("__c") and fields.get(PARENT):
            return Pointer("deal", fields[PARENT])
        case "SOW_Phase__c" | "SOW_Milestone__c" | "Managed_Service__c":
            return Pointer("deal", f"{name}/{fields['Id']}")
    return None


def _notifications(body: bytes) -> Element:
    root = fromstring(body, forbid_dtd=True)
    for each in root.iter(f"{_OUT}notifications"):
        return each
    raise ValueError("no notifications")


def _text(element: Element, name: str) -> str:
    text = (element.findtext(f"{_OUT}{name}") or "").strip()
    if not text:
        raise ValueError(f"no {name}")
    return text


WEBHOOK = Webhook(
    verify=verify,
    event_ids=event_ids,
    translate=translate,
    answer=("text/xml; charset=utf-8", _ACK),
    configured=configured,
)
