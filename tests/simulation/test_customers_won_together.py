"""Deals of one customer that are won together while the ERP cannot be reached: each deal's legal entity gets its
project, and nobody has to put anything right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from accord.simulation import firm as firms
from accord.simulation.campaign import own_database
from accord.simulation.firm import Firm
from accord.simulation.run import Plan, Run
from accord.simulation.weather import Weather

OPEN = "SELECT reason, title FROM business_case WHERE state = 'open'"
PROJECTS = "SELECT count(*), count(DISTINCT body ->> 'legal_entity') FROM effect WHERE kind = 'project' AND state = 2"
DELIVERING = """
SELECT count(DISTINCT (correlation, body ->> 'legal_entity')), count(DISTINCT body ->> 'legal_entity')
FROM record WHERE kind IN ('scheduled_milestone', 'recurring_schedule')
"""


def test_every_legal_entity_of_a_customer_gets_its_project_when_deals_are_won_together() -> None:
    with own_database() as database:
        run = Run(Plan(seed=1, weather=Weather(), deals=3, days=12), database)

        def agenda(firm: Firm, deals: int, days: int) -> list[tuple[int, Callable[[], Any]]]:
            def cut_off() -> None:
                run.network.down.add("netsuite")
                run.loop.call_later(400, run.network.down.discard, "netsuite")

            first, second, third = firms.ENTITIES
            accounts: list[str] = []
            return [
                (0, lambda: accounts.append(firm.customer())),
                (0, lambda: firm.sold(accounts[0], [first], first[0])),
                # With this one the workers learn that the ERP is away: what is decided afterwards waits, untried.
                (3, cut_off),
                (3, lambda: firm.sold(firm.customer(), [first], first[0])),
                (6, lambda: firm.sold(accounts[0], [second], second[0])),
                (7, lambda: firm.sold(accounts[0], [third], third[0])),
                (days, firm.complete_all),
            ]

        with patch.object(Firm, "agenda", agenda):
            result = run.go()
        assert result.holds, result.violations or result.broken
        assert run.server.ask(OPEN) == []
        # One for each legal entity that delivers a part of a deal; a managed service may be another one's.
        assert run.server.ask(PROJECTS) == run.server.ask(DELIVERING)
        assert run.server.ask(PROJECTS)[0][1] == 3
