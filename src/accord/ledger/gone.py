"""Entries that their source has no more: the revision that says so, with all that was said before."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from accord.engine.shell import Connection
from accord.model.money import Money
from accord.model.work import WorkEntry, WorkKind, WorkStatus

# Of `work_entry w`, in the order `deleted` takes them.
COLUMNS = """w.id, w.revision, w.kind, w.source, w.source_key, w.worked_on, w.quantity, w.engagement, w.legal_entity,
    w.worker, w.worker_entity, w.role, w.task, w.unit, w.category, w.billable, w.note, w.approver, w.submitted_at,
    w.cost, w.cost_currency, w.tax_included, w.receipt"""
OF = f"SELECT {COLUMNS} FROM work_entry w WHERE w.id = ANY(%(ids)s) AND w.current AND w.status <> 'deleted'"


async def deleted_of(db: Connection, ids: Collection[str], recorded_as: str) -> list[WorkEntry]:
    """What to take of these entries, which are gone; of those that were told as deleted before, nothing."""
    if not ids:
        return []
    rows = await (await db.execute(OF, {"ids": sorted(ids)})).fetchall()
    return [deleted(row, recorded_as) for row in rows]


def deleted(row: tuple[Any, ...], recorded_as: str) -> WorkEntry:
    """The revision that says that the entry of a row of `COLUMNS` is gone."""
    id, revision, kind, source, key, worked_on, quantity, engagement, entity, worker, worker_entity = row[:11]
    role, task, unit, category, billable, note, approver, submitted_at, cost, currency, tax, receipt = row[11:]
    return WorkEntry(
        id=id,
        revision=revision + 1,
        kind=WorkKind(kind),
        source=source,
        source_key=key,
        status=WorkStatus.DELETED,
        worked_on=worked_on,
        quantity=quantity,
        engagement_id=engagement,
        legal_entity=entity,
        worker=worker,
        worker_entity=worker_entity,
        role=role,
        task=task,
        unit=unit,
        category=category,
        cost=None if cost is None else Money.of(cost, currency),
        tax_included=None if tax is None else Money.of(tax, currency),
        receipt=receipt,
        billable=billable,
        note=note,
        approver=approver,
        submitted_at=None if submitted_at is None else submitted_at.isoformat(),
        recorded_as=recorded_as,
    )
