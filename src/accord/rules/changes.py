"""Contract changes: what of a changed deal can be applied safely, and what needs a person. Pure.

Safe: a milestone not billed yet is re-dated or renamed; its amount changes under a signed change order; a new milestone
comes under a signed change order; so do another price and other months of a recurring service. Everything else that
touches money or parties is a problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from accord.model.billing import ScheduledMilestone
from accord.model.deal import Deal, Milestone
from accord.model.engagement import Engagement
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.problem import Problem
from accord.model.recurring import RecurringSchedule
from accord.rules.services import ServiceAmended, amended


@dataclass(frozen=True, slots=True)
class Change:
    """One milestone of the schedule, before (None: new) and after."""

    before: ScheduledMilestone | None
    after: ScheduledMilestone
    what: str

    @property
    def difference(self) -> Money:
        """By how much the contract value changes."""
        return self.after.amount if self.before is None else self.after.amount - self.before.amount


@dataclass(frozen=True, slots=True)
class Changes:
    """What can be applied, and what cannot."""

    safe: tuple[Change, ...]
    problems: tuple[Problem, ...]
    services: tuple[ServiceAmended, ...] = ()

    @property
    def applied(self) -> tuple[str, ...]:
        """What can be applied, in words."""
        return (*(each.what for each in self.safe), *(each.what for each in self.services))

    def net_change(self) -> tuple[Money, ...]:
        """By how much the contract value changes, per currency."""
        sums: dict[str, Money] = {}
        for difference in (*(each.difference for each in self.safe), *(each.difference for each in self.services)):
            sums[difference.currency] = sums.get(difference.currency, Money.zero(difference.currency)) + difference
        return tuple(amount for amount in sums.values() if amount)


def compare(
    deal: Deal,
    engagement: Engagement,
    scheduled: tuple[ScheduledMilestone, ...],
    recurring: tuple[RecurringSchedule, ...],
    *,
    on: date,
) -> Changes:
    """Compare a deal as sales has it now, on this day, with what was provisioned."""
    safe: list[Change] = []
    problems: list[Problem] = []
    known = {each.id: each for each in scheduled}
    implied = canonical_id("milestone", deal.id, "whole")
    if deal.customer_id != engagement.customer_id:
        message = "The customer of an active engagement was changed."
        problems.append(
            Problem("customer_changed", message, "customer_id", "Restore it, or novate the contract by hand.")
        )
    if implied in known and not deal.milestones:
        _implied(deal, known[implied], problems)
    else:
        for milestone in deal.milestones:
            _milestone(milestone, known.get(milestone.id), deal, engagement, safe, problems)
        # The milestone for the whole amount was never in the statement of work, so it cannot have been removed from it.
        problems.extend(_removed(deal, tuple(each for each in scheduled if each.id != implied)))
    services, more = _services(deal, recurring, on)
    return Changes(tuple(safe), (*problems, *more), tuple(services))


def _implied(deal: Deal, known: ScheduledMilestone, problems: list[Problem]) -> None:
    if deal.amount is not None and deal.amount != known.amount:
        message = f"The amount of the deal went from {known.amount} to {deal.amount} without a statement of work."
        problems.append(Problem("amount_changed", message, "amount", "Enter a signed change order as a milestone."))
    if (deal.legal_entity or "") != known.legal_entity:
        problems.append(_moved(known, deal.legal_entity or ""))


def _moved(known: ScheduledMilestone, entity: str) -> Problem:
    message = f"{known.name} went from {known.legal_entity} to {entity or 'no legal entity'}."
    return Problem("entity_changed", message, "milestones", "Restore it, or cancel and add a milestone.")


def _milestone(
    milestone: Milestone,
    known: ScheduledMilestone | None,
    deal: Deal,
    engagement: Engagement,
    safe: list[Change],
    problems: list[Problem],
) -> None:
    if known is None:
        _new(milestone, deal, engagement, safe, problems)
        return
    if deal.entity_of(milestone) != known.legal_entity:
        problems.append(_moved(known, deal.entity_of(milestone)))
        return
    wanted = replace(known, name=milestone.name, amount=milestone.amount, planned_on=milestone.planned_on)
    if wanted == known:
        return
    if known.in_billing:
        if wanted.amount != known.amount:
            message = f"{known.name} is billed; its amount went from {known.amount} to {wanted.amount}."
            problems.append(
                Problem("billed_milestone_changed", message, "milestones", "Restore it, or credit and rebill.")
            )
        return
    if wanted.amount.currency != known.amount.currency:
        message = f"The currency of {known.name} went from {known.amount.currency} to {wanted.amount.currency}."
        problems.append(
            Problem("currency_changed", message, "milestones", "Restore it, or cancel and add a milestone.")
        )
    elif wanted.amount != known.amount and not _signed(milestone):
        message = (
            f"The amount of {known.name} went from {known.amount} to {wanted.amount} without a signed change order."
        )
        problems.append(
            Problem("change_order_missing", message, "milestones", "Enter the signed change order, or restore it.")
        )
    else:
        safe.append(Change(known, wanted, _described(known, wanted, milestone)))


def _new(milestone: Milestone, deal: Deal, engagement: Engagement, safe: list[Change], problems: list[Problem]) -> None:
    entity = deal.entity_of(milestone)
    if not _signed(milestone):
        message = f"{milestone.name} ({milestone.amount}) was added without a signed change order."
        problems.append(Problem("change_order_missing", message, "milestones", "Enter the signed change order."))
    elif engagement.project_of(entity) is None:
        message = f"{milestone.name} is for {entity}, where the engagement has no project."
        problems.append(Problem("entity_added", message, "milestones", "Open the project of this entity first."))
    else:
        after = ScheduledMilestone(
            id=milestone.id,
            engagement_id=engagement.id,
            customer_id=engagement.customer_id,
            legal_entity=entity,
            name=milestone.name,
            amount=milestone.amount,
            planned_on=milestone.planned_on,
        )
        safe.append(Change(None, after, f"{milestone.name} added by change order {milestone.change_order}"))


def _signed(milestone: Milestone) -> bool:
    return milestone.change_order is not None and milestone.change_order_signed_on is not None


def _described(before: ScheduledMilestone, after: ScheduledMilestone, milestone: Milestone) -> str:
    parts = []
    if before.planned_on != after.planned_on:
        parts.append(f"re-dated from {before.planned_on} to {after.planned_on}")
    if before.amount != after.amount:
        parts.append(f"amount from {before.amount} to {after.amount} by change order {milestone.change_order}")
    if before.name != after.name:
        parts.append(f"renamed to {after.name}")
    return f"{before.name}: {', '.join(parts)}"


def _removed(deal: Deal, scheduled: tuple[ScheduledMilestone, ...]) -> list[Problem]:
    present = {milestone.id for milestone in deal.milestones}
    gone = [each for each in scheduled if each.id not in present and each.status == "scheduled"]
    return [
        Problem(
            "milestone_removed",
            f"{each.name} ({each.amount}) was removed from the statement of work.",
            "milestones",
            "Restore it, or cancel it with a reason.",
        )
        for each in gone
    ]


def _services(
    deal: Deal, recurring: tuple[RecurringSchedule, ...], on: date
) -> tuple[list[ServiceAmended], list[Problem]]:
    wanted = {canonical_id("subscription", each.id): each for each in deal.services}
    safe: list[ServiceAmended] = []
    problems: list[Problem] = []
    for known in recurring:
        service = wanted.pop(known.id, None)
        found = amended(known, service, "" if service is None else deal.entity_of(service), on)
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            safe.append(found)
    for service in wanted.values():
        message = f"The recurring service {service.name} ({service.monthly} a month) was added after activation."
        problems.append(Problem("service_added", message, "services", "Sell it as a deal of its own, or remove it."))
    return safe, problems
