"""What is sold and not yet earned, earned and not yet billed: backlog, book-to-bill, WIP, margin, leakage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from accord.model.money import Money
from accord.rules.measures.definition import NotDefined, Unit, measure, ratio


@measure(
    "backlog",
    "contracted",
    "contracted value (signed, with change orders, without options not exercised) − revenue recognised to date",
    Unit.MONEY,
)
def backlog(signed: Money, unexercised_options: Money, recognised: Money) -> Money:
    return signed - unexercised_options - recognised


@measure(
    "backlog",
    "unbilled",
    "contracted value (milestones, and subscription months of what is signed) − invoiced to date, before tax",
    Unit.MONEY,
    note="Where no revenue schedule is kept. Credited amounts are not invoiced.",
)
def unbilled_backlog(contracted: Money, invoiced: Money) -> Money:
    return contracted - invoiced


@measure(
    "backlog",
    "authorized_budget",
    "authorized budget − revenue recognised to date",
    Unit.MONEY,
    note="For time and material without a cap, where no contracted value exists.",
)
def backlog_of_a_budget(authorized: Money, recognised: Money) -> Money:
    return authorized - recognised


@measure(
    "backlog",
    "funded",
    "funding released by the customer − revenue recognised to date, at least zero and at most the backlog",
    Unit.MONEY,
)
def funded_backlog(total: Money, released: Money, recognised: Money) -> Money:
    return max(min(released - recognised, total), Money(Decimal(0), total.currency))


@measure("backlog", "unfunded", "backlog − funded backlog", Unit.MONEY)
def unfunded_backlog(total: Money, funded: Money) -> Money:
    return total - funded


@measure("book_to_bill", "billings", "bookings ÷ billings of the same period", Unit.FACTOR)
def book_to_bill(bookings: Money, billings: Money) -> Decimal:
    return ratio(bookings, billings, "the billed amount")


@measure("book_to_bill", "revenue", "bookings ÷ revenue recognised in the same period", Unit.FACTOR)
def book_to_revenue(bookings: Money, revenue: Money) -> Decimal:
    return ratio(bookings, revenue, "revenue")


@dataclass(frozen=True, slots=True)
class UnbilledItem:
    """Approved billable value that is not invoiced, at contract rate. What lies over a cap is not WIP."""

    value: Money
    worked_on: date
    over_cap: bool = False


@measure(
    "wip",
    "unbilled",
    "Σ approved billable value not invoiced, at contract rate, without what lies over a cap",
    Unit.MONEY,
)
def wip(items: Sequence[UnbilledItem], currency: str) -> Money:
    return sum((each.value for each in items if not each.over_cap), start=Money.zero(currency))


@measure("wip_days", "revenue", "WIP ÷ revenue of the period × days of the period", Unit.DAYS)
def wip_days(unbilled: Money, revenue: Money, days: int) -> Decimal:
    return ratio(unbilled.amount * days, (revenue + (unbilled - unbilled)).amount, "revenue")


@measure(
    "wip_days",
    "earned",
    "WIP ÷ value earned in the period × days of the period",
    Unit.DAYS,
    note="Earned: approved value worked in the period that is billed or may be. Where no revenue schedule is kept.",
)
def wip_days_of_earned(unbilled: Money, earned: Money, days: int) -> Decimal:
    return ratio(Money(unbilled.amount * days, unbilled.currency), earned, "the value earned")


@measure(
    "direct_cost",
    "loaded",
    "loaded hourly cost × hours + expenses + subcontracted work",
    Unit.MONEY,
)
def direct_cost(labour: Money, expenses: Money, subcontract: Money) -> Money:
    return labour + expenses + subcontract


@measure("margin", "project", "(revenue − direct cost) ÷ revenue", Unit.RATIO)
def project_margin(revenue: Money, cost: Money) -> Decimal:
    return ratio(revenue - cost, revenue, "revenue")


@measure(
    "margin",
    "earned",
    "(value earned to date − direct cost) ÷ value earned to date",
    Unit.RATIO,
    note="Earned: approved value that is billed or may be, without what is over a cap, written off or not billable."
    " Where no revenue schedule is kept.",
)
def margin_of_earned(earned: Money, cost: Money) -> Decimal:
    return ratio(earned - cost, earned, "the value earned")


@measure(
    "margin",
    "at_completion",
    "(price − (cost to date + estimate to complete)) ÷ price",
    Unit.RATIO,
)
def margin_at_completion(price: Money, cost_to_date: Money, estimate_to_complete: Money) -> Decimal:
    return ratio(price - cost_to_date - estimate_to_complete, price, "the price")


@measure(
    "margin_erosion",
    "at_completion",
    "sold margin − margin at completion, in points of the price (0.05 is 5 points)",
    Unit.RATIO,
)
def margin_erosion(sold: Decimal | None, at_completion: Decimal | None) -> Decimal:
    if sold is None or at_completion is None:
        raise NotDefined("a margin is not defined: " + ("the one sold" if sold is None else "the one at completion"))
    return sold - at_completion


@dataclass(frozen=True, slots=True)
class EarnedItem:
    """Earned billable value and what came of it: `billed`, or `explained` by a disposition with an approved reason."""

    value: Money
    earned_on: date
    billed: Money
    explained: Money


@measure(
    "leakage",
    "earned",
    "earned value neither billed nor dispositioned with an approved reason within N days ÷ earned value, of what was"
    " earned at least N days ago",
    Unit.RATIO,
    note="An item younger than N days counts on neither side: it may still be billed in time.",
)
def billing_leakage(items: Sequence[EarnedItem], as_of: date, within_days: int) -> Decimal:
    due = [each for each in items if each.earned_on <= as_of - timedelta(days=within_days)]
    if not due:
        raise NotDefined(f"nothing was earned at least {within_days} days ago")
    zero = due[0].value - due[0].value
    # What is billed too much on one item does not make up for what was never billed on another.
    leaked = sum((max(each.value - each.billed - each.explained, zero) for each in due), start=zero)
    return ratio(leaked, sum((each.value for each in due), start=zero), "earned value")
