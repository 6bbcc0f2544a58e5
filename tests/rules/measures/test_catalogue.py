"""Measures have names that mean one thing."""

import pytest

from accord.rules.measures.catalogue import DEFINITIONS, history


def test_every_measure_of_the_list_is_there() -> None:
    """features.md 3.3, and the burn of caps of 3.2."""
    names = {each.name for each in DEFINITIONS.values()}
    assert names == {
        "ageing",
        "activation_time",
        "approval_latency",
        "available_hours",
        "average_days_delinquent",
        "backlog",
        "book_to_bill",
        "cap",
        "collection_effectiveness",
        "direct_cost",
        "dispute_cycle",
        "dispute_rate",
        "disputes_upheld",
        "dso",
        "effective_rate",
        "first_pass_yield",
        "invoice_accuracy",
        "invoice_latency",
        "leakage",
        "lock_up",
        "margin",
        "margin_erosion",
        "money_hours",
        "realization",
        "standard_value",
        "sync_failure_rate",
        "time_to_resolve",
        "utilization",
        "wip",
        "wip_days",
        "work_to_cash",
    }


@pytest.mark.parametrize("id", DEFINITIONS)
def test_a_definition_says_its_formula_and_inputs(id: str) -> None:
    found = DEFINITIONS[id]
    assert found.formula
    assert found.inputs
    assert found.version >= 1
    assert id == f"{found.name}.{found.variant}@{found.version}"


def test_the_versions_of_a_variant_are_told_in_order() -> None:
    assert [each.id for each in history("utilization", "billable")] == ["utilization.billable@1"]
    assert history("utilization", "wished for") == []
