"""The activation gate: what has to hold before a won opportunity becomes an active project, and the plan once it does.

All problems of a deal are found at once, each with the code, the field and the cure. Nothing is guessed: what is not
declared somewhere is a problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from accord.model.billing import ScheduledMilestone, TaxRate
from accord.model.customer import Customer
from accord.model.deal import Deal, ManagedService, Milestone, Phase
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.problem import Problem
from accord.model.project import Project, Task
from accord.model.recurring import RecurringSchedule
from accord.rules.firm import Firm, LegalEntity, Translation, country_of, country_suggestions, product_of
from accord.rules.tax import rate_for, registration_problem, treatment


@dataclass(frozen=True, slots=True)
class Plan:
    """What activation will create. Projects are one per legal entity; `terms_days` counts from the invoice date."""

    engagement_id: str
    customer: Customer
    projects: tuple[Project, ...]
    phases: tuple[Task, ...]
    milestone_tasks: tuple[Task, ...]
    milestones: tuple[ScheduledMilestone, ...]
    services: tuple[RecurringSchedule, ...]
    tax_rates: tuple[TaxRate, ...]
    terms_days: int
    value: tuple[Money, ...]
    translations: tuple[Translation, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """The gate's answer: a plan, or every problem."""

    plan: Plan | None
    problems: tuple[Problem, ...]


def check(deal: Deal, customer: Customer | None, twins: tuple[Customer, ...], firm: Firm) -> Checked:
    """Check a won deal against the firm's policy. `twins` are other customers with the same name or tax number."""
    findings = _Findings(deal, firm)
    known = findings.customer(customer, twins)
    findings.contract()
    findings.statement_of_work()
    findings.routing()
    if findings.problems or known is None:
        return Checked(None, tuple(findings.problems))
    return Checked(_plan(deal, known, firm, tuple(findings.translations)), ())


