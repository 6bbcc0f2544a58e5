"""A loss is provided for as soon as it is seen."""

from dataclasses import replace

import pytest

from accord.model.money import Money
from accord.rules.revenue.onerous import Framework, Outlook, provision
from tests.rules.revenue.contracts import usd

WORKED = Outlook(usd(500000), usd("166666.67"), usd(180000), usd(360000))


@pytest.mark.parametrize("framework", Framework)
def test_the_worked_onerous_contract(framework: Framework) -> None:
    """features.md 3.4: of a loss of 40,000, 13,333.33 is in the margin and 26,666.67 is provided for."""
    found = provision(WORKED, framework)
    assert (found.expected_loss, found.in_margin, found.provision) == (
        usd(40000),
        usd("13333.33"),
        usd("26666.67"),
    )
    assert found.in_margin + found.provision == found.expected_loss


def test_a_service_contract_is_outside_the_american_rule_and_says_so() -> None:
    found = provision(replace(WORKED, in_scope=False), Framework.US_GAAP)
    assert (found.expected_loss, found.provision) == (usd(40000), usd(0))
    assert "does not cover" in found.told
    assert provision(replace(WORKED, in_scope=False), Framework.IFRS).provision == usd("26666.67")


def test_leaving_may_be_cheaper_under_ifrs() -> None:
    cheaper = replace(WORKED, exit_cost=usd(20000))
    assert provision(cheaper, Framework.IFRS).provision == usd(20000)
    assert provision(cheaper, Framework.US_GAAP).provision == usd("26666.67")
    assert provision(replace(WORKED, exit_cost=usd(30000)), Framework.IFRS).provision == usd("26666.67")


@pytest.mark.parametrize("framework", Framework)
def test_a_profitable_contract_has_none(framework: Framework) -> None:
    found = provision(Outlook(usd(500000), usd(225000), usd(180000), usd(220000)), framework)
    assert (found.expected_loss, found.provision) == (usd(0), usd(0))


def test_revenue_ahead_of_cost_can_make_the_rest_onerous_under_ifrs_alone() -> None:
    """Hours said 80 %; the last fifth costs 130 against 100 still to earn, though the whole earns 20."""
    outlook = Outlook(usd(500), usd(400), usd(350), usd(130))
    assert provision(outlook, Framework.IFRS).provision == usd(30)
    assert provision(outlook, Framework.US_GAAP).provision == usd(0)


def test_a_loss_already_in_the_margin_needs_no_more() -> None:
    """Cost ran ahead of revenue: 60 of cost against 0 of revenue hold more than the loss of 40."""
    found = provision(Outlook(usd(100), usd(0), usd(60), usd(80)), Framework.US_GAAP)
    assert (found.expected_loss, found.in_margin, found.provision) == (usd(40), usd(40), usd(0))


def test_yen_are_whole() -> None:
    yen = [Money.of(each, "JPY") for each in (100, 33, 50, 100)]
    assert str(provision(Outlook(*yen), Framework.US_GAAP).provision) == "33 JPY"
