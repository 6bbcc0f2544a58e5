"""Time and expense reports, polled and read again: approvals, currencies, lines, deletions, what is merely missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accord.connect.connector import Observed, Watermark
from accord.connect.mapping import Unfit
from accord.connectors.netsuite import CONNECTOR, told
from accord.connectors.netsuite.time_entries import hours_read
from tests.connectors.netsuite.conftest import Desk
from tests.connectors.netsuite.test_netsuite_conformance import Seeds

TIME, EXPENSE = CONNECTOR.resources["time_entry"], CONNECTOR.resources["expense"]


async def poll(desk: Desk, resource: Any, since: Watermark | None = None) -> tuple[list[Observed], Watermark | None]:
    seen, mark = [], since
    async for page in resource.changed(desk.session, since):
        seen += page.observed
        mark = page.watermark or mark
    return seen, mark


def hire(desk: Desk, external_id: str = "EMP-1", subsidiary: str = "DE", **fields: Any) -> str:
    about = {"entityId": external_id.title(), "subsidiary": {"externalId": subsidiary}, **fields}
    return Seeds(desk.simulator).enter("employee", externalId=external_id, **about)


def week(desk: Desk, *lines: dict[str, Any], employee: str = "EMP-1", status: str = "1") -> list[str]:
    told = [{"date": "2026-11-20", "hours": "8:00", "project": "PRJ-1", **line} for line in lines]
    made: list[str] = desk.simulator.admin("enter_timesheet", {"employee": employee, "lines": told, "status": status})[
        "ids"
    ]
    return made


async def test_time_is_read_with_worker_project_and_approval(desk: Desk) -> None:
    await desk.project()
    hire(desk, subsidiary="JP")
    (id,) = week(desk, {"hours": "7:20", "memo": "workshop"})
    admin = desk.simulator.admin
    admin("approve_work", {"record": "timeBill", "ids": [id], "by": "Dana", "at": "2026-11-23T18:00:00Z"})
    (seen,), _ = await poll(desk, TIME)
    project = desk.known["PRJ-1"]
    assert seen.links == {"project_id": ("project", project)}
    assert {**seen.body} | {"born_at": ""} == {
        "record": "timeBill", "status": "approved", "worker": "Emp-1", "worker_entity": "JP", "worked_on": "2026-11-20",
        "quantity": "7.333333", "project": project, "project_number": "P-1-DE", "billable": True, "note": "workshop",
        "approver": "Dana", "approved_at": "2026-11-23T18:00:00+00:00", "born_at": "",
    }  # fmt: skip
    assert seen.problems == ()


async def test_a_poll_goes_on_from_its_marks_and_tells_what_was_deleted(desk: Desk) -> None:
    await desk.project()
    hire(desk)
    first, second = week(desk, {}, {})
    seen, mark = await poll(desk, TIME)
    assert [each.vendor_id for each in seen] == [first, second]
    desk.simulator.admin("shift_clock", {"seconds": 600})
    desk.simulator.admin("delete", {"record": "timeBill", "id": first})
    again, later = await poll(desk, TIME, mark)
    assert [(each.vendor_id, each.deleted) for each in again] == [(second, False), (first, True)]
    assert again[-1].version > seen[0].version
    assert later is not None
    assert later.id.partition(" ")[2] > later.at, "deletions have a mark of their own"


async def test_a_mass_approval_is_read_again_for_minutes_and_not_for_ever(desk: Desk) -> None:
    """What was dated long enough ago is settled: the mark moves on although nothing changes."""
    await desk.project()
    hire(desk)
    week(desk, {}, {}, {})
    _, mark = await poll(desk, TIME)
    again, mark = await poll(desk, TIME, mark)
    assert len(again) == 3
    desk.session.now = lambda: datetime.now(UTC) + timedelta(minutes=12)
    _, mark = await poll(desk, TIME, mark)
    again, mark = await poll(desk, TIME, mark)
    assert again == []
    assert mark is not None


async def test_what_is_not_there_is_a_tombstone_only_where_the_account_says_so(desk: Desk) -> None:
    await desk.project()
    hire(desk)
    kept, deleted = week(desk, {}, {})
    desk.simulator.admin("delete", {"record": "timeBill", "id": deleted})
    assert TIME.get is not None
    found = await TIME.get(desk.session, [kept, deleted, "4711"])
    assert {each.vendor_id: each.deleted for each in found} == {kept: False, deleted: True}


async def test_each_line_of_a_report_is_told_in_the_currency_it_was_spent_in(desk: Desk) -> None:
    await desk.project()
    hire(desk)
    lines = [
        {"date": "2026-11-17", "amount": 100, "currency": "USD", "project": "PRJ-1", "category": "Hotel",
         "billable": True, "receipt": True},
        {"date": "2026-11-18", "amount": 4500, "currency": "JPY", "category": "Meals"},
    ]  # fmt: skip
    id = desk.simulator.admin("enter_expenses", {"employee": "EMP-1", "lines": lines})["id"]
    desk.simulator.admin("approve_work", {"record": "expenseReport", "ids": [id], "at": "2026-11-23T18:00:00Z"})
    (seen,), _ = await poll(desk, EXPENSE)
    hotel, meals = seen.body["lines"]
    assert (seen.vendor_id, seen.body["status"], seen.body["worker_entity"]) == (id, "approved", "DE")
    assert seen.body["approved_at"] == "2026-11-23T18:00:00+00:00"
    assert (hotel["number"], hotel["cost"], hotel["receipt"], hotel["billable"]) == (
        1, {"amount": "100.00", "currency": "USD"}, "attached", True,
    )  # fmt: skip
    assert (meals["number"], meals["cost"], meals.get("receipt"), meals["billable"]) == (
        2, {"amount": "4500", "currency": "JPY"}, None, False,
    )  # fmt: skip
    assert seen.links == {"lines[0].project_id": ("project", desk.known["PRJ-1"])}


async def test_a_worker_of_a_subsidiary_that_nobody_named_is_a_problem(desk: Desk) -> None:
    Seeds(desk.simulator).enter("employee", externalId="EMP-9", entityId="Nobody", subsidiary="1")
    desk.session.config = {**desk.session.config, "currencies": {"EUR": "4"}, "terms": {"30": "2"}}
    await desk.project()
    week(desk, {}, employee="EMP-9")
    (seen,), _ = await poll(desk, TIME)
    assert [each.partition(":")[0] for each in seen.problems] == ["worker_entity"]


async def test_the_settings_name_workers_statuses_and_fields_otherwise(desk: Desk) -> None:
    await desk.project()
    hire(desk, email="anna@meridian.example")
    week(desk, {"memo": "own words"})
    desk.session.config = {
        **desk.session.config,
        "fields": {"time_entry": {"worker": "worker_email"}},
        "statuses": {"time_entry": {"1": "submitted", "3": "approved"}},
    }
    (seen,), _ = await poll(desk, TIME)
    assert (seen.body["worker"], seen.body["status"]) == ("anna@meridian.example", "submitted")


async def test_an_idle_poll_is_two_queries_and_a_report_one_call(desk: Desk) -> None:
    await desk.project()
    hire(desk)
    _, mark = await poll(desk, EXPENSE)
    for _ in range(3):
        desk.simulator.admin("enter_expenses", {"employee": "EMP-1", "lines": [{"amount": 10}]})
    before = len(desk.calls())
    seen, mark = await poll(desk, EXPENSE, mark)
    assert (len(seen), len(desk.calls()) - before) == (3, 5)
    desk.simulator.admin("shift_clock", {"seconds": 600})
    before = len(desk.calls())
    await poll(desk, TIME, (await poll(desk, TIME))[1])
    assert len(desk.calls()) - before == 4


def test_work_is_read_only_where_the_settings_ask_for_it() -> None:
    assert [kind for kind, each in CONNECTOR.resources.items() if not each.wanted({})] == ["time_entry", "expense"]
    assert told.wanted("expense")({"work": ["expense"]})
    assert told.wanted("expense")({"work": "time_entry,expense"}), "as the command line gives it"
    assert not told.wanted("time")({"work": "time_entry"})


@pytest.mark.parametrize(
    ("given", "hours"),
    [("7:30", "7.5"), ("-0:30", "-0.5"), ("7.5", "7.5"), ("7.333333333333333", "7.333333"), ("0:20", "0.333333"),
     ("10", "10"), ("0", "0")],
)  # fmt: skip
def test_hours_are_read_by_the_clock_and_as_a_number(given: str, hours: str) -> None:
    assert hours_read(given) == hours


@pytest.mark.parametrize("given", [7.5, True, "1e9", "NaN"])
def test_hours_that_nobody_means_are_refused(given: Any) -> None:
    with pytest.raises(Unfit):
        hours_read(given)
