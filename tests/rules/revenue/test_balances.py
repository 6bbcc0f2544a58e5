"""Billed and recognised are two schedules; their difference is an asset or a liability."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import CurrenciesDiffer, Money, total
from accord.rules.revenue.balances import FlowOutsideThePeriods, Flows, roll_forward
from tests.rules.revenue.contracts import MONTHS, usd


def by_month(*amounts: int) -> dict[str, Money]:
    return {period.code: usd(amount) for period, amount in zip(MONTHS, amounts, strict=False)}


def flows(billed: dict[str, Money], recognised: dict[str, Money], **more: dict[str, Money]) -> Flows:
    return Flows(billed, recognised, more.get("unconditional", {}), more.get("refundable", {}))


def test_milestone_billing_against_cost_to_cost() -> None:
    """200,000 billed at signature, then nothing, then 300,000; revenue 150,000, 75,000, 275,000 (features.md 3.4)."""
    found = roll_forward(flows(by_month(200000, 0, 300000), by_month(150000, 75000, 275000)), MONTHS[:3], "USD")
    assert [(each.opening, each.closing, each.contract_asset, each.contract_liability) for each in found] == [
        (usd(0), usd(-50000), usd(0), usd(50000)),
        (usd(-50000), usd(25000), usd(25000), usd(0)),
        (usd(25000), usd(0), usd(0), usd(0)),
    ]
    assert [each.from_opening_liability for each in found] == [usd(0), usd(50000), usd(0)]


def test_what_only_time_keeps_from_billing_is_a_receivable() -> None:
    """Approved time of 40,000 waits for the invoice run; 10,000 more waits for an acceptance."""
    found = roll_forward(flows({}, by_month(50000), unconditional=by_month(40000)), MONTHS[:1], "USD")
    assert (found[0].unbilled_receivable, found[0].contract_asset) == (usd(40000), usd(10000))


def test_a_refundable_retainer_is_owed_until_it_is_worked_off() -> None:
    found = roll_forward(
        flows(by_month(30000), by_month(0, 12000), refundable=by_month(30000, 10000)), MONTHS[:2], "USD"
    )
    assert [(each.refund_liability, each.contract_liability) for each in found] == [
        (usd(30000), usd(0)),
        (usd(10000), usd(8000)),
    ]


def test_an_opening_position_is_carried_on() -> None:
    [found] = roll_forward(flows({}, by_month(500)), MONTHS[:1], "USD", opening=usd(-800))
    assert (found.opening, found.closing, found.from_opening_liability) == (usd(-800), usd(-300), usd(500))


def test_revenue_taken_back_is_not_taken_from_the_liability() -> None:
    [found] = roll_forward(flows({}, by_month(-100)), MONTHS[:1], "USD", opening=usd(-800))
    assert (found.closing, found.from_opening_liability) == (usd(-900), usd(0))


def test_a_flow_outside_the_periods_is_refused() -> None:
    with pytest.raises(FlowOutsideThePeriods, match="billed in 2026-02"):
        roll_forward(flows(by_month(1, 1), {}), MONTHS[:1], "USD")
    with pytest.raises(CurrenciesDiffer):
        roll_forward(flows(by_month(1), {}), MONTHS[:1], "EUR")


AMOUNTS = st.lists(st.integers(-(10**6), 10**6), min_size=12, max_size=12)
BALANCES = st.lists(st.integers(0, 10**6), min_size=12, max_size=12)


@given(AMOUNTS, AMOUNTS, BALANCES, BALANCES)
def test_the_roll_forward_closes(
    billed: list[int], recognised: list[int], unconditional: list[int], refundable: list[int]
) -> None:
    about = flows(
        by_month(*billed),
        by_month(*recognised),
        unconditional=by_month(*unconditional),
        refundable=by_month(*refundable),
    )
    found = roll_forward(about, MONTHS, "USD")
    for before, each in zip((None, *found), found, strict=False):
        assert each.opening == (usd(0) if before is None else before.closing)
        assert each.closing == each.opening + each.recognised - each.billed
        asset, liability = (
            each.contract_asset + each.unbilled_receivable,
            each.contract_liability + each.refund_liability,
        )
        assert asset - liability == each.closing
        assert usd(0) in (asset, liability)
        parts = (each.contract_asset, each.unbilled_receivable, each.contract_liability, each.refund_liability)
        assert all(usd(0) <= part for part in parts)
    assert found[-1].closing == total(about.recognised.values(), "USD") - total(about.billed.values(), "USD")
