"""Obligations and prices to test revenue with."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from accord.model.money import Money
from accord.rules.periods import months
from accord.rules.revenue.obligations import Criterion, Method, Milestone, Obligation, OverTime
from accord.rules.revenue.schedule import PriceFrom

MONTHS = months(date(2026, 1, 1), 12)
CONSUMED = Criterion(OverTime.CONSUMED_AS_PERFORMED, ("SOW 4.1: the customer uses the work as it is done",))


def usd(amount: str | int) -> Money:
    return Money.of(amount, "USD")


def obligation(method: Method = Method.COST_TO_COST, **changes: Any) -> Obligation:
    found = Obligation(
        id="OBL-1",
        name="Build",
        engagement_id="ENG-1",
        legal_entity="US",
        stand_alone_price=usd(500000),
        method=method,
        criterion=None if method is Method.POINT_IN_TIME else CONSUMED,
    )
    if method is Method.MILESTONES:
        steps = (Milestone("design", Decimal(1)), Milestone("build", Decimal(2)), Milestone("run", Decimal(3)))
        found = replace(found, milestones=steps, depicts_transfer="Each is handed over in use.")
    if method is Method.STRAIGHT_LINE:
        found = replace(found, starts_on=date(2026, 1, 1), ends_on=date(2026, 12, 31))
    return replace(found, **changes)


def priced(amount: str | int = 500000, on: date = date(2026, 1, 1)) -> PriceFrom:
    return PriceFrom(on, usd(amount), "contract")
