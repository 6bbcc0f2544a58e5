"""Queries: their text, their pages, and several of them in one call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from accord.connect.failures import Refused
from accord.connect.pages import pages
from accord.connect.session import Session
from accord.connectors.salesforce.errors import TABLE

Record = Mapping[str, Any]
DEFAULT_VERSION = "67.0"
# A request line may have 16,384 characters at the vendor and 8,190 at many a proxy; an id in an IN list takes 27 of
# them once encoded, the select of a deal about 2,500.
IDS_IN_A_QUERY = 150
QUERIES_IN_A_CALL = 5
# A row gets its SystemModstamp when its transaction begins and is seen when that ends. Two minutes is the longest a
# synchronous transaction may take on the platform; so much before the watermark is read again.
OVERLAP = timedelta(seconds=120)


def data_path(session: Session, rest: str) -> str:
    """`services/data/v67.0/...` by the connection's `api_version`."""
    return f"services/data/v{session.config.get('api_version') or DEFAULT_VERSION}/{rest}"


async def found(session: Session, soql: str, *, deleted: bool = False) -> list[Record]:
    """Every record of a query with few. Raises CallFailed."""
    return [record async for page in paged(session, soql, deleted=deleted) for record in page]


def paged(session: Session, soql: str, *, deleted: bool = False) -> AsyncIterator[Sequence[Record]]:
    """The pages of a query, `deleted` rows too when asked for. Raises CallFailed."""

    async def fetch(link: str | None) -> tuple[Sequence[Record], str | None]:
        if link is not None:
            return opened(await _get(session, link, ()))
        name = "queryAll" if deleted else "query"
        return opened(await _get(session, data_path(session, name), {"q": soql}))

    return pages(fetch)


def rest_of(session: Session, first: Record) -> AsyncIterator[Sequence[Record]]:
    """The pages of a result whose first one is there already."""

    async def fetch(link: str | None) -> tuple[Sequence[Record], str | None]:
        return opened(first if link is None else await _get(session, link, ()))

    return pages(fetch)


async def found_by(session: Session, queries: Sequence[str]) -> list[Record]:
    """Every record of several queries, deleted rows too, five queries a call. Raises CallFailed."""
    if len(queries) == 1:
        return await found(session, queries[0], deleted=True)
    records: list[Record] = []
    for start in range(0, len(queries), QUERIES_IN_A_CALL):
        for first in await together(session, queries[start : start + QUERIES_IN_A_CALL]):
            records += [record async for page in rest_of(session, first) for record in page]
    return records


async def together(session: Session, queries: Sequence[str]) -> list[Record]:
    """The first pages of at most five queries, deleted rows too, by one call that counts as one (vendors.md 1.3).

    Raises CallFailed when one of them is refused.
    """
    path = f"/{data_path(session, 'queryAll')}"
    parts = [
        {"method": "GET", "referenceId": f"q{n}", "url": f"{path}?q={quote(soql, safe='')}"}
        for n, soql in enumerate(queries)
    ]
    calling = session.call(
        "POST", data_path(session, "composite"), json={"compositeRequest": parts}, timeout_seconds=120
    )
    answers = (await session.expect(calling)).json()["compositeResponse"]
    for each in answers:
        if each["httpStatusCode"] >= 300:
            raise Refused(TABLE.classify(each["httpStatusCode"], {}, each["body"]))
    return [each["body"] for each in answers]


def opened(body: Record) -> tuple[Sequence[Record], str | None]:
    """The records of a page and the link to the next one."""
    return body["records"], None if body.get("done", True) else str(body["nextRecordsUrl"])


async def _get(session: Session, path: str, query: Any) -> Record:
    calling = session.call("GET", path, query=query, timeout_seconds=120)
    body: Record = (await session.expect(calling)).json()
    return body


def quoted(text: str) -> str:
    """A text literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def among(field: str, values: Iterable[str]) -> str:
    """`field IN ('a', 'b')`."""
    return f"{field} IN ({','.join(quoted(value) for value in values)})"


def chunks(values: Iterable[str], size: int = IDS_IN_A_QUERY) -> list[list[str]]:
    """Values in lists that fit a query, each value once."""
    once = list(dict.fromkeys(values))
    return [once[start : start + size] for start in range(0, len(once), size)]


def moment(text: str) -> str:
    """A moment in one form whatever the API wrote (`+0000` in JSON, `Z` in bulk results), so that moments sort."""
    return text.replace("+0000", "Z")


def before(mark: str) -> str:
    """The moment a poll starts at: the watermark less the overlap, as a SOQL literal."""
    at = datetime.fromisoformat(mark) - OVERLAP
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
