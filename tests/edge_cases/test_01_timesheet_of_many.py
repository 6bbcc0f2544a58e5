"""Edge case 1: one weekly timesheet, several projects, customers and legal entities."""

from __future__ import annotations

from accord.db.pool import Pool
from tests.told_house import NetSuiteFirm, netsuite_house


async def test_each_line_of_a_week_goes_to_its_own_customer_project_and_legal_entity(pool: Pool) -> None:
    """Edge case 1. Three projects of two customers in three legal entities, one line that is nobody's, one unbound; the
    report of the same week, too. Every line is billed where it belongs, in the currency of its terms."""
    async with netsuite_house(pool) as house:
        firm = NetSuiteFirm(house)
        for project, customer, entity, currency in (
            ("PRJ-A", "CUS-1", "DE", "EUR"), ("PRJ-B", "CUS-1", "US", "USD"), ("PRJ-C", "CUS-2", "JP", "JPY"),
        ):  # fmt: skip
            engagement = project.replace("PRJ", "DEA")
            await house.project(firm.project(project, customer=customer, entity=entity), engagement, entity)
            await house.agree(engagement, entity, currency, rate="20000" if currency == "JPY" else "200")
        firm.project("PRJ-X")
        firm.hire("EMP-ANNA")
        firm.subscribe("timeBill")
        ids = firm.week(
            "EMP-ANNA",
            {"project": "PRJ-A", "hours": "8:00"}, {"project": "PRJ-B", "hours": "4:00"},
            {"project": "PRJ-C", "hours": "2:30"}, {"project": "PRJ-A", "hours": "1:00", "date": "2026-11-19"},
            {"billable": False, "hours": "1:30"}, {"project": "PRJ-X", "hours": "3:00"}, status="1",
        )  # fmt: skip
        house.admin("submit_work", record="timeBill", ids=ids)
        house.admin("approve_work", record="timeBill", ids=ids)
        assert await house.receive(*house.pushes()) == 18
        await house.poll("time_entry")
        await house.rate()
        assert await house.lies() == {
            "DEA-A DE wip": "1800.00 EUR", "DEA-B US wip": "800.00 USD", "DEA-B DE intercompany": "800.00 USD",
            "DEA-C JP wip": "50000 JPY", "DEA-C DE intercompany": "50000 JPY",
        }  # fmt: skip
        assert await house.problems() == [("project_not_bound", f"timeBill {ids[-1]}")]
        hours = await house.rows("SELECT sum(quantity) FROM work_entry WHERE current")
        held = await house.rows("SELECT sum(hours) FROM work_problem WHERE settled_at IS NULL")
        assert hours[0][0] + held[0][0] == 20, "every hour of the week is accounted for"
