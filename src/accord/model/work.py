"""Work as the systems that keep it tell it: time, expenses and usage, each a revision of one source record."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from accord.model.money import Money


class WorkKind(StrEnum):
    TIME = "time"
    EXPENSE = "expense"
    USAGE = "usage"


class WorkStatus(StrEnum):
    """Where a record stands with those who approve it. Only `approved` work has a price.

    `recalled` is an approval taken back; `deleted` a record its source no longer has (a tombstone, never a guess).
    """

    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"
    RECALLED = "recalled"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class WorkEntry:
    """One revision of one record of time, expense or usage.

    `id` is canonical, made of the source and its key; `revision` counts from 1 and grows whenever the source changes
    what it says. `quantity` is in hours for time, in `unit` for usage and 1 for an expense, whose `cost` is what was
    spent, tax included. `engagement_id` and `legal_entity` (the project's) are None until the record is bound.
    `worker_entity` is the legal entity that employs the worker. `approved_at` is ISO text, aware. `recorded_as` names
    file and line, or the vendor's record, for the explanation of a line.
    """

    id: str
    revision: int
    kind: WorkKind
    source: str
    source_key: str
    status: WorkStatus
    worked_on: date
    quantity: Decimal
    engagement_id: str | None = None
    legal_entity: str | None = None
    worker: str | None = None
    worker_entity: str | None = None
    role: str | None = None
    task: str | None = None
    unit: str = "h"
    category: str | None = None
    cost: Money | None = None
    tax_included: Money | None = None
    receipt: str | None = None
    billable: bool = True
    note: str | None = None
    approver: str | None = None
    submitted_at: str | None = None
    approved_at: str | None = None
    recorded_as: str | None = None


@dataclass(frozen=True, slots=True)
class WorkProblem:
    """A record of work that cannot be taken: `reason` is stable, for counting and for one case per reason and source.

    `where` is the file and line, or the vendor's record; `hours` what it says, as far as it can be read.
    """

    reason: str
    message: str
    where: str
    cure: str
    hours: Decimal | None = None
    given: dict[str, str] = field(default_factory=dict)
