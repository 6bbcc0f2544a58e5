"""How an engagement's work is billed: rates, caps, retainers, fees, expenses and usage, as its contract says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from accord.model.money import Money, Rounding


@dataclass(frozen=True, slots=True)
class RateRow:
    """One row of a rate card: `per_hour` for work that fits every given column; None fits all.

    The most specific row wins (person before role before task, then the later `valid_from`). `valid_to` is exclusive.
    `clause` is the place in the contract it comes from.
    """

    id: str
    per_hour: Money
    worker: str | None = None
    role: str | None = None
    task: str | None = None
    valid_from: date = date.min
    valid_to: date | None = None
    clause: str | None = None


class CapLevel(StrEnum):
    """The four levels at which a contract limits what may be billed; the narrower one is asked first."""

    LINE = "line"
    PURCHASE_ORDER = "purchase_order"
    CONTRACT = "contract"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Cap:
    """A not-to-exceed amount before tax. `applies_to` is the task for a line cap, else None. A customer's cap is shared
    by all engagements of the customer that name its `id`."""

    id: str
    level: CapLevel
    limit: Money
    applies_to: str | None = None
    clause: str | None = None


@dataclass(frozen=True, slots=True)
class Retainer:
    """Prepaid work: `per_month` (or once, when `months` is 1) drawn down before anything is billed beside it.

    What is left at a month's end rolls over for `rollover_months` months, then expires.
    """

    id: str
    per_month: Money
    starts_on: date
    months: int
    rollover_months: int = 0
    clause: str | None = None


@dataclass(frozen=True, slots=True)
class UsageTier:
    """Units from `above` (exclusive) on cost `per_unit` each, until the next tier begins."""

    above: Decimal
    per_unit: Money


@dataclass(frozen=True, slots=True)
class UsageRate:
    """The price of one unit of a metered service. `graduated`: each tier prices its own units; else the tier that the
    month's total reaches prices all of them."""

    id: str
    unit: str
    tiers: tuple[UsageTier, ...]
    graduated: bool = True
    valid_from: date = date.min
    valid_to: date | None = None
    clause: str | None = None


@dataclass(frozen=True, slots=True)
class FixedFee:
    """A fee agreed as a whole and billed by progress. Progress is told as usage with the unit `percent` and the fee's
    `id` as its task: 40, then 35, then 25 percent more bill it all; a negative percentage takes progress back."""

    id: str
    amount: Money
    clause: str | None = None


@dataclass(frozen=True, slots=True)
class ExpenseRule:
    """How expenses of a `category` (None: any) are passed on. `mark_up` 10 means 10 %; a `principal` bills gross of its
    own costs without recoverable tax, an agent passes the receipt's amount through. Above `receipt_above` a receipt is
    needed."""

    id: str
    category: str | None = None
    billable: bool = True
    mark_up: Decimal = Decimal(0)
    principal: bool = True
    receipt_above: Money | None = None
    limit: Money | None = None
    clause: str | None = None


class LinePer(StrEnum):
    """What one invoice line gathers."""

    ITEM = "item"
    WORKER = "worker"
    ROLE = "role"
    TASK = "task"
    RATE = "rate"


class CorrectionPolicy(StrEnum):
    """What a correction of work that is invoiced already becomes."""

    NEXT_INVOICE = "next_invoice"
    CREDIT_NOTE = "credit_note"


class RetroactivePolicy(StrEnum):
    """What a version of the terms does with work that has its price already and was done on its `valid_from` or later.

    `prospective`: nothing. `unbilled`: what is not invoiced yet is priced anew. `difference`: what is invoiced too, and
    the difference goes the way of `corrections`. `credit_and_rebill`: the invoice lines are to be credited as a whole
    and their work invoiced anew.
    """

    PROSPECTIVE = "prospective"
    UNBILLED = "unbilled"
    DIFFERENCE = "difference"
    CREDIT_AND_REBILL = "credit_and_rebill"


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """The billing terms of one engagement in one legal entity, one version of them. `currency` is what is billed.

    `rounding` meets the minor unit per item when `round_per_line` is false, else once for the time of an invoice line
    and month.
    `minutes_step` rounds the time of an entry up to whole steps (0: as told). `discount` 5 means 5 % off each rate.
    `released_in` orders what a raised cap sets free: `worked_on` (first in, first out) or `chosen`.
    `non_billable_tasks` are worked without a price for the customer, at the rate they would have had.
    """

    engagement_id: str
    legal_entity: str
    version: int
    currency: str
    customer_id: str
    rates: tuple[RateRow, ...] = ()
    caps: tuple[Cap, ...] = ()
    retainer: Retainer | None = None
    usage: tuple[UsageRate, ...] = ()
    fixed_fees: tuple[FixedFee, ...] = ()
    expenses: tuple[ExpenseRule, ...] = ()
    non_billable_tasks: tuple[str, ...] = ()
    discount: Decimal = Decimal(0)
    minutes_step: int = 0
    rounding: Rounding = Rounding.HALF_UP
    round_per_line: bool = False
    lines_per: LinePer = LinePer.WORKER
    corrections: CorrectionPolicy = CorrectionPolicy.NEXT_INVOICE
    retroactive: RetroactivePolicy = RetroactivePolicy.PROSPECTIVE
    released_in: str = "worked_on"
    terms_days: int = 30
    intercompany_percentage: Decimal = Decimal(100)
    valid_from: date = date.min
    clause: str | None = None
