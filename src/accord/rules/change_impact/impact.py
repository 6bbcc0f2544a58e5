"""The impact of a contract change: everything it would do in money, shown before it is applied (features.md G11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from accord.model.money import CurrenciesDiffer, Money, total
from accord.model.problem import Problem
from accord.rules.change_impact import billing, earning, limits
from accord.rules.change_impact.change import Area, ContractChange, Effect, Standing
from accord.rules.rating.counters import Convert, no_conversion
from accord.rules.revenue.modifications import Modified
from accord.rules.revenue.onerous import Framework


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change would do. With `problems` it cannot be applied as it stands, except for those of `invoice_left`,
    which only say what was chosen."""

    change_id: str
    currency: str
    effects: tuple[Effect, ...]
    problems: tuple[Problem, ...]
    revenue: Modified | None
    margins: earning.Margins | None

    @property
    def applicable(self) -> bool:
        return all(each.code == "invoice_left" for each in self.problems)

    def of(self, area: Area) -> tuple[Effect, ...]:
        return tuple(each for each in self.effects if each.area is area)

    def by_area(self) -> Mapping[Area, Money]:
        """The sum of what changes in each area that is touched; a cap in another currency is not among them."""
        own = [each for each in self.effects if each.by.currency == self.currency]
        touched = dict.fromkeys(each.area for each in own)
        return {area: total((each.by for each in own if each.area is area), self.currency) for area in touched}


def impact_of(
    change: ContractChange,
    standing: Standing,
    *,
    convert: Convert = no_conversion,
    framework: Framework = Framework.US_GAAP,
    in_scope: bool = True,
) -> Impact:
    """All effects of a change on an engagement in one legal entity and currency. Nothing is written.

    `convert` is for rates and expenses in other currencies; `in_scope` is whether ASC 605-35 covers the contract.
    Raises CurrenciesDiffer when the change is to another currency, because that is a new contract; NothingRemains and
    ExtendsNothing as `modify` does.
    """
    if change.before.currency != change.after.currency:
        raise CurrenciesDiffer(f"{change.id} goes from {change.before.currency} to {change.after.currency}")
    milestone_effects, problems = billing.milestones(standing.milestones, change.milestones_after)
    repriced, without_rate = billing.reprice(standing.work, change, convert)
    cap_effects, cap_problems = limits.caps(standing.caps, change, repriced, convert)
    retainer_effects, retainer_problems = limits.retainer(standing.retainer, change)
    modified, revenue_effects = earning.revenue(standing, change)
    margins, margin_effects = earning.margins(standing, modified)
    return Impact(
        change.id,
        change.after.currency,
        effects=(
            *milestone_effects,
            *billing.work_effects(repriced, standing.work),
            *cap_effects,
            *retainer_effects,
            *revenue_effects,
            *earning.loss(standing, modified, framework, in_scope=in_scope),
            *margin_effects,
        ),
        problems=(
            *problems,
            *without_rate,
            *billing.left_as_invoiced(repriced),
            *cap_problems,
            *retainer_problems,
        ),
        revenue=modified,
        margins=margins,
    )


def undone(change: ContractChange, standing: Standing) -> ContractChange:
    """The change that takes `change` back, for the billing side: terms and milestones return to what they were.

    Revenue is not turned round by another modification; what was caught up is reversed by its own entry.
    """
    return replace(
        change,
        id=f"{change.id} undone",
        before=change.after,
        after=replace(change.before, valid_from=change.after.valid_from),
        milestones_after=standing.milestones,
        revenue=None,
    )
