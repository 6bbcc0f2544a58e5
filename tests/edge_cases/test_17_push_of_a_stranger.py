"""Edge case 17: a webhook before our own API response; webhook for an object we have not stored; pushed work."""

from __future__ import annotations

from decimal import Decimal

from accord.db.pool import Pool
from tests.told_house import NetSuiteFirm, SalesforceFirm, netsuite_house, salesforce_house


async def test_time_of_a_project_whose_creation_we_have_not_heard_of_waits_for_it(pool: Pool) -> None:
    """Edge case 17. Somebody books on the project before the answer to our own call is stored: the push comes first."""
    async with netsuite_house(pool) as house:
        firm = NetSuiteFirm(house)
        project = firm.project("PRJ-A")
        firm.hire("EMP-ANNA")
        firm.subscribe("timeBill")
        firm.week("EMP-ANNA", {"project": "PRJ-A"})
        assert await house.receive(*house.pushes()) == 1
        assert await house.cases() == ["project_not_bound"]
        await house.project(project, "DEA-A", "DE")
        assert await house.bound() == 1
        assert await house.entries() == [("approved", Decimal(8), "DEA-A", "DE")]
        assert await house.cases() == []


async def test_a_push_of_a_record_nobody_has_is_settled_and_takes_nothing(pool: Pool) -> None:
    """Edge case 17. Of time that was deleted before we could read it, and of time that was never there."""
    async with netsuite_house(pool) as house:
        firm = NetSuiteFirm(house)
        await house.project(firm.project("PRJ-A"), "DEA-A", "DE")
        firm.hire("EMP-ANNA")
        firm.subscribe("timeBill")
        (id,) = firm.week("EMP-ANNA", {"project": "PRJ-A"})
        (created,) = house.pushes()
        house.admin("delete", record="timeBill", id=id)
        assert await house.receive(created, *house.pushes()) == 2
        assert (await house.entries(), await house.cases()) == ([], [])
        assert await house.rows("SELECT DISTINCT state FROM inbox") == [(1,)]


async def test_pushes_in_any_order_and_twice_end_in_the_state_of_the_source(pool: Pool) -> None:
    """Edge case 17. A push says only what to read again, so the order of pushes decides nothing."""
    async with salesforce_house(pool) as house:
        firm = SalesforceFirm(house)
        deal = firm.deal()
        await house.project(deal, "DEA-A", "DE", kind="deal")
        firm.subscribe("Time_Entry__c")
        id = firm.time(deal, Status__c="Submitted")
        submitted = house.pushes()
        house.admin("approve_work", ids=[id])
        approved = house.pushes()
        await house.receive(*approved, *submitted, *approved)
        assert await house.entries("status") == [("approved",)]
        await house.receive(*submitted)
        assert await house.rows("SELECT status, revision FROM work_entry") == [("approved", 1)]
