"""An engagement of time and material with a cap, a milestone and revenue by cost, to change contracts of."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from accord.model.billing import ScheduledMilestone
from accord.model.money import Money
from accord.model.terms import BillingTerms, Cap, CapLevel, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.rules.change_impact.change import (
    CapUse,
    ContractChange,
    Cost,
    IssuedInvoices,
    Lies,
    PricedWork,
    Standing,
)
from accord.rules.revenue.modifications import Standing as StandingObligation
from accord.rules.revenue.progress import Progress

CHANGED_ON = date(2026, 11, 1)


def usd(amount: str | int) -> Money:
    return Money.of(amount, "USD")


def rates(developer: str = "187.50", architect: str = "250") -> tuple[RateRow, ...]:
    return (RateRow("R1", usd(developer), role="developer"), RateRow("R2", usd(architect), role="architect"))


def terms(version: int = 1, **changes: Any) -> BillingTerms:
    found = BillingTerms(
        "ENG-1",
        "US",
        version,
        "USD",
        "CUS-1",
        rates=rates(),
        caps=(Cap("PO-7", CapLevel.PURCHASE_ORDER, usd(10000)),),
        valid_from=CHANGED_ON if version > 1 else date.min,
    )
    return replace(found, **changes)


def entry(id: str, day: date, hours: int | str, role: str = "developer", **more: Any) -> WorkEntry:
    found = WorkEntry(id, 1, WorkKind.TIME, "netsuite", id, WorkStatus.APPROVED, day, Decimal(hours), role=role)
    return replace(found, **more)


def work(
    id: str, day: date, hours: int, lies: Lies, document: str | None = None, role: str = "developer"
) -> PricedWork:
    price = usd("187.50" if role == "developer" else 250).times(hours)
    return PricedWork(entry(id, day, hours, role), price, price, lies, document)


# October's work is invoiced, November's is in a draft and in WIP: 8, 6, 4 and 2 hours.
WORK = (
    work("W1", date(2026, 10, 5), 8, Lies.ISSUED, "INV-100"),
    work("W2", date(2026, 11, 2), 6, Lies.ISSUED, "INV-101"),
    work("W3", date(2026, 11, 9), 4, Lies.DRAFT, "draft 12"),
    work("W4", date(2026, 11, 20), 2, Lies.WIP, role="architect"),
    work("W5", date(2026, 11, 21), 2, Lies.WIP),
)


def milestone(
    id: str = "go-live", amount: str | int = 20000, status: str = "scheduled", **more: Any
) -> ScheduledMilestone:
    return ScheduledMilestone(id, "ENG-1", "CUS-1", "US", id, usd(amount), status=status, **more)


def build(done: int, whole: int, recognised: int = 150000) -> StandingObligation:
    """The worked contract of 500,000: 90,000 of 300,000 are spent, 150,000 recognised."""
    progress = Progress(Fraction(done), Fraction(whole), "by the estimate after the change")
    return StandingObligation("build", usd(500000), usd(recognised), progress, False, usd(350000))


def standing(**changes: Any) -> Standing:
    found = Standing(
        work=WORK,
        milestones=(milestone(),),
        # 7,000 of 10,000 is used; 875 waits above it (features.md 3.4).
        caps=(CapUse("PO-7", usd(7000), unbilled=usd(1625), over=usd(0)),),
        retainer=None,
        obligations=(build(90, 300),),
        cost=Cost(usd(90000), usd(210000), usd(210000)),
    )
    return replace(found, **changes)


def change(**changes: Any) -> ContractChange:
    found = ContractChange("CO-1", terms(), terms(2), (milestone(),), IssuedInvoices.CREDIT_AND_REBILL)
    return replace(found, **changes)