class _Findings:
    """Collects problems and translations of one deal."""

    def __init__(self, deal: Deal, firm: Firm) -> None:
        self.deal = deal
        self.firm = firm
        self.problems: list[Problem] = []
        self.translations: list[Translation] = []

    def problem(self, code: str, message: str, field: str, cure: str) -> None:
        self.problems.append(Problem(code, message, field, cure))

    def customer(self, customer: Customer | None, twins: tuple[Customer, ...]) -> Customer | None:
        if customer is None:
            self.problem(
                "customer_missing", "The deal has no customer account.", "customer_id", "Link an account in the CRM."
            )
            return None
        for twin in twins:
            message = f"{customer.legal_name!r} may be the same customer as {twin.legal_name!r} ({twin.id})."
            self.problem(
                "customer_duplicate", message, "customer_id", "Merge the accounts in the CRM, or declare them distinct."
            )
        customer = self._country(customer)
        self._tax_registration(customer)
        return customer

    def _country(self, customer: Customer) -> Customer:
        given = customer.country or customer.country_as_given
        if not given:
            self.problem(
                "country_missing", "The customer has no country.", "country", "Enter the billing country in the CRM."
            )
            return customer
        found = country_of(self.firm, given)
        if found is None:
            hints = ", ".join(country_suggestions(given)) or "none found"
            message = f"The country {given!r} is not known (it may mean: {hints})."
            cure = f"Correct the account in the CRM, or declare what {given!r} means in the reference list `country`."
            self.problem("country_unknown", message, "country", cure)
            return customer
        if found.rule not in ("ISO 3166 code", "ISO 3166 name"):
            self.translations.append(found)
        return replace(customer, country=found.meaning)

    def _tax_registration(self, customer: Customer) -> None:
        registration = customer.tax_registration
        if registration is not None:
            wrong = registration_problem(registration)
            if wrong is not None:
                self.problem(
                    "tax_registration_invalid", f"{wrong}.", "tax_registration", "Correct the tax number in the CRM."
                )
            return
        for code in self._entity_codes():
            entity = self.firm.entities.get(code)
            if entity is not None and self._needs_registration(entity, customer):
                message = f"Selling from {entity.code} to {customer.country} needs the customer's tax number."
                self.problem(
                    "tax_registration_missing", message, "tax_registration", "Enter the tax number in the CRM."
                )
                return

    def _needs_registration(self, entity: LegalEntity, customer: Customer) -> bool:
        if customer.country == entity.country:
            return entity.tax_number_required_at_home
        return entity.union is not None and customer.country in self.firm.unions.get(entity.union, ())

    def contract(self) -> None:
        deal, contract = self.deal, self.deal.contract
        if deal.contract_type not in self.firm.contract_types:
            allowed = ", ".join(self.firm.contract_types)
            message = f"The contract type {deal.contract_type!r} is not one of {allowed}."
            self.problem("contract_type", message, "contract_type", "Choose a contract type in the CRM.")
        if contract is None:
            self.problem("contract_missing", "The deal has no contract.", "contract", "Link the contract in the CRM.")
            return
        if contract.approval != "approved":
            message = f"The contract is not approved (it is {contract.approval or 'not submitted'})."
            self.problem("contract_not_approved", message, "contract.approval", "Have the contract approved.")
        if contract.signed_on is None or contract.status != "activated":
            message = "The contract is not signed and activated."
            self.problem(
                "contract_not_signed",
                message,
                "contract.signed_on",
                "Enter the signature date and activate the contract.",
            )
        if contract.billing_terms not in self.firm.terms:
            allowed = ", ".join(self.firm.terms)
            message = f"The billing terms {contract.billing_terms!r} are not one of {allowed}."
            self.problem("billing_terms", message, "contract.billing_terms", "Choose billing terms on the contract.")

    def statement_of_work(self) -> None:
        deal = self.deal
        for each in deal.unreadable:
            self.problem(
                "unreadable", f"A value cannot be understood: {each}.", each.split(":")[0], "Correct it in the CRM."
            )
        if deal.product_as_given and self.firm.products:
            found = product_of(self.firm, deal.product_as_given)
            if found is None:
                message = f"The product {deal.product_as_given!r} is not in the catalogue."
                cure = "Correct it in the CRM, or declare what it means in the reference list `product`."
                self.problem("product_unknown", message, "product_as_given", cure)
            elif found.rule != "catalogue":
                self.translations.append(found)
        if not deal.milestones and not deal.services:
            self._implied_milestone()

    def _implied_milestone(self) -> None:
        deal = self.deal
        if not self.firm.milestones_may_be_implied:
            message = "The statement of work has neither milestones nor recurring services."
            self.problem("schedule_missing", message, "milestones", "Enter the statement of work in the CRM.")
        elif deal.amount is None or deal.amount.amount <= 0:
            message = f"The amount of the deal is {deal.amount}: there is nothing to bill."
            self.problem("amount_missing", message, "amount", "Enter the amount of the deal in the CRM.")

    def routing(self) -> None:
        if self.deal.delivery_region not in self.firm.regions:
            allowed = ", ".join(self.firm.regions)
            message = f"The delivery region {self.deal.delivery_region!r} is not one of {allowed}."
            self.problem("delivery_region", message, "delivery_region", "Choose a delivery region in the CRM.")
        unknown = sorted(code or "(none)" for code in self._entity_codes() if code not in self.firm.entities)
        for code in unknown:
            message = f"{code} is not a legal entity of the firm."
            self.problem(
                "legal_entity", message, "legal_entity", "Choose the legal entity on deal and statement of work."
            )

    def _entity_codes(self) -> list[str]:
        deal = self.deal
        parts: tuple[Milestone | ManagedService | Phase, ...] = (*deal.milestones, *deal.services, *deal.phases)
        codes = {deal.entity_of(each) for each in parts}
        return sorted(codes or {deal.legal_entity or ""})


def _plan(deal: Deal, customer: Customer, firm: Firm, translations: tuple[Translation, ...]) -> Plan:
    milestones = deal.milestones or _implied(deal, firm)
    contract = deal.contract
    terms_days = firm.terms[contract.billing_terms or ""] if contract is not None else 0
    parts: tuple[Milestone | ManagedService | Phase, ...] = (*milestones, *deal.services, *deal.phases)
    # The lead entity first: its project is the one sales is told of.
    codes = sorted({deal.entity_of(each) for each in parts}, key=lambda code: (code != deal.legal_entity, code))
    customer = replace(
        customer,
        entities=tuple(codes),
        currency=customer.currency or firm.entities[deal.legal_entity or codes[0]].currency,
        payment_terms_days=terms_days,
    )
    rates = {code: rate_for(firm.entities[code], treatment(firm, firm.entities[code], customer)) for code in codes}
    projects = {code: _project(deal, customer, code, milestones) for code in codes}
    scheduled = tuple(_scheduled(deal, customer, each) for each in milestones)
    return Plan(
        engagement_id=deal.id,
        customer=customer,
        projects=tuple(projects[code] for code in codes),
        phases=tuple(_phase_task(each, projects[deal.entity_of(each)]) for each in deal.phases),
        milestone_tasks=tuple(_milestone_task(each, projects[deal.entity_of(each)]) for each in milestones),
        milestones=scheduled,
        services=tuple(_recurring(deal, customer, each, terms_days, rates) for each in deal.services),
        tax_rates=tuple({rate.id: rate for rate in rates.values()}.values()),
        terms_days=terms_days,
        value=_value(deal, milestones),
        translations=translations,
    )


