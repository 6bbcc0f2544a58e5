"""A contract change as people tell it: only what becomes different, and how it is to reach what was done already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from accord.model.billing import ScheduledMilestone
from accord.model.money import Money
from accord.model.problem import Problem
from accord.model.terms import BillingTerms, RetroactivePolicy
from accord.rules.change_impact.change import ContractChange, IssuedInvoices
from accord.rules.revenue.modifications import Modification
from accord.rules.revenue.obligations import Obligation

POLICIES: Mapping[IssuedInvoices, RetroactivePolicy] = {
    IssuedInvoices.STAY: RetroactivePolicy.UNBILLED,
    IssuedInvoices.CREDIT_AND_REBILL: RetroactivePolicy.CREDIT_AND_REBILL,
}


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is still to come of an obligation after the change, in cost or in hours as its measure asks."""

    obligation_id: str
    to_complete: Decimal


@dataclass(frozen=True, slots=True)
class ChangeOrder:
    """A change order of one engagement in one legal entity, in force from `effective_on`.

    `terms` are the billing terms after it (None: as they are), `milestones` those that are added or become different (a
    cancelled one has the status `cancelled`). `revenue` is the change of price and promises; `obligations` declares
    the distinct promises it adds, `remaining` what is still to come after it.
    """

    id: str
    engagement_id: str
    legal_entity: str
    effective_on: date
    why: str
    terms: BillingTerms | None = None
    milestones: tuple[ScheduledMilestone, ...] = ()
    issued: IssuedInvoices = IssuedInvoices.STAY
    revenue: Modification | None = None
    obligations: tuple[Obligation, ...] = ()
    remaining: tuple[Remaining, ...] = ()
    stand_alone_tolerance: Decimal = Decimal(0)


def problems_of_order(order: ChangeOrder) -> list[Problem]:
    """What keeps an order from being looked at."""
    found = []
    own = (order.engagement_id, order.legal_entity)
    places = [("milestones", each.engagement_id, each.legal_entity) for each in order.milestones]
    if order.terms is not None:
        places.append(("terms", order.terms.engagement_id, order.terms.legal_entity))
    for field, engagement, entity in places:
        if (engagement, entity) != own:
            message = f"The {field} are of {engagement} in {entity}."
            found.append(Problem("change_elsewhere", message, field, "Correct engagement and legal entity."))
    found += _amounts(order)
    declared = {each.id for each in order.obligations}
    added = () if order.revenue is None else order.revenue.added
    new = sorted(each.obligation_id for each in added if each.extends is None)
    missing = [each for each in new if each not in declared]
    if missing:
        message = f"{', '.join(missing)} is added, but nothing says how it is measured."
        found.append(Problem("obligation_missing", message, "obligations", "Declare it with method and criterion."))
    return found


def _amounts(order: ChangeOrder) -> list[Problem]:
    """Money of the order that is in no currency, or does not fit it."""
    told = [each.amount for each in order.milestones]
    if order.terms is not None:
        told += [each.limit for each in order.terms.caps]
        told += [] if order.terms.retainer is None else [order.terms.retainer.per_month]
    if order.revenue is not None:
        told += [order.revenue.price_change, *(each.stand_alone_price for each in order.revenue.added)]
    found = []
    for each in told:
        try:
            Money.of(each.amount, each.currency)
        except ValueError as error:
            found.append(Problem("amount_not_exact", f"{error}.", "amount", "Correct the amount or its currency."))
    return found


def change_of(order: ChangeOrder, before: BillingTerms, milestones: Sequence[ScheduledMilestone]) -> ContractChange:
    """The change against what is agreed now. Terms hold from `effective_on`, and reach back as far as that says."""
    after = before
    if order.terms is not None:
        after = replace(
            order.terms,
            version=before.version + 1,
            valid_from=order.effective_on,
            retroactive=POLICIES[order.issued],
        )
    told = {each.id: each for each in order.milestones}
    known = {each.id for each in milestones}
    wanted = [told.get(each.id, each) for each in milestones]
    wanted += [each for each in order.milestones if each.id not in known]
    return ContractChange(order.id, before, after, wanted, order.issued, order.revenue, order.stand_alone_tolerance)


def taken_back(order: ChangeOrder, before: BillingTerms, milestones: Sequence[ScheduledMilestone]) -> ChangeOrder:
    """The order that brings billing back to `before`; milestones that it added are cancelled.

    Revenue is not turned round by another modification: what was caught up is reversed by its own entry.
    """
    known = {each.id: each for each in milestones}
    back = (known.get(each.id) or replace(each, status="cancelled") for each in order.milestones)
    return replace(
        order,
        id=f"{order.id} reversed",
        why=f"{order.why}, taken back",
        terms=None if order.terms is None else before,
        milestones=tuple(back),
        revenue=None,
        obligations=(),
        remaining=(),
    )
