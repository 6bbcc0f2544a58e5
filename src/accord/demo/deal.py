"""The deal of the story: a transformation in three countries with fixed-fee milestones and a managed service."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from stdnum.iso7064.mod_11_10 import calc_check_digit

from accord.demo.world import World


@dataclass(slots=True)
class SoldDeal:
    """Salesforce ids of the deal, milestones by name, and its number for people."""

    account: str
    contract: str
    opportunity: str
    number: str
    sold_on: date
    milestones: dict[str, str] = field(default_factory=dict)
    service: str = ""


NAME = "Northwind global transformation"
PHASES = (("Discovery", "US", "US"), ("Build", "DE", "DE"), ("Rollout", "JP", "JP"))
MILESTONES = (
    ("US blueprint accepted", "US", "USD", "120000.00", 30),
    ("US pilot accepted", "US", "USD", "80000.00", 90),
    ("DE core accepted", "DE", "EUR", "95000.50", 60),
    ("DE integration accepted", "DE", "EUR", "64999.50", 120),
    ("JP rollout accepted", "JP", "JPY", "12500000", 75),
    ("JP handover accepted", "JP", "JPY", "4800001", 150),
)
MONTHLY = "7500.00"
# What the service costs from a day of its first period on, by a change order.
DEARER, DEARER_AFTER_DAYS = "9000.00", 10
MONTHS = 12


def number_of(run: int) -> str:
    """The deal's number for people, in the `run`-th demonstration of a database."""
    return f"NW-2026-{run:02d}"


def _customer(run: int) -> tuple[str, str]:
    """Legal name and VAT number: another customer each time, or the gate would rightly ask about duplicates."""
    digits = f"{13669596 + run:08d}"
    name = "Northwind Industrie AG" if run == 1 else f"Northwind Industrie {run} AG"
    return name, f"DE{digits}{calc_check_digit(digits)}"


async def sell(world: World, today: date, run: int) -> SoldDeal:
    """Enter account, contract, opportunity and statement of work, as sales leaves them: not approved, not signed."""
    name, vat = _customer(run)
    account = await world.create(
        "Account",
        Name=name,
        BillingCountryCode="DE",
        BillingCountry="Germany",
        Tax_Registration__c=vat,
        CurrencyIsoCode="EUR",
        Industry="Manufacturing",
    )
    contract = await world.create(
        "Contract",
        AccountId=account,
        Status="Draft",
        StartDate=today.isoformat(),
        Billing_Terms__c="NET30",
        Approval_Status__c="Pending",
    )
    opportunity = await world.create(
        "Opportunity",
        Name=NAME,
        Legacy_Id__c=number_of(run),
        AccountId=account,
        ContractId=contract,
        StageName="Negotiation/Review",
        CloseDate=today.isoformat(),
        Amount=620000,
        CurrencyIsoCode="USD",
        Contract_Type__c="mixed",
        Legal_Entity__c="US",
    )
    deal = SoldDeal(account, contract, opportunity, number_of(run), today)
    phases = {}
    for sequence, (name, entity, country) in enumerate(PHASES, start=1):
        phases[entity] = await world.create(
            "SOW_Phase__c",
            Opportunity__c=opportunity,
            Name=name,
            Sequence__c=sequence,
            Country_Code__c=country,
            Legal_Entity__c=entity,
            Start_Date__c=today.isoformat(),
            End_Date__c=(today + timedelta(days=60 * sequence)).isoformat(),
        )
    for name, entity, currency, amount, days in MILESTONES:
        deal.milestones[name] = await world.create(
            "SOW_Milestone__c",
            Opportunity__c=opportunity,
            Phase__c=phases[entity],
            Name=name,
            Amount__c=Decimal(amount),
            CurrencyIsoCode=currency,
            Planned_Date__c=(today + timedelta(days=days)).isoformat(),
            Legal_Entity__c=entity,
        )
    deal.service = await world.create(
        "Managed_Service__c",
        Opportunity__c=opportunity,
        Name="Managed platform service",
        Monthly_Amount__c=Decimal(MONTHLY),
        CurrencyIsoCode="USD",
        Start_Date__c=today.isoformat(),
        Months__c=MONTHS,
        Legal_Entity__c="US",
    )
    return deal


async def correct(world: World, deal: SoldDeal, today: date) -> None:
    """What sales operations does about the gate's case: approval, signature, delivery region."""
    await world.change(
        "Contract",
        deal.contract,
        Approval_Status__c="Approved",
        Status="Activated",
        CustomerSignedDate=today.isoformat(),
    )
    await world.change("Opportunity", deal.opportunity, Delivery_Region__c="EMEA")
