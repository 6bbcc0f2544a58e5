"""Pushes: whatever a sender writes is accepted or refused at the door; what is accepted is settled, once, for good."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from accord.connect import registry, translation
from accord.connect.answer import Answer
from accord.connect.authenticator import NoAuth, Outgoing
from accord.connect.connector import Observed, Pointer, Refusal, Webhook
from accord.connect.intake import Accepted, receive
from accord.connect.session import Session
from accord.connect.switchboard import Line, LocalBudget, Switchboard
from accord.connect.transport import Sending
from accord.connectors.salesforce.outbound import PATH_HEADER
from accord.db.pool import Pool, transaction
from accord.engine.states import InboxState
from tests.attack.conftest import EXAMPLES
from tests.attack.mangling import BODIES, mangled
from tests.connect.exchange import Exchange, arrive, opened, push, rows

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "a-secret-of-the-door"
ORG = "00D000000000001EAA"
MANGLED = EXAMPLES or 400


def signed(header: str) -> Callable[[bytes], Mapping[str, str]]:
    def sign(body: bytes) -> Mapping[str, str]:
        at = str(int(NOW.timestamp()))
        mac = hmac.new(SECRET.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {header: f"t={at},v1={mac}"}

    return sign


def _invoice(**more: Any) -> dict[str, Any]:
    return {
        "id": "in_1", "object": "invoice", "status": "open", "currency": "eur", "number": "A-1", "created": 1795000000,
        "total": 11900, "total_excluding_tax": 10000, "amount_paid": 0, "due_date": 1797000000, "attempt_count": 1,
        "customer": "cus_1", "metadata": {"accord_id": "INV-1", "legal_entity": "DE", "origin": "milestone"},
        "parent": None, "status_transitions": {"finalized_at": 1795000000, "paid_at": None},
        "payments": {"data": [], "has_more": False},
        "lines": {"has_more": False, "data": [{
            "id": "il_1", "amount": 10000, "currency": "eur", "description": "Go-live",
            "metadata": {"item_id": "BIL-1"}, "taxes": [{"amount": 1900, "tax_behavior": "exclusive"}],
            "period": {"start": 1795000000, "end": 1797000000},
        }]}, **more,
    }  # fmt: skip


STRIPE = json.dumps({"id": "evt_1", "object": "event", "type": "invoice.updated", "created": 1795000000,
                     "api_version": None, "data": {"object": _invoice()}}).encode()  # fmt: skip
NETSUITE = json.dumps(
    {
        "event_id": "1-projectTask-7-1", "type": "edit", "record": "projectTask", "id": "7", "externalId": "TSK-1",
        "at": "2026-11-23T11:00:00Z", "fields": {
            "custevent_accord_milestone": "MIL-1", "custevent_milestone_approved": True,
            "custevent_milestone_approved_on": "2026-11-23", "lastModifiedDate": "2026-11-23T11:00:00Z"},
    }
).encode()  # fmt: skip
SALESFORCE = f"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{ORG}</OrganizationId>
<Notification><Id>04l000000000001AAA</Id>
<sObject xsi:type="sf:Opportunity" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>006000000000001AAA</sf:Id></sObject>
</Notification></notifications></soapenv:Body></soapenv:Envelope>""".encode()

VENDORS: dict[str, tuple[bytes, Callable[[bytes], Mapping[str, str]], Mapping[str, str]]] = {
    "stripe": (STRIPE, signed("stripe-signature"), {"webhook_secret": SECRET}),
    "netsuite": (NETSUITE, signed("x-accord-signature"), {"push_secret": SECRET}),
    "salesforce": (SALESFORCE, lambda _: {PATH_HEADER: SECRET}, {"push_secret": SECRET, "organization_id": ORG}),
}


def webhook(vendor: str) -> Webhook:
    found = registry.connector(vendor).webhook
    assert found is not None
    return found


