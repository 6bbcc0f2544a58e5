"""Reads cases: ranked, filtered, gathered by cause. Nothing here changes anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from babel.numbers import list_currencies

from accord.db import keyset
from accord.engine.shell import Connection
from accord.errors import NotFound, UsageError
from accord.model.money import Money, decimals_of
from accord.model.plain import to_plain

# Money times age. Amounts of different currencies are compared in minor units (a yen, a cent): there is no rate to
# convert by, and the order of a list needs none. What has no amount comes after what has, the oldest first.
_RANK = """
    trunc(abs(coalesce(c.amount, 0)) * power(10::numeric, coalesce((%(places)s::jsonb ->> c.currency)::int, 2))
          * greatest(1, extract(epoch FROM %(as_of)s::timestamptz - c.opened_at)))
"""
_IN_SCOPE = """(%(entities)s::text[] IS NULL OR EXISTS (
    SELECT FROM record d WHERE d.kind = 'deal' AND d.id = c.correlation AND of_entities(d.body, %(entities)s)))"""
_MATCHES = f"""
    (%(owner)s::text IS NULL OR c.owner = %(owner)s) AND (%(reason)s::text IS NULL OR c.reason = %(reason)s)
    AND (%(engagement)s::text IS NULL OR c.correlation = %(engagement)s)
    AND (%(signature)s::text IS NULL OR c.signature = %(signature)s) AND {_IN_SCOPE}
"""
_COLUMNS = """c.id, c.reason, c.title, c.owner, c.amount, c.currency, c.state, c.opened_at, c.resolved_at, c.resolution,
    c.resolved_by, c.note, c.connection, c.subject, c.correlation, c.process_id, c.effect_id, c.inbox_id, c.signature,
    c.problems, c.question, d.body ->> 'name', d.body ->> 'number'"""
# Open cases are few beside all there ever were: a partial index holds them, and the rank orders them.
OPEN_CASES = f"""
WITH ranked AS (
    SELECT c.id, {_RANK} AS rank FROM business_case c WHERE c.state = 'open' AND {_MATCHES}
), page AS (
    SELECT id, rank FROM ranked
    WHERE %(after_rank)s::numeric IS NULL OR rank < %(after_rank)s OR (rank = %(after_rank)s AND id > %(after_id)s)
    ORDER BY rank DESC, id LIMIT %(limit)s
)
SELECT {_COLUMNS}, page.rank FROM page JOIN business_case c ON c.id = page.id
LEFT JOIN record d ON d.kind = 'deal' AND d.id = c.correlation
ORDER BY page.rank DESC, c.id
"""
RESOLVED_CASES = f"""
SELECT {_COLUMNS}, 0 FROM business_case c LEFT JOIN record d ON d.kind = 'deal' AND d.id = c.correlation
WHERE c.state = 'resolved' AND {_MATCHES}
  AND (%(after_at)s::timestamptz IS NULL OR (c.resolved_at, c.id) < (%(after_at)s, %(after_id)s))
ORDER BY c.resolved_at DESC, c.id DESC LIMIT %(limit)s
"""
ONE_CASE = f"""
SELECT {_COLUMNS}, 0 FROM business_case c LEFT JOIN record d ON d.kind = 'deal' AND d.id = c.correlation
WHERE c.id = %(id)s AND {_IN_SCOPE}
"""
CLUSTERS = f"""
WITH one AS (
    SELECT c.signature, c.currency, count(*) AS cases, sum(c.amount) AS amount, min(c.opened_at) AS oldest,
           sum({_RANK}) AS rank, min(c.id) AS example
    FROM business_case c WHERE c.state = 'open' AND {_IN_SCOPE} GROUP BY 1, 2
)
SELECT o.signature, e.reason, e.title, e.owner, e.connection, e.problems, o.cases, o.oldest, o.amounts
FROM (
    SELECT signature, sum(cases)::bigint AS cases, min(oldest) AS oldest, sum(rank) AS rank, min(example) AS example,
           jsonb_object_agg(currency, amount::text) FILTER (WHERE currency IS NOT NULL) AS amounts
    FROM one GROUP BY signature) o
