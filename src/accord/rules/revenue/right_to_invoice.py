"""Whether revenue may be what can be invoiced, and what in the terms speaks against it.

The expedient of ASC 606-10-55-18 and IFRS 15.B16 holds when the amount corresponds directly with the value to the
customer of what is done so far. Caps, changing rates, retainers and volume discounts do not forbid it by themselves;
each asks for a judgement, which is stored with the obligation.
"""

from __future__ import annotations

from collections import defaultdict

from accord.model.money import Money
from accord.model.problem import Problem
from accord.model.terms import BillingTerms, RateRow

CURE = "Store why the amount still corresponds with the value to the customer, or choose another measure of progress."


def warnings(terms: BillingTerms) -> list[Problem]:
    """What in the billing terms puts the right to invoice in question; none means that it may be used as it stands."""
    found = []
    if terms.caps:
        limits = ", ".join(f"{each.level.value.replace('_', ' ')} {each.limit}" for each in terms.caps)
        found.append(_warning("capped", f"What may be invoiced is capped ({limits}).", "caps"))
    for subject, rates in _changing(terms.rates).items():
        told = ", then ".join(str(each) for each in rates)
        found.append(_warning("rates_change", f"The rate of {subject} changes over time: {told} an hour.", "rates"))
    if terms.retainer is not None:
        message = f"{terms.retainer.per_month} is paid ahead as a retainer, whenever work is done."
        found.append(_warning("retainer", message, "retainer"))
    for usage in terms.usage:
        if len({tier.per_unit for tier in usage.tiers}) > 1:
            message = f"The price of a {usage.unit} depends on how many are used."
            found.append(_warning("volume_discount", message, "usage"))
    if terms.discount:
        message = (
            f"{terms.discount} % are taken off each rate; a discount by volume or paid later would not correspond."
        )
        found.append(_warning("discount", message, "discount"))
    return found


def _changing(rows: tuple[RateRow, ...]) -> dict[str, list[Money]]:
    """Rates of the same work that differ from one date to the next, in the order of their dates."""
    by_work: dict[tuple[str | None, str | None, str | None], list[RateRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda each: each.valid_from):
        by_work[row.worker, row.role, row.task].append(row)
    found = {}
    for work, same in by_work.items():
        rates = [each.per_hour for each in same]
        if len(set(rates)) > 1:
            found[" ".join(part for part in work if part) or "all work"] = rates
    return found


def _warning(code: str, message: str, field: str) -> Problem:
    return Problem(f"right_to_invoice_{code}", message, field, CURE)
