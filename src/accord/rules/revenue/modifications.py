"""A contract is changed: how revenue follows (ASC 606-10-25-10 to 13, IFRS 15.18 to 21).

| what the change is | what follows |
|---|---|
| adds only distinct promises, at their stand-alone price | a separate contract; the old one stays as it is |
| what remains is distinct from what was delivered | prospective: the rest of the price over the rest of the promises |
| what remains is not distinct | cumulative catch-up: the new price at the new progress, difference now |
| some of each | both, each for its part |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from accord.model.money import Money
from accord.rules.allocation import portion, share_out
from accord.rules.revenue.progress import Progress


class Treatment(StrEnum):
    SEPARATE_CONTRACT = "separate_contract"
    PROSPECTIVE = "prospective"
    CATCH_UP = "cumulative_catch_up"
    MIXED = "mixed"


class Followed(StrEnum):
    """What follows for one obligation."""

    UNCHANGED = "unchanged"
    NEW = "new"
    PROSPECTIVE = "prospective"
    CATCH_UP = "cumulative_catch_up"


@dataclass(frozen=True, slots=True)
class Standing:
    """An obligation on the day of the change. `progress` is by the estimate *after* the change.

    `remaining_is_distinct` says whether what is still to deliver is distinct from what was delivered;
    `remaining_alone` is the stand-alone price of that rest, zero for an obligation that is satisfied.
    """

    obligation_id: str
    price: Money
    recognised: Money
    progress: Progress
    remaining_is_distinct: bool
    remaining_alone: Money

    @property
    def satisfied(self) -> bool:
        return self.progress.fraction == 1 and not self.remaining_alone


@dataclass(frozen=True, slots=True)
class Added:
    """What the change adds: a distinct promise, or more of the obligation it `extends`, from which it is not distinct
    and with which it is measured (`progress` counts it)."""

    obligation_id: str
    stand_alone_price: Money
    extends: str | None = None


@dataclass(frozen=True, slots=True)
class Modification:
    """A change order: by how much the price changes, what it adds, and whether it changes what was promised before
    (`changes_scope`: another extent, date or quality of an old promise, or a price concession)."""

    id: str
    price_change: Money
    added: tuple[Added, ...] = ()
    changes_scope: bool = False


@dataclass(frozen=True, slots=True)
class Consequence:
    """One obligation after the change. `price` is what it earns in all, `recognised` what it had earned before, `now`
    the catch-up on the day of the change, `later` what is still to be earned."""

    obligation_id: str
    followed: Followed
    price_before: Money
    price: Money
    recognised: Money
    now: Money

    @property
    def later(self) -> Money:
        return self.price - self.recognised - self.now


@dataclass(frozen=True, slots=True)
class Modified:
    treatment: Treatment
    consequences: tuple[Consequence, ...]

    @property
    def catch_up(self) -> Money:
        """The revenue of the change itself, on its day."""
        first, *rest = (each.now for each in self.consequences)
        return sum(rest, start=first)


class NothingRemains(ValueError):
    """All is delivered and nothing is added, so a change of price has no promise left to belong to; decide whether it
    is a concession on what was delivered (a credit note) or a contract of its own."""


class ExtendsNothing(ValueError):
    """A change extends an obligation that the contract does not have; correct the reference."""


def treatment_of(standing: Sequence[Standing], change: Modification, tolerance: Decimal = Decimal(0)) -> Treatment:
    """How the standard treats a change. A price is the stand-alone price when it differs by at most `tolerance` of it
    (0.05 is 5 %): the standard allows for what the seller saves by selling to an old customer.

    Raises NothingRemains.
    """
    new = _distinct(change)
    if new and len(new) == len(change.added) and not change.changes_scope:
        alone = sum((each.stand_alone_price for each in new), start=Money.zero(change.price_change.currency))
        if abs((change.price_change - alone).amount) <= tolerance * alone.amount:
            return Treatment.SEPARATE_CONTRACT
    kinds = {each.remaining_is_distinct for each in _open(standing, change)} | {True for _ in new}
    if not kinds:
        raise NothingRemains(f"{change.id}: {change.price_change}")
    if kinds == {True}:
        return Treatment.PROSPECTIVE
    return Treatment.CATCH_UP if kinds == {False} else Treatment.MIXED


def modify(standing: Sequence[Standing], change: Modification, tolerance: Decimal = Decimal(0)) -> Modified:
    """What a change does to each obligation. What all obligations will have earned grows by exactly `price_change`.

    The change of price goes to what is still to deliver by stand-alone price. Distinct rests then pool what they have
    not earned yet and share it the same way; the others earn their new price to the new progress at once.
    Raises NothingRemains, ExtendsNothing, CurrenciesDiffer; ValueError when no rest has a stand-alone price.
    """
    treatment = treatment_of(standing, change, tolerance)
    if treatment is Treatment.SEPARATE_CONTRACT:
        unchanged = tuple(_unchanged(each) for each in standing)
        return Modified(treatment, (*unchanged, *_separate(change)))
    rests = _open(standing, change)
    alone = _stand_alone(rests, change)
    shares = {part.key: part.amount for part in share_out(change.price_change, alone)}
    found = {each.obligation_id: each for each in _prospective(rests, change, alone, shares)}
    found |= {each.obligation_id: _caught_up(each, shares) for each in rests if not each.remaining_is_distinct}
    settled = tuple(found.pop(each.obligation_id, _unchanged(each)) for each in standing)
    return Modified(treatment, (*settled, *found.values()))


def _distinct(change: Modification) -> list[Added]:
    return [each for each in change.added if each.extends is None]


def _open(standing: Sequence[Standing], change: Modification) -> list[Standing]:
    """What is still to deliver after the change; an obligation that was satisfied is open again when it is extended."""
    extended = {each.extends for each in change.added if each.extends is not None}
    unknown = sorted(extended - {each.obligation_id for each in standing})
    if unknown:
        raise ExtendsNothing(f"{change.id} extends {', '.join(unknown)}")
    return [each for each in standing if not each.satisfied or each.obligation_id in extended]


def _stand_alone(rests: Sequence[Standing], change: Modification) -> dict[str, Decimal]:
    """The stand-alone price of each rest, with what the change adds to it, and of each new promise."""
    alone = {each.obligation_id: each.remaining_alone.amount for each in rests}
    for each in change.added:
        id = each.extends or each.obligation_id
        alone[id] = alone.get(id, Decimal(0)) + each.stand_alone_price.amount
    return alone


def _unchanged(each: Standing) -> Consequence:
    zero = each.price - each.price
    return Consequence(each.obligation_id, Followed.UNCHANGED, each.price, each.price, each.recognised, zero)


def _separate(change: Modification) -> list[Consequence]:
    parts = share_out(change.price_change, {each.obligation_id: each.stand_alone_price.amount for each in change.added})
    return [_new(part.key, part.amount) for part in parts]


def _new(id: str, price: Money) -> Consequence:
    zero = price - price
    return Consequence(id, Followed.NEW, zero, price, zero, zero)


def _prospective(
    rests: Sequence[Standing], change: Modification, alone: dict[str, Decimal], shares: dict[str, Money]
) -> list[Consequence]:
    """Distinct rests and new promises share what is not earned yet, as if the old contract had ended."""
    zero = Money.zero(change.price_change.currency)
    distinct = {each.obligation_id: each for each in rests if each.remaining_is_distinct}
    ids = [*distinct, *(each.obligation_id for each in _distinct(change))]
    if not ids:
        return []
    pool = sum((each.price - each.recognised for each in distinct.values()), start=zero)
    pool = sum((shares[id] for id in ids), start=pool)
    found = []
    for part in share_out(pool, {id: alone[id] for id in ids}):
        old = distinct.get(part.key)
        if old is None:
            found.append(_new(part.key, part.amount))
        else:
            price = old.recognised + part.amount
            found.append(Consequence(part.key, Followed.PROSPECTIVE, old.price, price, old.recognised, zero))
    return found


def _caught_up(each: Standing, shares: dict[str, Money]) -> Consequence:
    price = each.price + shares[each.obligation_id]
    now = portion(price, each.progress.fraction) - each.recognised
    return Consequence(each.obligation_id, Followed.CATCH_UP, each.price, price, each.recognised, now)
