"""What time and expense reports have in common: asked for by the settings, told by poll and push, deleted by tombstone.

The mark of a poll has two parts, for changes and for deletions, since NetSuite keeps them apart: `id deleted_at`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from accord.connect.connector import Observed, Page, Pointer, Watermark
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import choice
from accord.connect.session import Session
from accord.connect.work_asked import work_asked
from accord.connectors.netsuite import recent
from accord.connectors.netsuite.calls import Json
from accord.connectors.netsuite.chart import Chart, table_of
from accord.model.told_work import EXPENSE, TIME_ENTRY

# The records of each kind, and how `deletedrecord` calls them; what an account calls otherwise goes into the settings.
RECORDS = {"timeBill": TIME_ENTRY, "timeEntry": TIME_ENTRY, "expenseReport": EXPENSE}
DELETED_AS = {TIME_ENTRY: "Time", EXPENSE: "Expense Report"}
# Who worked: what the settings may choose as `worker`.
WORKER = {
    "worker": "e.entityid", "worker_email": "e.email", "worker_external_id": "e.externalid",
    "worker_subsidiary": "e.subsidiary",
}  # fmt: skip
Changes = AsyncIterator[tuple[Sequence[Observed], Watermark]]

_NAMED: dict[tuple[str, tuple[tuple[str, str], ...]], Table] = {}  # as many as connections with words of their own


def wanted(kind: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether the settings ask for a kind of work: `{"work": ["time_entry", "expense"]}`."""
    return lambda config: kind in work_asked(config)


def named(session: Session, table: Table) -> Table:
    """The mapping with the firm's own names and its own words for an approval (`statuses` by kind)."""
    own = table_of(session, table)
    statuses = (session.config.get("statuses") or {}).get(table.kind)
    if not statuses:
        return own
    key = (own.identity.content_hash, tuple(sorted(statuses.items())))
    if key not in _NAMED:
        row = next(each for each in own.rows if each.field == "status")
        _NAMED[key] = own.with_rows(choice("status", row.vendor, statuses, required=True, access="read"))
    return _NAMED[key]


async def changes(
    session: Session, watermark: Watermark | None, kind: str, read: Callable[[Watermark | None], Changes]
) -> AsyncIterator[Page]:
    """What changed by `read`, then what was deleted, each from its own mark.

    At the end the mark moves on to what is settled, or the last mass approval would be read again by every poll.
    """
    mark, deleted_at = _marks(watermark)
    settled = recent.settled(session)
    async for observed, reached in read(mark):
        mark = reached
        yield Page(tuple(observed), _joined(mark, deleted_at))
    async for rows in recent.deletions_since(session, deleted_at, _deleted_as(session, kind)):
        deleted_at = max(deleted_at, rows[-1]["modified"])
        yield Page(tuple(tombstones(session, kind, rows)), _joined(mark, deleted_at))
    if mark is None or mark.at < settled:
        yield Page((), _joined(Watermark(settled), deleted_at))


async def missing(
    session: Session, kind: str, vendor_ids: Iterable[str], found: Iterable[Observed]
) -> Sequence[Observed]:
    """Those that were found, and tombstones of those that are not there because somebody deleted them."""
    present = list(found)
    left = set(vendor_ids) - {each.vendor_id for each in present}
    if not left:
        return present
    rows = await recent.deletions_of(session, sorted(left), _deleted_as(session, kind))
    return [*present, *tombstones(session, kind, rows)]


def tombstones(session: Session, kind: str, rows: Iterable[Json]) -> list[Observed]:
    """Records that are gone, with the moment of their deletion as version."""
    where, now = recent.zone(session), session.now()
    return [
        Observed(kind, str(row["id"]), recent.moment(row["modified"], where, now), {}, deleted=True) for row in rows
    ]


def pushed(event: Json, occurred: datetime) -> Observed | Pointer | str:
    """A deletion as the push tells it; of everything else, what to read again."""
    kind, vendor_id = RECORDS[event["record"]], str(event["id"])
    if event["type"] != "delete":
        return Pointer(kind, vendor_id)
    version = occurred.astimezone(UTC).isoformat()
    return Observed(kind, vendor_id, version, {}, deleted=True, observed_at=occurred)


def entity(chart: Chart, body: dict[str, Any], problems: list[str]) -> None:
    """The worker's legal entity instead of NetSuite's subsidiary; one that the settings do not name is a problem,
    because nobody knows then whether the work is between two companies."""
    subsidiary = body.pop("worker_entity", None)
    code = chart.entity(subsidiary)
    if code is not None:
        body["worker_entity"] = code
    elif subsidiary is not None:
        problems.append(f"worker_entity: the subsidiary {subsidiary} is none of the connection's settings")


def _deleted_as(session: Session, kind: str) -> str:
    return str((session.config.get("deleted_as") or {}).get(kind) or DELETED_AS[kind])


def _marks(watermark: Watermark | None) -> tuple[Watermark | None, str]:
    if watermark is None:
        return None, ""
    id, _, deleted_at = watermark.id.partition(" ")
    return Watermark(watermark.at, id), deleted_at


def _joined(mark: Watermark | None, deleted_at: str) -> Watermark:
    return Watermark(recent.EPOCH if mark is None else mark.at, f"{'' if mark is None else mark.id} {deleted_at}")
