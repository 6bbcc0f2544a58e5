"""Work from a vendor's records: polled or pushed, once; corrected, recalled, deleted; bound, or kept until it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from accord.db.pool import Pool
from accord.ledger.told import ToldWorkTaker
from tests.told_house import House, NetSuiteFirm, netsuite_house


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    async with netsuite_house(pool) as opened:
        yield opened


@pytest.fixture
async def firm(house: House) -> NetSuiteFirm:
    firm = NetSuiteFirm(house)
    await house.project(firm.project("PRJ-A"), "DEA-A", "DE")
    await house.agree("DEA-A", "DE")
    firm.hire("EMP-ANNA")
    return firm


async def test_approved_time_is_polled_bound_by_the_project_accord_made_and_priced(
    house: House, firm: NetSuiteFirm
) -> None:
    (id,) = firm.week("EMP-ANNA", {"hours": "7:30", "project": "PRJ-A"})
    await house.poll()
    assert await house.entries("source_key, status, quantity, engagement, legal_entity, worker, worker_entity") == [
        (f"timeBill {id}", "approved", Decimal("7.5"), "DEA-A", "DE", "Anna", "DE")
    ]
    assert (await house.rate()).rated == 1
    assert await house.lies() == {"DEA-A DE wip": "1500.00 EUR"}
    assert await house.problems() == []


async def test_a_poll_and_a_push_of_one_record_are_one_entry_whichever_is_first(
    house: House, firm: NetSuiteFirm
) -> None:
    firm.subscribe("timeBill")
    firm.week("EMP-ANNA", {"project": "PRJ-A"})
    pushes = house.pushes()
    assert len(pushes) == 1
    await asyncio.gather(house.poll("time_entry"), house.receive(*pushes, *pushes))
    await house.poll()
    await house.receive(*pushes)
    assert await house.rows("SELECT revision FROM work_entry") == [(1,)]
    await house.rate()
    assert await house.lies() == {"DEA-A DE wip": "1600.00 EUR"}


async def test_work_that_nobody_handed_in_is_no_work_and_a_recall_takes_it_back(
    house: House, firm: NetSuiteFirm
) -> None:
    draft, approved = firm.week("EMP-ANNA", {"project": "PRJ-A"}, {"project": "PRJ-A", "hours": "4:00"}, status="1")
    house.admin("approve_work", record="timeBill", ids=[approved])
    await house.poll()
    assert await house.entries("source_key, status") == [(f"timeBill {approved}", "approved")]
    await house.rate()
    house.later(minutes=5)
    house.admin("recall_work", record="timeBill", ids=[approved])
    house.admin("submit_work", record="timeBill", ids=[draft])
    await house.poll()
    assert sorted(await house.entries("source_key, status")) == [
        (f"timeBill {draft}", "submitted"), (f"timeBill {approved}", "recalled"),
    ]  # fmt: skip
    await house.rate()
    assert await house.lies() == {}


async def test_a_correction_prices_the_entry_anew(house: House, firm: NetSuiteFirm) -> None:
    (id,) = firm.week("EMP-ANNA", {"project": "PRJ-A"})
    await house.poll()
    await house.rate()
    house.later(minutes=5)
    house.admin("update", record="timeBill", id=id, fields={"hours": "5:00"})
    await house.poll()
    assert (await house.rate()).reversed == 1
    assert await house.lies() == {"DEA-A DE wip": "1000.00 EUR"}


async def test_two_states_of_one_second_are_not_confused(house: House, firm: NetSuiteFirm) -> None:
    """NetSuite dates to the second: the later state counts although it bears the same date."""
    (id,) = firm.week("EMP-ANNA", {"project": "PRJ-A"})
    await house.poll()
    house.admin("update", record="timeBill", id=id, fields={"hours": "5:00"})
    await house.poll()
    assert await house.entries("quantity") == [(Decimal(5),)]


async def test_what_is_older_than_what_we_have_changes_nothing(house: House, firm: NetSuiteFirm) -> None:
    """A push read before a poll, and taken after it."""
    (id,) = firm.week("EMP-ANNA", {"project": "PRJ-A"})
    session, resource = house.switchboard.session("erp"), house.switchboard.resource("erp", "time_entry")
    assert resource.get is not None
    old = await resource.get(session, [id])
    house.later(minutes=5)
    house.admin("update", record="timeBill", id=id, fields={"hours": "5:00"})
    await house.poll()
    async with house.pool.connection() as db, db.transaction():
        await ToldWorkTaker().take(db, "erp", old)
    assert await house.entries("quantity") == [(Decimal(5),)]


async def test_an_idle_poll_writes_nothing(house: House, firm: NetSuiteFirm) -> None:
    """The overlap reads the end of the last poll again; that is no reason for a row to be written."""
    firm.week("EMP-ANNA", {"project": "PRJ-A"}, {})
    await house.poll()
    before = await house.rows("SELECT xmin, ctid FROM told_work ORDER BY vendor_id")
    await house.poll()
    assert await house.rows("SELECT xmin, ctid FROM told_work ORDER BY vendor_id") == before


async def test_unbound_work_is_a_case_and_is_taken_as_soon_as_somebody_says_what_it_is(
    house: House, firm: NetSuiteFirm
) -> None:
    number = firm.project("PRJ-B")
    first, second = firm.week("EMP-ANNA", {"project": "PRJ-B"}, {"project": "PRJ-B", "hours": "2:00"})
    await house.poll()
    assert await house.entries() == []
    assert await house.problems() == [
        ("project_not_bound", f"timeBill {first}"), ("project_not_bound", f"timeBill {second}"),
    ]  # fmt: skip
    ((title, problems),) = await house.rows("SELECT title, problems FROM business_case WHERE state = 'open'")
    assert title == "2 records of work from erp could not be taken (10 h): project_not_bound"
    assert f"erp/{number}" in problems[0]["cure"]
    assert await house.bound() == 0
    await house.listed("PRJ-B", "DEA-B", "DE")
    await house.agree("DEA-B", "DE")
    asked = len(house.way.asked)
    assert await house.bound() == 2
    assert len(house.way.asked) == asked, "nobody is asked again for what was told"
    assert (await house.problems(), await house.cases()) == ([], [])
    await house.rate()
    assert await house.lies() == {"DEA-B DE wip": "2000.00 EUR"}
    assert await house.bound() == 0


async def test_work_of_a_project_that_accord_makes_later_is_taken_when_it_is_there(
    house: House, firm: NetSuiteFirm
) -> None:
    project = firm.project("PRJ-C")
    firm.week("EMP-ANNA", {"project": "PRJ-C"})
    await house.poll()
    assert await house.cases() == ["project_not_bound"]
    await house.project(project, "DEA-C", "DE")
    assert await house.bound() == 1
    assert await house.entries() == [("approved", Decimal(8), "DEA-C", "DE")]
    assert await house.cases() == []


async def test_the_list_goes_before_what_accord_made(house: House, firm: NetSuiteFirm) -> None:
    await house.listed(firm.ids["PRJ-A"], "DEA-X", "US")
    firm.week("EMP-ANNA", {"project": "PRJ-A"})
    await house.poll()
    assert await house.entries("engagement, legal_entity") == [("DEA-X", "US")]


async def test_work_moved_to_a_project_nobody_knows_leaves_its_engagement(house: House, firm: NetSuiteFirm) -> None:
    firm.project("PRJ-B")
    (id,) = firm.week("EMP-ANNA", {"project": "PRJ-A"})
    await house.poll()
    await house.rate()
    house.later(minutes=5)
    house.admin("update", record="timeBill", id=id, fields={"customer": {"externalId": "PRJ-B"}})
    await house.poll()
    await house.rate()
    assert await house.lies() == {}
    assert await house.entries() == [("approved", Decimal(8), None, None)]
    assert await house.problems() == [("project_not_bound", f"timeBill {id}")]


async def test_work_for_nobody_is_the_firms_own_unless_it_is_billable(house: House, firm: NetSuiteFirm) -> None:
    own, leak = firm.week("EMP-ANNA", {"billable": False}, {"billable": True})
    await house.poll()
    assert await house.entries("source_key, billable, engagement") == [(f"timeBill {own}", False, None)]
    assert await house.problems() == [("project_missing", f"timeBill {leak}")]
    house.later(minutes=5)
    house.admin("update", record="timeBill", id=leak, fields={"customer": {"externalId": "PRJ-A"}})
    await house.poll()
    assert (await house.problems(), await house.cases()) == ([], [])


async def test_each_line_of_a_report_is_one_expense_and_one_taken_out_is_deleted(
    house: House, firm: NetSuiteFirm
) -> None:
    """Lines keep their numbers when one is taken out; NetSuite appends lines to those that are there."""
    lines = ({"amount": 100, "project": "PRJ-A"}, {"amount": 40, "currency": "USD", "project": "PRJ-A"})
    id = firm.expenses("EMP-ANNA", *lines)
    await house.poll()
    asked = "source_key, status, cost, cost_currency"
    assert await house.entries(asked) == [
        (f"expenseReport {id} line 1", "approved", Decimal("100.00"), "EUR"),
        (f"expenseReport {id} line 2", "approved", Decimal("40.00"), "USD"),
    ]
    house.later(minutes=5)
    rest = {"expense": {"items": [{"line": 2, "foreignAmount": 45}]}}
    body, token = rest, house.simulator.logins._grant()
    house.way.door.send(
        "PATCH", f"https://netsuite.test/services/rest/record/v1/expenseReport/{id}?replace=expense",
        {"authorization": f"Bearer {token}", "content-type": "application/json"}, _json(body),
    )  # fmt: skip
    await house.poll()
    assert await house.entries(asked) == [
        (f"expenseReport {id} line 1", "deleted", Decimal("100.00"), "EUR"),
        (f"expenseReport {id} line 2", "approved", Decimal("45.00"), "USD"),
    ]
    house.later(minutes=5)
    house.admin("recall_work", record="expenseReport", ids=[id])
    await house.poll()
    assert [row[1] for row in await house.entries(asked)] == ["deleted", "recalled"]


async def test_a_bad_line_is_a_case_and_its_neighbours_are_taken(house: House, firm: NetSuiteFirm) -> None:
    good, bad = {"amount": 100, "project": "PRJ-A"}, {"amount": 70, "project": "PRJ-A"}
    id = firm.expenses("EMP-ANNA", good, bad)
    account = house.simulator.account
    row = account.table("expenseReport").get(id)
    row["expense"][1]["foreignAmount"] = Decimal("70.123")
    account.table("expenseReport").put(row)
    await house.poll()
    assert await house.entries("source_key") == [(f"expenseReport {id} line 1",)]
    assert await house.problems() == [("record_unreadable", f"expenseReport {id} line 2")]


async def test_many_pushes_are_taken_in_few_transactions(house: House, firm: NetSuiteFirm) -> None:
    """A batch of pushes is one question to the vendor and one delivery to the ledger, not one a record."""
    firm.subscribe("timeBill")
    firm.week("EMP-ANNA", *({"project": "PRJ-A", "hours": "0:15"} for _ in range(400)))
    pushes = house.pushes()
    asked = len(house.way.asked)
    assert await house.receive(*pushes) == 400
    assert len(house.way.asked) - asked <= 3
    assert await house.rows("SELECT count(*), count(DISTINCT xmin::text) FROM work_entry") == [(400, 1)]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
