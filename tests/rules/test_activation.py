"""The activation gate finds every problem at once and guesses nothing."""

from dataclasses import replace
from typing import Any

import pytest

from accord.model.customer import TaxRegistration
from accord.model.deal import Contract
from accord.model.money import Money
from accord.rules.activation import check
from tests.rules.firms import TODAY, customer, deal, firm


def codes(found: Any) -> set[str]:
    return {problem.code for problem in found.problems}


def test_a_sound_deal_becomes_a_plan() -> None:
    """One project per legal entity, tasks and schedule entries for each milestone, a recurring schedule, tax rates."""
    plan = check(deal(), customer(), (), firm()).plan
    assert plan is not None
    assert [(each.legal_entity, each.currency, each.number) for each in plan.projects] == [
        ("US", "USD", "P-0001-US"),
        ("DE", "EUR", "P-0001-DE"),
    ]
    assert plan.customer.entities == ("US", "DE")
    assert {each.legal_entity for each in plan.milestones} == {"US", "DE"}
    assert plan.terms_days == 30
    assert plan.value == (Money.of("500.00", "EUR"), Money.of("2200.00", "USD"))
    assert {(each.kind, str(each.percentage)) for each in plan.tax_rates} == {("domestic", "19"), ("export", "0")}


def test_all_problems_come_at_once() -> None:
    """One case, not one after the other."""
    broken = deal(
        contract=Contract("CON-1", "C1", "draft", "pending", None, TODAY, None, "CASH"),
        contract_type="barter",
        delivery_region=None,
        legal_entity="FR",
        milestones=(),
        services=(),
        phases=(),
        unreadable=("amount: 'ten' is not a number",),
    )
    found = check(broken, customer(country=None), (), firm())
    assert found.plan is None
    assert codes(found) == {
        "country_missing",
        "contract_type",
        "contract_not_approved",
        "contract_not_signed",
        "billing_terms",
        "schedule_missing",
        "unreadable",
        "delivery_region",
        "legal_entity",
    }
    assert all(problem.cure for problem in found.problems)


def test_a_deal_without_customer_is_a_problem() -> None:
    assert "customer_missing" in codes(check(deal(), None, (), firm()))


def test_a_twin_is_a_problem_not_a_second_customer() -> None:
    found = check(deal(), customer(), (customer(id="CUS-2", legal_name="NORTHWIND"),), firm())
    assert codes(found) == {"customer_duplicate"}


@pytest.mark.parametrize(
    ("given", "meaning"), [("Germany", "DE"), ("de", "DE"), ("DEU", "DE"), ("United States", "US"), ("Japan", "JP")]
)
def test_a_country_by_its_exact_name_is_known(given: str, meaning: str) -> None:
    plan = check(deal(), customer(country=None, country_as_given=given), (), firm()).plan
    assert plan is not None
    assert plan.customer.country == meaning


@pytest.mark.parametrize("given", ["Philipines", "Korea", "Atlantis"])
def test_a_country_that_is_only_similar_is_not_guessed(given: str) -> None:
    """Korea is two countries; a misspelling is a person's to correct."""
    found = check(deal(), customer(country=None, country_as_given=given), (), firm())
    assert "country_unknown" in codes(found)


def test_a_misspelling_comes_with_a_suggestion() -> None:
    found = check(deal(), customer(country=None, country_as_given="Philipines"), (), firm())
    assert any("PH Philippines" in problem.message for problem in found.problems)


def test_a_declared_translation_counts_and_is_recorded() -> None:
    known = firm(references={"country": {"Philipines": "PH"}})
    plan = check(deal(), customer(country=None, country_as_given="Philipines", tax_registration=None), (), known).plan
    assert plan is not None
    assert plan.customer.country == "PH"
    assert [(each.given, each.rule) for each in plan.translations] == [("Philipines", "declared")]


def test_a_product_with_the_same_letters_is_the_same_product() -> None:
    known = firm(products=("GTX Pro", "GTX Basic"))
    plan = check(deal(product_as_given="GTXPro"), customer(), (), known).plan
    assert plan is not None
    assert [(each.given, each.meaning) for each in plan.translations] == [("GTXPro", "GTX Pro")]


@pytest.mark.parametrize("given", ["GTX Prox", "GTX", "gtx-plus"])
def test_another_product_is_not_guessed(given: str) -> None:
    known = firm(products=("GTX Pro", "GTX Basic"))
    assert "product_unknown" in codes(check(deal(product_as_given=given), customer(), (), known))


@pytest.mark.parametrize("number", ["DE136695977", "12", "DEXXXXXXXXX"])
def test_a_wrong_tax_number_is_a_problem(number: str) -> None:
    found = check(deal(), customer(tax_registration=TaxRegistration("DE", number)), (), firm())
    assert "tax_registration_invalid" in codes(found)


def test_selling_inside_the_union_needs_a_tax_number() -> None:
    found = check(deal(), customer(country="FR", tax_registration=None), (), firm())
    assert codes(found) == {"tax_registration_missing"}


def test_an_implied_milestone_has_to_be_allowed() -> None:
    """A deal without a statement of work is one milestone for the whole amount only where the firm says so."""
    bare = deal(milestones=(), services=(), phases=())
    assert codes(check(bare, customer(), (), firm())) == {"schedule_missing"}
    plan = check(bare, customer(), (), firm(milestones_may_be_implied=True)).plan
    assert plan is not None
    assert [str(each.amount) for each in plan.milestones] == ["3000.00 USD"]
    nothing = replace(bare, amount=Money.zero("USD"))
    assert codes(check(nothing, customer(), (), firm(milestones_may_be_implied=True))) == {"amount_missing"}


def test_the_same_deal_gives_the_same_plan() -> None:
    """Identities are made of what they are about, so a second run writes the same things."""
    assert check(deal(), customer(), (), firm()) == check(deal(), customer(), (), firm())
