"""A contract change as one plan: steps in the order in which they are taken, each of which can be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from accord.errors import Conflict
from accord.model.money import Money
from accord.rules.change_impact.change import Area, ContractChange
from accord.rules.change_impact.impact import Impact


class Verb(StrEnum):
    """What a step does, in the order of a plan: terms first, because all that follows is priced by them."""

    USE_TERMS = "use_terms"
    SET_MILESTONE = "set_milestone"
    SET_OVER_CAP = "set_over_cap"
    SET_RETAINER = "set_retainer"
    REPRICE_WIP = "reprice_wip"
    REPLACE_DRAFT = "replace_draft"
    CREDIT_AND_REBILL = "credit_and_rebill"
    BOOK_REVENUE = "book_revenue"
    SET_PROVISION = "set_provision"


VERBS: Mapping[Area, Verb] = {
    Area.MILESTONES: Verb.SET_MILESTONE,
    Area.OVER_CAP: Verb.SET_OVER_CAP,
    Area.RETAINER: Verb.SET_RETAINER,
    Area.WIP: Verb.REPRICE_WIP,
    Area.DRAFTS: Verb.REPLACE_DRAFT,
    Area.ISSUED_INVOICES: Verb.CREDIT_AND_REBILL,
    Area.REVENUE_NOW: Verb.BOOK_REVENUE,
    Area.LOSS_PROVISION: Verb.SET_PROVISION,
}


class ImpactHasProblems(Conflict):
    """The change cannot be applied while its impact has problems; correct the change, or what it meets."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to bring from `before` to `after`: amounts, or for USE_TERMS versions of the billing terms."""

    verb: Verb
    subject: str
    before: Money | int
    after: Money | int


@dataclass(frozen=True, slots=True)
class Plan:
    change_id: str
    steps: tuple[Step, ...]

    def reversed(self) -> Plan:
        """The plan that takes this one back: the last step first, each the other way round.

        An invoice that was credited and billed again is so once more, to the old amount: a document that was issued is
        never taken away.
        """
        back = tuple(replace(each, before=each.after, after=each.before) for each in self.steps[::-1])
        return Plan(f"{self.change_id} reversed", back)


def plan_of(change: ContractChange, impact: Impact) -> Plan:
    """The steps that bring an impact about. What only follows from others (what is left of a cap, the margin, revenue
    still to come) is no step. Raises ImpactHasProblems."""
    if not impact.applicable:
        told = "; ".join(each.message for each in impact.problems if each.code != "invoice_left")
        raise ImpactHasProblems(f"{change.id}: {told}")
    terms = Step(Verb.USE_TERMS, change.after.engagement_id, change.before.version, change.after.version)
    steps = [
        Step(VERBS[each.area], each.subject, each.before, each.after) for each in impact.effects if each.area in VERBS
    ]
    order = list(Verb)
    return Plan(change.id, (terms, *sorted(steps, key=lambda each: order.index(each.verb))))
