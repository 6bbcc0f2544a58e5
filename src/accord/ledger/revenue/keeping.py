"""The operational schedule, kept by period and version: what was recognised when a period was closed stays.

Each time it is reckoned, only rows that say something new become a new version. A closed period's last version is what
it was closed with; what became known since is caught up in the first open one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.ledger.revenue import measuring
from accord.ledger.revenue.contracts import versions_of
from accord.ledger.revenue.evidence import Evidence, read
from accord.ledger.revenue.measuring import Measured
from accord.ledger.terms import Key
from accord.model.money import Money
from accord.model.problem import Problem
from accord.rules.periods import Period
from accord.rules.revenue.balances import Position
from accord.rules.revenue.onerous import Provision
from accord.rules.revenue.schedule import Row

AT_ONCE = 100

CONTRACTS = """
SELECT DISTINCT engagement, legal_entity FROM revenue_contract
WHERE (%(entity)s::text IS NULL OR legal_entity = %(entity)s)
    AND (%(engagement)s::text IS NULL OR engagement = %(engagement)s)
    AND (%(entities)s::text[] IS NULL OR legal_entity = ANY(%(entities)s))
    AND (engagement, legal_entity) > (%(after_engagement)s, %(after_entity)s)
ORDER BY 1, 2 LIMIT %(limit)s
"""
KEPT = """
SELECT DISTINCT ON (r.engagement, r.legal_entity, r.obligation_id, p.starts_on)
    r.engagement, r.legal_entity, r.obligation_id, r.period, p.starts_on, p.ends_on, r.price, r.done, r.whole,
    r.cumulative, r.recognised, r.caught_up, r.currency, r.told, r.version
FROM unnest(%(engagements)s::text[], %(entities)s::text[]) AS x (engagement, entity)
JOIN revenue_row r ON r.engagement = x.engagement AND r.legal_entity = x.entity
JOIN accounting_period p ON p.legal_entity = r.legal_entity AND p.period = r.period
ORDER BY r.engagement, r.legal_entity, r.obligation_id, p.starts_on, r.version DESC
"""
KEEP = """
INSERT INTO revenue_row (engagement, legal_entity, obligation_id, period, version, price, done, whole, cumulative,
    recognised, caught_up, currency, told, kept_at)
SELECT x.engagement, x.legal_entity, x.obligation_id, x.period, x.version, x.price, x.done, x.whole, x.cumulative,
    x.recognised, x.caught_up, x.currency, x.told, %(now)s
FROM json_to_recordset(%(rows)s::json) AS x (engagement text, legal_entity text, obligation_id text, period text,
    version integer, price numeric, done numeric, whole numeric, cumulative numeric, recognised numeric,
    caught_up numeric, currency text, told text)
"""

Kept = Mapping[tuple[str, str], tuple[Row, int]]


@dataclass(frozen=True, slots=True)
class Recognised:
    """One contract: its schedule by obligation and period, its balances, the provision for a loss, and what is wrong.

    `changed` rows say something else than what is kept.
    """

    key: Key
    measured: Measured
    evidence: Evidence
    kept: Kept
    positions: tuple[Position, ...]
    provision: Provision | None
    changed: tuple[Row, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.measured.problems

    @property
    def rows(self) -> list[Row]:
        """By obligation and period."""
        return [row for each in self.measured.schedules.values() for row in each.rows]


async def keep(db: Connection, now: datetime, *, entity: str | None = None, engagement: str | None = None) -> int:
    """Reckon every contract's schedule and keep what is new, inside the caller's transaction; how many rows."""
    count = 0
    async for found in recognise_all(db, now.date(), entity=entity, engagement=engagement):
        rows = [_row(each.key, row, each.kept) for each in found for row in each.changed]
        if rows:
            await db.execute(KEEP, {"rows": as_json(rows), "now": now})
        count += len(rows)
    return count


async def recognise_all(
    db: Connection,
    to: date,
    *,
    entity: str | None = None,
    engagement: str | None = None,
    entities: Sequence[str] | None = None,
) -> AsyncIterator[list[Recognised]]:
    """Every contract with its schedule in the periods that begin up to a day, AT_ONCE at a time."""
    place: Key = ("", "")
    while True:
        about = {
            "entity": entity, "engagement": engagement, "entities": None if entities is None else list(entities),
            "after_engagement": place[0], "after_entity": place[1], "limit": AT_ONCE,
        }  # fmt: skip
        keys: list[Key] = [(row[0], row[1]) for row in await (await db.execute(CONTRACTS, about)).fetchall()]
        if not keys:
            return
        yield await recognise(db, keys, to)
        place = keys[-1]


async def recognise(db: Connection, keys: Sequence[Key], to: date) -> list[Recognised]:
    """These contracts by what is stored now; nothing is written."""
    versions = await versions_of(db, keys)
    there = [key for key in keys if key in versions]
    evidence = await read(db, there, to, {key: versions[key][-1].currency for key in there})
    kept = await _kept(db, there)
    found = []
    for key in there:
        told, own = evidence[key], kept.get(key, {})
        booked: dict[str, dict[str, Money]] = {}
        for (obligation, code), (row, _) in own.items():
            booked.setdefault(obligation, {})[code] = row.recognised
        measured = measuring.measure(versions[key], told, booked)
        changed = measuring.changed_rows(measured, told, {name: row for name, (row, _) in own.items()})
        positions = measuring.balances(measured, told) if told.periods else ()
        found.append(Recognised(key, measured, told, own, positions, measuring.outlook(measured, told), tuple(changed)))
    return found


async def _kept(db: Connection, keys: Iterable[Key]) -> Mapping[Key, Kept]:
    """What is kept, the last version of each row."""
    wanted = list(keys)
    about = {"engagements": [key[0] for key in wanted], "entities": [key[1] for key in wanted]}
    found: dict[Key, dict[tuple[str, str], tuple[Row, int]]] = {}
    for row in await (await db.execute(KEPT, about)).fetchall():
        (
            engagement, entity, obligation, code, starts_on, ends_on, price, done, whole, cumulative, recognised,
            caught_up, currency, told, version,
        ) = row  # fmt: skip
        kept = Row(
            obligation,
            Period(starts_on, ends_on, code),
            Money(price, currency),
            Fraction(int(done), int(whole)),
            Money(cumulative, currency),
            Money(recognised, currency),
            Money(caught_up, currency),
            told,
        )
        found.setdefault((engagement, entity), {})[obligation, code] = (kept, version)
    return found


def _row(key: Key, row: Row, kept: Kept) -> dict[str, Any]:
    before = kept.get((row.obligation_id, row.period.code))
    return {
        "engagement": key[0],
        "legal_entity": key[1],
        "obligation_id": row.obligation_id,
        "period": row.period.code,
        "version": 1 if before is None else before[1] + 1,
        "price": str(row.price.amount),
        "done": str(Decimal(row.progress.numerator)),
        "whole": str(Decimal(row.progress.denominator)),
        "cumulative": str(row.cumulative.amount),
        "recognised": str(row.recognised.amount),
        "caught_up": str(row.caught_up.amount),
        "currency": row.price.currency,
        "told": row.told,
    }
