"""Work as one vendor's record tells it: a day of time, or an expense report of many lines, not bound to anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from accord.model.money import Money

TIME_ENTRY = "time_entry"
EXPENSE = "expense"
# Kinds of vendors' objects that are work: they become entries of the ledger, not records.
TOLD_KINDS = (TIME_ENTRY, EXPENSE)
# A state of its own beside those of `WorkStatus`: nobody has handed it in, so it is no work yet.
DRAFT = "draft"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldLine:
    """One unit of work in a record: what `WorkEntry` needs to know, in the vendor's terms.

    `number` tells the lines of one record apart (None: the record is one unit). `project` is the vendor's id of the
    project, `project_number` what people call it there; either may stand in the reference list `time_project`.
    `project_id` and `deal_id` link to a project or deal that Accord knows in that system. `legal_entity` is the
    project's, where the record says it itself.
    """

    worked_on: date | None = None
    number: int | None = None
    quantity: Decimal | None = None
    cost: Money | None = None
    tax_included: Money | None = None
    project: str | None = None
    project_number: str | None = None
    project_id: str | None = None
    deal_id: str | None = None
    legal_entity: str | None = None
    role: str | None = None
    task: str | None = None
    category: str | None = None
    receipt: str | None = None
    billable: bool = True
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldWork(ToldLine):
    """One record: who worked, where it stands with those who approve it, and its lines; one that is a single unit is
    its own line.

    `record` is what the vendor calls the object, `status` one of `WorkStatus` or `draft`, `worker_entity` the legal
    entity that employs the worker, `born_at` when the vendor made it: an id that is born twice is not the same record.
    """

    id: str
    record: str
    status: str
    worker: str | None = None
    worker_entity: str | None = None
    approver: str | None = None
    submitted_at: str | None = None
    approved_at: str | None = None
    born_at: str | None = None
    lines: tuple[ToldLine, ...] = ()