def _implied(deal: Deal, firm: Firm) -> tuple[Milestone, ...]:
    """A fixed-fee deal without a statement of work is one milestone for the whole amount, when the firm allows it."""
    if not firm.milestones_may_be_implied or deal.services or deal.amount is None:
        return ()
    about = canonical_id("milestone", deal.id, "whole")
    return (
        Milestone(
            id=about, name=deal.name, amount=deal.amount, planned_on=deal.closes_on, legal_entity=deal.legal_entity
        ),
    )


def _project(deal: Deal, customer: Customer, code: str, milestones: tuple[Milestone, ...]) -> Project:
    phases = [phase for phase in deal.phases if deal.entity_of(phase) == code]
    starts = [day for day in (*(phase.starts_on for phase in phases), deal.closes_on) if day is not None]
    ends = [phase.ends_on for phase in phases if phase.ends_on is not None]
    parts: tuple[Milestone | ManagedService, ...] = (*milestones, *deal.services)
    currencies = {_amount_of(each).currency for each in parts if deal.entity_of(each) == code}
    return Project(
        id=canonical_id("project", deal.id, code),
        number=f"P-{deal.number}-{code}",
        name=f"{deal.name} ({code})"[:80],
        engagement_id=deal.id,
        customer_id=customer.id,
        legal_entity=code,
        currency=min(currencies) if currencies else (deal.currency or ""),
        status="active",
        delivery_region=deal.delivery_region,
        starts_on=min(starts) if starts else None,
        ends_on=max(ends) if ends else None,
    )


def _amount_of(part: Milestone | ManagedService) -> Money:
    return part.monthly if isinstance(part, ManagedService) else part.amount


def _phase_task(phase: Phase, project: Project) -> Task:
    return Task(
        id=canonical_id("task", phase.id),
        project_id=project.id,
        name=phase.name,
        starts_on=phase.starts_on,
        ends_on=phase.ends_on,
    )


def _milestone_task(milestone: Milestone, project: Project) -> Task:
    parent = None if milestone.phase_id is None else canonical_id("task", milestone.phase_id)
    return Task(
        id=canonical_id("task", milestone.id),
        project_id=project.id,
        parent_id=parent,
        name=milestone.name,
        ends_on=milestone.planned_on,
        milestone_id=milestone.id,
        amount=milestone.amount,
    )


def _scheduled(deal: Deal, customer: Customer, milestone: Milestone) -> ScheduledMilestone:
    return ScheduledMilestone(
        id=milestone.id,
        engagement_id=deal.id,
        customer_id=customer.id,
        legal_entity=deal.entity_of(milestone),
        name=milestone.name,
        amount=milestone.amount,
        planned_on=milestone.planned_on,
    )


def _recurring(
    deal: Deal, customer: Customer, service: ManagedService, terms_days: int, rates: dict[str, TaxRate]
) -> RecurringSchedule:
    code = deal.entity_of(service)
    return RecurringSchedule(
        id=canonical_id("subscription", service.id),
        engagement_id=deal.id,
        customer_id=customer.id,
        legal_entity=code,
        name=service.name,
        monthly=service.monthly,
        starts_on=service.starts_on,
        months=service.months,
        terms_days=terms_days,
        tax_rate_id=rates[code].id,
    )


def _value(deal: Deal, milestones: tuple[Milestone, ...]) -> tuple[Money, ...]:
    """What the contract is worth, by currency."""
    sums: dict[str, Money] = {}
    for amount in (*(each.amount for each in milestones), *(each.monthly.times(each.months) for each in deal.services)):
        sums[amount.currency] = sums.get(amount.currency, Money.zero(amount.currency)) + amount
    return tuple(sums[currency] for currency in sorted(sums))


def due_on(issued_on: date, terms_days: int) -> date:
    """When an invoice is due: terms counted in calendar days from the invoice date."""
    return date.fromordinal(issued_on.toordinal() + terms_days)
