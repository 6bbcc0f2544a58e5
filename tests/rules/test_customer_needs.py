"""What a customer's deals need together: legal entities and terms that do not depend on which deal asks."""

from __future__ import annotations

from accord.rules.customer_needs import Need, with_needs
from tests.rules.firms import customer, firm


def test_every_deal_of_a_customer_writes_the_same_entities_and_terms() -> None:
    needs = [Need("US", billing_terms="NET45"), Need("DE", leads=True, billing_terms="NET45")]
    written = {with_needs(customer(entities=own), needs, firm()) for own in (("US",), ("DE",))}
    assert {each.entities for each in written} == {("DE", "US")}
    assert {each.payment_terms_days for each in written} == {45}
    assert len(written) == 1


def test_what_the_firm_does_not_declare_is_left_to_the_gate_of_its_deal() -> None:
    needs = [Need("US", leads=True, billing_terms="as agreed"), Need("Atlantis", billing_terms="as agreed")]
    known = customer(entities=("US",), payment_terms_days=30)
    assert with_needs(known, needs, firm()) == known
