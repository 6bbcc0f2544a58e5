"""Customer master: what sales corrects about a customer reaches the systems that already know it."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.states import Priority
from accord.engine.story import ReadPolicy, Require, effect, keep, process, together
from accord.model import events
from accord.model.customer import Customer
from accord.model.events import Fact
from accord.model.problem import Problem
from accord.processes.billing_steps import with_country
from accord.processes.known import known
from accord.rules.firm import Firm, country_of
from accord.rules.tax import registration_problem


@process(
    starts_on=events.CUSTOMER_CHANGED,
    one_per=lambda fact: f"{fact.subject} {fact.payload['record_version']}",
    priority=Priority.BULK,
)
async def customer_master(changed: Fact) -> dict[str, object]:
    """A customer changed in the CRM is brought up to date in ERP and billing, if they know it."""
    provisioned = await known("provisioned_customer", changed.subject, Customer)
    if provisioned is None:
        return {"known": False}
    customer = await known("customer", changed.subject, Customer)
    if customer is None or customer.id != changed.subject:
        # ERP and billing keep the account: its invoices stay with the customer they were issued to.
        return {"known": True, "changed": False, "merged_into": None if customer is None else customer.id}
    firm = await ReadPolicy("firm", Firm.parse)
    await Require(
        reason="customer_change_refused",
        title=f"The change of {customer.legal_name} cannot be passed on",
        problems=_problems(customer, firm),
        owner="customer master",
        watch=(customer.id,),
    )
    wanted = replace(
        with_country(customer, firm), entities=provisioned.entities, currency=customer.currency or provisioned.currency
    )
    if wanted == provisioned:
        return {"known": True, "changed": False}
    await together(
        effect("erp", "put", "customer", wanted, "Customer brought up to date in the ERP", priority=Priority.BULK),
        effect("billing", "put", "customer", wanted, "Customer brought up to date in billing", priority=Priority.BULK),
    )
    await keep("provisioned_customer", wanted)
    return {"known": True, "changed": True}


def _problems(customer: Customer, firm: Firm) -> tuple[Problem, ...]:
    found = []
    if country_of(firm, customer.country or customer.country_as_given or "") is None:
        message = f"The country {customer.country_as_given!r} is not known."
        found.append(Problem("country_unknown", message, "country", "Correct the country in the CRM."))
    if customer.tax_registration is not None:
        wrong = registration_problem(customer.tax_registration)
        if wrong is not None:
            found.append(Problem("tax_registration_invalid", f"{wrong}.", "tax_registration", "Correct it in the CRM."))
    return tuple(found)
