"""Flat objects: one record is one observation, read by pages of what changed, and again by id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from accord.connect.connector import Observed, Page, Watermark
from accord.connect.session import Session
from accord.connectors.salesforce import bulk
from accord.connectors.salesforce.soql import Record, among, before, chunks, found, found_by, moment, paged

# A first load of more records than this goes by a bulk job: below, pages of 2,000 are quicker and cost few calls.
BULK_FROM_ROWS = 50_000
Read = Callable[[Record], Observed]


async def by_id(session: Session, select: str, ids: Sequence[str], read: Read) -> Sequence[Observed]:
    """Records by id, deleted ones as tombstones; ids nobody has are left out. Raises CallFailed."""
    queries = [f"{select} WHERE {among('Id', some)}" for some in chunks(ids)]
    return [read(record) for record in await found_by(session, queries)]


async def since(
    session: Session, select: str, name: str, watermark: Watermark | None, read: Read
) -> AsyncIterator[Page]:
    """Records of an object changed since the watermark, oldest change first. Raises CallFailed."""
    where = f" WHERE SystemModstamp >= {before(watermark.at)}" if watermark else ""
    soql = f"{select}{where} ORDER BY SystemModstamp, Id"
    load = bulk.rows if watermark is None and await _many(session, name) else paged
    mark = watermark
    async for records in load(session, soql, deleted=True):
        if records:
            mark = later(mark, records[-1])
        yield Page(tuple(read(record) for record in records), mark)


async def _many(session: Session, name: str) -> bool:
    counted = await found(session, f"SELECT COUNT(Id) n FROM {name}")
    return int(counted[0]["n"]) > int(session.config.get("bulk_from_rows", BULK_FROM_ROWS))


def later(mark: Watermark | None, record: Record) -> Watermark:
    """The watermark after a record: never earlier than it was."""
    at = moment(str(record["SystemModstamp"]))
    return mark if mark is not None and at < mark.at else Watermark(at, str(record["Id"]))
