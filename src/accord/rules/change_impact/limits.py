"""What a contract change does to caps and retainers."""

from __future__ import annotations

from collections.abc import Sequence

from accord.model.money import Money
from accord.model.problem import Problem
from accord.model.terms import Cap
from accord.rules.change_impact.billing import Repriced
from accord.rules.change_impact.change import Area, CapUse, ContractChange, Effect, Found, RetainerUse
from accord.rules.rating.counters import Convert, no_conversion


def caps(
    uses: Sequence[CapUse],
    change: ContractChange,
    repriced: Sequence[Repriced],
    convert: Convert = no_conversion,
) -> Found:
    """What is left of each cap, and what is set free from above it or pushed there, in the cap's own currency.

    Work at another price uses another part of the cap. A cap below what is invoiced already is a problem.
    """
    before = {each.id: each for each in change.before.caps}
    after = {each.id: each for each in change.after.caps}
    used = {each.cap_id: each for each in uses}
    effects: list[Effect] = []
    problems: list[Problem] = []
    for id in [*before, *(id for id in after if id not in before)]:
        old, new = before.get(id), after.get(id)
        about = new or old
        assert about is not None
        zero = Money.zero(about.limit.currency)
        use = used.get(id, CapUse(id, zero, zero, zero))
        if new is None:
            effects += _lifted(about, use)
            continue
        moved = (_in_currency_of(new, each, convert) for each in repriced if each.applies and _counts(new, each))
        spent = sum(moved, start=use.used)
        unbilled = max(use.unbilled + (spent - use.used), zero)
        effects += _moved(old, new, use, spent, unbilled)
        above = spent - new.limit - unbilled
        if above > zero:
            message = f"{_name(new)} would be {new.limit}, but {spent - unbilled} is invoiced already."
            problems.append(
                Problem("cap_below_billed", message, "caps", "Raise the cap, or credit what lies above it.")
            )
    return effects, problems


def retainer(use: RetainerUse | None, change: ContractChange) -> Found:
    """What is paid ahead and left, with what is still to be paid. A balance without a retainer has to go somewhere."""
    old, new = change.before.retainer, change.after.retainer
    about = new or old
    if about is None or old == new:
        return [], []
    zero = Money.zero(about.per_month.currency)
    found = use or RetainerUse(zero, about.months)
    before = found.balance + (old.per_month.times(found.months_to_come) if old else zero)
    after = found.balance + (new.per_month.times(found.months_to_come) if new else zero)
    told = f"{found.balance} left, {found.months_to_come} months to come"
    effect = Effect(Area.RETAINER, f"retainer {about.id}", before, after, told)
    if new is not None or found.balance <= zero:
        return [effect], []
    message = f"The retainer ends with {found.balance} not worked off."
    return [effect], [Problem("retainer_left", message, "retainer", "Refund it, or set it against what is billed.")]


def _moved(old: Cap | None, new: Cap, use: CapUse, spent: Money, unbilled: Money) -> list[Effect]:
    zero = Money.zero(new.limit.currency)
    left_before = max(old.limit - use.used, zero) if old else zero
    room = new.limit - spent
    released = max(min(use.over, room), zero)
    pushed = max(min(-room, unbilled), zero)
    left_after = max(room - released, zero)
    effects = []
    if left_before != left_after:
        told = "new" if old is None else f"limit {old.limit}, then {new.limit}; used {use.used}, then {spent}"
        effects.append(Effect(Area.CAP, _name(new), left_before, left_after, told))
    if released or pushed:
        told = f"{released} set free" if released else f"{pushed} pushed above the cap"
        effects.append(Effect(Area.OVER_CAP, _name(new), use.over, use.over - released + pushed, told))
    return effects


def _lifted(cap: Cap, use: CapUse) -> list[Effect]:
    zero = Money.zero(cap.limit.currency)
    effects = [Effect(Area.CAP, _name(cap), max(cap.limit - use.used, zero), zero, "no longer capped")]
    if use.over:
        effects.append(Effect(Area.OVER_CAP, _name(cap), use.over, zero, f"{use.over} set free"))
    return effects


def _in_currency_of(cap: Cap, repriced: Repriced, convert: Convert) -> Money:
    """By how much a price changes, as the cap counts it; nothing without a rate, as nothing was counted then."""
    by, currency = repriced.by, cap.limit.currency
    if by.currency == currency:
        return by
    found = convert(by.amount, by.currency, currency, repriced.work.entry.worked_on)
    return Money.zero(currency) if found is None else Money(found, currency).rounded()


def _counts(cap: Cap, repriced: Repriced) -> bool:
    return cap.applies_to is None or cap.applies_to == repriced.work.entry.task


def _name(cap: Cap) -> str:
    return f"{cap.level.value.replace('_', ' ')} cap {cap.id}"
