"""A scene: the whole platform with the simulated vendors in one process, on a virtual clock, and what people do there.

It is the simulation without its weather, its agenda replaced by a script. At every stop the promises of the engine must
hold, and at the end those of the business: what vendors hold is what we recorded, and nothing is unexplained.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from accord.db.pool import transaction
from accord.invariants import check_always, check_settled
from accord.ledger import approving
from accord.ledger.postings import standing
from accord.ledger.proposing import propose
from accord.ledger.terms import declare
from accord.ledger.work import take
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.terms import BillingTerms, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.reconcile.running import reconcile
from accord.reconcile.unexplained import unexplained
from accord.simulation.database import Database
from accord.simulation.holdings import holdings_of
from accord.simulation.run import DAY_SECONDS, Plan, Run
from accord.simulation.weather import Weather

Script = Callable[["Scene"], Awaitable[None]]
INVOICES = """
SELECT r.id, r.body FROM record r WHERE r.kind = 'invoice' AND NOT r.deleted
ORDER BY (SELECT min(v.changed_at) FROM record_version v WHERE v.kind = r.kind AND v.id = r.id), r.id
"""
CASES = "SELECT reason, title FROM business_case WHERE state = 'open' ORDER BY opened_at"


class Scene(Run):
    """Plays one script. What the script raises is raised by `play`."""

    def __init__(self, place: Database, script: Script) -> None:
        super().__init__(Plan(1, Weather()), place)
        self._script = script
        self._raised: BaseException | None = None
        self.engagement = self.customer = self.opportunity = self.account = self.service = ""

    async def _months(self) -> None:
        try:
            await self._script(self)
            await self.rest()
        except BaseException as error:
            self._raised = error
            raise

    # What people do --------------------------------------------------------------------------------------------------

    async def sell(
        self,
        *milestones: str,
        entity: str = "DE",
        currency: str = "EUR",
        monthly: str | None = None,
        served_days: int = 0,
    ) -> list[str]:
        """A deal of one legal entity is won, with a milestone of each amount and perhaps a service of twelve months at
        `monthly`, which began `served_days` ago; Salesforce ids of the milestones, and `self.service`."""
        create = self._create
        self.account = create(
            "Account", Name="Customer", CurrencyIsoCode=currency, BillingCountryCode=entity, Tax_Registration__c=None
        )
        today = self.today.isoformat()
        contract = create(
            "Contract", AccountId=self.account, StartDate=today, Billing_Terms__c="NET30",
            Approval_Status__c="Pending", Status="Draft",
        )  # fmt: skip
        self.vendors.act("salesforce", "approve_contract", contract=contract)
        self.vendors.act("salesforce", "sign", contract=contract, on=today)
        self.opportunity = create(
            "Opportunity", Name="Engagement", Legacy_Id__c="ENG-1", AccountId=self.account, ContractId=contract,
            StageName="Negotiation/Review", CloseDate=today, CurrencyIsoCode=currency, Contract_Type__c="mixed",
            Legal_Entity__c=entity, Delivery_Region__c="EMEA",
        )  # fmt: skip
        phase = create(
            "SOW_Phase__c", Opportunity__c=self.opportunity, Name="Phase 1", Sequence__c=1, Country_Code__c=entity,
            Legal_Entity__c=entity, Start_Date__c=today, End_Date__c=(self.today + timedelta(days=90)).isoformat(),
        )  # fmt: skip
        made = [
            create(
                "SOW_Milestone__c", Opportunity__c=self.opportunity, Phase__c=phase, Name=f"Milestone {number}",
                Amount__c=Decimal(amount), CurrencyIsoCode=currency, Planned_Date__c=today, Legal_Entity__c=entity,
            )
            for number, amount in enumerate(milestones or ("1000.00",), start=1)
        ]  # fmt: skip
        if monthly is not None:
            self.service = create(
                "Managed_Service__c", Opportunity__c=self.opportunity, Name="Run", Monthly_Amount__c=Decimal(monthly),
                CurrencyIsoCode=currency, Months__c=12, Legal_Entity__c=entity,
                Start_Date__c=(self.today - timedelta(days=served_days)).isoformat(),
            )  # fmt: skip
        self.vendors.act("salesforce", "update", id=self.opportunity, fields={"StageName": "Closed Won"})
        self.engagement = canonical_id("deal", "salesforce", self.opportunity)
        self.customer = canonical_id("customer", "salesforce", self.account)
        await self.rest()
        return made

    async def invoiced(self, *milestones: str, entity: str = "DE", currency: str = "EUR") -> list[dict[str, Any]]:
        """A deal is won and its milestones are approved: their invoices as records, in the order of issue."""
        for each in await self.sell(*milestones, entity=entity, currency=currency):
            task = canonical_id("task", canonical_id("milestone", "salesforce", each))
            self.vendors.act("netsuite", "approve_milestone", external_id=task, on=self.today.isoformat())
            await self.rest()
        return self.invoices()

    async def on_day(self, day: int) -> None:
        """So many days after the first one, once what happens until then has come to rest."""
        self._skip_to(day)
        await self.rest()

    async def worked(self, *hours: str, rate: str = "100.00", **terms: Any) -> None:
        """Days of work by persons of their own are told and approved, by terms of one rate an hour."""
        of = BillingTerms(
            self.engagement, "DE", 1, "EUR", self.customer, rates=(RateRow("R", Money.of(rate, "EUR"), clause="4.1"),),
            clause="SOW 4",
        )  # fmt: skip
        async with self.database() as db:
            await declare(db, [replace(of, **terms)], by="paula")
            await take(db, [self.entry(n, each) for n, each in enumerate(hours, 1)], (), source="time")
        await self.rest()

    def entry(self, n: int, hours: str, **changes: Any) -> WorkEntry:
        base = WorkEntry(
            id=f"WRK-{n}", revision=1, kind=WorkKind.TIME, source="time", source_key=str(n),
            status=WorkStatus.APPROVED, worked_on=date(2026, 1, 5 + (n - 1) % 20), quantity=Decimal(hours),
            engagement_id=self.engagement, legal_entity="DE", worker=f"person {n}", approver="paul",
            approved_at=self.clock.now().isoformat(),
        )  # fmt: skip
        return replace(base, **changes)

    async def tell(self, *entries: WorkEntry) -> None:
        """The time system tells these as they are now."""
        async with self.database() as db:
            await take(db, entries, (), source="time")
        await self.rest()

    async def bill(self, up_to: date = date(2026, 1, 31)) -> dict[str, Any]:
        """What lies in WIP is proposed, approved and invoiced; the newest invoice."""
        async with self.database() as db:
            await propose(db, up_to, at=self.clock.now())
            rows = await (await db.execute("SELECT id FROM proposal WHERE status = 'draft'")).fetchall()
        for (id,) in rows:
            async with self.database() as db:
                await approving.approve(db, id, by="fatima", at=self.clock.now())
        await self.rest()
        return self.record("invoice", rows[-1][0])

    def pays(self, invoice: dict[str, Any], amount: int | None = None) -> None:
        """The customer pays an invoice through billing: all, or so many minor units."""
        more = {} if amount is None else {"amount": amount}
        self.vendors.act("stripe", "pay_invoice", invoice=invoice["billing_ref"], method="bank_transfer", **more)

    # What is there ---------------------------------------------------------------------------------------------------

    @property
    def today(self) -> date:
        return self.clock.now().date()

    @property
    def at(self) -> datetime:
        return self.clock.now()

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Any]:
        async with transaction(self.house.pool) as db:
            yield db

    def invoices(self) -> list[dict[str, Any]]:
        return [row[1] for row in self.server.ask(INVOICES)]

    def record(self, kind: str, id: str) -> dict[str, Any]:
        ((found,),) = self.server.ask("SELECT body FROM record WHERE kind = %s AND id = %s", [kind, id])
        return dict(found)

    def records(self, kind: str) -> list[dict[str, Any]]:
        return [row[0] for row in self.server.ask("SELECT body FROM record WHERE kind = %s ORDER BY id", [kind])]

    def held(self, vendor: str, kind: str) -> list[dict[str, Any]]:
        """What a vendor holds of one of its kinds."""
        return list(self.vendors.simulators[vendor].dump()[kind])

    def holdings(self) -> dict[str, dict[str, Any]]:
        """Everything that each vendor holds, but for its count of calls."""
        dumps = {vendor: each.dump() for vendor, each in self.vendors.simulators.items()}
        return {vendor: {k: v for k, v in each.items() if k != "api_usage"} for vendor, each in dumps.items()}

    def cases(self) -> list[str]:
        return [row[0] for row in self.server.ask(CASES)]

    def answer_of(self, process: str) -> Any:
        """The result of the newest run of a process."""
        rows = self.server.ask("SELECT result FROM process WHERE name = %s ORDER BY id DESC LIMIT 1", [process])
        return rows[0][0] if rows else None

    async def lies(self) -> dict[str, str]:
        """Where approved value lies; none of it is unexplained."""
        async with self.database() as db:
            found = await standing(db)
        assert all(each.unexplained == 0 for each in found)
        return {name: str(value) for each in found for name, value in each.dispositions.items() if value}

    async def rest(self) -> None:
        """Until nothing is left to do; everything must be as it should."""
        quiet = await self._still(DAY_SECONDS * 5)
        assert quiet, f"{self._why_not_still()}: {self.server.ask(CASES)}"
        self._must_hold(check_always(self.server.ask))

    async def agrees(self) -> None:
        """At rest: vendors hold what we recorded, nothing is unexplained, and both sides of each match are equal."""
        await self.rest()
        self._must_hold(check_settled(self.server.ask, holdings_of(self.vendors)))
        async with self.database() as db:
            assert await unexplained(db) == []
            found = await reconcile(db, self.clock.now() + timedelta(hours=1))
            rows = await (await db.execute("SELECT match, key, ours, theirs FROM reconciliation_break")).fetchall()
        assert [each.match for each in found if not each.agrees] == [], rows

    def _create(self, name: str, **fields: Any) -> str:
        given = {name: value for name, value in fields.items() if value is not None}
        return str(self.vendors.act("salesforce", "create", object=name, fields=given)["id"])


def play(place: Database, script: Script) -> Scene:
    """Play a script to its end. Raises what it raises, and AssertionError for a promise that is broken."""
    scene = Scene(place, script)
    result = scene.go()
    if scene._raised is not None and isinstance(scene._raised, AssertionError):
        raise scene._raised
    assert result.holds, f"{result.broken} {result.violations}\n" + "\n".join(result.last[-20:])
    return scene
