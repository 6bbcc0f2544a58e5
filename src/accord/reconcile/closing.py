"""Closes periods and opens them again. What money depends on needs two people, and everything is audited.

A period goes open, closing, closed; in the order of the calendar. It closes when no line of its gate stops it. Closing
over a line and opening again are asked for by one person, with a reason, and agreed to by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accord.engine import eventlog
from accord.engine.shell import Connection
from accord.engine.turning import fact_row
from accord.errors import Conflict, UsageError
from accord.governance import audit
from accord.ledger.revenue import keeping
from accord.model.events import Fact
from accord.reconcile import gate, late
from accord.reconcile.calendar import LateWork, Standing, one_period
from accord.reconcile.gate import BY_NAME, Finding
from accord.reconcile.waiting import AT_ONCE, unapproved

PERIOD_CLOSED = "period.closed"
PERIOD_REOPENED = "period.reopened"
REOPEN = "reopen"

BEGIN = """
UPDATE accounting_period SET state = 'closing', closing_at = %(now)s, closing_by = %(by)s
WHERE legal_entity = %(entity)s AND period = %(period)s AND state = 'open'
"""
NEIGHBOURS = """
SELECT (SELECT string_agg(period, ', ' ORDER BY starts_on) FROM accounting_period
        WHERE legal_entity = %(entity)s AND starts_on < %(starts_on)s AND state <> 'closed'),
    (SELECT string_agg(period, ', ' ORDER BY starts_on) FROM accounting_period
        WHERE legal_entity = %(entity)s AND starts_on > %(starts_on)s AND state = 'closed'),
    (SELECT period FROM accounting_period
        WHERE legal_entity = %(entity)s AND starts_on > %(starts_on)s ORDER BY starts_on LIMIT 1)
"""
# Whoever is writing items is waited for, and the next ones wait for us: what is in the books at this moment is in the
# period, and what comes after bears a later time.
NOBODY_WRITES = "LOCK TABLE billable_item IN SHARE MODE"
CLOSE = """
UPDATE accounting_period SET state = 'closed', closed_at = clock_timestamp(), closed_by = %(by)s
WHERE legal_entity = %(entity)s AND period = %(period)s
"""
OPEN_AGAIN = """
UPDATE accounting_period SET state = 'open', closing_at = NULL, closing_by = NULL, closed_at = NULL, closed_by = NULL
WHERE legal_entity = %(entity)s AND period = %(period)s
"""
ACCRUALS = "COPY period_accrual (legal_entity, period, entry_id, engagement, currency, amount, reversed_in) FROM STDIN"
IN_THE_BOOKS = """
DELETE FROM period_accrual a WHERE a.legal_entity = %(entity)s AND a.period = %(period)s
    AND EXISTS (SELECT FROM billable_item i WHERE i.source_id = a.entry_id AND i.reverses IS NULL
        AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id))
