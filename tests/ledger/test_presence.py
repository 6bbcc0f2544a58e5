"""Whether the work we hold is still at its source: what vanished without a word is found, and nothing is guessed."""

from __future__ import annotations

from datetime import date

from accord.db.pool import Pool
from accord.engine import schedule
from accord.ledger.presence import HELD, Looked, Presence
from tests.told_house import House, NetSuiteFirm, SalesforceFirm, netsuite_house, salesforce_house


def looking(house: House) -> Presence:
    return Presence(house.pool, house.switchboard, house.clock.now)


async def look(house: House, kind: str = "time_entry") -> Looked:
    return await looking(house).look(house.switchboard.line(house.name), kind)


async def test_what_vanished_is_a_case_and_what_changed_unseen_is_taken(pool: Pool) -> None:
    """A refresh leaves no trace that a poll could read; nor does a change whose date lies behind the watermark."""
    async with netsuite_house(pool) as house:
        firm = NetSuiteFirm(house)
        await house.project(firm.project("PRJ-A"), "DEA-A", "DE")
        firm.hire("EMP-ANNA")
        gone, kept, deleted = firm.week("EMP-ANNA", *({"project": "PRJ-A"} for _ in range(3)))
        await house.poll("time_entry")
        assert await look(house) == Looked(3, 0)
        account = house.simulator.account
        account.table("timeBill").remove(gone)
        account.table("timeBill").get(kept)["hours"] = 5
        account.table("timeBill").changed.add(kept)
        house.admin("delete", record="timeBill", id=deleted)
        asked = len(house.way.asked)
        assert await look(house) == Looked(3, 1)
        assert len(house.way.asked) - asked == 2, "one query for what is there, one for what was deleted"
        assert await house.problems() == [("missing_at_source", f"timeBill {gone}")]
        assert [(row[0], int(row[1])) for row in await house.entries("status, quantity")] == [
            ("approved", 8), ("approved", 5), ("deleted", 8),
        ]  # fmt: skip


async def test_reports_are_looked_for_in_one_query_and_only_the_doubtful_are_read(pool: Pool) -> None:
    async with netsuite_house(pool) as house:
        firm = NetSuiteFirm(house)
        await house.project(firm.project("PRJ-A"), "DEA-A", "DE")
        firm.hire("EMP-ANNA")
        ids = [firm.expenses("EMP-ANNA", {"amount": 10, "project": "PRJ-A"}) for _ in range(5)]
        await house.poll("expense")
        asked = len(house.way.asked)
        assert await look(house, "expense") == Looked(5, 0)
        assert len(house.way.asked) - asked == 1
        house.simulator.account.table("expenseReport").remove(ids[2])
        assert await look(house, "expense") == Looked(5, 1)
        assert await house.problems() == [("missing_at_source", f"expenseReport {ids[2]}")]


async def test_work_of_long_ago_is_not_asked_for(pool: Pool) -> None:
    async with salesforce_house(pool) as house:
        firm = SalesforceFirm(house)
        await house.listed("P-1", "DEA-A", "DE")
        firm.time(None, Project__c="P-1", Work_Date__c="2026-01-15")
        recent = firm.time(None, Project__c="P-1")
        await house.poll("time_entry")
        house.admin("purge", id=recent)
        assert await look(house) == Looked(1, 1)
        assert await house.problems() == [("missing_at_source", f"Time_Entry__c {recent}")]


async def test_one_worker_looks_as_often_as_is_set_and_a_vendor_that_is_down_is_asked_again(pool: Pool) -> None:
    async with salesforce_house(pool) as house:
        firm = SalesforceFirm(house)
        await house.listed("P-1", "DEA-A", "DE")
        firm.time(None, Project__c="P-1")
        await house.poll("time_entry")
        await looking(house).enter()
        house.fault("status", status=503)
        assert await looking(house).once() == 2
        about = "SELECT last_error IS NULL, next_at > now() FROM schedule WHERE name = 'presence of time_entry at crm'"
        assert await house.rows(about) == [(False, True)]
        assert await looking(house).once() == 0, "it is not due"
        await house.run("UPDATE schedule SET next_at = now()")
        assert await looking(house).once() == 2
        assert await house.rows(about) == [(True, True)]


async def test_a_look_reads_its_records_by_their_day_from_an_index(pool: Pool) -> None:
    """With ten thousand records of work, those of the last days are found without reading the others."""
    fill = """
    INSERT INTO told_work (connection, kind, vendor_id, place, version, entries, last_day)
    SELECT 'erp', 'time_entry', n::text, 'timeBill ' || n, '1', '{WRK}', DATE '2026-11-20' - n
    FROM generate_series(1, 10000) n
    """
    about = {"connection": "erp", "kind": "time_entry", "since": date(2026, 8, 1), "day": date.min, "after": "",
             "limit": 500}  # fmt: skip
    async with pool.connection() as db:
        await db.execute(fill)
        await db.execute("ANALYZE told_work")
        plan = [row[0] for row in await (await db.execute(f"EXPLAIN {HELD}", about)).fetchall()]
        assert any("told_work_recent" in line for line in plan), plan
        assert not any("Sort" in line for line in plan), plan


async def test_a_schedule_is_claimed_by_one(pool: Pool) -> None:
    async with pool.connection() as db:
        await schedule.enter(db, "a look", 60.0)
        assert [await schedule.claim(db, "a look") for _ in range(2)] == [True, False]
        assert not await schedule.failed(db, "a look", "no route", long="1 day")
