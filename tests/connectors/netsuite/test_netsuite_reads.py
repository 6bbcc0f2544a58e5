"""Milestone approvals, polled and pushed: one observation whichever way it comes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accord.connect.connector import Observed, Page, Pointer, Refusal, Watermark
from accord.connectors.netsuite import CONNECTOR, pushes, recent
from accord.sandbox.kit.simulator import ManualClock
from accord.sandbox.netsuite.pushes import signature
from tests.connectors.netsuite.conftest import PROJECT, TASK, Desk

RESOURCE = CONNECTOR.resources["milestone_approval"]
PACIFIC = ZoneInfo("America/Los_Angeles")


async def _poll(desk: Desk, since: Watermark | None = None) -> list[Page]:
    assert RESOURCE.changed is not None
    return [page async for page in RESOURCE.changed(desk.session, since)]


async def _milestones(desk: Desk, count: int = 3) -> None:
    await desk.project()
    await desk.committed(
        "task", *({**TASK, "id": f"TSK-{n}", "milestone_id": f"MIL-{n}", "name": f"T{n}"} for n in range(count))
    )
    await desk.committed("task", {"id": "TSK-P", "project_id": "PRJ-1", "name": "A phase, not a milestone"})


async def test_an_approval_is_read_with_day_and_name(desk: Desk) -> None:
    await _milestones(desk)
    desk.simulator.admin("approve_milestone", {"external_id": "MIL-1", "by": "Dana", "on": "2026-11-20"})
    (page,) = await _poll(desk)
    bodies = {each.canonical_id: dict(each.body) for each in page.observed}
    assert bodies == {
        "MIL-0": {"approved": False},
        "MIL-1": {"approved": True, "approved_on": "2026-11-20", "approved_by": "Dana"},
        "MIL-2": {"approved": False},
    }
    assert all(not each.problems for each in page.observed)


async def test_the_push_and_the_poll_say_the_same(desk: Desk) -> None:
    await _milestones(desk)
    desk.simulator.admin("subscribe", {"record": "projectTask", "url": "https://127.0.0.1:9/in", "secret": "s"})
    desk.simulator.admin("approve_milestone", {"external_id": "TSK-1", "by": "Dana", "on": "2026-11-20"})
    (delivery,) = desk.simulator.take_deliveries()
    (arrival,) = pushes.translate({}, delivery.body)
    (pushed,) = arrival.items
    assert isinstance(pushed, Observed)
    (page,) = await _poll(desk)
    polled = next(each for each in page.observed if each.canonical_id == "MIL-1")
    assert (pushed.vendor_id, pushed.canonical_id, dict(pushed.body)) == (polled.vendor_id, "MIL-1", dict(polled.body))
    assert pushed.version == polled.version
    assert datetime.fromisoformat(polled.version).utcoffset() == timedelta(0)


async def test_an_approval_taken_back_is_seen(desk: Desk) -> None:
    await _milestones(desk)
    desk.simulator.admin("approve_milestone", {"external_id": "MIL-1"})
    mark = (await _poll(desk))[-1].watermark
    desk.simulator.admin("unapprove_milestone", {"external_id": "MIL-1"})
    (page,) = await _poll(desk, mark)
    assert {each.canonical_id: dict(each.body) for each in page.observed}["MIL-1"] == {"approved": False}


async def test_a_change_while_we_read_is_not_skipped(desk: Desk) -> None:
    await _milestones(desk, 6)
    desk.session.config = {**desk.session.config, "page_size": 2}
    seen: list[tuple[str | None, Any]] = []
    assert RESOURCE.changed is not None
    async for page in RESOURCE.changed(desk.session, None):
        seen += [(each.canonical_id, each.body["approved"]) for each in page.observed]
        if len(seen) == 2:
            desk.simulator.admin("shift_clock", {"seconds": 5})
            desk.simulator.admin("approve_milestone", {"external_id": "MIL-0"})  # on the page that was read
    assert seen[-1] == ("MIL-0", True)
    assert {each for each, _ in seen} == {f"MIL-{n}" for n in range(6)}


async def test_tasks_of_one_second_over_several_pages_are_all_read(desk: Desk) -> None:
    """Everything a job wrote has the same second: only the id tells the pages apart."""
    await _milestones(desk, 7)
    desk.session.config = {**desk.session.config, "page_size": 3}
    pages = await _poll(desk)
    assert len(pages) == 3
    assert len({each.vendor_id for page in pages for each in page.observed}) == 7


async def test_a_late_commit_just_behind_the_watermark_is_read(desk: Desk) -> None:
    await _milestones(desk, 1)
    (page,) = await _poll(desk)
    assert page.watermark is not None
    ahead = datetime.fromisoformat(page.watermark.at) + timedelta(seconds=30)
    (again,) = await _poll(desk, Watermark(ahead.isoformat(" ")))
    assert len(again.observed) == 1
    assert again.watermark is not None
    assert again.watermark.at == ahead.isoformat(" ")  # it never goes back


async def test_the_hour_that_comes_twice_loses_nothing(desk: Desk) -> None:
    """On 2026-11-01 01:00 to 02:00 comes twice in Los Angeles: what changes in the second hour seems older."""
    await CONNECTOR.check(desk.session)  # a login is made by real time
    clock = ManualClock(datetime(2026, 11, 1, 8, 50, tzinfo=UTC))  # 01:50 for the first time
    desk.simulator.account.clock = clock
    desk.session.now = clock.now
    await desk.project()
    await desk.committed("task", TASK)
    (page,) = await _poll(desk)
    assert page.watermark is not None
    assert page.watermark.at == "2026-11-01 01:50:00"
    clock.at = datetime(2026, 11, 1, 9, 10, tzinfo=UTC)  # 01:10 for the second time
    desk.simulator.admin("approve_milestone", {"external_id": "MIL-1"})
    (later,) = await _poll(desk, page.watermark)
    assert later.observed[0].body["approved"] is True
    assert later.observed[0].version == "2026-11-01T09:10:00+00:00"
    assert later.observed[0].version > page.observed[0].version


@pytest.mark.parametrize(
    ("local", "now", "meant"),
    [
        ("2026-07-01 12:00:00", "2026-11-23T00:00:00+00:00", "2026-07-01T19:00:00+00:00"),
        ("2026-11-01 01:30:00", "2026-11-01T08:45:00+00:00", "2026-11-01T08:30:00+00:00"),
        ("2026-11-01 01:30:00", "2026-11-01T09:45:00+00:00", "2026-11-01T09:30:00+00:00"),
    ],
)
def test_a_local_time_is_read_as_the_later_moment_that_is_not_ahead(local: str, now: str, meant: str) -> None:
    assert recent.moment(local, PACIFIC, datetime.fromisoformat(now)) == meant


async def test_objects_read_by_id(desk: Desk) -> None:
    await _milestones(desk)
    assert RESOURCE.get is not None
    ids = [row["id"] for row in desk.rows("projectTask")]
    found = await RESOURCE.get(desk.session, [*ids, "999999", "x'; --"])
    assert {each.canonical_id for each in found} == {"MIL-0", "MIL-1", "MIL-2"}


# Pushes


EVENT: dict[str, Any] = {
    "event_id": "1-projectTask-7-1", "type": "edit", "record": "projectTask", "id": "7", "at": "2026-11-23T17:00:00Z",
    "fields": {"custevent_accord_milestone": "MIL-1", "custevent_milestone_approved": True,
               "custevent_milestone_approved_on": "2026-11-23", "lastModifiedDate": "2026-11-23T17:00:00Z"},
}  # fmt: skip
NOW = datetime(2026, 11, 23, 17, 0, 30, tzinfo=UTC)


def _signed(body: bytes, secret: str = "new", at: datetime = NOW) -> dict[str, str]:
    return {"x-accord-signature": signature(body, secret, int(at.timestamp()))}


def test_a_push_is_let_in_with_the_secret_or_its_predecessor() -> None:
    body = json.dumps(EVENT).encode()
    secrets = {"push_secret": "new", "push_secret_previous": "old"}
    assert pushes.verify(_signed(body), body, secrets, NOW) is None
    assert pushes.verify(_signed(body, "old"), body, secrets, NOW) is None


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-accord-signature": ""}, {"x-accord-signature": "v1=00"}, {"x-accord-signature": "t=1,t=2,v1=00"},
     _signed(b"another body"), _signed(json.dumps(EVENT).encode(), "wrong"),
     _signed(json.dumps(EVENT).encode(), at=NOW - timedelta(minutes=6))],
)  # fmt: skip
def test_a_push_without_a_good_signature_is_refused(headers: dict[str, str]) -> None:
    refusal = pushes.verify(headers, json.dumps(EVENT).encode(), {"push_secret": "new"}, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401


def test_a_push_of_no_interest_is_set_aside_with_its_reason() -> None:
    other = {**EVENT, "record": "customer"}
    phase = {**EVENT, "fields": {"title": "Phase"}}
    for event in (other, phase):
        (arrival,) = pushes.translate({}, json.dumps(event).encode())
        assert arrival.items == ()
        assert arrival.ignored


def test_a_push_that_does_not_say_when_the_task_was_modified_is_read_again() -> None:
    """The time of posting says nothing of the order of changes: a slow post would hide a newer change."""
    fields = {name: value for name, value in EVENT["fields"].items() if name != "lastModifiedDate"}
    (arrival,) = pushes.translate({}, json.dumps({**EVENT, "fields": fields}).encode())
    assert arrival.items == (Pointer("milestone_approval", "7"),)


def test_a_deleted_milestone_is_a_tombstone() -> None:
    (arrival,) = pushes.translate({}, json.dumps({**EVENT, "type": "delete"}).encode())
    (item,) = arrival.items
    assert isinstance(item, Observed)
    assert item.deleted


def test_a_push_whose_values_cannot_be_read_says_so() -> None:
    fields = {**EVENT["fields"], "custevent_milestone_approved_on": "23/11/2026"}
    (arrival,) = pushes.translate({}, json.dumps({**EVENT, "fields": fields}).encode())
    (item,) = arrival.items
    assert isinstance(item, Observed)
    assert any("approved_on" in problem for problem in item.problems)


async def test_the_real_push_of_the_simulator_is_let_in(desk: Desk) -> None:
    await desk.committed("customer", {"id": "CUS-1", "legal_name": "Acme GmbH", "entities": ["DE"]})
    await desk.committed("project", PROJECT)
    await desk.committed("task", TASK)
    desk.simulator.admin("subscribe", {"record": "projectTask", "url": "https://127.0.0.1:9/in", "secret": "new"})
    desk.simulator.admin("shift_clock", {"seconds": 86400 * 40})  # a shift of business time spoils no signature
    desk.simulator.admin("approve_milestone", {"external_id": "MIL-1"})
    (delivery,) = desk.simulator.take_deliveries()
    headers = {name.lower(): value for name, value in delivery.signer(datetime.now(UTC)).items()}
    assert pushes.verify(headers, delivery.body, {"push_secret": "new"}, datetime.now(UTC)) is None
    assert list(pushes.event_ids({}, delivery.body)) == [json.loads(delivery.body)["event_id"]]