def bodies(vendor: str) -> list[bytes]:
    """The vendor's own push, first as it is, then mangled in many ways."""
    genuine = VENDORS[vendor][0]
    random = Random(vendor)
    return [genuine, *BODIES, *(mangled(genuine, random) for _ in range(MANGLED))]


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_door_refuses_or_accepts_and_never_breaks(vendor: str) -> None:
    _, sign, secrets = VENDORS[vendor]
    accepted = 0
    for body in bodies(vendor):
        began = time.process_time()
        told = receive(webhook(vendor), sign(body), body, secrets, NOW)
        assert isinstance(told, Accepted | Refusal)
        if isinstance(told, Accepted):
            accepted += 1
            reading = translation._Reading()
            translation._read(reading, webhook(vendor), {}, 1, {}, body)
            assert reading.settled
        assert time.process_time() - began < 0.5, body[:100]
    assert accepted > 5, "what is mangled a little still gets in, or nothing was tested"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_mangled_signature_is_refused(vendor: str) -> None:
    body, sign, secrets = VENDORS[vendor]
    random = Random(vendor)
    ((name, value),) = sign(body).items()
    odd = ["", "t=", "t=,v1=", "v1=00", "t=1", "t=nan,v1=00", "t=1e999,v1=00", "t=\u0663,v1=\u0663", ",,,=,=",
           "x" * 30_000, "t=1," * 500, value[:-1], value.upper()[::-1], "\xff\xfe", f"{value} ", "\x00"]  # fmt: skip
    odd += [mangled(value.encode(), random).decode("latin-1") for _ in range(100)]
    for given in odd:
        told = receive(webhook(vendor), {name: given}, body, secrets, NOW)
        # A space at the end of a hex digest or of a part of an address changes nothing that was signed.
        assert isinstance(told, Refusal) or given.strip() == value, given[:80]


def _bomb(levels: int) -> bytes:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, levels))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><x>&a{levels - 1};</x>'.encode()


XML = {
    "a billion laughs": _bomb(10),
    "a quadratic bomb": b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 100_000 + b'">]><x>' + b"&a;" * 10_000 + b"</x>",
    "a file": b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>',
    "an address": b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>',
    "a parameter entity": b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]><x/>',
    "deep": b"<a>" * 150_000 + b"</a>" * 150_000,
    "many attributes": b"<a " + b" ".join(b'a%d="1"' % n for n in range(50_000)) + b"/>",
    "many names of spaces": b"<a " + b" ".join(b'xmlns:n%d="urn:%d"' % (n, n) for n in range(20_000)) + b"/>",
    "another encoding": '<?xml version="1.0" encoding="UTF-16"?><x/>'.encode("utf-16"),
    "an encoding nobody has": b'<?xml version="1.0" encoding="x-none"?><x/>',
    "a zero byte": b"<x>\x00</x>",
    "an unknown entity": b"<x>&nope;</x>",
    "not at its end": SALESFORCE[:-40],
    "two roots": SALESFORCE + SALESFORCE[40:],
}


@pytest.mark.parametrize("body", XML.values(), ids=XML)
def test_xml_made_to_break_a_parser_is_refused_at_once(body: bytes) -> None:
    _, sign, secrets = VENDORS["salesforce"]
    # Also inside what is otherwise a genuine message: the declaration comes first.
    head, _, tail = body.partition(b"]>") if body.startswith((b"<!DOCTYPE", b"<?xml")) else (b"", b"", b"")
    within = [head + b"]>" + SALESFORCE.partition(b"?>")[2]] if tail else []
    for each in (body, *within):
        began = time.process_time()
        told = receive(webhook("salesforce"), sign(each), each, secrets, NOW)
        assert isinstance(told, Refusal)
        assert time.process_time() - began < 1.0


def test_an_id_in_a_push_cannot_change_the_query_it_is_read_by() -> None:
    evil = SALESFORCE.replace(b"006000000000001AAA", b"x') OR Name LIKE ('%")
    (arrival,) = webhook("salesforce").translate({}, evil)
    (pointer,) = arrival.items
    assert isinstance(pointer, Pointer)
    from accord.connectors.salesforce.soql import among

    assert among("Id", [pointer.vendor_id]) == "Id IN ('x\\') OR Name LIKE (\\'%')"


