"""The firm's consultants and those who bill their work.

Time and expenses are told by a push of a time system, approved, taken back, corrected and deleted there; terms are
agreed, proposals made, written down, held, withdrawn and approved by a second person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from accord.app import House
from accord.ledger import approving
from accord.ledger.proposing import propose
from accord.ledger.terms import declare
from accord.ledger.work import take
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.terms import BillingTerms, Cap, CapLevel, ExpenseRule, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.simulation.firm import ENTITIES, Sold
from accord.simulation.history import History
from accord.simulation.office import attempt

SOURCE = "simulated-time"
TELLERS, BILLERS = ("anna", "bo", "chen"), ("fatima", "george")
# What becomes of a record after it was told: approved is the rule, and may be taken back, corrected or deleted.
NEXT = (WorkStatus.APPROVED, WorkStatus.APPROVED, WorkStatus.REJECTED)
LATER = (WorkStatus.RECALLED, WorkStatus.DELETED, WorkStatus.APPROVED)
PROPOSALS = "SELECT id, status, net FROM proposal WHERE status IN ('draft', 'held') ORDER BY id"


@dataclass(slots=True)
class Consultants:
    """Acts for them. `random` decides what; `deals` are those that were sold; `now` is the business time."""

    house: House
    random: Random
    deals: Sequence[Sold]
    now: Callable[[], datetime]
    history: History
    entries: list[WorkEntry] = field(default_factory=list)
    _agreed: set[tuple[str, str]] = field(default_factory=set)

    def agenda(self, deals: int, days: int) -> list[tuple[int, Callable[[], Awaitable[str]]]]:
        """What they do on which day, in order."""
        random = self.random
        acts = [self.tell] * deals * 2 + [self.decide] * deals * 2 + [self.bill] * (deals + 1)
        plan = [(random.randrange(days), number, act) for number, act in enumerate(acts)]
        return [(day, act) for day, _, act in sorted(plan, key=lambda each: each[:2])]

    async def _do(self, what: str, act: Callable[[Any], Awaitable[None]]) -> str:
        return await attempt(self.house, self.history, what, act)

    async def tell(self) -> str:
        """A consultant tells a few days of one engagement; now and then before anybody agreed what they cost."""
        random = self.random
        if not self.deals:
            return "nothing sold yet"
        sold = random.choice(self.deals)
        entity = random.choice(sold.entities)
        if (sold.engagement, entity) not in self._agreed and random.random() < 0.8:
            await self._agree(sold, entity)
        told = [self._entry(sold, entity) for _ in range(random.randint(1, 4))]
        self.entries.extend(told)
        return await self._tell(told)

    def _entry(self, sold: Sold, entity: str) -> WorkEntry:
        random = self.random
        key = f"{len(self.entries)}-{random.randrange(10**6)}"
        expense = random.random() < 0.2
        minor = next(each[2] for each in ENTITIES if each[0] == entity)
        currency = next(each[1] for each in ENTITIES if each[0] == entity)
        approved = random.random() < 0.5
        told = WorkEntry(
            id=canonical_id("work", SOURCE, key),
            revision=1,
            kind=WorkKind.EXPENSE if expense else WorkKind.TIME,
            source=SOURCE,
            source_key=key,
            status=WorkStatus.SUBMITTED,
            worked_on=self.now().date() - timedelta(days=random.randrange(10)),
            quantity=Decimal(1) if expense else Decimal(random.randint(1, 40)) / 4,
            engagement_id=sold.engagement,
            legal_entity=entity,
            worker=random.choice(TELLERS),
            role=random.choice(("consultant", "partner")),
            unit="item" if expense else "h",
            category="travel" if expense else None,
            cost=Money(Decimal(random.randint(1000, 90_000)) / minor, currency) if expense else None,
            recorded_as=f"push of {SOURCE}, record {key}",
        )
        return replace(told, **self._approval()) if approved else told

    def _approval(self) -> dict[str, Any]:
        return {"status": WorkStatus.APPROVED, "approver": "petra", "approved_at": self.now().isoformat()}

    async def _agree(self, sold: Sold, entity: str) -> None:
        """What work of an engagement costs in one legal entity; one in three has a cap."""
        random = self.random
        currency = next(each[1] for each in ENTITIES if each[0] == entity)
        minor = next(each[2] for each in ENTITIES if each[0] == entity)

        def money(low: int, high: int) -> Money:
            return Money(Decimal(random.randint(low, high) * 100) / minor, currency)

        cap = Cap("PO", CapLevel.PURCHASE_ORDER, money(2000, 9000), clause="PO 4711")
        terms = BillingTerms(
            sold.engagement,
            entity,
            1,
            currency,
            canonical_id("customer", "salesforce", sold.account),
            rates=(RateRow("R", money(90, 250)), RateRow("P", money(250, 400), role="partner")),
            caps=(cap,) if random.random() < 0.33 else (),
            expenses=(ExpenseRule("E", mark_up=Decimal(10)),),
        )

        async def act(db: Any) -> None:
            await declare(db, [terms], by="fatima")

        if await self._do(f"agreed {sold.engagement} {entity}", act) != "refused":
            self._agreed.add((sold.engagement, entity))

    async def _tell(self, told: Sequence[WorkEntry]) -> str:
        async def act(db: Any) -> None:
            await take(db, told, (), source=SOURCE)

        return await self._do(f"told {len(told)} {told[0].engagement_id}", act)

    async def decide(self) -> str:
        """Records are approved or refused; one that was approved is taken back, corrected or deleted. One in five is
        told twice."""
        random = self.random
        if not self.entries:
            return "nothing told yet"
        places = random.sample(range(len(self.entries)), min(len(self.entries), random.randint(1, 3)))
        for place in places:
            entry = self.entries[place]
            status = random.choice(NEXT if entry.status == WorkStatus.SUBMITTED else LATER)
            changed = replace(entry, status=status)
            if status == WorkStatus.APPROVED:
                more = Decimal(random.randint(-3, 8)) / 4 if entry.kind == WorkKind.TIME else Decimal(0)
                changed = replace(changed, quantity=max(Decimal("0.25"), entry.quantity + more), **self._approval())
            self.entries[place] = changed
        told = [self.entries[place] for place in places]
        if random.random() < 0.2:
            await self._tell(told)
        return await self._tell(told)

    async def bill(self) -> str:
        """Work in WIP is proposed; a proposal is written down, held, withdrawn, or approved by somebody else."""
        random, at, today = self.random, self.now(), self.now().date()

        async def proposing(db: Any) -> None:
            await propose(db, today, at=at)

        await self._do("proposed", proposing)
        async with self.house.pool.connection() as db:
            found = await (await db.execute(PROPOSALS)).fetchall()
        for name, status, net in found:
            chance, (one, other) = random.random(), random.sample(BILLERS, 2)
            if status == "held":
                await self._on("released", approving.release, name, by=one)
            elif chance < 0.15:
                await self._on("held", approving.hold, name, reason="asked", by=one)
            elif chance < 0.25:
                await self._on("withdrew", approving.withdraw, name, reason="too early", by=one, at=at)
            else:
                if chance < 0.55 and net > 2:
                    half = {"amount": Decimal(int(net) // 2), "line": None, "reason": "agreed"}
                    await self._on("wrote down", approving.write_down, name, **half, by=one, at=at)
                await self._on("approved", approving.approve, name, by=other, at=at)
        return "billed"

    async def _on(self, what: str, verb: Callable[..., Awaitable[Any]], name: str, **how: Any) -> str:
        """Something is done with the proposal of that name."""

        async def act(db: Any) -> None:
            await verb(db, name, **how)

        return await self._do(f"{what} {name}", act)
