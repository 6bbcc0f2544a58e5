"""How far a cap is used, and for how long what is left will do (features.md 3.2, engagements at risk)."""

from __future__ import annotations

from decimal import Decimal

from accord.model.money import Money
from accord.rules.measures.definition import NotDefined, Unit, measure, ratio


@measure("cap", "used", "value counted against the cap ÷ cap", Unit.RATIO)
def cap_used(used: Money, limit: Money) -> Decimal:
    return ratio(used, limit, "the cap")


@measure(
    "cap",
    "days_left",
    "(cap − used) ÷ (value worked under the cap since the first day of last month ÷ days since then)",
    Unit.DAYS,
    note="Calendar days at the pace of the last one to two months. Nothing left is zero days.",
)
def days_left(left: Money, worked: Money, days: int) -> Decimal:
    zero = left - left
    if left <= zero:
        return Decimal(0)
    if worked + zero <= zero:
        raise NotDefined("nothing was worked under it since the first day of last month")
    return ratio(Money(left.amount * days, left.currency), worked, "the value worked")
