"""What changed since a watermark, by SuiteQL, page by page, and what somebody deleted.

SuiteQL writes times in the account's zone, to the second, without saying which zone (vendors.md 2.3). A poll reads a
little behind its watermark again, and an hour more while the clock has just been put back; observations are ordered by
the moment in UTC, of two that may be meant the later. Pages are cut by time and id, so that a record that changes while
we read moves to the end and is not skipped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from accord.connect.connector import Watermark
from accord.connect.pages import pages
from accord.connect.session import Session
from accord.connectors.netsuite.calls import Json, first_page, quoted, rows

OVERLAP_SECONDS = 60  # NetSuite dates a record when its save begins and shows it when it ends
SETTLED_AFTER = timedelta(minutes=10)
PAGE_SIZE = 1000
ZONE = "America/Los_Angeles"  # where new accounts start; `time_zone` in the settings
EPOCH = "1970-01-01 00:00:00"
FORM = "'YYYY-MM-DD HH24:MI:SS'"
MODIFIED = f"TO_CHAR(lastmodifieddate, {FORM}) AS modified"
Query = Callable[[str], str]  # from a test to the query that selects `id` and `modified` and orders by both


async def rows_since(
    session: Session, watermark: Watermark | None, query: Query, *, of: str = "", size: int | None = None
) -> AsyncIterator[tuple[list[Json], Watermark]]:
    """Pages of rows changed since the watermark, oldest first, each with the watermark it reaches, which never goes
    back. `of` is the alias of the table in the query, with its dot. Raises CallFailed."""
    rows_a_page = size or page_size(session)
    start = Watermark(behind(session, watermark.at) if watermark is not None else EPOCH)

    async def fetch(after: Watermark | None) -> tuple[list[Json], Watermark | None]:
        found = await first_page(session, query(since(after or start, of)), rows_a_page)
        return found, _mark(found[-1]) if len(found) == rows_a_page else None

    async for found in pages(fetch):
        if found:
            yield found, max(_mark(found[-1]), watermark or _mark(found[-1]), key=lambda mark: mark.at)


async def rows_of(session: Session, vendor_ids: Iterable[str], query: Query, *, id: str = "id") -> list[Json]:
    """Rows by NetSuite's ids; ids nobody has are left out. Raises CallFailed."""
    wanted = [each for each in vendor_ids if each.isdigit()]
    found: list[Json] = []
    for start in range(0, len(wanted), PAGE_SIZE):
        found += await rows(session, query(f"{id} IN ({', '.join(wanted[start : start + PAGE_SIZE])})"))
    return found


async def deletions_since(session: Session, at: str, kind: str) -> AsyncIterator[list[Json]]:
    """Pages of what was deleted of one type (as `deletedrecord` calls it) since a local time: `id` and `modified`."""
    query = _deleted(kind)
    start = Watermark(behind(session, at) if at else EPOCH)

    async def fetch(after: Watermark | None) -> tuple[list[Json], Watermark | None]:
        test = since(after or start, column="deleteddate", id="recordid")
        found = await first_page(session, query(test), PAGE_SIZE)
        return found, _mark(found[-1]) if len(found) == PAGE_SIZE else None

    async for found in pages(fetch):
        if found:
            yield found


async def deletions_of(session: Session, vendor_ids: Iterable[str], kind: str) -> list[Json]:
    """Which of these were deleted, and when: `id` and `modified`. What is neither there nor here is merely missing."""
    return await rows_of(session, vendor_ids, _deleted(kind), id="recordid")


def _deleted(kind: str) -> Query:
    columns = f"recordid AS id, TO_CHAR(deleteddate, {FORM}) AS modified"
    of = f"recordtypeid IN ({quoted([kind])})"
    return lambda test: f"SELECT {columns} FROM deletedrecord WHERE {of} AND {test} ORDER BY deleteddate, recordid"


def since(mark: Watermark, of: str = "", *, column: str = "lastmodifieddate", id: str = "id") -> str:
    """The test for what comes after a mark: from its time on, or after its time and id."""
    at = f"TO_TIMESTAMP('{datetime.fromisoformat(mark.at):%Y-%m-%d %H:%M:%S}', {FORM})"
    if not mark.id:
        return f"{of}{column} >= {at}"
    return f"({of}{column} > {at} OR ({of}{column} = {at} AND {of}{id} > {int(mark.id)}))"


def page_size(session: Session) -> int:
    """Rows a page; the API has a limit of 1,000."""
    return int(session.config.get("page_size") or PAGE_SIZE)


def settled(session: Session) -> str:
    """A local time before which all that was dated is seen by now, even if the account's clock is minutes behind."""
    return (session.now() - SETTLED_AFTER).astimezone(zone(session)).strftime("%Y-%m-%d %H:%M:%S")


def zone(session: Session) -> ZoneInfo:
    """The account's time zone."""
    return ZoneInfo(str(session.config.get("time_zone") or ZONE))


def behind(session: Session, at: str) -> str:
    """The watermark less the overlap, and less what the account's clock was put back by in the last hours."""
    moments = [(session.now() - timedelta(hours=hours)).astimezone(zone(session)) for hours in (3, 0)]
    before, after = (each.utcoffset() or timedelta(0) for each in moments)
    back = max(timedelta(0), before - after)
    overlap = timedelta(seconds=float(session.config.get("overlap_seconds") or OVERLAP_SECONDS))
    return (datetime.fromisoformat(at) - overlap - back).isoformat(" ")


def moment(local: str, where: ZoneInfo, now: datetime) -> str:
    """A local time as UTC text. In the hour that comes twice the later meaning is taken, unless it lies ahead."""
    meanings = [datetime.fromisoformat(local).replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (1, 0)]
    return next((each for each in meanings if each <= now + timedelta(minutes=5)), meanings[1]).isoformat()


def utc(at: str) -> str:
    """A moment with its zone, as the record API writes it, in the form versions are ordered by."""
    return datetime.fromisoformat(at).astimezone(UTC).isoformat()


def _mark(row: Json) -> Watermark:
    return Watermark(row["modified"], row["id"])
