"""Expense reports: the report is approved, each of its lines is one expense, of a project and in a currency of its own.

Which reports changed is asked by SuiteQL, in one query a page; what is in them by the record API, one call a report,
because only there a line has the fields that are documented (vendors.md 2.6). A line is known by its number in the
report: other lines keep theirs when one is taken out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any

from accord.connect.connector import Observed, Page, Resource, Watermark
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import choice, coded, day, flag, instant, key, link, money, nested, number, text
from accord.connect.observation import observed
from accord.connect.session import Session
from accord.connectors.netsuite import recent, told
from accord.connectors.netsuite.calls import Json, address, find
from accord.connectors.netsuite.chart import Chart, chart_of
from accord.model.told_work import EXPENSE, ToldWork

STATUSES = {
    "A": "draft", "B": "submitted", "C": "submitted", "D": "rejected", "E": "rejected", "F": "approved",
    "G": "approved", "H": "rejected", "I": "approved", "J": "approved", "V": "deleted",
}  # fmt: skip
ATTACHED = "attached"  # NetSuite says that there is a receipt, not which
READ_AT_ONCE = 50  # reports a page of ours; how many of its calls run together the budget says

REPORT = Table(
    "netsuite.expense", EXPENSE, "Expense report (expenseReport)", of=ToldWork, sparse=True,
    rows=(
        key("id"),
        choice("status", "status.id", STATUSES, required=True, access="read"),
        text("worker", "worker", access="read"),
        text("worker_entity", "worker_subsidiary", access="read"),
        text("approver", "custbody_accord_approved_by", access="read"),
        instant("approved_at", "custbody_accord_approved_at", access="read"),
        instant("born_at", "createdDate", access="read"),
        nested(
            "lines", "expense.items",
            (
                number("number", "line", required=True, access="read"),
                day("worked_on", "expenseDate", required=True, access="read"),
                text("project", "customer.id", access="read"),
                text("project_number", "customer.refName", access="read"),
                link("project_id", "customer.id", kind="project", access="read"),
                text("task", "projectTask.refName", access="read"),
                text("category", "category.refName", access="read"),
                money("cost", "foreignAmount", currency_at="currency.iso", required=True, access="read"),
                money("tax_included", "taxAmount", currency_at="currency.iso", access="read"),
                flag("billable", "isBillable", default=False, access="read"),
                coded("receipt", "receipt", lambda given: ATTACHED if given is True else None, bool, (ATTACHED,),
                      access="read"),
                text("note", "memo", access="read"),
            ),
            many=True, access="read",
        ),
    ),
)  # fmt: skip


async def changed(session: Session, watermark: Watermark | None) -> AsyncIterator[Page]:
    """Reports changed or deleted since the watermark, oldest first. Raises CallFailed."""

    async def read(since: Watermark | None) -> told.Changes:
        size = min(READ_AT_ONCE, recent.page_size(session))
        async for found, reached in recent.rows_since(session, since, _query, of="t.", size=size):
            yield await _read(session, found), reached

    async for page in told.changes(session, watermark, EXPENSE, read):
        yield page


async def get(session: Session, vendor_ids: Sequence[str]) -> Sequence[Observed]:
    """Reports read again by NetSuite's id; a deleted one comes as a tombstone, one merely missing is left out."""
    rows = await recent.rows_of(session, vendor_ids, _query, id="t.id")
    found: list[Observed] = []
    for start in range(0, len(rows), READ_AT_ONCE):
        found += await _read(session, rows[start : start + READ_AT_ONCE])
    return await told.missing(session, EXPENSE, vendor_ids, found)


async def present(session: Session, vendor_ids: Sequence[str]) -> Sequence[str]:
    """Which of these reports are there, in one query instead of a call each."""
    return [str(row["id"]) for row in await recent.rows_of(session, vendor_ids, _query, id="t.id")]


def _query(test: str) -> str:
    worker = ", ".join(f"{column} AS {name}" for name, column in told.WORKER.items())
    return (
        f"SELECT t.id, {worker}, TO_CHAR(t.lastmodifieddate, {recent.FORM}) AS modified FROM transaction t "
        f"LEFT JOIN employee e ON e.id = t.entity WHERE t.type = 'ExpRept' AND {test} "
        "ORDER BY t.lastmodifieddate, t.id"
    )


async def _read(session: Session, rows: Iterable[Json]) -> list[Observed]:
    """The whole reports; one that was deleted since is left to the next look at deletions."""
    chart = await chart_of(session)
    heads = list(rows)
    paths = [address("expenseReport", str(row["id"]), "") for row in heads]
    records = await asyncio.gather(*(find(session, "expenseReport", path, lines=True) for path in paths))
    return [
        _observed(session, chart, row, record) for row, record in zip(heads, records, strict=True) if record is not None
    ]


def _observed(session: Session, chart: Chart, row: Json, record: Json) -> Observed:
    listed = [_with_currency(chart, line) for line in (record.get("expense") or {}).get("items") or []]
    whole = {**record, **row, "id": str(row["id"]), "expense": {"items": listed}}
    modified = record.get("lastModifiedDate")
    where, now = recent.zone(session), session.now()
    version = recent.utc(modified) if modified else recent.moment(row["modified"], where, now)
    seen = observed(told.named(session, REPORT), whole, version=version)
    body, problems = {**seen.body, "record": "expenseReport"}, list(seen.problems)
    told.entity(chart, body, problems)
    return replace(seen, body=body, problems=tuple(problems))


def _with_currency(chart: Chart, line: Json) -> dict[str, Any]:
    """The line with the ISO code of its currency, which NetSuite names by an id of its own."""
    currency = line.get("currency") or {}
    return {**line, "currency": {**currency, "iso": chart.iso(str(currency.get("id")))}}


RESOURCE = Resource(
    EXPENSE, "Expense report (expenseReport)", get=get, changed=changed, poll_seconds=60.0, mapping=REPORT,
    present=present, wanted=told.wanted(EXPENSE),
)  # fmt: skip
