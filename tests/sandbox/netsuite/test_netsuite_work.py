"""Time and expense reports in the account: entered, approved, recalled, corrected, deleted, and told of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from netsuite.exceptions import NetsuiteAPIRequestError

from accord.sandbox.kit.serve import Served
from accord.sandbox.kit.simulator import ManualClock
from accord.sandbox.netsuite import build
from tests.sandbox.netsuite.conftest import START, Caller


def hire(caller: Caller, external_id: str = "EMP-1", subsidiary: str = "DE") -> str:
    about = {"external_id": external_id, "name": external_id.lower(), "subsidiary": subsidiary}
    return str(caller.simulator.admin("hire", about)["id"])


def week(caller: Caller, *hours: str, **more: Any) -> list[str]:
    lines = [{"date": f"2026-11-{16 + n}", "hours": each, "project": "PRJ-1"} for n, each in enumerate(hours)]
    made = caller.simulator.admin("enter_timesheet", {"employee": "EMP-1", "lines": lines, **more})
    ids: list[str] = made["ids"]
    return ids


def test_time_is_shown_by_the_clock_and_queried_as_a_number(caller: Caller) -> None:
    caller.firm()
    hire(caller)
    (id,) = week(caller, "7:20")
    held = json.loads(caller.send("GET", f"record/v1/timeBill/{id}").body)
    assert (held["hours"], held["approvalStatus"]["refName"], held["customer"]["refName"]) == ("7:20", "Open", "P-1")
    assert held["subsidiary"]["externalId"] == "DE"
    (row,) = caller.query("SELECT hours, isbillable, approvalstatus FROM timebill")
    assert row["hours"].startswith("7.3333")
    assert (row["isbillable"], row["approvalstatus"]) == ("T", "1")


def test_an_account_may_tell_hours_by_the_clock_in_queries_too() -> None:
    clock = ManualClock(START)
    caller = Caller(build(clock=clock, wall=clock, seed=7, clock_hours=True), clock, clock)
    caller.firm()
    hire(caller)
    week(caller, "-0:30")
    assert caller.query("SELECT hours FROM timebill") == [{"hours": "-0:30"}]


def test_time_is_submitted_approved_recalled_and_deleted(caller: Caller) -> None:
    caller.firm()
    hire(caller)
    ids = week(caller, "8:00", "4:00")
    admin = caller.simulator.admin
    admin("submit_work", {"record": "timeBill", "ids": ids})
    admin("approve_work", {"record": "timeBill", "ids": ids, "by": "Dana", "at": "2026-11-23T18:00:00Z"})
    asked = "SELECT approvalstatus, supervisorapproval, custcol_accord_approved_by AS by FROM timebill ORDER BY id"
    assert caller.query(asked) == [{"approvalstatus": "3", "supervisorapproval": "T", "by": "Dana"}] * 2
    admin("recall_work", {"record": "timeBill", "ids": ids[:1]})
    assert caller.query(asked)[0] == {"approvalstatus": "1", "supervisorapproval": "F"}
    admin("reject_work", {"record": "timeBill", "ids": ids[1:], "note": "wrong task"})
    admin("delete", {"record": "timeBill", "id": ids[0]})
    assert caller.query("SELECT id, rejectionnote FROM timebill") == [{"id": ids[1], "rejectionnote": "wrong task"}]
    assert caller.query("SELECT recordid, recordtypeid FROM deletedrecord") == [
        {"recordid": ids[0], "recordtypeid": "Time"}
    ]


def test_a_report_has_amounts_in_the_currencies_of_its_lines_and_a_total_in_its_own(caller: Caller) -> None:
    caller.firm()
    hire(caller)
    lines = [
        {"date": "2026-11-17", "amount": 100, "currency": "USD", "project": "PRJ-1", "category": "Hotel"},
        {"date": "2026-11-18", "amount": 40.5, "project": "PRJ-1", "category": "Meals", "receipt": True},
    ]
    made = caller.simulator.admin("enter_expenses", {"employee": "EMP-1", "lines": lines})
    assert made["lines"] == [1, 2]
    held = json.loads(caller.send("GET", f"record/v1/expenseReport/{made['id']}?expandSubResources=true").body)
    first, second = held["expense"]["items"]
    assert (first["foreignAmount"], first["amount"], first["currency"]["refName"]) == (100, 92.59, "US Dollar")
    assert (second["foreignAmount"], second["amount"], second["receipt"]) == (40.5, 40.5, True)
    assert (held["total"], held["status"]["id"], held["approvalStatus"]["id"]) == (133.09, "A", "1")
    caller.simulator.admin("approve_work", {"record": "expenseReport", "ids": [made["id"]], "by": "Dana"})
    held = json.loads(caller.send("GET", f"record/v1/expenseReport/{made['id']}").body)
    assert (held["status"]["id"], held["approvalStatus"]["id"]) == ("F", "2")


def test_lines_of_a_report_merge_by_their_number_and_only_replace_drops_them(caller: Caller) -> None:
    caller.firm()
    hire(caller)
    lines = [{"date": "2026-11-17", "amount": n, "project": "PRJ-1"} for n in (10, 20)]
    id = caller.simulator.admin("enter_expenses", {"employee": "EMP-1", "lines": lines})["id"]
    path = f"record/v1/expenseReport/{id}"

    def numbers() -> list[tuple[int, float]]:
        held = json.loads(caller.send("GET", path, query={"expandSubResources": "true"}).body)
        return [(line["line"], line["foreignAmount"]) for line in held["expense"]["items"]]

    caller.send("PATCH", path, {"expense": {"items": [{"line": 2, "foreignAmount": 25}, {"foreignAmount": 30}]}})
    assert numbers() == [(1, 10), (2, 25), (3, 30)]
    kept = {"expense": {"items": [{"line": 1}, {"line": 3}]}}
    caller.send("PATCH", path, kept, query={"replace": "expense"})
    assert numbers() == [(1, 10), (3, 30)]


def test_a_task_of_another_project_is_refused(caller: Caller) -> None:
    caller.firm()
    employee = hire(caller)
    caller.put("job", "PRJ-2", companyName="Other", entityId="P-2", parent={"externalId": "CUS-1"})
    caller.put("projectTask", "TSK-2", title="Go-live", project={"externalId": "PRJ-2"})
    body = {"employee": {"id": employee}, "hours": "1:00", "customer": {"externalId": "PRJ-1"},
            "caseTaskEvent": {"externalId": "TSK-2"}}  # fmt: skip
    assert caller.refused("POST", "record/v1/timeBill", body)["o:errorCode"] == "USER_ERROR"
    assert caller.refused("POST", "record/v1/timeBill", {**body, "hours": "1:75"})["o:errorPath"] == "hours"


def test_a_refreshed_sandbox_has_lost_its_own_records_without_a_word(caller: Caller) -> None:
    caller.firm()
    hire(caller)
    before = week(caller, "8:00", "8:00")
    caller.simulator.admin("refresh_sandbox", {"gone": ["timeBill"]})
    caller.token = caller.simulator.logins._grant()
    assert caller.query("SELECT id FROM timebill") == caller.query("SELECT recordid FROM deletedrecord") == []
    assert week(caller, "3:00") == before[:1], "the account gives its ids anew"


def test_every_change_of_time_is_pushed_once_a_script_watches_it(caller: Caller) -> None:
    caller.firm()
    hire(caller)
    about = {"record": "timeBill", "url": "https://accord.test/in/erp", "secret": "s"}
    assert caller.simulator.admin("subscribe", about)["watched"] == []
    (id,) = week(caller, "8:00")
    caller.simulator.admin("approve_work", {"record": "timeBill", "ids": [id]})
    caller.simulator.admin("delete", {"record": "timeBill", "id": id})
    told = [json.loads(each.body) for each in caller.simulator.take_deliveries()]
    assert [(each["type"], each["record"], each["id"]) for each in told] == [
        ("create", "timeBill", id), ("edit", "timeBill", id), ("delete", "timeBill", id),
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
@pytest.mark.filterwarnings("ignore:use sign_hmac_sha256_with_client:DeprecationWarning")
async def test_time_and_expenses_through_the_client(client: Any, served: Served) -> None:
    """PyPI netsuite enters, changes, queries and deletes them as it does any record."""
    await client.put("/record/v1/customer/eid:C-1", json={"companyName": "Acme", "subsidiary": {"externalId": "DE"}})
    await client.put("/record/v1/job/eid:P-1", json={"companyName": "Roll-out", "parent": {"externalId": "C-1"}})
    employee = {"entityId": "Anna", "subsidiary": {"externalId": "US"}}
    await client.put("/record/v1/employee/eid:E-1", json=employee)
    entry = {"employee": {"externalId": "E-1"}, "customer": {"externalId": "P-1"}, "hours": "7:30",
             "tranDate": "2026-11-20"}  # fmt: skip
    await client.put("/record/v1/timeBill/eid:T-1", json=entry)
    held = await client.get("/record/v1/timeBill/eid:T-1")
    assert (held["hours"], held["subsidiary"]["refName"]) == ("7:30", "Meridian Consulting Inc.")
    await client.patch("/record/v1/timeBill/eid:T-1", json={"approvalStatus": {"id": "3"}})
    page = await client.suiteql("SELECT t.hours, e.entityid AS worker, t.approvalstatus FROM timebill t "
                                "JOIN employee e ON e.id = t.employee ORDER BY t.id")  # fmt: skip
    (row,) = page["items"]
    assert (row["hours"], row["worker"], row["approvalstatus"]) == ("7.5", "Anna", "3")
    report = {"entity": {"externalId": "E-1"}, "expense": {"items": [{"foreignAmount": 12.5, "memo": "taxi"}]}}
    await client.post("/record/v1/expenseReport", json=report)
    listed = await client.suiteql("SELECT id, type, foreigntotal FROM transaction WHERE type = 'ExpRept' ORDER BY id")
    assert [(each["type"], each["foreigntotal"]) for each in listed["items"]] == [("ExpRept", "12.5")]
    await client.delete("/record/v1/timeBill/eid:T-1")
    with pytest.raises(NetsuiteAPIRequestError):
        await client.get("/record/v1/timeBill/eid:T-1")
    assert len(served.simulator.dump()["expenseReport"]) == 1
