"""What a contract change does to what is billed: milestones, WIP, drafts and issued invoices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from accord.model.billing import ScheduledMilestone
from accord.model.money import Money, allocate
from accord.model.problem import Problem
from accord.rules.change_impact.change import (
    Area,
    ContractChange,
    Effect,
    Found,
    IssuedInvoices,
    Lies,
    PricedWork,
)
from accord.rules.rating.counters import Convert
from accord.rules.rating.pricer import Pricer, Rated

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
        if old is not None and old.in_billing and was != will_be:
            problems.append(_billed(old, will_be))
            continue
        effects.append(Effect(Area.MILESTONES, about.name, was, will_be, _told(old, new)))
    return effects, problems


def reprice(
    work: Sequence[PricedWork], change: ContractChange, convert: Convert
) -> tuple[list[Repriced], list[Problem]]:
    """The work whose price is another by the new terms, and the work that they give no price for.

    It is priced by the rules that bill it. Metered units are priced by their month, so give whole months of them.
    """
    pricer = Pricer(change.after, convert=convert)
    units: dict[str, list[PricedWork]] = defaultdict(list)
    for each in work:
        if each.entry.worked_on >= change.after.valid_from:
            units[each.entry.id].append(each)
    found: list[Repriced] = []
    without: dict[str, list[tuple[PricedWork, Problem]]] = defaultdict(list)
    for shares in units.values():
        rated = pricer.rate(shares[0].entry)
        if isinstance(rated, tuple):
            without[_kind_of_work(shares[0])].append((shares[0], rated[0]))
            continue
        price = Money(_billable(rated), change.after.currency)
        if price != shares[0].price:
            found += [
                Repriced(share, value, applies=not _stays(share, change))
                for share, value in zip(shares, _shared(price, shares), strict=True)
            ]
    return found, [_no_price(about, same) for about, same in without.items()]


def _billable(rated: Rated) -> Decimal:
    return sum((part.amount for part in rated.parts if part.disposition != "non_billable"), Decimal(0))


def _shared(price: Money, shares: Sequence[PricedWork]) -> tuple[Money, ...]:
    """The new price over the shares as the old one lay; the last part, not given, lies over a cap."""
    given = [each.value.amount for each in shares]
    above = shares[0].price.amount - sum(given, Decimal(0))
    weights = [abs(each) for each in (*given, above)]
    if not any(weights):
        weights[0] = Decimal(1)
    return allocate(price, weights)[:-1]


def _stays(share: PricedWork, change: ContractChange) -> bool:
    return share.lies is Lies.ISSUED and change.issued is IssuedInvoices.STAY


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


def _kind_of_work(work: PricedWork) -> str:
    entry = work.entry
    return " ".join(part for part in (entry.worker, entry.role, entry.task, entry.category) if part) or entry.kind.value


def _no_price(about: str, same: Sequence[tuple[PricedWork, Problem]]) -> Problem:
    """One problem for work of one kind, with the words of the first."""
    work, why = same[0]
    value = sum((each.price for each, _ in same[1:]), start=work.price)
    units = "1 unit keeps its price" if len(same) == 1 else f"{len(same)} units keep their prices"
    message = f"The new terms give no price for {about}: {units} ({value}). {why.message}"
    return Problem(why.code, message, why.field, why.cure)


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