class Nobody:
    """A wire at whose other end somebody answers every question with what fits none."""

    async def send(self, request: Outgoing, sending: Sending, timeout_seconds: float) -> Answer:
        sending.begin()
        return Answer(200, {}, b"{}")

    async def close(self) -> None:
        """Nothing is open."""


async def _board(pool: Pool) -> Switchboard:
    switchboard = Switchboard()
    async with transaction(pool) as db:
        for vendor, role in (("stripe", "billing"), ("netsuite", "erp"), ("salesforce", "crm")):
            table = registry.connector(vendor)
            await db.execute("INSERT INTO connection (name, vendor) VALUES (%s, %s)", [vendor, vendor])
            await db.execute("INSERT INTO binding (role, connection) VALUES (%s, %s)", [role, vendor])
            session = Session(vendor, base_url="https://vendor.test", authenticator=NoAuth(), now=lambda: NOW,
                              classify=table.classify, wire=Nobody())  # fmt: skip
            switchboard.add(Line(vendor, table, session, LocalBudget(), {}))
        await switchboard.refresh(db)
    return switchboard


@pytest.mark.parametrize("vendor", VENDORS)
async def test_every_mangled_push_is_settled_and_none_is_looked_at_for_ever(pool: Pool, vendor: str) -> None:
    """The whole way into the tables: translated, parked as a case, rejected or ignored, never left lying."""
    switchboard = await _board(pool)
    await arrive(pool, *dict.fromkeys(bodies(vendor)[:300]), connection=vendor)
    translator = translation.Translation(pool, switchboard, lambda: NOW)
    while await translator.once():
        pass
    states = dict(await rows(pool, "SELECT state, count(*) FROM inbox GROUP BY 1"))
    assert InboxState.ARRIVED not in states, states
    assert states.get(InboxState.PARKED, 0) > 5


LONG = "".join(f"{hashlib.sha256(bytes([n])).hexdigest()}" for n in range(250))


@pytest.mark.parametrize(
    "thing",
    [
        Observed("payment", LONG, "1", {"reference": "R"}),
        Observed("payment", "pay_1", LONG, {"reference": "R"}),
        Observed("payment", "pay_1", "1", {"reference": LONG * 20}),
        Observed("payment", "pay\x00", "1", {"reference": "\x00"}),
        Observed("payment", "pay_1", "1", {"reference": "R"}, canonical_id=17),  # type: ignore[arg-type]
        Observed("payment", 17, "1", {"reference": "R"}),  # type: ignore[arg-type]
        Observed("payment", "", "1", {"reference": "R"}),
        Observed("invoice", "in_1", "1", {"number": LONG}),
        Pointer("payment", LONG),
    ],
    ids=[
        "a long id",
        "a long version",
        "a long text",
        "a zero byte",
        "our id a number",
        "its id a number",
        "no id",
        "a long number",
        "a long pointer",
    ],
)
async def test_one_push_the_database_refuses_does_not_end_the_worker(pool: Pool, thing: Observed | Pointer) -> None:
    """An index takes 2,704 bytes at most: by its class PostgreSQL's refusal looks like a lost database."""
    exchange = Exchange()
    switchboard = await opened(pool, exchange)
    if isinstance(thing, Observed):
        exchange.shelf = {"bad": thing}
        thing = Pointer(thing.kind, "bad")
    await arrive(pool, push("bad", thing), push("good", Observed("payment", "pay_2", "1", {"reference": "R2"})))
    translator = translation.Translation(pool, switchboard, lambda: NOW)
    while await translator.once():
        pass
    states = [state for (state,) in await rows(pool, "SELECT state FROM inbox ORDER BY id")]
    assert InboxState.ARRIVED not in states
    assert states[1] == InboxState.TRANSLATED
