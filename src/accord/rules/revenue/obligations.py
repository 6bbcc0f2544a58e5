"""Performance obligations: what was promised, why its revenue is over time or at a point, and by which measure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from accord.model.money import Money
from accord.model.problem import Problem


class OverTime(StrEnum):
    """The criteria of ASC 606-10-25-27 and IFRS 15.35; one of them makes an obligation satisfied over time."""

    CONSUMED_AS_PERFORMED = "consumed_as_performed"
    CUSTOMER_CONTROLS_ASSET = "customer_controls_asset"
    NO_ALTERNATIVE_USE = "no_alternative_use_and_right_to_payment"


class Method(StrEnum):
    """How progress is measured (ASC 606-10-25-31 to 37, IFRS 15.39 to 45)."""

    COST_TO_COST = "cost_to_cost"
    HOURS = "hours"
    MILESTONES = "milestones"
    STRAIGHT_LINE = "straight_line"
    AS_INVOICED = "as_invoiced"
    POINT_IN_TIME = "point_in_time"


class PriceBasis(StrEnum):
    """Where a stand-alone selling price comes from (ASC 606-10-32-32 to 34, IFRS 15.77 to 79)."""

    OBSERVED = "observed"
    ADJUSTED_MARKET = "adjusted_market"
    COST_PLUS_MARGIN = "expected_cost_plus_margin"
    RESIDUAL = "residual"


@dataclass(frozen=True, slots=True)
class Criterion:
    """The over-time criterion relied on, with where it can be read. NO_ALTERNATIVE_USE needs two pieces of evidence:
    for no alternative use, and for the enforceable right to payment for work done so far."""

    which: OverTime
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Milestone:
    """An output of a milestone measure; `weight` is its part of what is transferred, not of what is billed."""

    id: str
    weight: Decimal


@dataclass(frozen=True, slots=True)
class Obligation:
    """One distinct promise of a contract. `stand_alone_price` is what it would sell for alone, before any discount.

    `starts_on` and `ends_on` (inclusive) are for straight line, `milestones` and `depicts_transfer` (why they depict
    it) for milestones.
    """

    id: str
    name: str
    engagement_id: str
    legal_entity: str
    stand_alone_price: Money
    method: Method
    price_basis: PriceBasis = PriceBasis.OBSERVED
    criterion: Criterion | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    milestones: tuple[Milestone, ...] = ()
    depicts_transfer: str | None = None


def problems_of(obligation: Obligation) -> list[Problem]:
    """All that keeps an obligation's revenue from being reckoned."""
    found = _criterion(obligation)
    if obligation.method is Method.STRAIGHT_LINE:
        found += _term(obligation)
    if obligation.method is Method.MILESTONES:
        found += _milestones(obligation)
    return found


def change_of_method(before: Obligation, after: Obligation) -> Problem | None:
    """One method per obligation: a similar obligation keeps its measure (ASC 606-10-25-32, IFRS 15.40)."""
    if before.method is after.method:
        return None
    return Problem(
        "method_changed",
        f"{after.name} went from {_words(before.method)} to {_words(after.method)} after revenue was measured.",
        "method",
        "Restore the method; a wrong one is corrected as an error of an earlier period, by hand.",
    )


def _criterion(obligation: Obligation) -> list[Problem]:
    criterion, over_time = obligation.criterion, obligation.method is not Method.POINT_IN_TIME
    if criterion is None:
        if not over_time:
            return []
        message = f"{obligation.name} is measured over time by {_words(obligation.method)}, but no criterion is stored."
        cure = "Store the criterion and its evidence, or recognise at a point in time."
        return [Problem("criterion_missing", message, "criterion", cure)]
    if not over_time:
        message = f"{obligation.name} meets a criterion for over time, but is recognised at a point in time."
        return [Problem("method_not_allowed", message, "method", "Choose a measure of progress.")]
    needed = 2 if criterion.which is OverTime.NO_ALTERNATIVE_USE else 1
    if len([each for each in criterion.evidence if each.strip()]) >= needed:
        return []
    what = "no alternative use and for the right to payment" if needed == 2 else _words(criterion.which)
    message = f"{obligation.name} has too little evidence for {what}."
    return [Problem("evidence_missing", message, "criterion", "Name the clause and the fact that show it.")]


def _term(obligation: Obligation) -> list[Problem]:
    if obligation.starts_on is None or obligation.ends_on is None:
        message = f"{obligation.name} is recognised in a straight line, but has no term."
        return [Problem("term_missing", message, "ends_on", "Enter first and last day.")]
    if obligation.ends_on < obligation.starts_on:
        message = f"{obligation.name} ends on {obligation.ends_on}, before it starts on {obligation.starts_on}."
        return [Problem("term_reversed", message, "ends_on", "Correct the term.")]
    return []


def _milestones(obligation: Obligation) -> list[Problem]:
    found = []
    if not obligation.milestones or any(each.weight <= 0 for each in obligation.milestones):
        message = f"{obligation.name} is measured by milestones, but they are missing or without weight."
        found.append(Problem("milestones_missing", message, "milestones", "Give each milestone its weight."))
    if not (obligation.depicts_transfer or "").strip():
        message = f"Nothing says that the milestones of {obligation.name} depict what the customer receives."
        cure = "Say why they do, or measure by cost or hours: milestone billing is not milestone revenue."
        found.append(Problem("transfer_not_depicted", message, "depicts_transfer", cure))
    return found


def _words(name: StrEnum) -> str:
    return name.value.replace("_", " ")
