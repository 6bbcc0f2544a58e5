"""Edge case 23: a deleted source record, by a tombstone, and one that is merely missing."""

from __future__ import annotations

from accord.db.pool import Pool
from tests.told_house import NetSuiteFirm, SalesforceFirm, netsuite_house, salesforce_house


async def test_a_tombstone_takes_the_work_back_whether_it_is_pushed_or_polled(pool: Pool) -> None:
    """Edge case 23. NetSuite says by its table of deleted records, and by the push, that somebody deleted it."""
    async with netsuite_house(pool) as house:
        firm = NetSuiteFirm(house)
        await house.project(firm.project("PRJ-A"), "DEA-A", "DE")
        await house.agree("DEA-A", "DE")
        firm.hire("EMP-ANNA")
        pushed, polled, kept = firm.week("EMP-ANNA", *({"project": "PRJ-A"} for _ in range(3)))
        await house.poll("time_entry")
        await house.rate()
        house.later(minutes=5)
        firm.subscribe("timeBill")
        house.admin("delete", record="timeBill", id=pushed)
        await house.receive(*house.pushes())
        house.admin("delete", record="timeBill", id=polled)
        await house.poll("time_entry")
        assert await house.entries("source_key, status") == [
            (f"timeBill {pushed}", "deleted"), (f"timeBill {polled}", "deleted"), (f"timeBill {kept}", "approved"),
        ]  # fmt: skip
        await house.rate()
        assert await house.lies() == {"DEA-A DE wip": "1600.00 EUR"}
        assert await house.cases() == []
        await house.receive(*house.pushes())
        await house.poll("time_entry")
        assert await house.rows("SELECT max(revision) FROM work_entry") == [(2,)], "a deletion is told once"


async def test_a_deleted_report_takes_back_all_its_lines(pool: Pool) -> None:
    """Edge case 23. The tombstone bears the id of the report alone."""
    async with netsuite_house(pool) as house:
        firm = NetSuiteFirm(house)
        await house.project(firm.project("PRJ-A"), "DEA-A", "DE")
        firm.hire("EMP-ANNA")
        id = firm.expenses("EMP-ANNA", {"amount": 10, "project": "PRJ-A"}, {"amount": 20, "project": "PRJ-A"})
        await house.poll("expense")
        house.later(minutes=5)
        house.admin("delete", record="expenseReport", id=id)
        await house.poll("expense")
        assert await house.entries("status, cost") == [("deleted", 10), ("deleted", 20)]


async def test_what_is_merely_missing_is_a_case_until_it_is_found_or_deleted(pool: Pool) -> None:
    """Edge case 23. A record purged from the recycle bin before a poll saw it deleted is found nowhere, and nobody says
    why: it stays, and somebody has to look. When it is told again, the case is closed by itself."""
    async with salesforce_house(pool) as house:
        firm = SalesforceFirm(house)
        deal = firm.deal()
        await house.project(deal, "DEA-A", "DE", kind="deal")
        await house.agree("DEA-A", "DE")
        firm.subscribe("Time_Entry__c")
        id = firm.time(deal)
        await house.poll("time_entry")
        await house.rate()
        pushes = house.pushes()
        table = house.simulator.org.table("Time_Entry__c")
        row = dict(table.get(id))
        house.admin("purge", id=id)
        await house.receive(*pushes)
        assert await house.problems() == [("missing_at_source", f"Time_Entry__c {id}")]
        assert await house.lies() == {"DEA-A DE wip": "1600.00 EUR"}
        table.add(row)
        await house.receive(*pushes)
        assert (await house.problems(), await house.cases()) == ([], [])
        house.later(minutes=5)
        house.admin("delete", id=id)
        await house.poll("time_entry")
        await house.rate()
        assert (await house.entries("status"), await house.lies()) == ([("deleted",)], {})


async def test_a_deletion_is_known_although_it_comes_before_what_it_deletes(pool: Pool) -> None:
    """Edge case 23. The page of a poll was read before the deletion and is taken after the push of it."""
    async with netsuite_house(pool) as house:
        firm = NetSuiteFirm(house)
        await house.project(firm.project("PRJ-A"), "DEA-A", "DE")
        firm.hire("EMP-ANNA")
        firm.subscribe("timeBill")
        (id,) = firm.week("EMP-ANNA", {"project": "PRJ-A"})
        house.pushes()
        resource = house.switchboard.resource("erp", "time_entry")
        assert resource.get is not None
        before = await resource.get(house.switchboard.session("erp"), [id])
        house.later(minutes=5)
        house.admin("delete", record="timeBill", id=id)
        await house.receive(*house.pushes())
        await house.take(*before)
        await house.poll("time_entry")
        assert await house.entries("status") == [("deleted",)]