JOIN business_case e ON e.id = o.example
ORDER BY o.rank DESC, o.example LIMIT %(limit)s
"""
FACETS = """
SELECT owner, reason, count(*) FROM business_case WHERE state = 'open' GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 200
"""


class NoSuchCase(NotFound):
    """No case has that number; `accord cases list` shows the open ones."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which cases: `state` open or resolved, `engagement` a canonical id, `entities` what the asker may see."""

    state: str = "open"
    owner: str | None = None
    reason: str | None = None
    engagement: str | None = None
    signature: str | None = None
    entities: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One case as it stands. `question` is what the engine asks: options of a decision, or what it watches."""

    id: int
    reason: str
    title: str
    owner: str
    money: Money | None
    state: str
    opened_at: datetime
    age_seconds: int
    resolved_at: datetime | None
    resolution: str | None
    resolved_by: str | None
    note: str | None
    connection: str | None
    subject: str | None
    engagement: str | None
    engagement_name: str | None
    engagement_number: str | None
    process_id: int | None
    effect_id: int | None
    inbox_id: int | None
    signature: str
    problems: tuple[Mapping[str, Any], ...]
    question: Mapping[str, Any] | None

    @property
    def options(self) -> tuple[str, ...]:
        """The answers to choose from, when the case is a question."""
        return tuple((self.question or {}).get("options", ()))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of cases and the cursor of the next one."""

    cases: tuple[Case, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Open cases of one cause, with the money they hold back by currency."""

    signature: str
    reason: str
    title: str
    owner: str
    connection: str | None
    problems: tuple[Mapping[str, Any], ...]
    cases: int
    oldest_at: datetime
    age_seconds: int
    money: tuple[Money, ...] = field(default=())


async def list_cases(
    db: Connection, filters: Filter | None = None, *, cursor: str | None = None, limit: int = 50
) -> Page:
    """A page of cases; open ones by money times age, resolved ones by when. Raises CursorNotUnderstood, UsageError."""
    filters = filters or Filter()
    limit = max(1, min(limit, 500))
    as_of = await _now(db)
    about = {**_parameters(filters), "limit": limit + 1, "places": _places()}
    if filters.state == "open":
        after_rank = after_id = None
        if cursor is not None:
            at, after_rank, after_id = keyset.decode(cursor, str, str, int)
            as_of = keyset.moment(at)
        place = {
            "as_of": as_of,
            "after_rank": None if after_rank is None else _number(after_rank),
            "after_id": after_id,
        }
        rows = await (await db.execute(OPEN_CASES, {**about, **place})).fetchall()
        ends: list[tuple[Any, ...]] = [(as_of.isoformat(), str(row[-1]), row[0]) for row in rows]
    elif filters.state == "resolved":
        at, after_id = (None, None) if cursor is None else keyset.decode(cursor, str, int)
        place = {"as_of": as_of, "after_at": None if at is None else keyset.moment(at), "after_id": after_id}
        rows = await (await db.execute(RESOLVED_CASES, {**about, **place})).fetchall()
        ends = [(row[8].isoformat(), row[0]) for row in rows]
    else:
        raise UsageError(f"a case is open or resolved; {filters.state!r} was asked for")
    following = keyset.encode(*ends[limit - 1]) if len(rows) > limit else None
    now = await _now(db)
    return Page(tuple(_case(row, now) for row in rows[:limit]), following)


async def one(db: Connection, id: int, entities: Sequence[str] | None = None) -> Case:
    """One case. Raises NoSuchCase, also for one outside the legal entities of who asks."""
    about = {"id": id, "entities": None if entities is None else list(entities)}
    row = await (await db.execute(ONE_CASE, about)).fetchone() if 0 < id < 2**63 else None
    if row is None:
        raise NoSuchCase(f"there is no case {id}; `accord cases list` shows the open ones")
    return _case(row, await _now(db))


async def clusters(db: Connection, *, limit: int = 100, entities: Sequence[str] | None = None) -> list[Cluster]:
    """Open cases gathered by cause (system, codes, fields, message without its variable parts), the dearest first."""
    now = await _now(db)
    about = {
        "as_of": now,
        "places": _places(),
        "limit": limit,
        "entities": None if entities is None else list(entities),
    }
    rows = await (await db.execute(CLUSTERS, about)).fetchall()
    return [_cluster(row, now) for row in rows]


def _cluster(row: Sequence[Any], now: datetime) -> Cluster:
    signature, reason, title, owner, connection, problems, count, oldest, amounts = row
    return Cluster(
        signature=signature,
        reason=reason,
        title=title,
        owner=owner,
        connection=connection,
        problems=tuple(problems),
        cases=count,
        oldest_at=oldest,
        age_seconds=_seconds(now, oldest),
        money=_money_of(amounts or {}),
    )


async def facets(db: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """How many open cases each owner has, and each reason: for filters."""
    owners: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for owner, reason, count in await (await db.execute(FACETS)).fetchall():
        owners[owner] = owners.get(owner, 0) + count
        reasons[reason] = reasons.get(reason, 0) + count
    return owners, reasons


def plain(thing: Any) -> dict[str, Any]:
    """A case, cluster or case file as JSON values; ages also in words, amounts also as text."""
    values = {each.name: to_plain(getattr(thing, each.name)) for each in fields(thing)}
    money = getattr(thing, "money", None)
    if isinstance(money, Money):
        values["amount"] = str(money)
    elif money:
        values["amount"] = ", ".join(str(each) for each in money)
    if hasattr(thing, "age_seconds"):
        values["age"] = age_in_words(thing.age_seconds)
    return values


def age_in_words(seconds: float) -> str:
    """A span as people say it: 45 s, 12 min, 3 h, 2 d."""
    whole = int(max(0, seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= size * (2 if unit == "d" else 1):
            return f"{whole // size} {unit}"
    return f"{whole} s"


def _parameters(filters: Filter) -> dict[str, Any]:
    return {
        "owner": filters.owner,
        "reason": filters.reason,
        "engagement": filters.engagement,
        "signature": filters.signature,
        "entities": None if filters.entities is None else list(filters.entities),
    }


def _case(row: Sequence[Any], now: datetime) -> Case:
    amount, currency = row[4], row[5]
    until = row[8] or now
    return Case(
        id=row[0],
        reason=row[1],
        title=row[2],
        owner=row[3],
        money=None if amount is None or currency is None else Money(amount, currency),
        state=row[6],
        opened_at=row[7],
        age_seconds=_seconds(until, row[7]),
        resolved_at=row[8],
        resolution=row[9],
        resolved_by=row[10],
        note=row[11],
        connection=row[12],
        subject=row[13],
        engagement=row[14],
        process_id=row[15],
        effect_id=row[16],
        inbox_id=row[17],
        signature=row[18],
        problems=tuple(row[19]),
        question=row[20],
        engagement_name=row[21],
        engagement_number=row[22],
    )


async def _now(db: Connection) -> datetime:
    """The database's clock: it gave the cases their age."""
    row = await (await db.execute("SELECT clock_timestamp()")).fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def _seconds(until: datetime, since: datetime) -> int:
    return max(0, int((until - since).total_seconds()))


def _money_of(amounts: Mapping[str, str]) -> tuple[Money, ...]:
    return tuple(Money(Decimal(amounts[currency]), currency) for currency in sorted(amounts) if amounts[currency])


def _number(text: str) -> Decimal:
    if not (text.isascii() and text.isdigit()):
        raise keyset.CursorNotUnderstood("the cursor is not one this list gave; start again without it")
    return Decimal(text)


@cache
def _places() -> str:
    """Currencies whose minor unit is not the hundredth, with their decimals, as JSON."""
    return json.dumps({code: decimals_of(code) for code in sorted(list_currencies()) if decimals_of(code) != 2})