"""
ACCRUED = """
SELECT currency, count(*), sum(amount), min(reversed_in) FROM period_accrual
WHERE legal_entity = %(entity)s AND period = %(period)s GROUP BY 1 ORDER BY 1
"""
NO_ACCRUALS = "DELETE FROM period_accrual WHERE legal_entity = %(entity)s AND period = %(period)s"
ASK = """
INSERT INTO close_consent (legal_entity, period, what, reason, asked_by, asked_at)
VALUES (%(entity)s, %(period)s, %(what)s, %(reason)s, %(by)s, %(now)s)
ON CONFLICT (legal_entity, period, what) WHERE used_at IS NULL DO NOTHING RETURNING 1
"""
STANDING = """
SELECT id, reason, asked_by, agreed_by FROM close_consent
WHERE legal_entity = %(entity)s AND period = %(period)s AND what = %(what)s AND used_at IS NULL FOR UPDATE
"""
ASKED_FOR = """
SELECT what, reason, asked_by, asked_at FROM close_consent
WHERE legal_entity = %(entity)s AND period = %(period)s AND used_at IS NULL AND agreed_by IS NULL ORDER BY id
"""
AGREE = "UPDATE close_consent SET agreed_by = %(by)s, agreed_at = %(now)s WHERE id = %(id)s"
USED = """
UPDATE close_consent SET used_at = %(now)s
WHERE legal_entity = %(entity)s AND period = %(period)s AND used_at IS NULL AND (what = %(what)s OR %(what)s IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one person asks for and nobody has agreed to yet."""

    what: str
    reason: str
    asked_by: str
    asked_at: datetime


class NotReadyToClose(Conflict):
    """The gate of a period is not clear; the message names its lines."""

    title = "Not ready to close"


async def close(db: Connection, entity: str, period: str, *, by: str, now: datetime) -> tuple[Finding, ...]:
    """Look at the gate and close the period if nothing stops it, inside the caller's transaction; what the gate found.

    A period that is stopped is `closing` afterwards: `stopped_by` says why. Raises PeriodUnknown, Conflict for a period
    that is closed already, follows an open one or is the last of its calendar, and psycopg.errors.LockNotAvailable
    while a long batch is being rated: try again.
    """
    of = await one_period(db, entity, period, lock=True)
    if of.state == "closed":
        raise Conflict(f"{period} of {entity} was closed by {of.closed_by} at {of.closed_at:%Y-%m-%d %H:%M}")
    about: dict[str, Any] = {"entity": entity, "period": period, "by": by, "now": now, "starts_on": of.starts_on}
    earlier, _, following = await _neighbours(db, about)
    if earlier:
        raise Conflict(f"{earlier} of {entity} is open; periods close in their order")
    if following is None:
        raise Conflict(f"{period} is the last period of {entity}: declare the next one, so that work has a place to go")
    if (await db.execute(BEGIN, about)).rowcount:
        await audit.write(db, by, "closing begun", of.about, {})
    found = await gate.look(db, of, now)
    if stopped_by(found):
        return found
    await keeping.keep(db, now, entity=entity)
    accrues = of.late_work is LateWork.ACCRUE_AND_REVERSE
    if accrues:
        await _accrue(db, of, following)
    await db.execute(NOBODY_WRITES)
    accrued = await _accrued(db, about) if accrues else []
    await db.execute(CLOSE, about)
    await db.execute(USED, {**about, "what": None})
    detail = {
        "gate": {each.name: each.count for each in found},
        "overridden": {each.name: each.overridden for each in found if each.overridden and each.count},
        "accrued": accrued,
    }
    await audit.write(db, by, "period closed", of.about, detail)
    await _tell(db, PERIOD_CLOSED, of, by, now, detail)
    return found


def stopped_by(found: tuple[Finding, ...]) -> str | None:
    """The lines that keep a period open, in words and money; None when it can be closed."""
    stops = [
        f"{each.count} {each.name.replace('_', ' ')}"
        + (f" ({', '.join(str(money) for money in each.money)})" if each.money else "")
        for each in found
        if each.stops
    ]
    return "; ".join(stops) or None


async def override(db: Connection, entity: str, period: str, line: str, *, reason: str, by: str, now: datetime) -> None:
    """Ask to close over a line of the gate; it counts when another person has agreed. Raises UsageError, Conflict."""
    if line not in BY_NAME or not BY_NAME[line].blocks:
        lines = ", ".join(each.name for each in BY_NAME.values() if each.blocks)
        raise UsageError(f"{line!r} stops no period; these lines do: {lines}")
    of = await one_period(db, entity, period, lock=True)
    if of.state == "closed":
        raise Conflict(f"{period} of {entity} is closed")
    await _ask(db, of, line, reason, by, now)


async def reopen(db: Connection, entity: str, period: str, *, reason: str, by: str, now: datetime) -> str:
    """Open a period again: at once while it is closing; a closed one when another person has agreed. The state it has
    then. Raises UsageError, Conflict when a later period is closed or it is open."""
    of = await one_period(db, entity, period, lock=True)
    if of.state == "open":
        raise Conflict(f"{period} of {entity} is open")
    if of.state == "closing":
        await db.execute(OPEN_AGAIN, {"entity": entity, "period": period})
        await audit.write(db, by, "closing given up", of.about, {"reason": _said(reason)})
        return "open"
    await _last_closed(db, of)
    await _ask(db, of, REOPEN, reason, by, now)
    return "closed"


async def agree(db: Connection, entity: str, period: str, what: str, *, by: str, now: datetime) -> Standing:
    """Agree to what another person asked for: a line of the gate, or `reopen`, which happens at once.

    Raises Conflict when nobody has asked, somebody has agreed already, or the same person asked.
    """
    of = await one_period(db, entity, period, lock=True)
    about: dict[str, Any] = {"entity": entity, "period": period, "what": what, "by": by, "now": now}
    row = await (await db.execute(STANDING, about)).fetchone()
    if row is None:
        raise Conflict(f"nobody has asked for {what!r} in {period} of {entity}")
    id, reason, asked_by, agreed_by = row
    if agreed_by is not None:
        raise Conflict(f"{agreed_by} has agreed already")
    if by == asked_by:
        raise Conflict(f"{by} has asked for this; somebody else must agree")
    await db.execute(AGREE, {**about, "id": id})
    await audit.write(db, by, "agreed", of.about, {"what": what, "asked_by": asked_by, "reason": reason})
    if what != REOPEN:
        return of
    await _last_closed(db, of)
    await db.execute(OPEN_AGAIN, about)
    await db.execute(NO_ACCRUALS, about)
    await db.execute(USED, about)
    booked = await late.book_reopened(db, of, by=by)
    detail = {"asked_by": asked_by, "reason": reason, "late_items_booked": booked}
    await audit.write(db, by, "period reopened", of.about, detail)
    await _tell(db, PERIOD_REOPENED, of, by, now, detail)
    return await one_period(db, entity, period)


async def asked_for(db: Connection, of: Standing) -> list[Asked]:
    """What waits for another person to agree."""
    rows = await (await db.execute(ASKED_FOR, {"entity": of.legal_entity, "period": of.period})).fetchall()
    return [Asked(*row) for row in rows]


async def _accrue(db: Connection, of: Standing, reversed_in: str) -> None:
    """Accrue what is worked in the period and not approved, entry by entry, so that each can be followed."""
    rows: list[tuple[Any, ...]] = []
    async for each in unapproved(db, of.legal_entity, of.ends_on):
        if each.value is not None and each.entry.worked_on >= of.starts_on:
            value = each.value
            rows.append(
                (of.legal_entity, of.period, each.entry.id, each.engagement, value.currency, value.amount, reversed_in)
            )
        if len(rows) == AT_ONCE:
            await _copy(db, rows)
            rows = []
    await _copy(db, rows)


async def _copy(db: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    async with db.cursor() as cursor, cursor.copy(ACCRUALS) as copy:
        for row in rows:
            await copy.write_row(row)


async def _accrued(db: Connection, about: dict[str, Any]) -> list[dict[str, Any]]:
    """What was accrued, less what has come into the books since it was looked at."""
    await db.execute(IN_THE_BOOKS, about)
    rows = await (await db.execute(ACCRUED, about)).fetchall()
    return [
        {"currency": currency, "entries": entries, "amount": str(amount), "reversed_in": reversed_in}
        for currency, entries, amount, reversed_in in rows
    ]


async def _ask(db: Connection, of: Standing, what: str, reason: str, by: str, now: datetime) -> None:
    about = {
        "entity": of.legal_entity, "period": of.period, "what": what, "reason": _said(reason), "by": by, "now": now,
    }  # fmt: skip
    if await (await db.execute(ASK, about)).fetchone() is None:
        raise Conflict(f"{what!r} was asked for already; `accord close agree` by another person settles it")
    await audit.write(db, by, "asked", of.about, {"what": what, "reason": reason})


async def _last_closed(db: Connection, of: Standing) -> None:
    about = {"entity": of.legal_entity, "starts_on": of.starts_on}
    _, later, _ = await _neighbours(db, about)
    if later:
        raise Conflict(f"{later} of {of.legal_entity} is closed; open the last closed period first")


async def _neighbours(db: Connection, about: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    row = await (await db.execute(NEIGHBOURS, about)).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


async def _tell(db: Connection, type: str, of: Standing, by: str, now: datetime, detail: dict[str, Any]) -> None:
    fact = Fact(type, of.about, now.isoformat(), by, detail)
    await eventlog.append(db, [fact_row(fact, None, None)])


def _said(reason: str) -> str:
    if not reason.strip():
        raise UsageError("say why: a reason is kept with what was done")
    return reason.strip()[:500]
