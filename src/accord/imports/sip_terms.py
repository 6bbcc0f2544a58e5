"""What the SiP projects are billed by when nobody has bound them: one engagement a project, under the same terms.

The files say nothing of customers, contracts or prices. These are made-up terms, declared so that the hours of a real
firm go all the way into the ledger; docs/how-to/read-time-files.md shows them. Whoever has real terms binds the
projects to real engagements instead (`--bind FILE`).
"""

from __future__ import annotations

from collections.abc import Iterable

from accord.imports.sip_time import SOURCE
from accord.ledger.bindings import Binding, ProjectRow
from accord.model.engagement import Engagement, EngagementProject
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.terms import BillingTerms, RateRow

ENTITY, CURRENCY = "GB", "GBP"
PROJECTS = tuple(f"PC{number}" for number in range(1, 21))
# Pounds an hour by category of the task.
RATES = {"Development": "95.00", "Management": "110.00", "Operational": "75.00"}
# What a firm does for itself: worked, seen in the ledger as not billable, asked of no customer.
OVERHEAD = (
    "Board Meeting",
    "In House Support",
    "Management Meeting",
    "Marketing",
    "Office Management",
    "Staff Management",
    "Staff Recruitment",
    "Training",
)


def engagement_id(project: str) -> str:
    return canonical_id("deal", SOURCE, project)


def customer_id(project: str) -> str:
    return canonical_id("customer", SOURCE, project)


def bindings() -> list[ProjectRow]:
    """Each project bound to the engagement made for it."""
    return [ProjectRow(project, Binding(engagement_id(project), ENTITY)) for project in PROJECTS]


def engagements() -> Iterable[Engagement]:
    """One engagement a project, without a fixed price: all of its work is time and material."""
    for project in PROJECTS:
        yield Engagement(
            id=engagement_id(project),
            number=f"SIP-{project}",
            name=f"SiP project {project}",
            customer_id=customer_id(project),
            projects=(EngagementProject(ENTITY, canonical_id("project", SOURCE, project), f"SIP-{project}"),),
            terms_days=30,
            value=(),
            status="active",
            policy_version=0,
            currency=CURRENCY,
        )


def terms() -> Iterable[BillingTerms]:
    """Time and material by category, without caps; overhead has no price for the customer."""
    rates = tuple(
        RateRow(f"sip-{role.lower()}", Money.of(amount, CURRENCY), role=role, clause="terms declared by the import")
        for role, amount in RATES.items()
    )
    for project in PROJECTS:
        yield BillingTerms(
            engagement_id=engagement_id(project),
            legal_entity=ENTITY,
            version=1,
            currency=CURRENCY,
            customer_id=customer_id(project),
            rates=rates,
            non_billable_tasks=OVERHEAD,
        )
