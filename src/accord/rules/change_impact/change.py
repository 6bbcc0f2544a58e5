"""What goes into an impact and what comes out: the engagement as it stands, the change, and its effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from accord.model.billing import ScheduledMilestone
from accord.model.money import Money
from accord.model.problem import Problem
from accord.model.terms import BillingTerms
from accord.model.work import WorkEntry
from accord.rules.revenue.modifications import Modification
from accord.rules.revenue.modifications import Standing as StandingObligation


class Area(StrEnum):
    """What a change can touch, in the order in which it is shown."""

    MILESTONES = "milestones"
    WIP = "wip"
    DRAFTS = "drafts"
    ISSUED_INVOICES = "issued_invoices"
    CAP = "remaining_cap"
    OVER_CAP = "over_cap"
    RETAINER = "retainer_balance"
    REVENUE_NOW = "revenue_now"
    REVENUE_LATER = "revenue_later"
    LOSS_PROVISION = "loss_provision"
    MARGIN = "margin"


class IssuedInvoices(StrEnum):
    """What a retroactive change of rates does to work that is invoiced already."""

    STAY = "stay"
    CREDIT_AND_REBILL = "credit_and_rebill"


class Lies(StrEnum):
    """Where priced work lies when the contract changes."""

    WIP = "wip"
    DRAFT = "draft"
    ISSUED = "issued"


@dataclass(frozen=True, slots=True)
class PricedWork:
    """One approved unit of work, or the share of it that lies in one place: `price` is of the whole unit, `value` of
    the share. What lies over a cap is not given; `document` is the draft or invoice."""

    entry: WorkEntry
    price: Money
    value: Money
    lies: Lies
    document: str | None = None


@dataclass(frozen=True, slots=True)
class CapUse:
    """How much of a cap is used: `unbilled` of it by WIP and drafts. `over` waits above the cap."""

    cap_id: str
    used: Money
    unbilled: Money
    over: Money


@dataclass(frozen=True, slots=True)
class RetainerUse:
    """What is left of what was paid ahead, and how many months will still be paid."""

    balance: Money
    months_to_come: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost so far, and to complete by the scope before and after the change."""

    to_date: Money
    to_complete: Money
    to_complete_after: Money


@dataclass(frozen=True, slots=True)
class Standing:
    """The engagement in one legal entity and currency on the day the change is looked at."""

    work: Sequence[PricedWork]
    milestones: Sequence[ScheduledMilestone]
    caps: Sequence[CapUse]
    retainer: RetainerUse | None
    obligations: Sequence[StandingObligation]
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class ContractChange:
    """The terms and milestones before and after. Work done before `after.valid_from` keeps its price, so a date in the
    past makes the change retroactive. `revenue` is the same change seen by revenue, None if no price or scope changes.
    """

    id: str
    before: BillingTerms
    after: BillingTerms
    milestones_after: Sequence[ScheduledMilestone]
    issued: IssuedInvoices
    revenue: Modification | None = None
    stand_alone_tolerance: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that changes, in money: `before` and `after`, each zero where there is nothing."""

    area: Area
    subject: str
    before: Money
    after: Money
    told: str

    @property
    def by(self) -> Money:
        return self.after - self.before


Found = tuple[list[Effect], list[Problem]]
