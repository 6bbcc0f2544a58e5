"""The engagement: what the platform itself keeps of an activated deal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from accord.model.money import Money


@dataclass(frozen=True, slots=True)
class EngagementProject:
    """One project of an engagement: its legal entity, canonical id and number."""

    legal_entity: str
    project_id: str
    number: str


@dataclass(frozen=True, slots=True)
class Engagement:
    """An activated deal. `id` is the deal's; `status` is active | reopened | cancelled."""

    id: str
    number: str
    name: str
    customer_id: str
    projects: tuple[EngagementProject, ...]
    terms_days: int
    value: tuple[Money, ...]
    status: str
    policy_version: int
    currency: str | None = None
    activated_on: date | None = None
    translations: tuple[str, ...] = ()

    def project_of(self, legal_entity: str) -> EngagementProject | None:
        return next((each for each in self.projects if each.legal_entity == legal_entity), None)


@dataclass(frozen=True, slots=True)
class InvoicePosting:
    """That an invoice stands in the ERP, and the ERP's own id of it. `id` is the invoice's."""

    id: str
    engagement_id: str | None
    erp_id: str | None
