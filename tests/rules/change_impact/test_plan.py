"""A contract change is one plan, and the plan can be taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import Money
from accord.model.terms import Cap, CapLevel
from accord.rules.change_impact.impact import impact_of
from accord.rules.change_impact.plan import ImpactHasProblems, Plan, Step, Verb, plan_of
from accord.rules.revenue.modifications import Added, Modification
from tests.rules.change_impact.engagement import build, change, milestone, rates, standing, terms, usd

EXTENSION = Modification("CO-1", usd(60000), (Added("extra", usd(60000), extends="build"),))
CHANGE = change(after=terms(2, rates=rates("200")), milestones_after=(milestone(amount=24000),), revenue=EXTENSION)
STANDING = standing(obligations=(build(90, 360),))


def test_the_steps_of_a_change_in_their_order() -> None:
    found = plan_of(CHANGE, impact_of(CHANGE, STANDING))
    assert [(each.verb.value, each.subject, str(each.before), str(each.after)) for each in found.steps] == [
        ("use_terms", "ENG-1", "1", "2"),
        ("set_milestone", "go-live", "20000.00 USD", "24000.00 USD"),
        ("reprice_wip", "unbilled work", "875.00 USD", "900.00 USD"),
        ("replace_draft", "draft 12", "750.00 USD", "800.00 USD"),
        ("credit_and_rebill", "INV-101", "1125.00 USD", "1200.00 USD"),
        ("book_revenue", "build", "0.00 USD", "-10000.00 USD"),
    ]


def test_what_is_set_free_above_a_cap_is_a_step_and_what_is_left_of_it_is_none() -> None:
    lowered = change(after=terms(2, caps=(Cap("PO-7", CapLevel.PURCHASE_ORDER, usd(6000)),)))
    found = plan_of(lowered, impact_of(lowered, standing()))
    assert [each.verb for each in found.steps] == [Verb.USE_TERMS, Verb.SET_OVER_CAP]


def test_an_impact_with_problems_is_no_plan() -> None:
    billed = change(milestones_after=())
    found = impact_of(billed, standing(milestones=(milestone(status="billed"),)))
    with pytest.raises(ImpactHasProblems, match="CO-1: go-live is billed"):
        plan_of(billed, found)


STEPS = st.lists(
    st.tuples(st.sampled_from(Verb), st.sampled_from("abc"), st.integers(0, 99), st.integers(0, 99)), max_size=8
)


@given(STEPS)
def test_a_plan_taken_back_leaves_everything_as_it_was(rows: list[tuple[Verb, str, int, int]]) -> None:
    """Each step must find what the one before left, also on the way back."""
    state: dict[tuple[Verb, str], Money | int] = {}
    steps = []
    for verb, subject, first, after in rows:
        before = state.get((verb, subject), usd(first))
        steps.append(Step(verb, subject, before, usd(after)))
        state[verb, subject] = usd(after)
    plan = Plan("CO-1", tuple(steps))
    for each in plan.reversed().steps:
        assert state[each.verb, each.subject] == each.before
        state[each.verb, each.subject] = each.after
    for each in plan.steps[::-1]:
        first_of_it = next(one for one in plan.steps if (one.verb, one.subject) == (each.verb, each.subject))
        assert state[each.verb, each.subject] == first_of_it.before
    assert plan.reversed().reversed().steps == plan.steps
