"""The accounting calendar of each legal entity: months or weeks, what is open, and what late work becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.errors import NotFound, UsageError
from accord.governance import audit
from accord.rules.periods import Period, PeriodsDoNotFollow, in_order

DECLARE = """
INSERT INTO accounting_period (legal_entity, period, starts_on, ends_on, late_work)
SELECT %(entity)s, x.period, x.starts_on, x.ends_on, %(late_work)s
FROM json_to_recordset(%(rows)s::json) AS x (period text, starts_on date, ends_on date)
ON CONFLICT (legal_entity, period) DO UPDATE SET late_work = excluded.late_work
WHERE accounting_period.state <> 'closed'
RETURNING period
"""
PERIODS = """
SELECT legal_entity, period, starts_on, ends_on, late_work, state, closing_at, closing_by, closed_at, closed_by
FROM accounting_period
WHERE (%(entity)s::text IS NULL OR legal_entity = %(entity)s)
    AND (%(entities)s::text[] IS NULL OR legal_entity = ANY(%(entities)s))
    AND (%(period)s::text IS NULL OR period = %(period)s)
ORDER BY legal_entity, starts_on
"""


class LateWork(StrEnum):
    """What becomes of work that is approved after its period was closed. Its date never changes."""

    NEXT_PERIOD = "next_period"
    ACCRUE_AND_REVERSE = "accrue_and_reverse"
    REOPEN = "reopen"


class PeriodUnknown(NotFound):
    """The calendar of this legal entity has no such period; `accord close calendar` declares periods."""

    title = "Period unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """A period with its state (open, closing, closed): who began to close it and who closed it, and when."""

    legal_entity: str
    period: str
    starts_on: date
    ends_on: date
    late_work: LateWork
    state: str
    closing_at: datetime | None
    closing_by: str | None
    closed_at: datetime | None
    closed_by: str | None

    @property
    def about(self) -> str:
        """How the audit trail names it."""
        return f"period {self.legal_entity} {self.period}"

    @property
    def as_period(self) -> Period:
        return Period(self.starts_on, self.ends_on, self.period)


async def declare_calendar(
    db: Connection, entity: str, periods: Sequence[Period], late_work: LateWork, *, by: str
) -> int:
    """Add periods to an entity's calendar, inside the caller's transaction; how many were new or changed.

    One that is known keeps its days, and a closed one its policy. Raises UsageError for a gap, an overlap, or a period
    whose days are others than they were.
    """
    known = {each.period: each.as_period for each in await list_periods(db, entity=entity)}
    moved = [each.code for each in periods if each.code in known and known[each.code] != each]
    if moved:
        raise UsageError(f"{', '.join(moved)} has other days already; what was declared stays as it is")
    try:
        in_order([*({**known, **{each.code: each for each in periods}}.values())])
    except PeriodsDoNotFollow as error:
        raise UsageError(f"{error}; declare periods that follow each other") from error
    rows = [{"period": each.code, "starts_on": each.starts_on, "ends_on": each.ends_on} for each in periods]
    about = {"entity": entity, "late_work": late_work.value, "rows": as_json(rows)}
    written = (await db.execute(DECLARE, about)).rowcount
    told = {"periods": [each.code for each in periods], "late_work": late_work.value}
    await audit.write(db, by, "calendar declared", f"calendar {entity}", told)
    return written


async def list_periods(
    db: Connection, *, entity: str | None = None, period: str | None = None, entities: Sequence[str] | None = None
) -> list[Standing]:
    """Periods by legal entity and day; of `entities` only, where given."""
    about = {"entity": entity, "period": period, "entities": None if entities is None else list(entities)}
    rows = await (await db.execute(PERIODS, about)).fetchall()
    return [
        Standing(row[0], row[1], row[2], row[3], LateWork(row[4]), row[5], row[6], row[7], row[8], row[9])
        for row in rows
    ]


async def one_period(
    db: Connection, entity: str, period: str, *, entities: Sequence[str] | None = None, lock: bool = False
) -> Standing:
    """One period, its row locked if asked for. Raises PeriodUnknown."""
    if lock:
        await db.execute(
            "SELECT FROM accounting_period WHERE legal_entity = %(entity)s AND period = %(period)s FOR UPDATE",
            {"entity": entity, "period": period},
        )
    found = await list_periods(db, entity=entity, period=period, entities=entities)
    if not found:
        raise PeriodUnknown(f"{entity} has no period {period!r}; `accord close calendar` declares periods")
    return found[0]
