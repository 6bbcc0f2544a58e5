"""Projects (job) and their tasks (projectTask): phases, and milestones that are approved in NetSuite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import choice, day, key, money, text
from accord.connectors.netsuite.calls import reference
from accord.connectors.netsuite.chart import Chart
from accord.connectors.netsuite.writing import Fields, Upsert
from accord.engine.outcomes import Write
from accord.model.project import Project, Task

LONGEST_NAME = 83  # companyName of a customer or project, entityId (record browser 2026.1)
STATUSES = {"2": "active", "4": "planned", "1": "closed", "3": "cancelled"}
PROJECT = Table(
    "netsuite.project", "project", "Project (job)", of=Project,
    rows=(
        key("id"),
        text("number", "entityId", required=True, max_length=LONGEST_NAME),
        text("name", "companyName", required=True, max_length=LONGEST_NAME, cut=True),
        text("engagement_id", "custentity_accord_engagement", required=True),
        text("delivery_region", "custentity_delivery_region", clears=True),
        choice("status", "entityStatus.id", STATUSES, required=True),
        day("starts_on", "startDate", clears=True),
        day("ends_on", "projectedEndDate", clears=True),
    ),
)  # fmt: skip
TASK = Table(
    "netsuite.task", "task", "Project task", of=Task,
    rows=(
        key("id"),
        text("name", "title", required=True, max_length=256, cut=True),
        text("milestone_id", "custevent_accord_milestone"),
        money("amount", "custevent_milestone_amount", currency_at="custevent_milestone_currency"),
        day("starts_on", "startDateTime", "instant", clears=True),
        day("ends_on", "endDate", clears=True),
    ),
)  # fmt: skip


def _project(write: Write, chart: Chart, fields: Fields, _: Mapping[str, Any]) -> None:
    fields["parent"] = reference(write, write.body["customer_id"])
    fields["subsidiary"] = chart.subsidiary(write.body["legal_entity"])
    fields["currency"] = chart.currency(write.body["currency"])


def _task(write: Write, _: Chart, fields: Fields, __: Mapping[str, Any]) -> None:
    fields["project"] = reference(write, write.body["project_id"])
    if write.body.get("parent_id") is not None:
        fields["parent"] = reference(write, write.body["parent_id"])


PROJECTS = Upsert("job", PROJECT, _project)
TASKS = Upsert("projectTask", TASK, _task)
