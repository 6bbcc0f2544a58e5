"""The flow from won to cash in counts and money, what is stuck, and how the connections are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accord.engine.shell import Connection
from accord.insight import draining
from accord.insight.draining import seconds_by_limits
from accord.insight.engagements import sums
from accord.ledger.postings import Standing, standing
from accord.model.money import Money

STAGES = ("won", "in gate", "active", "milestone approved", "invoiced", "posted", "paid", "disputed")

# One scan of the deals, one of the engagements, one of the invoices; each by the index of its kind.
FLOW = """
WITH deal AS (
    SELECT d.id, d.body -> 'amount' ->> 'currency' AS currency, (d.body -> 'amount' ->> 'amount')::numeric AS amount,
           e.body AS engagement
    FROM record d LEFT JOIN record e ON e.kind = 'engagement' AND e.id = d.id
    WHERE d.kind = 'deal' AND NOT d.deleted AND (d.body -> 'is_won' = 'true' OR e.id IS NOT NULL)
      AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s))
), invoice AS (
    SELECT i.body ->> 'currency' AS currency, (i.body -> 'gross' ->> 'amount')::numeric AS gross,
           coalesce((i.body -> 'paid' ->> 'amount')::numeric, 0) AS paid,
           coalesce((i.body ->> 'disputed')::boolean, false) AS disputed,
           EXISTS (SELECT FROM record n WHERE n.kind = 'invoice_posting' AND n.id = i.id) AS posted
    FROM record i WHERE i.kind = 'invoice' AND NOT i.deleted AND i.body ->> 'status' NOT IN ('draft', 'void')
      AND (%(entities)s::text[] IS NULL OR i.body ->> 'legal_entity' = ANY(%(entities)s))
)
SELECT 'won', currency, count(*), sum(amount) FROM deal GROUP BY 2
UNION ALL SELECT 'in gate', currency, count(*), sum(amount) FROM deal WHERE engagement IS NULL GROUP BY 2
UNION ALL SELECT 'active', v ->> 'currency', count(DISTINCT id), sum((v ->> 'amount')::numeric)
    FROM deal, jsonb_array_elements(engagement -> 'value') v WHERE engagement ->> 'status' = 'active' GROUP BY 2
UNION ALL SELECT 'milestone approved', currency, count(*), sum(amount) FROM billable_item
    WHERE %(entities)s::text[] IS NULL OR legal_entity = ANY(%(entities)s) GROUP BY 2
UNION ALL SELECT 'invoiced', currency, count(*), sum(gross) FROM invoice GROUP BY 2
UNION ALL SELECT 'posted', currency, count(*), sum(gross) FROM invoice WHERE posted GROUP BY 2
UNION ALL SELECT 'paid', currency, count(*), sum(paid) FROM invoice WHERE paid > 0 GROUP BY 2
UNION ALL SELECT 'disputed', currency, count(*), sum(gross) FROM invoice WHERE disputed GROUP BY 2
"""
# An engagement in two currencies is one engagement.
ACTIVE = """
SELECT count(*) FROM record e JOIN record d ON d.kind = 'deal' AND d.id = e.id
WHERE e.kind = 'engagement' AND e.body ->> 'status' = 'active'
  AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s))
"""
STUCK = """
SELECT currency, count(*), sum(amount), min(opened_at) FROM business_case c
WHERE c.state = 'open' AND (%(entities)s::text[] IS NULL OR EXISTS (
    SELECT FROM record d WHERE d.kind = 'deal' AND d.id = c.correlation AND of_entities(d.body, %(entities)s)))
GROUP BY 1
"""
CONNECTIONS = """
SELECT c.name, c.vendor, c.state, c.state_reason,
       (SELECT array_agg(DISTINCT b.role ORDER BY b.role) FROM binding b WHERE b.connection = c.name),
       w.waiting, w.oldest, w.asked, u.concurrency, u.per_second * u.adapted, u.closed_until, u.per_day, u.used_today,
       v.calls, v.failed, v.slowed, v.seconds, s.wanted
