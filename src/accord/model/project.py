"""The project as delivery knows it: one project per legal entity of an engagement, with its tasks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from accord.model.money import Money


@dataclass(frozen=True, slots=True)
class Project:
    """A project of one legal entity. `number` is given by the platform and unique in the ERP."""

    id: str
    number: str
    name: str
    engagement_id: str
    customer_id: str
    legal_entity: str
    currency: str
    status: str
    delivery_region: str | None = None
    starts_on: date | None = None
    ends_on: date | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A phase or a milestone of a project (a milestone has a price and is approved in the ERP)."""

    id: str
    project_id: str
    name: str
    parent_id: str | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    milestone_id: str | None = None
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class MilestoneApproval:
    """What the ERP says of one milestone's acceptance. `id` is the canonical id of the milestone."""

    id: str
    approved: bool
    approved_on: date | None = None
    approved_by: str | None = None
