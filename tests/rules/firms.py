"""A firm and a deal to test rules with."""

from dataclasses import replace
from datetime import date
from typing import Any

from accord.demo.firm import FIRM
from accord.model.customer import Customer, TaxRegistration
from accord.model.deal import Contract, Deal, ManagedService, Milestone, Phase
from accord.model.money import Money
from accord.rules.firm import Firm

TODAY = date(2026, 11, 23)


def firm(**changes: Any) -> Firm:
    return replace(Firm.parse({**FIRM, "version": 7}), **changes)


def customer(**changes: Any) -> Customer:
    found = Customer(
        id="CUS-1", legal_name="Northwind AG", country="DE", tax_registration=TaxRegistration("DE", "DE136695976")
    )
    return replace(found, **changes)


def milestone(name: str = "Go-live", amount: str = "1000.00", currency: str = "USD", **changes: Any) -> Milestone:
    found = Milestone(
        id=f"MIL-{name}", name=name, amount=Money.of(amount, currency), planned_on=TODAY, legal_entity="US"
    )
    return replace(found, **changes)


def deal(**changes: Any) -> Deal:
    """A deal that passes the gate."""
    found = Deal(
        id="DEA-1",
        number="0001",
        name="Transformation",
        stage="Closed Won",
        is_won=True,
        is_closed=True,
        customer_id="CUS-1",
        amount=Money.of("3000.00", "USD"),
        currency="USD",
        closes_on=TODAY,
        contract=Contract("CON-1", "C1", "activated", "approved", TODAY, TODAY, None, "NET30"),
        contract_type="mixed",
        delivery_region="EMEA",
        legal_entity="US",
        phases=(Phase("PHA-1", "Build", 1, "DE", "DE", TODAY, None),),
        milestones=(milestone(), milestone("Core", "500.00", "EUR", legal_entity=None, phase_id="PHA-1")),
        services=(ManagedService("SVC-1", "Run", Money.of("100.00", "USD"), TODAY, 12, "US"),),
    )
    return replace(found, **changes)
