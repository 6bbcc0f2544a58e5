"""Bulk API 2.0 query: a first load of many flat rows, by a job and its result pages (vendors.md 1.5)."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

from accord.connect.failures import NotSent
from accord.connect.pages import pages
from accord.connect.session import Session
from accord.connectors.salesforce.soql import Record, data_path

ROWS_IN_A_PAGE = 10_000
_POLL_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_PATIENCE = 200  # looks at a job: about half an hour


async def rows(session: Session, soql: str, *, deleted: bool = False) -> AsyncIterator[Sequence[Record]]:
    """Pages of records, nested by the dots of their columns; an empty cell is None. Raises CallFailed."""
    job = await _job(session, soql, "queryAll" if deleted else "query")

    async def fetch(locator: str | None) -> tuple[Sequence[Record], str | None]:
        query: dict[str, Any] = {"maxRecords": ROWS_IN_A_PAGE}
        if locator is not None:
            query["locator"] = locator
        calling = session.call(
            "GET", f"{job}/results", query=query, headers={"Accept": "text/csv"}, timeout_seconds=300
        )
        answer = await session.expect(calling)
        following = answer.headers.get("sforce-locator", "null")  # the vendor writes the word null at the end
        return _records(answer.text()), None if following in ("null", "") else following

    try:
        async for page in pages(fetch):
            yield page
    finally:
        await session.call("DELETE", job)


async def _job(session: Session, soql: str, operation: str) -> str:
    """The path of a finished job. Raises NotSent when it fails or does not end."""
    body = {"operation": operation, "query": soql, "contentType": "CSV"}
    made = (await session.expect(session.call("POST", data_path(session, "jobs/query"), json=body))).json()
    path = data_path(session, f"jobs/query/{made['id']}")
    for look in range(_PATIENCE):
        state = (await session.expect(session.call("GET", path))).json()
        if state["state"] == "JobComplete":
            return path
        if state["state"] in ("Failed", "Aborted"):
            raise NotSent(f"the bulk query ended as {state['state']}: {state.get('errorMessage') or 'no reason given'}")
        await asyncio.sleep(_POLL_SECONDS[min(look, len(_POLL_SECONDS) - 1)])
    await session.call("PATCH", path, json={"state": "Aborted"})
    raise NotSent("the bulk query did not come to an end; it was aborted and will be tried again")


def _records(text: str) -> list[Record]:
    lines = csv.reader(io.StringIO(text, newline=""))
    header = next(lines, [])
    return [_record(header, line) for line in lines if line]


def _record(header: Sequence[str], line: Sequence[str]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, value in zip(header, line, strict=True):
        *way, last = name.split(".")
        inside = record
        for part in way:
            inside = inside.setdefault(part, {})
        inside[last] = value or None
    return record
