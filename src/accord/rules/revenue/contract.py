"""The revenue side of an engagement as it is declared, version by version: price, promises, and what work counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from accord.model.money import Money
from accord.model.problem import Problem
from accord.rules.revenue.obligations import Method, Obligation, change_of_method, problems_of
from accord.rules.revenue.onerous import Framework
from accord.rules.revenue.price import Constraint, VariableConsideration, allocate_price, transaction_price
from accord.rules.revenue.schedule import PriceFrom

LARGEST_POWER = 12


@dataclass(frozen=True, slots=True)
class Measure:
    """Which stored work counts for an obligation: that of its `tasks` (none named: all that no other one names), done
    from `counts_from` on. `remaining_is_distinct` says whether what is still to deliver is distinct from what was."""

    obligation_id: str
    tasks: tuple[str, ...] = ()
    counts_from: date | None = None
    remaining_is_distinct: bool = False


@dataclass(frozen=True, slots=True)
class SetPrice:
    """The price that a change of the contract left to an obligation. One that is `settled` has earned it in full: what
    was still to deliver went to others."""

    obligation_id: str
    price: Money
    settled: bool = False


@dataclass(frozen=True, slots=True)
class RevenueContract:
    """One version of the revenue side of an engagement in one legal entity, in force from `valid_from`.

    `fixed` and `variable` are shared out over the obligations by stand-alone price, but for those that are recognised
    as invoiced; `set_prices` go before that. `why` says what changed.
    """

    engagement_id: str
    legal_entity: str
    version: int
    fixed: Money
    valid_from: date
    obligations: tuple[Obligation, ...]
    variable: tuple[VariableConsideration, ...] = ()
    constraint: Constraint = field(default_factory=lambda: Constraint(Decimal("0.80"), 1))
    measures: tuple[Measure, ...] = ()
    set_prices: tuple[SetPrice, ...] = ()
    framework: Framework = Framework.US_GAAP
    in_scope: bool = True
    why: str = "contract"
    clause: str | None = None

    @property
    def currency(self) -> str:
        return self.fixed.currency

    def measure_of(self, obligation_id: str) -> Measure:
        return next((each for each in self.measures if each.obligation_id == obligation_id), Measure(obligation_id))

    @property
    def settled(self) -> frozenset[str]:
        """The obligations that have earned all they ever will."""
        return frozenset(each.obligation_id for each in self.set_prices if each.settled)


def problems_of_contract(contract: RevenueContract, before: RevenueContract | None) -> list[Problem]:
    """All that keeps a version from being declared after the one before."""
    found = _not_reckoned_with(contract)
    if found:
        return found
    found = [problem for each in contract.obligations for problem in problems_of(each)]
    ids = [each.id for each in contract.obligations]
    if len(set(ids)) < len(ids) or not ids:
        found.append(
            Problem("obligations_not_told_apart", "Each obligation needs an id of its own, and there must be one.")
        )
    for each in contract.obligations:
        if (each.engagement_id, each.legal_entity) != (contract.engagement_id, contract.legal_entity):
            message = f"{each.name} is of {each.engagement_id} in {each.legal_entity}."
            found.append(Problem("obligation_elsewhere", message, "obligations", "Correct engagement and entity."))
        if each.stand_alone_price.currency != contract.currency:
            message = f"{each.name} has its price in {each.stand_alone_price.currency}."
            found.append(Problem("currency_differs", message, "stand_alone_price", f"Tell it in {contract.currency}."))
    if before is not None:
        earlier = {each.id: each for each in before.obligations}
        changed = (change_of_method(earlier[each.id], each) for each in contract.obligations if each.id in earlier)
        found += [problem for problem in changed if problem is not None]
        gone = sorted(set(earlier) - set(ids))
        if gone:
            message = f"{', '.join(gone)} is not told any more, but has earned revenue or may have."
            found.append(Problem("obligation_gone", message, "obligations", "Keep it, with a set price."))
    return found


def _not_reckoned_with(contract: RevenueContract) -> list[Problem]:
    """Amounts that do not fit their currency, and weights of a size that no contract has."""
    found = []
    amounts = [
        contract.fixed,
        *(each.stand_alone_price for each in contract.obligations),
        *(each.price for each in contract.set_prices),
        *(outcome.amount for each in contract.variable for outcome in each.outcomes),
    ]
    for each in amounts:
        try:
            Money.of(each.amount, each.currency)
        except ValueError as error:
            found.append(Problem("amount_not_exact", f"{error}.", "price", "Correct the amount or its currency."))
    numbers = [
        contract.constraint.threshold,
        *(milestone.weight for each in contract.obligations for milestone in each.milestones),
        *(outcome.probability for each in contract.variable for outcome in each.outcomes),
    ]
    if any(each and abs(each.adjusted()) > LARGEST_POWER for each in numbers):
        message = "A weight or a probability has more digits than can be reckoned with."
        found.append(Problem("number_not_usable", message, "obligations", "Tell it with fewer digits."))
    return found


def prices_of(versions: Sequence[RevenueContract]) -> Mapping[str, list[PriceFrom]]:
    """The prices of each obligation from the days on which they begin, out of all versions in their order.

    Raises ObligationUnknown; ValueError when no obligation has a stand-alone price.
    """
    found: dict[str, list[PriceFrom]] = {}
    for version in versions:
        for id, price in _prices(version).items():
            known = found.setdefault(id, [])
            if not known or known[-1].price != price:
                known.append(PriceFrom(version.valid_from, price, version.why))
    return found


def _prices(contract: RevenueContract) -> dict[str, Money]:
    told = {each.obligation_id: each.price for each in contract.set_prices}
    shared = [each for each in contract.obligations if each.method is not Method.AS_INVOICED and each.id not in told]
    if not shared:
        return told
    taken = sum(told.values(), start=Money.zero(contract.currency))
    price = transaction_price(contract.fixed - taken, contract.variable, contract.constraint)
    return {each.obligation.id: each.total for each in allocate_price(price, shared)} | told