FROM connection c
LEFT JOIN LATERAL (
    SELECT count(*) AS waiting, min(since) AS oldest, count(*) FILTER (WHERE probe) AS asked
    FROM waiting_effect w WHERE w.connection = c.name) w ON true
LEFT JOIN budget u ON u.connection = c.name
LEFT JOIN LATERAL (
    SELECT sum(calls)::bigint AS calls, sum(calls) FILTER (WHERE status = 0 OR status >= 500)::bigint AS failed,
           sum(calls) FILTER (WHERE status = 429)::bigint AS slowed, sum(seconds) AS seconds
    FROM vendor_call v WHERE v.connection = c.name) v ON true
LEFT JOIN LATERAL (
    SELECT sum(wanted)::integer AS wanted FROM budget_share s WHERE s.connection = c.name) s ON true
ORDER BY c.name
"""
WAITING_MONEY = """
SELECT w.connection, e.currency, sum(e.amount) FROM waiting_effect w JOIN effect e ON e.id = w.effect_id
WHERE e.amount IS NOT NULL GROUP BY 1, 2
"""
POLLS = """
SELECT connection, kind, last_at, every_seconds, failures, last_error, last_seen FROM poll ORDER BY connection, kind
"""
STORIES = "SELECT state, count(*) FROM open_process GROUP BY state"
WORKERS = """
SELECT count(*) FILTER (WHERE h.at > clock_timestamp() - interval '5 seconds'), clock_timestamp()
FROM worker_heartbeat h
"""
INBOX = "SELECT count(*), min(received_at) FROM inbox WHERE state = 0"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the flow: how many, and how much by currency."""

    name: str
    count: int
    money: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class Stuck:
    """All open cases together."""

    cases: int
    money: tuple[Money, ...]
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Poll:
    """How fresh one kind of one connection is. `stale` when it is three intervals overdue or failing."""

    connection: str
    kind: str
    last_at: datetime | None
    every_seconds: float
    failures: int
    last_error: str | None
    seen: int
    stale: bool


@dataclass(frozen=True, slots=True)
class Health:
    """One connection. `health` is the worst of state, polls and what waits: good | slow | stopped; `why` says why.

    `drain_seconds` estimates how long the waiting writes and those that follow from them take, at the pace measured
    lately or else at what the vendor allows (draining.py); None when nothing waits or nothing can be said.
    """

    name: str
    vendor: str
    state: str
    reason: str | None
    roles: tuple[str, ...]
    waiting: int
    waiting_money: tuple[Money, ...]
    oldest_at: datetime | None
    unknown: int
    calls: int
    failed: int
    slowed: int
    mean_ms: float | None
    used_today: int | None
    per_day: int | None
    drain_seconds: float | None
    polls: tuple[Poll, ...]
    health: str
    why: str


@dataclass(frozen=True, slots=True)
class Home:
    """Everything the first page shows, as of one moment."""

    as_of: datetime
    stages: tuple[Stage, ...]
    stuck: Stuck
    connections: tuple[Health, ...]
    stories: dict[str, int]
    workers: int
    inbox: int
    inbox_oldest_at: datetime | None
    unexplained: tuple[Standing, ...]

    def stage(self, name: str) -> Stage:
        return next(each for each in self.stages if each.name == name)


async def home(db: Connection, entities: Sequence[str] | None = None) -> Home:
    """The state of the house for one reader's legal entities (None for all)."""
    about = {"entities": None if entities is None else list(entities)}
    flow = await (await db.execute(FLOW, about)).fetchall()
    active = await (await db.execute(ACTIVE, about)).fetchone()
    stuck = await (await db.execute(STUCK, about)).fetchall()
    stories = await (await db.execute(STORIES)).fetchall()
    workers = await (await db.execute(WORKERS)).fetchone()
    inbox = await (await db.execute(INBOX)).fetchone()
    assert workers is not None
    assert inbox is not None
    now: datetime = workers[1]
    ledger = [each for each in await standing(db) if entities is None or each.legal_entity in entities]
    return Home(
        as_of=now,
        stages=tuple(_stage(name, flow, active[0] if active else 0) for name in STAGES),
        stuck=_stuck(stuck),
        connections=tuple(await connections(db, now)),
        stories={name: count for state, count in stories for name in [_STORY_STATES.get(state, "running")]},
        workers=workers[0],
        inbox=inbox[0],
        inbox_oldest_at=inbox[1],
        unexplained=tuple(each for each in ledger if each.unexplained),
    )


