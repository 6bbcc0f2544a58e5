"""Stripe's money arithmetic: integers in the minor unit, tax per line and rate, rounded half up.

Stripe lets an account round per line or per subtotal; this account rounds per line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Json = dict[str, Any]
EXEMPT_REASONS = {"exempt": "customer_exempt", "reverse": "reverse_charge"}
_HUNDRED = Decimal(100)


def half_up(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def percentage_of(rate: Json) -> Decimal:
    return Decimal(str(rate["percentage"]))


def taxes(amount: int, rates: Sequence[Json], tax_exempt: str) -> list[Json]:
    """The taxes on one line's amount, one entry a rate. Inclusive rates are taken out of the amount
    together."""
    inclusive = sum((percentage_of(rate) for rate in rates if rate["inclusive"]), Decimal(0))
    return [_tax(amount, rate, inclusive, tax_exempt) for rate in rates]


def _tax(amount: int, rate: Json, inclusive: Decimal, tax_exempt: str) -> Json:
    share = percentage_of(rate)
    base = Decimal(amount) / (1 + inclusive / _HUNDRED) if rate["inclusive"] else Decimal(amount)
    exempt = tax_exempt in EXEMPT_REASONS
    return {
        "amount": 0 if exempt else half_up(base * share / _HUNDRED),
        "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
        "tax_rate_details": {"tax_rate": rate["id"]},
        "taxability_reason": EXEMPT_REASONS.get(tax_exempt, "not_available"),
        "taxable_amount": 0 if exempt else half_up(base),
        "type": "tax_rate_details",
    }


def summed(entries: Iterable[Json]) -> list[Json]:
    """Tax entries of many lines, one for each rate."""
    totals: dict[tuple[str, str], Json] = {}
    for entry in entries:
        key = (entry["tax_rate_details"]["tax_rate"], entry["taxability_reason"])
        total = totals.get(key)
        if total is None:
            totals[key] = dict(entry)
        else:
            total["amount"] += entry["amount"]
            total["taxable_amount"] += entry["taxable_amount"]
    return list(totals.values())


def tax_sums(entries: Iterable[Json]) -> tuple[int, int]:
    """(exclusive, inclusive) tax of some entries."""
    exclusive = inclusive = 0
    for entry in entries:
        if entry["tax_behavior"] == "exclusive":
            exclusive += entry["amount"]
        else:
            inclusive += entry["amount"]
    return exclusive, inclusive
