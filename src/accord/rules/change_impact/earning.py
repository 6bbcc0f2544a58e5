"""What a contract change does to revenue, to the provision for a loss and to the margin."""

from __future__ import annotations

from dataclasses import dataclass

from accord.model.money import Money
from accord.rules.change_impact.change import Area, ContractChange, Effect, Standing
from accord.rules.measures.definition import Reading
from accord.rules.measures.sales import margin_at_completion
from accord.rules.revenue.modifications import Followed, Modified, modify
from accord.rules.revenue.onerous import Framework, Outlook, provision


@dataclass(frozen=True, slots=True)
class Margins:
    """The margin at completion by the contract before and after the change."""

    before: Reading
    after: Reading


def revenue(standing: Standing, change: ContractChange) -> tuple[Modified | None, list[Effect]]:
    """Per obligation: what is caught up now, and what is still to be earned, before and after."""
    if change.revenue is None:
        return None, []
    modified = modify(standing.obligations, change.revenue, change.stand_alone_tolerance)
    effects = []
    for each in modified.consequences:
        if each.followed is Followed.UNCHANGED:
            continue
        how = each.followed.value.replace("_", " ")
        zero = each.price - each.price
        later = each.price_before - each.recognised
        if each.now:
            effects.append(Effect(Area.REVENUE_NOW, each.obligation_id, zero, each.now, how))
        if each.later != later:
            effects.append(Effect(Area.REVENUE_LATER, each.obligation_id, later, each.later, how))
    return modified, effects


def margins(standing: Standing, modified: Modified | None) -> tuple[Margins | None, list[Effect]]:
    """The margin at completion, where costs are known and there are obligations: their prices are the price."""
    cost = standing.cost
    if cost is None or not standing.obligations:
        return None, []
    before = _price(standing)
    after = _price_after(modified, before)
    found = Margins(
        margin_at_completion(before, cost.to_date, cost.to_complete),
        margin_at_completion(after, cost.to_date, cost.to_complete_after),
    )
    was = before - cost.to_date - cost.to_complete
    will_be = after - cost.to_date - cost.to_complete_after
    if was == will_be and found.before.value == found.after.value:
        return found, []
    return found, [Effect(Area.MARGIN, "at completion", was, will_be, f"{found.before.text}, then {found.after.text}")]


def loss(standing: Standing, modified: Modified | None, framework: Framework, *, in_scope: bool) -> list[Effect]:
    """What the change does to the provision for an onerous contract, seen over all its obligations."""
    cost = standing.cost
    if cost is None or not standing.obligations:
        return []
    price, recognised = _price(standing), _recognised(standing)
    before = provision(Outlook(price, recognised, cost.to_date, cost.to_complete, in_scope=in_scope), framework)
    caught_up = modified.catch_up if modified is not None else recognised - recognised
    after = provision(
        Outlook(
            _price_after(modified, price),
            recognised + caught_up,
            cost.to_date,
            cost.to_complete_after,
            in_scope=in_scope,
        ),
        framework,
    )
    if before.provision == after.provision:
        return []
    return [Effect(Area.LOSS_PROVISION, "contract", before.provision, after.provision, after.told)]


def _price(standing: Standing) -> Money:
    first, *rest = (each.price for each in standing.obligations)
    return sum(rest, start=first)


def _recognised(standing: Standing) -> Money:
    first, *rest = (each.recognised for each in standing.obligations)
    return sum(rest, start=first)


def _price_after(modified: Modified | None, before: Money) -> Money:
    if modified is None:
        return before
    first, *rest = (each.price for each in modified.consequences)
    return sum(rest, start=first)
