"""The people of the simulated firm and its customers: what they do on the days of a few months, drawn from the seed.

They act at the vendors, never in the platform: sales in the CRM, delivery in the ERP, customers by paying.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from stdnum.iso7064.mod_11_10 import calc_check_digit

from accord.model.identity import canonical_id
from accord.simulation.history import History
from accord.simulation.vendors import Vendors

ENTITIES = (("US", "USD", 100), ("DE", "EUR", 100), ("JP", "JPY", 1))
REGIONS = ("AMER", "EMEA", "APAC")
TERMS = ("NET14", "NET30", "NET45", "NET60")


@dataclass(slots=True)
class Sold:
    """One deal as sales knows it: Salesforce ids."""

    account: str
    contract: str
    opportunity: str
    entities: tuple[str, ...]
    milestones: list[str] = field(default_factory=list)
    service: str | None = None
    incomplete: bool = False
    approved: set[str] = field(default_factory=set)

    @property
    def engagement(self) -> str:
        return canonical_id("deal", "salesforce", self.opportunity)


class Firm:
    """Acts for everybody. `random` decides what; `today` is the business date."""

    def __init__(self, vendors: Vendors, random: Random, today: Callable[[], date], history: History) -> None:
        self._vendors = vendors
        self._random = random
        self._today = today
        self._history = history
        self.deals: list[Sold] = []
        self._accounts: list[str] = []

    def agenda(self, deals: int, days: int) -> list[tuple[int, Callable[[], Any]]]:
        """What happens on which day, in order. Days without anything are skipped by the clock."""
        random, plan = self._random, list[tuple[int, Callable[[], Any]]]()
        busy = sorted(random.sample(range(days), min(days, max(6, deals))))
        for _ in range(deals):
            plan.append((random.choice(busy[: max(1, len(busy) * 2 // 3)]), self.sell))
        for _ in range(deals * 2):
            plan.append((random.choice(busy), self.deliver))
        for _ in range(deals * 2):
            plan.append((random.choice(busy), self.pay))
        for _ in range(deals // 2):
            plan.append((random.choice(busy), self.change))
        for _ in range(deals + 1):
            plan.append((random.choice(busy), self.change_service))
        for _ in range(max(1, deals // 5)):
            plan.append((random.choice(busy), self.complete))
            plan.append((random.choice(busy), self.withdraw_or_reopen))
        plan.sort(key=lambda each: each[0])
        return [*plan, (days, self.complete_all)]

    def _create(self, name: str, **fields: Any) -> str:
        return str(self._vendors.act("salesforce", "create", object=name, fields=fields)["id"])

    def _update(self, id: str, **fields: Any) -> None:
        self._vendors.act("salesforce", "update", id=id, fields=fields)

    def _customer(self) -> str:
        random = self._random
        if self._accounts and random.random() < 0.4:
            return random.choice(self._accounts)
        return self.customer()

    def customer(self) -> str:
        """A new customer's account."""
        random = self._random
        number = len(self._accounts)
        digits = f"{24000000 + number * 7919 + random.randrange(5000):08d}"
        fields: dict[str, Any] = {"Name": f"Customer {number} of the firm", "CurrencyIsoCode": "EUR"}
        country = random.choice(("DE", "US", "JP", "GB"))
        fields["BillingCountryCode"] = country
        if country == "DE":
            fields["Tax_Registration__c"] = f"DE{digits}{calc_check_digit(digits)}"
        account = self._create("Account", **fields)
        self._accounts.append(account)
        return account

    def sell(self) -> str:
        """Sales enters a deal and closes it; one in four is incomplete."""
        random = self._random
        account = self._customer()
        incomplete = random.random() < 0.25
        lead = random.choice(ENTITIES)[0]
        self.sold(account, random.sample(ENTITIES, random.randint(1, 2)), lead, incomplete=incomplete)
        return "sold"

    def sold(
        self, account: str, entities: Sequence[tuple[str, str, int]], lead: str, *, incomplete: bool = False
    ) -> Sold:
        """A deal with this account is closed, with a phase for each of the entities."""
        random, today = self._random, self._today()
        contract = self._create(
            "Contract",
            AccountId=account,
            StartDate=today.isoformat(),
            Billing_Terms__c=random.choice(TERMS),
            Approval_Status__c="Pending",
            Status="Draft",
        )
        if not incomplete:
            self._vendors.act("salesforce", "approve_contract", contract=contract)
            self._vendors.act("salesforce", "sign", contract=contract, on=today.isoformat())
        opportunity = self._create(
            "Opportunity",
            Name=f"Engagement {len(self.deals)}",
            Legacy_Id__c=f"SIM-{len(self.deals):04d}",
            AccountId=account,
            ContractId=contract,
            StageName="Negotiation/Review",
            CloseDate=today.isoformat(),
            CurrencyIsoCode="USD",
            Contract_Type__c="mixed",
            Legal_Entity__c=lead,
            **({} if incomplete and random.random() < 0.5 else {"Delivery_Region__c": random.choice(REGIONS)}),
        )
        codes = tuple(entity for entity, _, _ in entities)
        sold = Sold(account, contract, opportunity, codes, incomplete=incomplete)
        for sequence, (entity, currency, minor) in enumerate(entities, start=1):
            self._phase(sold, sequence, entity, currency, minor)
        if random.random() < 0.5:
            sold.service = self._create(
                "Managed_Service__c",
                Opportunity__c=opportunity,
                Name="Managed service",
                Monthly_Amount__c=Decimal(random.randint(100, 9000)),
                CurrencyIsoCode="USD",
                Start_Date__c=today.isoformat(),
                Months__c=random.randint(2, 6),
                Legal_Entity__c="US",
            )
        self._update(opportunity, StageName="Closed Won")
        self.deals.append(sold)
        self._history.note("world: sold", sold.engagement, "incomplete" if incomplete else "")
        return sold

    def _phase(self, sold: Sold, sequence: int, entity: str, currency: str, minor: int) -> None:
        random, today = self._random, self._today()
        phase = self._create(
            "SOW_Phase__c",
            Opportunity__c=sold.opportunity,
            Name=f"Phase {sequence}",
            Sequence__c=sequence,
            Country_Code__c=entity,
            Legal_Entity__c=entity,
            Start_Date__c=today.isoformat(),
            End_Date__c=(today + timedelta(days=90)).isoformat(),
        )
        for number in range(random.randint(1, 2)):
            amount = Decimal(random.randint(100_000, 9_999_999)) / minor
            sold.milestones.append(
                self._create(
                    "SOW_Milestone__c",
                    Opportunity__c=sold.opportunity,
                    Phase__c=phase,
                    Name=f"Milestone {sequence}.{number}",
                    Amount__c=amount,
                    CurrencyIsoCode=currency,
                    Planned_Date__c=(today + timedelta(days=random.randint(5, 80))).isoformat(),
                    Legal_Entity__c=entity,
                )
            )

    def complete(self) -> str:
        """Sales completes one deal that the gate holds back."""
        held = [each for each in self.deals if each.incomplete]
        if not held:
            return "nothing to complete"
        self._complete(self._random.choice(held))
        return "completed"

    def complete_all(self) -> str:
        for each in self.deals:
            if each.incomplete:
                self._complete(each)
        return "all completed"

    def _complete(self, sold: Sold) -> None:
        today = self._today().isoformat()
        self._update(sold.contract, Approval_Status__c="Approved", Status="Activated", CustomerSignedDate=today)
        self._update(sold.opportunity, Delivery_Region__c="EMEA")
        sold.incomplete = False
        self._history.note("world: completed", sold.engagement)

    def deliver(self) -> str:
        """A project manager ticks off a milestone, when the ERP has it."""
        open_ones = [(each, id) for each in self.deals for id in each.milestones if id not in each.approved]
        if not open_ones:
            return "nothing to deliver"
        sold, milestone = self._random.choice(open_ones)
        task = canonical_id("task", canonical_id("milestone", "salesforce", milestone))
        try:
            self._vendors.act("netsuite", "approve_milestone", external_id=task, on=self._today().isoformat())
        except ValueError:
            return "the ERP does not have it yet"
        sold.approved.add(milestone)
        self._history.note("world: approved", milestone)
        return "approved"

    def pay(self) -> str:
        """A customer pays in full or in part, fails to, or disputes what was paid."""
        random = self._random
        stripe = self._vendors.simulators["stripe"]
        invoices = [each for each in stripe.dump().get("invoice", []) if each["status"] in ("open", "paid")]
        if not invoices:
            return "nothing to pay"
        invoice = random.choice(invoices)
        try:
            if invoice["status"] == "paid":
                if random.random() < 0.3:
                    self._vendors.act("stripe", "dispute_invoice", invoice=invoice["id"], reason="product_unacceptable")
                    self._history.note("world: disputed", invoice["id"])
                return "disputed"
            chance = random.random()
            if chance < 0.15:
                self._vendors.act("stripe", "fail_payment", invoice=invoice["id"], code="insufficient_funds")
            elif chance < 0.45 and invoice["amount_remaining"] > 2:
                part = random.randint(1, invoice["amount_remaining"] - 1)
                self._vendors.act("stripe", "pay_invoice", invoice=invoice["id"], method="bank_transfer", amount=part)
            else:
                self._vendors.act("stripe", "pay_invoice", invoice=invoice["id"], method="bank_transfer")
        except ValueError as refused:
            return f"refused: {refused}"
        self._history.note("world: paid", invoice["id"], f"{chance:.3f}")
        return "paid"

    def change(self) -> str:
        """Sales changes a milestone: another date, or another amount with or without a signed change order."""
        random = self._random
        if not self.deals:
            return "nothing to change"
        sold = random.choice(self.deals)
        milestone = random.choice(sold.milestones)
        if random.random() < 0.5:
            later = (self._today() + timedelta(days=random.randint(10, 120))).isoformat()
            self._update(milestone, Planned_Date__c=later)
        else:
            signed = random.random() < 0.6
            more: dict[str, Any] = {"Change_Order__c": "CO", "Change_Order_Signed__c": self._today().isoformat()}
            self._update(milestone, Amount__c=Decimal(random.randint(100_000, 9_999_999)), **(more if signed else {}))
        self._history.note("world: changed", milestone)
        return "changed"

    def change_service(self) -> str:
        """Sales changes what a recurring service costs or how long it runs: mostly under a signed change order, which
        holds from a day before or after today."""
        random = self._random
        sold = [each for each in self.deals if each.service is not None]
        if not sold:
            return "no service to change"
        service = str(random.choice(sold).service)
        fields: dict[str, Any] = {}
        if random.random() < 0.8:
            fields["Monthly_Amount__c"] = Decimal(random.randint(100, 9000))
        if random.random() < 0.3:
            fields["Months__c"] = random.randint(1, 8)
        if random.random() < 0.8:
            day = self._today() + timedelta(days=random.randint(-20, 40))
            fields |= {
                "Change_Order__c": f"CO-{random.randint(1, 3)}",
                "Change_Order_Signed__c": self._today().isoformat(),
                "Change_Order_From__c": day.isoformat() if random.random() < 0.8 else None,
            }
        self._update(service, **fields)
        self._history.note("world: changed the service", service)
        return "changed"

    def withdraw_or_reopen(self) -> str:
        """An approval is taken back, or a won deal is opened again and won again."""
        random = self._random
        approved = [(each, id) for each in self.deals for id in sorted(each.approved)]
        if approved and random.random() < 0.5:
            sold, milestone = random.choice(approved)
            task = canonical_id("task", canonical_id("milestone", "salesforce", milestone))
            self._vendors.act("netsuite", "unapprove_milestone", external_id=task)
            sold.approved.discard(milestone)
            self._history.note("world: withdrew", milestone)
            return "withdrew"
        if not self.deals:
            return "nothing to reopen"
        sold = random.choice(self.deals)
        self._update(sold.opportunity, StageName="Negotiation/Review")
        if random.random() < 0.7:
            self._update(sold.opportunity, StageName="Closed Won")
        self._history.note("world: reopened", sold.engagement)
        return "reopened"
