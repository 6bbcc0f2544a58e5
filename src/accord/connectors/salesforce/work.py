"""Time and expenses that a firm keeps in custom objects of its own, on the CRM side or in a PSA built on it. Read only.

Which objects they are is said by the settings, `work: {"time_entry": "Time_Entry__c", "expense": "Expense__c"}`;
without a word about one it is not read. Their fields are renamed like any others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from accord.connect.connector import Changed, GetMany, Observed, Page, Resource, Watermark
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import (
    Row,
    choice,
    day,
    decimal,
    flag,
    instant,
    key,
    link,
    money,
    text,
    version,
)
from accord.connect.observation import observed
from accord.connect.session import Session
from accord.connect.work_asked import work_asked
from accord.connectors.salesforce import flat
from accord.connectors.salesforce.customers import is_true, modified_by
from accord.connectors.salesforce.naming import named
from accord.connectors.salesforce.soql import Record, moment
from accord.model.told_work import EXPENSE, TIME_ENTRY, ToldWork

STATUSES = {
    "Draft": "draft", "Saved": "draft", "Submitted": "submitted", "Approved": "approved", "Rejected": "rejected",
    "Recalled": "recalled",
}  # fmt: skip
SETTLED_AFTER = timedelta(minutes=10)  # by then a row is seen, even if the org's clock is minutes behind
OBJECTS = {TIME_ENTRY: "Time_Entry__c", EXPENSE: "Expense__c"}


def _shared(statuses: Mapping[str, str] = STATUSES) -> tuple[Row, ...]:
    return (
        key("Id"),
        version("SystemModstamp"),
        choice("status", "Status__c", dict(statuses), required=True, access="read"),
        text("worker", "Worker__r.Name", access="read"),
        text("worker_entity", "Worker_Entity__c", access="read"),
        day("worked_on", "Work_Date__c", required=True, access="read"),
        text("project", "Project__c", access="read"),
        link("deal_id", "Opportunity__c", kind="deal", access="read"),
        text("legal_entity", "Legal_Entity__c", access="read"),
        text("task", "Task__c", access="read"),
        flag("billable", "Billable__c", default=True, access="read"),
        text("note", "Notes__c", access="read"),
        text("approver", "Approved_By__r.Name", access="read"),
        instant("submitted_at", "Submitted_At__c", access="read"),
        instant("approved_at", "Approved_At__c", access="read"),
        instant("born_at", "CreatedDate", access="read"),
    )


TIME = Table(
    "salesforce.time_entry", TIME_ENTRY, "Time", of=ToldWork,
    rows=(
        *_shared(),
        decimal("quantity", "Hours__c", places=6, required=True, access="read"),
        text("role", "Role__c", access="read"),
    ),
)  # fmt: skip
SPENT = Table(
    "salesforce.expense", EXPENSE, "Expense", of=ToldWork,
    rows=(
        *_shared(),
        text("category", "Category__c", access="read"),
        money("cost", "Amount__c", currency_at="CurrencyIsoCode", required=True, access="read"),
        money("tax_included", "Tax_Included__c", currency_at="CurrencyIsoCode", access="read"),
        text("receipt", "Receipt__c", access="read"),
    ),
)  # fmt: skip


def object_of(config: Mapping[str, Any], kind: str) -> str | None:
    """The custom object that holds a kind of work; a list of kinds takes our own names; None when it is not read."""
    asked = work_asked(config)
    return asked[kind] or OBJECTS[kind] if kind in asked else None


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work as the connector reads it."""

    table: Table

    def resource(self) -> Resource:
        kind = self.table.kind
        get: GetMany = self.get
        changed: Changed = self.changed
        wanted: Callable[[Mapping[str, Any]], bool] = lambda config: object_of(config, kind) is not None  # noqa: E731
        return Resource(kind, self.table.label, get=get, changed=changed, mapping=self.table, wanted=wanted)

    async def get(self, session: Session, ids: Sequence[str]) -> Sequence[Observed]:
        """Records by id, those in the recycle bin as tombstones; what is purged is left out. Raises CallFailed."""
        table = self._named(session)
        return await flat.by_id(session, self._select(session, table), ids, lambda record: self._read(table, record))

    async def changed(self, session: Session, since: Watermark | None) -> AsyncIterator[Page]:
        """Records changed since the watermark, oldest change first. Raises CallFailed.

        At the end the watermark moves on to what is settled, or every poll would read the last mass approval again.
        """
        table = self._named(session)
        name, select = self._object(session), self._select(session, table)
        settled = (session.now() - SETTLED_AFTER).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        async for page in flat.since(session, select, name, since, lambda record: self._read(table, record)):
            since = page.watermark or since
            yield page
        if since is None or since.at < settled:
            yield Page((), Watermark(settled))

    def _object(self, session: Session) -> str:
        return object_of(session.config, self.table.kind) or OBJECTS[self.table.kind]

    def _named(self, session: Session) -> Table:
        own = named(session, self.table)
        statuses = (session.config.get("statuses") or {}).get(self.table.kind)
        if not statuses:
            return own
        row = next(each for each in own.rows if each.field == "status")
        return own.with_rows(choice("status", row.vendor, dict(statuses), required=True, access="read"))

    def _select(self, session: Session, table: Table) -> str:
        fields = dict.fromkeys((*table.fields(), "IsDeleted", "LastModifiedBy.Name"))
        return f"SELECT {', '.join(fields)} FROM {self._object(session)}"

    def _read(self, table: Table, record: Record) -> Observed:
        seen = observed(table, record)
        return replace(
            seen,
            version=moment(seen.version),
            body={**seen.body, "record": str((record.get("attributes") or {}).get("type") or table.label)},
            deleted=is_true(record.get("IsDeleted")),
            modified_by=modified_by(record),
        )


RESOURCES = (Work(TIME).resource(), Work(SPENT).resource())