_STORY_STATES = {0: "ready", 1: "running", 2: "waiting", 3: "parked", 6: "undoing"}


async def connections(db: Connection, now: datetime) -> list[Health]:
    """How each connection is."""
    rows = await (await db.execute(CONNECTIONS)).fetchall()
    amounts: dict[str, list[Money]] = {}
    for connection, currency, amount in await (await db.execute(WAITING_MONEY)).fetchall():
        amounts.setdefault(connection, []).append(Money(amount, currency))
    polls: dict[str, list[Poll]] = {}
    for connection, kind, last_at, every, failures, error, seen in await (await db.execute(POLLS)).fetchall():
        stale = failures > 0 or (last_at is not None and (now - last_at).total_seconds() > 3 * every + 5)
        poll = Poll(connection, kind, last_at, every, failures, error, seen, stale)
        polls.setdefault(connection, []).append(poll)
    drains = await draining.forecasts(db, {row[0]: row[5] or row[17] for row in rows})
    return [
        _health(row, sums(amounts.get(row[0], [])), tuple(polls.get(row[0], ())), drains.get(row[0]), now)
        for row in rows
    ]


def _stage(name: str, flow: Sequence[Sequence[Any]], active: int) -> Stage:
    rows = [row for row in flow if row[0] == name]
    amounts = [Money(row[3], row[1]) for row in rows if row[1] is not None and row[3] is not None]
    return Stage(name, active if name == "active" else sum(row[2] for row in rows), sums(amounts))


def _stuck(rows: Sequence[Sequence[Any]]) -> Stuck:
    amounts = [Money(row[2], row[0]) for row in rows if row[0] is not None and row[2] is not None]
    oldest = min((row[3] for row in rows), default=None)
    return Stuck(sum(row[1] for row in rows), sums(amounts), oldest)


def _health(
    row: Sequence[Any], money: tuple[Money, ...], polls: tuple[Poll, ...], drain: float | None, now: datetime
) -> Health:
    name, vendor, state, reason, roles, waiting, oldest, asked, concurrency, per_second, closed_until = row[:11]
    per_day, used_today, calls, failed, slowed, seconds, _ = row[11:]
    mean = float(seconds) / calls if calls else None
    if drain is None:
        drain = seconds_by_limits(waiting, concurrency=concurrency, per_second=per_second, mean_seconds=mean)
    health, why = _verdict(state, reason, closed_until, polls, waiting, oldest, now)
    return Health(
        name=name,
        vendor=vendor,
        state=state,
        reason=reason,
        roles=tuple(roles or ()),
        waiting=waiting,
        waiting_money=money,
        oldest_at=oldest,
        unknown=asked,
        calls=calls or 0,
        failed=failed or 0,
        slowed=slowed or 0,
        mean_ms=None if mean is None else round(mean * 1000, 1),
        used_today=used_today,
        per_day=per_day,
        drain_seconds=drain,
        polls=polls,
        health=health,
        why=why,
    )


def _verdict(
    state: str,
    reason: str | None,
    closed_until: datetime | None,
    polls: tuple[Poll, ...],
    waiting: int,
    oldest: datetime | None,
    now: datetime,
) -> tuple[str, str]:
    if state != "active":
        return "stopped", reason or f"the connection is {state}"
    if closed_until is not None and closed_until > now:
        return "stopped", "not sending: it did not answer, and is tried again by itself"
    stale = [poll for poll in polls if poll.stale]
    if stale:
        worst = stale[0]
        return "slow", worst.last_error or f"{worst.kind.replace('_', ' ')} was not read when it was due"
    if waiting and oldest is not None and (now - oldest).total_seconds() > 60:
        return "slow", f"{waiting} writes wait"
    return "good", "in accord"


__all__ = ["STAGES", "Health", "Home", "Poll", "Stage", "Stuck", "connections", "home"]
