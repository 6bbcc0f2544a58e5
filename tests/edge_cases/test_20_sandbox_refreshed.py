"""Edge case 20: the vendor's sandbox is refreshed, and ids vanish."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accord.db.pool import Pool
from tests.told_house import House, NetSuiteFirm, netsuite_house


async def _working(house: House) -> tuple[NetSuiteFirm, list[str]]:
    firm = NetSuiteFirm(house)
    await house.project(firm.project("PRJ-A"), "DEA-A", "DE")
    await house.agree("DEA-A", "DE")
    firm.hire("EMP-ANNA")
    ids = firm.week("EMP-ANNA", {"project": "PRJ-A"}, {"project": "PRJ-A", "hours": "4:00"})
    await house.poll("time_entry")
    await house.rate()
    return firm, ids


async def test_time_that_vanished_with_a_refresh_is_a_case_and_stays_billable(pool: Pool) -> None:
    """Edge case 20. Nothing says that it was deleted: nothing is taken back, and somebody is told, with the hours."""
    async with netsuite_house(pool) as house:
        firm, ids = await _working(house)
        firm.subscribe("timeBill")
        house.admin("update", record="timeBill", id=ids[0], fields={"memo": "last words"})
        pushes = house.pushes()
        house.later(minutes=5)
        house.admin("refresh_sandbox", gone=["timeBill"])
        house.log_in()
        await house.poll("time_entry")
        await house.receive(*pushes)
        assert await house.problems() == [("missing_at_source", f"timeBill {ids[0]}")]
        ((title,),) = await house.rows("SELECT title FROM business_case WHERE state = 'open'")
        assert title == "1 records of work from erp could not be taken (8 h): missing_at_source"
        await house.rate()
        assert await house.lies() == {"DEA-A DE wip": "2400.00 EUR"}


async def test_another_record_under_an_id_given_again_does_not_overwrite_the_first(pool: Pool) -> None:
    """Edge case 20. The refreshed account counts its ids anew: what bears an old one is another's work."""
    async with netsuite_house(pool) as house:
        firm, ids = await _working(house)
        house.later(days=1)
        house.admin("refresh_sandbox", gone=["timeBill"])
        house.log_in()
        assert firm.week("EMP-ANNA", {"project": "PRJ-A", "hours": "0:30"}) == ids[:1]
        await house.poll("time_entry")
        assert await house.entries("quantity") == [(Decimal(8),), (Decimal(4),)]
        assert await house.problems() == [("id_given_again", f"timeBill {ids[0]}")]
        await house.rate()
        assert await house.lies() == {"DEA-A DE wip": "2400.00 EUR"}


async def test_a_refreshed_account_lets_nobody_in_until_the_credentials_are_renewed(pool: Pool) -> None:
    """Edge case 20. The refresh takes the certificate mapping with it; the poll says so and loses no mark."""
    async with netsuite_house(pool) as house:
        await _working(house)
        mark = await house.rows("SELECT watermark_at FROM poll WHERE kind = 'time_entry'")
        house.admin("refresh_sandbox", gone=["timeBill"])
        house.simulator.logins.expire()
        with pytest.raises(AssertionError):
            await house.poll("time_entry")
        ((failures, error),) = await house.rows("SELECT failures, last_error FROM poll WHERE kind = 'time_entry'")
        assert failures == 1
        assert error
        assert await house.rows("SELECT watermark_at FROM poll WHERE kind = 'time_entry'") == mark
        assert await house.problems() == []
