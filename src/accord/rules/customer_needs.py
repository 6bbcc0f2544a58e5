"""What a customer needs in ERP and billing, told from all deals it has won with us and not from the one at hand.

Deals of one customer that are won together each write the customer. Were each to write its own legal entities and
terms, the later write would take back what the earlier one needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from accord.model.customer import Customer
from accord.rules.firm import Firm


@dataclass(frozen=True, slots=True)
class Need:
    """One legal entity that delivers a won deal of a customer; `leads` when it is the lead entity of such a deal.
    `billing_terms` are those of the customer's newest signed deal, as sales wrote them, the same in each need."""

    legal_entity: str
    leads: bool = False
    billing_terms: str | None = None


def with_needs(customer: Customer, needs: Iterable[Need], firm: Firm) -> Customer:
    """The customer as every one of its deals writes it: lead entities first, then by code; what the firm does not
    declare is left out, and the deal that names it is held by its own gate."""
    declared = [each for each in needs if each.legal_entity in firm.entities]
    if not declared:
        return customer
    leads = {each.legal_entity for each in declared if each.leads}
    codes = leads | {each.legal_entity for each in declared} | set(customer.entities)
    terms = next((each.billing_terms for each in declared if each.billing_terms in firm.terms), None)
    return replace(
        customer,
        entities=tuple(sorted(codes, key=lambda code: (code not in leads, code))),
        payment_terms_days=customer.payment_terms_days if terms is None else firm.terms[terms],
    )
