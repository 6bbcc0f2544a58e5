"""Edge case 12: the employee's legal entity is not the project's (intercompany), and time zone and date differ."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from accord.db.pool import Pool
from tests.told_house import NetSuiteFirm, SalesforceFirm, netsuite_house, salesforce_house


async def test_work_of_tokyo_for_berlin_in_an_account_of_california_keeps_its_day(pool: Pool) -> None:
    """Edge case 12. Tuesday, 1 December in Tokyo; in Berlin and California it is still Monday, the last day of the
    period. The day is the one that was entered, the moments are exact, and the work is between two companies."""
    async with netsuite_house(pool) as house:
        house.clock.at = datetime(
            2026, 11, 30, 16, 30, tzinfo=UTC
        )  # 1:30 in Tokyo, 17:30 in Berlin, 8:30 in California
        firm = NetSuiteFirm(house)
        await house.project(firm.project("PRJ-A", entity="DE"), "DEA-A", "DE")
        await house.agree("DEA-A", "DE")
        firm.hire("EMP-YUKI", entity="JP")
        (id,) = firm.week("EMP-YUKI", {"project": "PRJ-A", "date": "2026-12-01"}, status="2")
        house.admin("approve_work", record="timeBill", ids=[id])
        await house.poll()
        asked = "worked_on, legal_entity, worker_entity, approved_at"
        assert await house.entries(asked) == [
            (date(2026, 12, 1), "DE", "JP", datetime(2026, 11, 30, 16, 30, tzinfo=UTC))
        ]
        await house.rate()
        assert await house.lies() == {"DEA-A DE wip": "1600.00 EUR", "DEA-A JP intercompany": "1600.00 EUR"}
        assert await house.rows("SELECT DISTINCT worked_on FROM item_part") == [(date(2026, 12, 1),)]


async def test_a_change_in_the_hour_that_comes_twice_is_not_lost(pool: Pool) -> None:
    """Edge case 12 (and 19). The account writes local times without a zone: 1:30 comes twice on 1 November in
    California, and a change in the second of them seems to be older than the poll."""
    async with netsuite_house(pool) as house:
        house.clock.at = datetime(2026, 11, 1, 8, 45, tzinfo=UTC)  # 1:45 before the clock is put back
        firm = NetSuiteFirm(house)
        await house.project(firm.project("PRJ-A"), "DEA-A", "DE")
        firm.hire("EMP-ANNA")
        (id,) = firm.week("EMP-ANNA", {"project": "PRJ-A"}, status="2")
        await house.poll("time_entry")
        house.clock.at += timedelta(minutes=30)  # 1:15 again
        house.admin("approve_work", record="timeBill", ids=[id])
        await house.poll("time_entry")
        assert await house.entries("status, approved_at") == [("approved", datetime(2026, 11, 1, 9, 15, tzinfo=UTC))]


async def test_a_worker_of_another_legal_entity_in_salesforce_is_intercompany_too(pool: Pool) -> None:
    """Edge case 12, by the custom object of a PSA."""
    async with salesforce_house(pool) as house:
        firm = SalesforceFirm(house)
        deal = firm.deal()
        await house.project(deal, "DEA-A", "US", kind="deal")
        await house.agree("DEA-A", "US", "USD")
        firm.time(deal, "3", Worker_Entity__c="DE", Work_Date__c="2026-12-01")
        await house.poll()
        assert await house.entries("worked_on, legal_entity, worker_entity") == [(date(2026, 12, 1), "US", "DE")]
        await house.rate()
        assert await house.lies() == {"DEA-A US wip": "600.00 USD", "DEA-A DE intercompany": "600.00 USD"}
