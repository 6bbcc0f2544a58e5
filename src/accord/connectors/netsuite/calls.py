"""Calls as this connector makes them: one record by our external id or NetSuite's id, and SuiteQL page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from accord.connect.answer import Answer
from accord.connect.failures import CallFailed, Refused
from accord.connect.pages import pages
from accord.connect.session import Session
from accord.engine.outcomes import Committed, Outcome, Write

Json = Mapping[str, Any]
RECORDS = "services/rest/record/v1"
SUITEQL = "services/rest/query/v1/suiteql"
# A field we write that NetSuite does not know is an error; its default is to drop it without a word (vendors.md 2.1).
STRICT = {"X-NetSuite-PropertyNameValidation": "Error"}


def reference(write: Write, canonical_id: str) -> dict[str, str]:
    """Another record: by NetSuite's id when it is known, else by its external id, which is our id."""
    known = write.vendor_ids.get(canonical_id)
    return {"id": known} if known is not None else {"externalId": canonical_id}


def address(record: str, known: str | None, canonical_id: str) -> str:
    """The path of a record, by NetSuite's id or by external id."""
    return f"{RECORDS}/{record}/{known}" if known is not None else f"{RECORDS}/{record}/eid:{canonical_id}"


async def put(session: Session, record: str, write: Write, fields: Json, replace: Iterable[str] = ()) -> Outcome:
    """Create or update one record by our external id (PUT is safe to repeat; it says not which it was)."""
    path = address(record, None, write.canonical_id)
    query = _replacing(replace)
    outcome = await session.outcome(
        session.call("PUT", path, query=query, json=dict(fields), headers=STRICT, endpoint=record), _located
    )
    return await identified(session, record, write.canonical_id, outcome)


async def patch(session: Session, record: str, path: str, fields: Json, replace: Iterable[str] = ()) -> Outcome:
    """Change a record that must be there."""
    calling = session.call("PATCH", path, query=_replacing(replace), json=dict(fields), headers=STRICT, endpoint=record)
    return await session.outcome(calling, _located)


async def identified(session: Session, record: str, canonical_id: str, outcome: Outcome) -> Outcome:
    """The same outcome with NetSuite's id, asked for when the answer did not say it."""
    if not isinstance(outcome, Committed) or outcome.vendor_id is not None:
        return outcome
    try:
        found = await find(session, record, address(record, None, canonical_id))
    except CallFailed:
        return outcome  # it is done; the id will be known after the next write
    return Committed(str(found["id"])) if found is not None else outcome


async def find(session: Session, record: str, path: str, *, lines: bool = False) -> Json | None:
    """The record with all its fields; None when there is none. Raises CallFailed."""
    query = {"expandSubResources": "true"} if lines else {}
    answer = await session.call("GET", path, query=query, endpoint=record)
    if answer.status == 404:
        return None
    found: Json = _succeeded(session, answer).json()
    return found


async def rows(session: Session, query: str) -> list[Json]:
    """Every row of a small query, a page of 1,000 at a time. Raises CallFailed."""
    return [row async for page in _pages(session, query, 1000) for row in page]


async def first_page(session: Session, query: str, size: int) -> list[Json]:
    """The first rows of a query. Raises CallFailed."""
    return (await _page(session, query, size, 0))[0]


def quoted(values: Iterable[str]) -> str:
    """A list of SuiteQL literals."""
    return ", ".join("'" + each.replace("'", "''") + "'" for each in values)


def holds(held: Any, written: Any) -> bool:
    """Whether what NetSuite shows has everything that was written. References are equal when either id is; it keeps
    whole seconds, leaves empty fields out, and answers enumerations as objects."""
    match written:
        case Mapping() if "items" in written:
            lines = (held or {}).get("items") or []
            return len(lines) == len(written["items"]) and all(map(holds, lines, written["items"]))
        case Mapping():
            return isinstance(held, Mapping) and all(holds(held.get(name), value) for name, value in written.items())
        case None | "" | False:
            return held in (None, "", False)
        case bool():
            return held is written
        case _ if isinstance(held, Mapping):
            return holds(held.get("id"), written)
    return bool(held == written) or _number(held) == _number(written) is not None or _moment(held) == _moment(written)


def _replacing(sublists: Iterable[str]) -> dict[str, str]:
    """Without `replace` a second write appends its lines to those of the first (vendors.md 2.1)."""
    listed = ",".join(sublists)
    return {"replace": listed} if listed else {}


def _located(answer: Answer) -> Outcome:
    place = answer.headers.get("location", "").rstrip("/").rpartition("/")[2]
    return Committed(place if place.isdigit() else None)


async def _pages(session: Session, query: str, size: int) -> AsyncIterator[list[Json]]:
    async def fetch(offset: int | None) -> tuple[list[Json], int | None]:
        found, more = await _page(session, query, size, offset or 0)
        return found, (offset or 0) + size if more else None

    async for page in pages(fetch):
        yield page


async def _page(session: Session, query: str, size: int, offset: int) -> tuple[list[Json], bool]:
    calling = session.call(
        "POST", SUITEQL, query={"limit": size, "offset": offset}, json={"q": query}, headers={"Prefer": "transient"},
        endpoint="suiteql",
    )  # fmt: skip
    found = (await session.expect(calling)).json()
    return found["items"], bool(found["hasMore"])


def _succeeded(session: Session, answer: Answer) -> Answer:
    if not answer.ok:
        raise Refused(session.classify(answer))
    return answer


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def _moment(value: Any) -> datetime | Any:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
