"""Time: a timeBill is one entry of one day, for one project, by one employee."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from accord.connect.connector import Observed, Page, Resource, Watermark
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import Unfit, choice, coded, day, flag, key, link, text
from accord.connect.observation import observed
from accord.connect.session import Session
from accord.connectors.netsuite import recent, told
from accord.connectors.netsuite.calls import Json
from accord.connectors.netsuite.chart import Chart, chart_of
from accord.model.told_work import TIME_ENTRY, ToldWork

STATUSES = {"1": "draft", "2": "submitted", "3": "approved", "4": "rejected"}
PLACES = Decimal("0.000001")  # hours are kept to the minute at the vendor: 7:20 is 7.333333
_CLOCK = re.compile(r"(?P<sign>-?)(?P<hours>\d{1,5}):(?P<minutes>[0-5]\d)")


def hours_read(given: Any) -> str:
    """Hours by the clock (7:20, as the record API writes them) or as a number, which SuiteQL gives. Raises Unfit."""
    clock = _CLOCK.fullmatch(given) if isinstance(given, str) else None
    if clock is None:
        if isinstance(given, bool | float):
            raise Unfit(f"{given!r} is no number of hours")
        hours = Decimal(given)
    else:
        minutes = int(clock["hours"]) * 60 + int(clock["minutes"])
        hours = Decimal(-minutes if clock["sign"] else minutes) / 60
    if not hours.is_finite() or abs(hours) >= 100_000:
        raise Unfit(f"{given!r} is no number of hours anybody means")
    return format(hours.quantize(PLACES).normalize(), "f")


TIME = Table(
    "netsuite.time_entry", TIME_ENTRY, "Time (timeBill)", of=ToldWork, sparse=True,
    rows=(
        key("id"),
        choice("status", "approvalstatus", STATUSES, required=True, access="read"),
        text("worker", "worker", access="read"),
        text("worker_entity", "worker_subsidiary", access="read"),
        day("worked_on", "trandate", required=True, access="read"),
        coded("quantity", "hours", hours_read, str, ("7.5",), required=True, access="read"),
        text("project", "customer", access="read"),
        text("project_number", "project_number", access="read"),
        link("project_id", "customer", kind="project", access="read"),
        text("task", "task", access="read"),
        text("role", "role", access="read"),
        text("category", "service", access="read"),
        flag("billable", "isbillable", style="T/F", default=False, access="read"),
        text("note", "memo", access="read"),
        text("approver", "custcol_accord_approved_by", access="read"),
        text("approved_at", "custcol_accord_approved_at", access="read"),
        text("born_at", "born", access="read"),
    ),
)  # fmt: skip
_JOINED = {
    **told.WORKER, "project_number": "j.entityid", "task": "k.title", "role": "b.name",
    "service": "BUILTIN.DF(t.item)", "born": f"TO_CHAR(t.createddate, {recent.FORM})",
}  # fmt: skip


async def changed(session: Session, watermark: Watermark | None) -> AsyncIterator[Page]:
    """Time changed or deleted since the watermark, oldest first. Raises CallFailed."""

    async def read(since: Watermark | None) -> told.Changes:
        chart = await chart_of(session)
        async for found, reached in recent.rows_since(session, since, _query(session), of="t."):
            yield [_observed(session, chart, row) for row in found], reached

    async for page in told.changes(session, watermark, TIME_ENTRY, read):
        yield page


async def get(session: Session, vendor_ids: Sequence[str]) -> Sequence[Observed]:
    """Time read again by NetSuite's id; what was deleted comes as a tombstone, what is merely missing is left out."""
    chart = await chart_of(session)
    rows = await recent.rows_of(session, vendor_ids, _query(session), id="t.id")
    return await told.missing(session, TIME_ENTRY, vendor_ids, [_observed(session, chart, row) for row in rows])


def _query(session: Session) -> recent.Query:
    columns = ["t.id"]
    for row in told.named(session, TIME).rows[1:]:
        name = row.vendor.lower()
        column = _JOINED.get(name) or f"t.{name}"
        if row.field == "worked_on":
            column = f"TO_CHAR({column}, 'YYYY-MM-DD')"
        elif row.field == "approved_at":
            column = f"TO_CHAR({column}, {recent.FORM})"
        columns.append(f"{column} AS {name}")
    selected = ", ".join(dict.fromkeys([*columns, f"TO_CHAR(t.lastmodifieddate, {recent.FORM}) AS modified"]))
    table = _record(session).lower()
    # Planned and allocated time are no work that was done.
    return lambda test: (
        f"SELECT {selected} FROM {table} t LEFT JOIN employee e ON e.id = t.employee "
        "LEFT JOIN job j ON j.id = t.customer LEFT JOIN projecttask k ON k.id = t.casetaskevent "
        "LEFT JOIN billingclass b ON b.id = t.billingclass "
        f"WHERE t.timetype = 'A' AND {test} ORDER BY t.lastmodifieddate, t.id"
    )


def _record(session: Session) -> str:
    return str(session.config.get("time_record") or "timeBill")


def _observed(session: Session, chart: Chart, row: Json) -> Observed:
    where, now = recent.zone(session), session.now()
    seen = observed(told.named(session, TIME), row, version=recent.moment(row["modified"], where, now))
    body, problems = {**seen.body, "record": _record(session)}, list(seen.problems)
    for name in ("approved_at", "born_at"):
        if name in body:
            body[name] = recent.moment(body[name], where, now)
    told.entity(chart, body, problems)
    return replace(seen, body=body, problems=tuple(problems))


RESOURCE = Resource(
    TIME_ENTRY, "Time (timeBill)", get=get, changed=changed, poll_seconds=30.0, mapping=TIME,
    wanted=told.wanted(TIME_ENTRY),
)  # fmt: skip
