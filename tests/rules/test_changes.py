"""A contract change is applied where that is safe, and is a case where it is not."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from accord.model.billing import ScheduledMilestone
from accord.model.deal import Deal
from accord.model.engagement import Engagement, EngagementProject
from accord.model.money import Money
from accord.model.recurring import RecurringSchedule
from accord.rules.activation import check
from accord.rules.changes import Changes, compare
from tests.rules.firms import TODAY, customer, deal, firm, milestone

LATER = date(2027, 3, 1)


def provisioned(sold: Deal) -> tuple[Engagement, tuple[ScheduledMilestone, ...], tuple[RecurringSchedule, ...]]:
    plan = check(sold, customer(), (), firm()).plan
    assert plan is not None
    projects = tuple(EngagementProject(each.legal_entity, each.id, each.number) for each in plan.projects)
    engagement = Engagement(sold.id, sold.number, sold.name, "CUS-1", projects, 30, plan.value, "active", 7)
    return engagement, plan.milestones, plan.services


def changed(after: Deal, *, billed: bool = False, on: date = TODAY) -> Changes:
    engagement, milestones, services = provisioned(deal())
    if billed:
        milestones = tuple(replace(each, status="billed") for each in milestones)
    return compare(after, engagement, milestones, services, on=on)


def with_milestone(**changes: object) -> Deal:
    first, *rest = deal().milestones
    return deal(milestones=(replace(first, **changes), *rest))  # type: ignore[arg-type]


def test_an_unchanged_deal_changes_nothing() -> None:
    assert changed(deal()) == Changes((), ())


def test_a_milestone_is_re_dated() -> None:
    found = changed(with_milestone(planned_on=LATER))
    assert found.problems == ()
    assert [(each.after.planned_on, each.what) for each in found.safe] == [
        (LATER, f"Go-live: re-dated from {TODAY} to {LATER}")
    ]


def test_an_amount_rises_under_a_signed_change_order() -> None:
    signed = {"change_order": "CO-1", "change_order_signed_on": TODAY}
    found = changed(with_milestone(amount=Money.of("1500.00", "USD"), **signed))
    assert found.problems == ()
    assert found.net_change() == (Money.of("500.00", "USD"),)


@pytest.mark.parametrize("signed", [{}, {"change_order": "CO-1"}, {"change_order_signed_on": TODAY}])
def test_an_amount_without_a_signed_change_order_is_a_case(signed: dict[str, object]) -> None:
    found = changed(with_milestone(amount=Money.of("1500.00", "USD"), **signed))
    assert (found.safe, [each.code for each in found.problems]) == ((), ["change_order_missing"])


def test_a_billed_milestone_keeps_its_amount() -> None:
    signed = {"change_order": "CO-1", "change_order_signed_on": TODAY}
    found = changed(with_milestone(amount=Money.of("1500.00", "USD"), **signed), billed=True)
    assert [each.code for each in found.problems] == ["billed_milestone_changed"]


def test_a_new_milestone_needs_a_signed_change_order() -> None:
    new = milestone("Extra", "250.00")
    assert [each.code for each in changed(deal(milestones=(*deal().milestones, new))).problems] == [
        "change_order_missing"
    ]
    signed = replace(new, change_order="CO-2", change_order_signed_on=TODAY)
    found = changed(deal(milestones=(*deal().milestones, signed)))
    assert [(each.before, str(each.after.amount)) for each in found.safe] == [(None, "250.00 USD")]


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (deal(milestones=deal().milestones[:1]), "milestone_removed"),
        (with_milestone(amount=Money.of("1000.00", "EUR")), "currency_changed"),
        (deal(customer_id="CUS-9"), "customer_changed"),
        (with_milestone(legal_entity="JP"), "entity_changed"),
        (deal(services=()), "service_changed"),
        (deal(services=(replace(deal().services[0], legal_entity="DE"),)), "service_changed"),
        (deal(services=(replace(deal().services[0], months=6),)), "change_order_missing"),
        (deal(services=(*deal().services, replace(deal().services[0], id="SVC-2"))), "service_added"),
    ],
)
def test_what_touches_money_or_parties_is_a_case(after: Deal, code: str) -> None:
    found = changed(after)
    assert code in {each.code for each in found.problems}
    assert found.safe == ()


def with_service(**changes: Any) -> Deal:
    return deal(services=(replace(deal().services[0], **changes),))


@pytest.mark.parametrize(
    ("monthly", "on", "cure"),
    [
        (
            "120.00",
            date(2026, 12, 10),
            "restore the service. From today on: invoice 8.67 USD (52.00 USD less 43.33 USD)",
        ),
        (
            "40.00",
            date(2026, 12, 10),
            "restore the service. From today on: credit 26.00 USD (43.33 USD less 17.33 USD)",
        ),
        ("120.00", date(2026, 11, 22), "or restore the service."),  # it has not begun
        ("100.00", date(2026, 12, 10), "or restore the service."),  # it is another thing that changed
    ],
)
def test_a_service_that_changes_without_a_change_order_is_a_case_with_what_its_rest_comes_to(
    monthly: str, on: date, cure: str
) -> None:
    after = with_service(monthly=Money.of(monthly, "USD"), months=12 if monthly != "100.00" else 6)
    found = changed(after, on=on)
    (problem,) = found.problems
    assert problem.code == "change_order_missing"
    assert cure in problem.cure
    assert problem.cure.endswith(".")
    assert found.services == ()


def test_a_service_that_is_removed_within_a_period_says_what_its_rest_comes_to() -> None:
    (problem,) = changed(deal(services=()), on=date(2026, 12, 10)).problems
    assert (
        "credit 43.33 USD (43.33 USD less 0.00 USD) for the 13 of 30 days that are left on 2026-12-10" in problem.cure
    )


def test_a_service_changes_under_a_signed_change_order() -> None:
    signed = {"change_order": "CO-1", "change_order_signed_on": date(2026, 12, 10)}
    found = changed(with_service(monthly=Money.of("120.00", "USD"), **signed), on=date(2026, 12, 11))
    assert found.problems == ()
    (what,) = found.applied
    assert what == (
        "Run: from 2026-12-10 on 120.00 USD instead of 100.00 USD a month by change order CO-1 "
        "(contract value +228.67 USD)"
    )
    assert found.net_change() == (Money.of("228.67", "USD"),)  # 8.67 of this period and 20 of eleven more


def test_what_is_safe_is_applied_beside_a_case() -> None:
    first, second = deal().milestones
    after = deal(milestones=(replace(first, planned_on=LATER), replace(second, amount=Money.of("900.00", "EUR"))))
    found = changed(after)
    assert [each.before.id if each.before else "" for each in found.safe] == [first.id]
    assert [each.code for each in found.problems] == ["change_order_missing"]


def test_a_new_milestone_belongs_to_the_entity_of_its_phase() -> None:
    signed = {"change_order": "CO-3", "change_order_signed_on": TODAY}
    new = milestone("More", "250.00", "EUR", legal_entity=None, phase_id="PHA-1", **signed)
    found = changed(deal(milestones=(*deal().milestones, new)))
    assert [each.after.legal_entity for each in found.safe] == ["DE"]


def of_one_amount(**changes: Any) -> Deal:
    """A deal without a statement of work: its milestone for the whole amount is implied."""
    return deal(milestones=(), services=(), phases=(), **changes)


def changed_of_one_amount(after: Deal) -> Changes:
    plan = check(of_one_amount(), customer(), (), firm(milestones_may_be_implied=True)).plan
    assert plan is not None
    projects = tuple(EngagementProject(each.legal_entity, each.id, each.number) for each in plan.projects)
    engagement = Engagement("DEA-1", "1", "D", "CUS-1", projects, 30, plan.value, "active", 7)
    return compare(after, engagement, plan.milestones, (), on=TODAY)


def test_a_change_order_is_added_beside_an_implied_milestone() -> None:
    """The cure that a changed amount is given must not be a problem itself."""
    extra = milestone("Extra", "250.00", change_order="CO-1", change_order_signed_on=TODAY)
    found = changed_of_one_amount(deal(milestones=(extra,), services=(), phases=()))
    assert found.problems == ()
    assert [each.after.id for each in found.safe] == [extra.id]


@pytest.mark.parametrize(
    ("after", "codes"),
    [
        (of_one_amount(), []),
        (of_one_amount(amount=Money.of("3250.00", "USD")), ["amount_changed"]),
        (of_one_amount(legal_entity="DE"), ["entity_changed"]),
    ],
)
def test_a_deal_of_one_amount_changes(after: Deal, codes: list[str]) -> None:
    assert [each.code for each in changed_of_one_amount(after).problems] == codes
