"""The story of the demonstration, act by act: what the world does, and what the platform must have done by then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from accord.demo import timesheets
from accord.demo.deal import DEARER, DEARER_AFTER_DAYS, MONTHLY, NAME, SoldDeal, correct, sell
from accord.demo.progress import Stage
from accord.demo.world import World
from accord.ledger import approving
from accord.ledger.proposing import propose
from accord.model.identity import canonical_id

CASES = """
SELECT count(*), max(id), max(jsonb_array_length(problems)) FROM business_case
WHERE state = 'open' AND correlation = %(deal)s
"""
RUNS = "SELECT count(*) FROM record WHERE kind = 'deal' AND body ->> 'number' LIKE 'NW-2026-%%'"
FACTS = "SELECT count(*) FROM event WHERE type = %(type)s AND correlation = %(deal)s"
INVOICES = "SELECT count(*) FROM record WHERE kind = 'invoice_posting' AND correlation = %(deal)s"
SETTLED = """
SELECT count(*) FROM record i JOIN record p ON p.kind = 'invoice_posting' AND p.id = i.id
WHERE i.kind = 'invoice' AND i.correlation = %(deal)s AND i.body ->> 'origin' = 'service_change'
"""
# Stories of the deal that are not at their end, writes that have no outcome, and payments that are not applied.
OPEN_WORK = """
SELECT (SELECT count(*) FROM open_process o JOIN process p ON p.id = o.process_id WHERE p.correlation = %(deal)s),
    (SELECT count(*) FROM effect WHERE state IN (0, 1, 3, 4, 7) AND correlation = %(deal)s),
    (SELECT count(*) FROM record WHERE kind = 'payment_application' AND correlation = %(deal)s)
"""
INVOICE_OF = """
SELECT body ->> 'status', body -> 'paid' ->> 'amount', body ->> 'billing_ref', (body ->> 'disputed')::boolean
FROM record WHERE kind = 'invoice' AND id = %(invoice)s
"""
VENDOR_INVOICE = (
    "SELECT vendor_id FROM crosswalk WHERE connection = 'stripe' AND kind = 'invoice' AND canonical_id = %(invoice)s"
)
NOTICES = """
SELECT count(*) FROM effect WHERE kind = 'notice' AND state = 2 AND correlation = %(deal)s AND label LIKE %(label)s
"""
HELD = """
SELECT (SELECT (body ->> 'on_hold')::boolean FROM effect WHERE kind = 'receivable_hold' AND canonical_id = %(invoice)s
        AND state = 2 ORDER BY generation DESC LIMIT 1)
"""
CUSTOMER = "SELECT body ->> 'customer_id' FROM record WHERE kind = 'engagement' AND id = %(deal)s"
# Entries that are current; approved ones without an item; and those that nobody has looked at.
WORK = """
SELECT count(*), count(*) FILTER (WHERE w.status = 'approved' AND NOT EXISTS (
        SELECT FROM billable_item i WHERE i.source_id = w.id)),
    (SELECT count(*) FROM work_to_rate q WHERE q.engagement = %(deal)s)
FROM work_entry w WHERE w.current AND w.engagement = %(deal)s
"""
CORRECTED = """
SELECT count(*) FILTER (WHERE w.revision = 2),
    (SELECT count(*) FROM billable_item r WHERE r.engagement = %(deal)s AND r.reverses IS NOT NULL),
    (SELECT count(*) FROM work_to_rate q WHERE q.engagement = %(deal)s)
