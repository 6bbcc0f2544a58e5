"""Outbound messages: who may send them, and what they point to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accord.connect.connector import Pointer, Refusal
from accord.connect.intake import Accepted, receive
from accord.connectors.salesforce.outbound import PATH_HEADER, WEBHOOK
from accord.sandbox.salesforce.outbound import acknowledged
from tests.connectors.salesforce.conftest import PUSH_SECRET, Desk

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def _secrets(desk: Desk) -> dict[str, str]:
    return {"push_secret": PUSH_SECRET, "organization_id": desk.simulator.org.id}


async def _pushed(desk: Desk, *objects: str) -> tuple[dict[str, str], list[bytes]]:
    """What is sent when a whole deal is entered."""
    for name in objects:
        desk.simulator.admin("subscribe_outbound", {"object": name, "url": "https://127.0.0.1:1/in"})
    ids = desk.org.deal()
    return ids, [each.body for each in desk.simulator.take_deliveries()]


def _receive(desk: Desk, body: bytes, path: str = PUSH_SECRET) -> Accepted | Refusal:
    return receive(WEBHOOK, {PATH_HEADER: path}, body, _secrets(desk), NOW)


async def test_every_part_points_to_its_deal(desk: Desk) -> None:
    names = ("Opportunity", "Account", "Contract", "SOW_Phase__c", "SOW_Milestone__c", "Managed_Service__c", "Task")
    ids, bodies = await _pushed(desk, *names)
    items = [item for body in bodies for arrival in WEBHOOK.translate({}, body) for item in arrival.items]
    assert Pointer("deal", ids["deal"]) in items
    assert Pointer("customer", ids["account"]) in items
    deals = [each.vendor_id for each in items if each.kind == "deal"]
    (seen,) = await desk.get("deal", *deals)
    assert seen.vendor_id == ids["deal"]


@pytest.mark.parametrize("name", ["Contract", "SOW_Milestone__c"])
async def test_a_part_that_only_says_its_own_id_is_found_by_it(desk: Desk, name: str) -> None:
    ids = desk.org.deal()
    part = ids["contract" if name == "Contract" else "milestone"]
    (seen,) = await desk.get("deal", f"{name}/{part}")
    assert seen.vendor_id == ids["deal"]


async def test_the_answer_is_an_acknowledgement(desk: Desk) -> None:
    _, (body,) = await _pushed(desk, "Opportunity")
    accepted = _receive(desk, body)
    assert isinstance(accepted, Accepted)
    assert acknowledged(accepted.answer[1])
    assert accepted.answer[0].startswith("text/xml")


async def test_strangers_are_refused(desk: Desk) -> None:
    _, (body,) = await _pushed(desk, "Opportunity")
    org = desk.simulator.org.id.encode()
    for why, path, sent in (
        ("no secret in the address", "", body),
        ("a wrong one", f"{PUSH_SECRET}x", body),
        ("another org", PUSH_SECRET, body.replace(org, b"00D000000000000EAA")),
        ("no XML", PUSH_SECRET, b"\xff\x00"),
        ("nothing", PUSH_SECRET, b""),
        ("other XML", PUSH_SECRET, b"<a/>"),
        ("an entity", PUSH_SECRET, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
    ):
        refusal = _receive(desk, sent, path)
        assert isinstance(refusal, Refusal), why
        assert PUSH_SECRET not in refusal.reason
    assert isinstance(receive(WEBHOOK, {PATH_HEADER: ""}, body, {}, NOW), Refusal), "no secret is set"
    unknown = {"push_secret": PUSH_SECRET}
    assert isinstance(receive(WEBHOOK, {PATH_HEADER: PUSH_SECRET}, body, unknown, NOW), Refusal), "no org is set"


async def test_a_repeated_message_has_the_same_ids(desk: Desk) -> None:
    _, (body,) = await _pushed(desk, "Opportunity")
    first = _receive(desk, body)
    assert isinstance(first, Accepted)
    assert first == _receive(desk, body)
