"""What a contract change does to what is billed: milestones, WIP, drafts and issued invoices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from accord.model.billing import ScheduledMilestone
from accord.model.money import Money
from accord.model.problem import Problem
from accord.rules.change_impact.change import (
    Area,
    ContractChange,
    Effect,
    Found,
    IssuedInvoices,
    Lies,
    PricedWork,
    Rating,
)

AREAS = {Lies.WIP: Area.WIP, Lies.DRAFT: Area.DRAFTS, Lies.ISSUED: Area.ISSUED_INVOICES}


@dataclass(frozen=True, slots=True)
class Repriced:
    """A unit of work whose price changes. `applies` is false where the invoice stays as it is."""

    work: PricedWork
    value: Money
    applies: bool

    @property
    def by(self) -> Money:
        return self.value - self.work.value


def milestones(before: Sequence[ScheduledMilestone], after: Sequence[ScheduledMilestone]) -> Found:
    """Milestones added, cancelled, re-priced or re-dated. One that is billed can only be credited and billed again."""
    known = {each.id: each for each in before}
    wanted = {each.id: each for each in after}
    effects: list[Effect] = []
    problems: list[Problem] = []
    for id in [*known, *(id for id in wanted if id not in known)]:
        old, new = known.get(id), wanted.get(id)
        about = new or old
        if about is None or old == new:
            continue
        zero = Money.zero(about.amount.currency)
        was = zero if old is None or old.status == "cancelled" else old.amount
        will_be = zero if new is None or new.status == "cancelled" else new.amount
        if old is not None and old.status == "billed" and was != will_be:
            problems.append(_billed(old, will_be))
            continue
        effects.append(Effect(Area.MILESTONES, about.name, was, will_be, _told(old, new)))
    return effects, problems


def reprice(work: Sequence[PricedWork], change: ContractChange, rating: Rating) -> tuple[list[Repriced], list[Problem]]:
    """The work whose price is another by the new terms, and the work that they have no rate for."""
    found: list[Repriced] = []
    without: dict[tuple[str | None, str | None, str | None], list[PricedWork]] = defaultdict(list)
    for each in work:
        if each.worked_on < change.after.valid_from:
            continue
        value = rating(each, change.after)
        if value is None:
            without[each.worker, each.role, each.task].append(each)
        elif value != each.value:
            stays = each.lies is Lies.ISSUED and change.issued is IssuedInvoices.STAY
            found.append(Repriced(each, value, applies=not stays))
    return found, [_no_rate(same) for same in without.values()]


def work_effects(repriced: Sequence[Repriced], work: Sequence[PricedWork]) -> list[Effect]:
    """WIP as one amount, drafts and invoices one by one, each with its whole value before and after.

    An invoice that stays as it is has no effect here; see `left_as_invoiced`.
    """
    changes: dict[tuple[Lies, str], list[Repriced]] = defaultdict(list)
    for each in repriced:
        if each.applies:
            changes[each.work.lies, _subject(each.work)].append(each)
    values: dict[tuple[Lies, str], list[Money]] = defaultdict(list)
    for unit in work:
        values[unit.lies, _subject(unit)].append(unit.value)
    effects = []
    for (lies, subject), same in changes.items():
        first, *rest = values[lies, subject]
        before = sum(rest, start=first)
        after = sum((each.by for each in same), start=before)
        how = "credited and billed again" if lies is Lies.ISSUED else "at another price"
        effects.append(Effect(AREAS[lies], subject, before, after, f"{len(same)} of {len(rest) + 1} units {how}"))
    return sorted(effects, key=lambda each: (list(Area).index(each.area), each.subject))


def left_as_invoiced(repriced: Sequence[Repriced]) -> list[Problem]:
    """Invoices that would be another amount by the new terms and stay as they are by the change's own rule."""
    by_invoice: dict[str, list[Repriced]] = defaultdict(list)
    for each in repriced:
        if not each.applies:
            by_invoice[_subject(each.work)].append(each)
    problems = []
    for invoice, same in sorted(by_invoice.items()):
        by = sum((each.by for each in same[1:]), start=same[0].by)
        message = f"{invoice} stays as it is; by the new terms it would be {by} more."
        if by < by - by:
            message = f"{invoice} stays as it is; by the new terms it would be {-by} less."
        problems.append(Problem("invoice_left", message, "issued", "Choose credit and rebill if it was agreed."))
    return problems


def _subject(work: PricedWork) -> str:
    return work.document or "unbilled work"


def _billed(old: ScheduledMilestone, will_be: Money) -> Problem:
    message = f"{old.name} is billed with {old.amount} and would become {will_be}."
    return Problem("billed_milestone_changed", message, "milestones", "Credit and rebill it, or leave it as it is.")


def _no_rate(same: Sequence[PricedWork]) -> Problem:
    about = " ".join(part for part in (same[0].worker, same[0].role, same[0].task) if part) or "work"
    value = sum((each.value for each in same[1:]), start=same[0].value)
    message = f"The new terms have no rate for {about}: {len(same)} units worth {value} keep their price."
    return Problem("rate_missing", message, "rates", "Add a rate row, or let the change begin later.")


def _told(old: ScheduledMilestone | None, new: ScheduledMilestone | None) -> str:
    if old is None or (old.status == "cancelled" and new is not None):
        return "added"
    if new is None or new.status == "cancelled":
        return "cancelled"
    parts = []
    if old.amount != new.amount:
        parts.append(f"from {old.amount} to {new.amount}")
    if old.planned_on != new.planned_on:
        parts.append(f"re-dated from {old.planned_on} to {new.planned_on}")
    if old.name != new.name:
        parts.append(f"renamed from {old.name}")
    return ", ".join(parts) or "changed"