FROM work_entry w WHERE w.current AND w.engagement = %(deal)s
"""
PAYMENTS = 3  # one in full and one in part for milestones, one for work
PROPOSED = "SELECT id, legal_entity FROM proposal WHERE engagement = %(deal)s AND status = 'draft' ORDER BY id"
MILESTONE = """
SELECT body -> 'amount' ->> 'amount', body ->> 'planned_on' FROM record
WHERE kind = 'scheduled_milestone' AND id = %(id)s
"""


@dataclass(slots=True)
class Told:
    """What the story leaves for the checks."""

    engagement: str = ""
    deal: SoldDeal | None = None
    gate_problems: int = 0
    cases_seen: list[dict[str, Any]] = field(default_factory=list)
    milestones: dict[str, str] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Places:
    """Where work comes in: the folder of the drop, and how a portal tells (source, entries)."""

    drop: Path
    tell: Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[None]]


class Story:
    """Plays the acts in order."""

    def __init__(self, world: World, stage: Stage, today: date, places: Places) -> None:
        self._world = world
        self._places = places
        self._stage = stage
        self._today = today
        self.told = Told()

    async def play(self) -> Told:
        step = self._stage.step
        await step("Sales enters a three-country deal; its contract is neither approved nor signed", self._sell())
        await step("Closed won: the gate holds it back with one case listing every problem", self._close_won())
        await step("Corrected in the CRM: it resumes by itself and the projects are active", self._correct())
        await step(
            "Delivery approves a milestone in each country (one push is lost: the poll finds it)", self._approve()
        )
        await step("Invoices are issued in billing, posted in the ERP and shown to sales", self._invoices(3))
        await step("A month passes: the managed service bills its period", self._month())
        await step("The customer pays: one in full, one in part, one attempt fails", self._payments())
        await step("A payment is disputed: sales is told, the receivable is held; then it is won", self._dispute())
        await step("The contract changes: re-dated, raised by change order, raised without one", self._change())
        await step(
            "The managed service gets dearer within a period: billed periods are settled by days", self._dearer()
        )
        await step(
            "The opportunity is re-opened after activation: a question, answered, and it goes on", self._reopen()
        )
        await step("Three months of time and expenses come in, and get their price", self._work())
        await step("The time system corrects a month: one longer, one recalled, one gone", self._corrections())
        await step("Finance proposes, writes down, approves with four eyes: work is invoiced", self._bill_work())
        await step("Everything comes to rest", self._rest())
        return self.told

    @property
    def _deal(self) -> SoldDeal:
        assert self.told.deal is not None
        return self.told.deal

    async def _sell(self) -> None:
        self.told.deal = await sell(self._world, self._today, int((await self._stage.one(RUNS))[0]) + 1)
        self.told.engagement = canonical_id("deal", "salesforce", self._deal.opportunity)
        self.told.milestones = {
            name: canonical_id("milestone", "salesforce", id) for name, id in self._deal.milestones.items()
        }

    async def _close_won(self) -> None:
        await self._world.change("Opportunity", self._deal.opportunity, StageName="Closed Won")
        row = await self._until("one case with every problem", CASES, lambda row: row[0] == 1)
        self.told.gate_problems = row[2]
        self._saw("activation gate", row[1])

    async def _correct(self) -> None:
        await correct(self._world, self._deal, self._today)
        await self._until("the project is active", FACTS, lambda row: row[0] == 1, type="project.activated")
        await self._until("no case is open", CASES, lambda row: row[0] == 0)

    async def _approve(self) -> None:
        names = ("US blueprint accepted", "DE core accepted", "JP rollout accepted")
        for name in names:
            if name.startswith("JP"):
                await self._world.fault("netsuite", kind="drop_events", times=1)
            task = canonical_id("task", self.told.milestones[name])
            await self._world.happen(
                "netsuite", "approve_milestone", external_id=task, by="Dana Delivery", on=self._today.isoformat()
            )

    async def _invoices(self, count: int) -> None:
        await self._until(f"{count} invoices are posted", INVOICES, lambda row: row[0] == count)

    async def _month(self) -> None:
        before = await self._stage.one(INVOICES, deal=self.told.engagement)
        await self._world.happen("stripe", "shift_clock", seconds=2 * 3600)
        await self._world.happen("stripe", "shift_clock", seconds=32 * 86400)
        await self._until("the period is billed and posted", INVOICES, lambda row: row[0] > before[0])

    async def _payments(self) -> None:
        us, de, jp = (
            self._invoice(name) for name in ("US blueprint accepted", "DE core accepted", "JP rollout accepted")
        )
        await self._pay(us, method="card")
        await self._pay(de, amount=5_000_000)
        await self._world.happen("stripe", "fail_payment", invoice=await self._vendor(jp), code="insufficient_funds")
        await self._until("the US invoice is paid", INVOICE_OF, lambda row: row[0] == "paid", invoice=us)
        await self._until("the DE invoice is paid in part", INVOICE_OF, lambda row: row[1] == "50000.00", invoice=de)
        await self._until("sales knows of the failure", NOTICES, lambda row: row[0] == 1, label="%Payment failed%")

    async def _dispute(self) -> None:
        us = self._invoice("US blueprint accepted")
        dispute = await self._world.happen(
            "stripe", "dispute_invoice", invoice=await self._vendor(us), reason="product_unacceptable"
        )
        await self._until("the account team is told", NOTICES, lambda row: row[0] == 1, label="%is disputed%")
        await self._until("the receivable is held", HELD, lambda row: row[0] is True, invoice=us)
        await self._world.happen("stripe", "close_dispute", dispute=dispute["id"], outcome="won")
        await self._until("the hold is released", HELD, lambda row: row[0] is False, invoice=us)
        await self._until("the invoice is undisputed", INVOICE_OF, lambda row: not row[3], invoice=us)

    async def _change(self) -> None:
        milestones, change = self._deal.milestones, self._world.change
        later = (self._today + timedelta(days=200)).isoformat()
        jp, de, us = (
            self.told.milestones[name]
            for name in ("JP handover accepted", "DE integration accepted", "US pilot accepted")
        )
        await change("SOW_Milestone__c", milestones["JP handover accepted"], Planned_Date__c=later)
        await self._until("the JP milestone is re-dated", MILESTONE, lambda row: row[1] == later, id=jp)
        signed = {"Change_Order__c": "CO-1", "Change_Order_Signed__c": self._today.isoformat()}
        await change("SOW_Milestone__c", milestones["DE integration accepted"], Amount__c=Decimal("71000.00"), **signed)
        await self._until("the DE milestone is raised", MILESTONE, lambda row: row[0] == "71000.00", id=de)
        await change("SOW_Milestone__c", milestones["US pilot accepted"], Amount__c=Decimal("90000.00"))
        row = await self._until("the unsigned raise is a case", CASES, lambda row: row[0] == 1)
        self._saw("contract change", row[1])
        await change(
            "SOW_Milestone__c",
            milestones["US pilot accepted"],
            Change_Order__c="CO-2",
            Change_Order_Signed__c=self._today.isoformat(),
        )
        await self._until("the US milestone is raised", MILESTONE, lambda row: row[0] == "90000.00", id=us)
        await self._until("its case is closed", CASES, lambda row: row[0] == 0)

    async def _dearer(self) -> None:
        """From a day of the first period on: both periods that billing has invoiced by now are worth more."""
        signed = {"Change_Order__c": "CO-3", "Change_Order_Signed__c": self._today.isoformat()}
        holds = (self._today + timedelta(days=DEARER_AFTER_DAYS)).isoformat()
        await self._world.change(
            "Managed_Service__c",
            self._deal.service,
            Monthly_Amount__c=Decimal(DEARER),
            Change_Order_From__c=holds,
            **signed,
        )
        await self._until("both periods are settled", SETTLED, lambda row: row[0] == 2)

    async def _reopen(self) -> None:
        await self._world.change("Opportunity", self._deal.opportunity, StageName="Negotiation/Review")
        row = await self._until("a question is asked", CASES, lambda row: row[0] == 1)
        self._saw("re-opened", row[1])
        await self._answer(row[1], "bill on")
        await self._until("the question is closed", CASES, lambda row: row[0] == 0)
        await self._world.change("Opportunity", self._deal.opportunity, StageName="Closed Won")
        await self._until("won again, started once", FACTS, lambda row: row[0] == 2, type="deal.won")

    async def _work(self) -> None:
        """Files in the drop and a push of expenses; every row must be in the ledger or behind its reason."""
        number, months = self._deal.number, timesheets.months_before(self._today)
        row = await self._stage.one(CUSTOMER, deal=self.told.engagement)
        await timesheets.agree(self._stage.pool, self.told.engagement, str(row[0]), number, months)
        for month in months:
            rows = timesheets.rows_of(month, number)
            timesheets.drop(self._places.drop, f"{number}-{month.name}.csv", rows)
            await self._places.tell(timesheets.PORTAL, timesheets.expenses(month, number))
            self.told.rows += len(rows) + 4
        await self._until("every row is there", WORK, lambda row: row == (self.told.rows, 0, 0))

    async def _corrections(self) -> None:
        number, months = self._deal.number, timesheets.months_before(self._today)
        name = f"{number}-{months[0].name}.csv"
        again = timesheets.corrected(timesheets.rows_of(months[0], number))
        timesheets.drop(self._places.drop, f"{number}-{months[0].name}-correction.csv", again, replaces=name)
        await self._until("the corrections are taken", CORRECTED, lambda row: row == (3, 3, 0))

    async def _bill_work(self) -> None:
        before = await self._stage.one(INVOICES, deal=self.told.engagement)
        at, deal = datetime.now(UTC), self.told.engagement
        up_to = timesheets.months_before(self._today)[1].last
        async with self._stage.pool.connection() as db, db.transaction():
            await propose(db, up_to, at=at, engagement=deal)
            rows = await (await db.execute(PROPOSED, {"deal": deal})).fetchall()
            for proposal, entity in rows:
                if entity == "US":
                    amount, reason = Decimal("250.00"), "agreed with the customer"
                    await approving.write_down(db, proposal, amount, line=1, reason=reason, by="Fatima Finance", at=at)
            for proposal, _ in rows:
                await approving.approve(db, proposal, by="Carla Controller", at=at)
        await self._invoices(before[0] + len(rows))
        german = next(proposal for proposal, entity in rows if entity == "DE")
        await self._pay(german)
        await self._until("the work in Germany is paid", INVOICE_OF, lambda row: row[0] == "paid", invoice=german)

    async def _rest(self) -> None:
        await self._until("nothing is under way", OPEN_WORK, lambda row: row == (0, 0, PAYMENTS))

    async def _answer(self, case: int, option: str) -> None:
        from accord.workbench import cases

        async with self._stage.pool.connection() as db, db.transaction():
            await cases.answer(db, case, option, by="demo")

    async def _pay(self, invoice: str, *, amount: int | None = None, method: str = "bank_transfer") -> None:
        arguments = {} if amount is None else {"amount": amount}
        await self._world.happen(
            "stripe", "pay_invoice", invoice=await self._vendor(invoice), method=method, **arguments
        )

    def _invoice(self, milestone: str) -> str:
        return canonical_id("invoice", self.told.milestones[milestone])

    async def _vendor(self, invoice: str) -> str:
        row = await self._stage.one(VENDOR_INVOICE, invoice=invoice)
        return str(row[0])

    def _saw(self, what: str, case: int) -> None:
        self.told.cases_seen.append({"what": what, "case": case})

    async def _until(self, what: str, query: str, holds: Any, **parameters: Any) -> Any:
        return await self._stage.until(what, query, holds, **{"deal": self.told.engagement, **parameters})


__all__ = ["MONTHLY", "NAME", "Story", "Told"]
