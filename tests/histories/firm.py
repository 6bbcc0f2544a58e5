"""The firm of the random histories: its terms, its work, and what that work is worth, reckoned without Accord's rules.

Four places: time and material under four levels of caps, a retainer with expenses and another entity's workers, a
second engagement that shares the customer's cap, and one in a currency without decimals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any

from accord.demo.firm import FIRM
from accord.model.customer import Customer
from accord.model.engagement import Engagement, EngagementProject
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.model.terms import (
    BillingTerms,
    Cap,
    CapLevel,
    ExpenseRule,
    LinePer,
    RateRow,
    Retainer,
    UsageRate,
    UsageTier,
)
from accord.model.work import WorkEntry, WorkKind, WorkStatus

Place = tuple[str, str]
CENT = {"USD": Decimal("0.01"), "EUR": Decimal("0.01"), "JPY": Decimal(1)}
FIRST_MONTH = date(2026, 10, 1)


def usd(amount: str) -> Money:
    return Money.of(amount, "USD")


def eur(amount: str) -> Money:
    return Money.of(amount, "EUR")


def _tiers(currency: str, low: str, high: str) -> tuple[UsageTier, ...]:
    # A price of a unit may have more decimals than money has.
    prices = {Decimal(0): low, Decimal(100): high}
    return tuple(UsageTier(above, Money(Decimal(price), currency)) for above, price in prices.items())


CAPS = (
    Cap("LINE", CapLevel.LINE, usd("900.00"), applies_to="design"),
    Cap("PO", CapLevel.PURCHASE_ORDER, usd("2500.00")),
    Cap("CONTRACT", CapLevel.CONTRACT, usd("4000.00")),
    Cap("SHARED", CapLevel.CUSTOMER, usd("5000.00")),
)
TERMS: dict[Place, BillingTerms] = {
    (each.engagement_id, each.legal_entity): each
    for each in (
        BillingTerms(
            "DEA-1", "US", 0, "USD", "CUS-1", minutes_step=15, caps=CAPS,
            rates=(RateRow("R", usd("187.50")), RateRow("ANNA", usd("233.33"), worker="anna")),
            usage=(UsageRate("CALLS", "call", _tiers("USD", "1.005", "0.335")),),
            expenses=(ExpenseRule("ANY", mark_up=Decimal(7), receipt_above=usd("50.00"), limit=usd("400.00")),),
            non_billable_tasks=("internal",),
        ),
        BillingTerms(
            "DEA-2", "DE", 0, "EUR", "CUS-2", intercompany_percentage=Decimal(80), lines_per=LinePer.TASK,
            retainer=Retainer("PREPAID", eur("1000.00"), FIRST_MONTH, 12, rollover_months=1),
            rates=(RateRow("R", eur("150.00")),), expenses=(ExpenseRule("ANY"),),
            usage=(UsageRate("CALLS", "call", _tiers("EUR", "1.005", "0.335"), graduated=False),),
        ),
        BillingTerms("DEA-3", "US", 0, "USD", "CUS-1", caps=CAPS[3:], rates=(RateRow("R", usd("99.99")),)),
        BillingTerms("DEA-3", "JP", 0, "JPY", "CUS-1", rates=(RateRow("R", Money.of("15000", "JPY")),),
                     lines_per=LinePer.ITEM),
    )
}  # fmt: skip


def known() -> list[tuple[str, str, dict[str, Any], str | None]]:
    """The records that the billing stories read."""
    rows: list[tuple[str, str, dict[str, Any], str | None]] = [
        ("customer", id, to_plain(Customer(id, f"Customer {id}", country="US")), None) for id in ("CUS-1", "CUS-2")
    ]
    for id in sorted({engagement for engagement, _ in TERMS}):
        projects = tuple(EngagementProject(entity, f"PRO-{id}-{entity}", "1") for e, entity in TERMS if e == id)
        customer = next(terms.customer_id for (e, _), terms in TERMS.items() if e == id)
        about = Engagement(id, "1", id, customer, projects, 30, (), "active", 1)
        rows.append(("engagement", id, to_plain(about), id))
    return rows


POLICY = dict(FIRM)


def raised(place: Place, by: int) -> BillingTerms:
    """The terms of a place with every cap raised."""
    terms = TERMS[place]
    caps = tuple(replace(cap, limit=Money(cap.limit.amount + by, cap.limit.currency)) for cap in terms.caps)
    return replace(terms, caps=caps)


def worth(entries: Iterable[WorkEntry]) -> dict[Place, Decimal]:
    """What approved work is worth by place, of the state of each record alone: no history, no counters."""
    total: dict[Place, Decimal] = defaultdict(Decimal)
    metered: dict[tuple[Place, date], Decimal] = defaultdict(Decimal)
    for each in entries:
        place = (each.engagement_id or "", each.legal_entity or "")
        if each.status is not WorkStatus.APPROVED:
            continue
        terms = TERMS[place]
        if each.kind is WorkKind.USAGE:
            metered[place, each.worked_on.replace(day=1)] += each.quantity
        elif each.kind is WorkKind.EXPENSE:
            assert each.cost is not None
            total[place] += _rounded(each.cost.amount * (100 + terms.expenses[0].mark_up) / 100, terms.currency)
        else:
            rates: Mapping[str | None, Decimal] = {rate.worker: rate.per_hour.amount for rate in terms.rates}
            rate = rates.get(each.worker, rates[None])
            hours = each.quantity
            if terms.minutes_step:
                steps = (abs(hours) * 60 / terms.minutes_step).to_integral_value(rounding=ROUND_CEILING)
                hours = (steps * terms.minutes_step / 60).copy_sign(hours)
            total[place] += _rounded(hours * rate, terms.currency)
    for (place, _), units in metered.items():
        total[place] += _rounded(_metered(TERMS[place].usage[0], units), TERMS[place].currency)
    return {place: amount for place, amount in total.items() if amount}


def _metered(rate: UsageRate, units: Decimal) -> Decimal:
    low, high = rate.tiers
    if units <= 0:
        return Decimal(0)
    if rate.graduated:
        return min(units, high.above) * low.per_unit.amount + max(units - high.above, Decimal(0)) * high.per_unit.amount
    return units * (high if units > high.above else low).per_unit.amount


def _rounded(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(CENT[currency], rounding=ROUND_HALF_UP)
