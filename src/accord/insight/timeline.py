"""The timeline of one engagement across all systems: facts, writes, cases and waits in order, and the gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from accord.engine.shell import Connection
from accord.engine.states import EffectState, ProcessState
from accord.insight.finding import find_engagement
from accord.insight.words import money_of, words_of
from accord.model.money import Money
from accord.model.plain import to_plain

# Shorter pauses are the ordinary rhythm of polls and people; longer ones are shown, with what ended them.
GAP_SECONDS = 3600

EVENTS = """
SELECT seq, type, subject, occurred_at, recorded_at, actor, causation, payload FROM (
    SELECT * FROM event WHERE correlation = %(engagement)s ORDER BY seq DESC LIMIT %(limit)s) newest
ORDER BY seq
"""
CASES = """
SELECT id, title, owner, amount, currency, opened_at, resolved_at, resolution, resolved_by
FROM business_case WHERE correlation = %(engagement)s ORDER BY id
"""
WAITING_EFFECTS = """
SELECT e.connection, e.label, e.amount, e.currency, e.state, w.reason, w.since, w.not_before
FROM effect e JOIN waiting_effect w ON w.effect_id = e.id WHERE e.correlation = %(engagement)s ORDER BY w.since, e.id
"""
WAITING_STORIES = """
SELECT p.id, p.name, o.state, o.wake_at, o.since,
       (SELECT array_agg(a.type || ' ' || a.subject ORDER BY a.key) FROM awaited_fact a WHERE a.process_id = p.id)
FROM process p JOIN open_process o ON o.process_id = p.id
WHERE p.correlation = %(engagement)s AND o.state = 2 ORDER BY p.id
"""
LANES = "SELECT DISTINCT ON (connection) connection, role FROM binding ORDER BY connection, valid_from DESC"
OURSELVES = "accord"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a timeline.

    `at` is when we knew; `happened_at` when the system says it happened, where that differs by more than a second.
    `kind` is fact | write | case | wait | gap; `lane` is crm | accord | erp | billing; `ref` is the system's own id.
    """

    at: datetime
    kind: str
    system: str
    lane: str
    what: str
    actor: str
    money: Money | None = None
    latency_ms: float | None = None
    ref: str | None = None
    type: str = ""
    happened_at: datetime | None = None
    case: int | None = None
    seconds: int | None = None  # the length of a gap


@dataclass(frozen=True, slots=True)
class Timeline:
    """Entries in order. `open` are waits and cases that are not over; `cut` says that older entries were left out."""

    entries: tuple[Entry, ...]
    open: tuple[Entry, ...]
    cut: bool = False


async def timeline(db: Connection, engagement: str, *, limit: int | None = None) -> Timeline:
    """The timeline of an engagement by its canonical id; with a limit its newest facts. Empty for an unknown one."""
    about = {"engagement": engagement, "limit": limit}
    lanes = await lanes_of(db)
    rows = await (await db.execute(EVENTS, about)).fetchall()
    cases = await (await db.execute(CASES, about)).fetchall()
    entries = [_fact(row, lanes) for row in rows]
    cut = limit is not None and len(rows) == limit
    since = entries[0].at if cut else None
    told = {entry.case for entry in entries if entry.type == "case.resolved"}
    entries += [entry for row in cases for entry in _case(row, told) if since is None or entry.at >= since]
    entries.sort(key=lambda entry: entry.at)
    spans = [(row[5], row[6], row[1], row[2]) for row in cases]
    return Timeline(tuple(with_gaps(entries, spans)), tuple(await _open(db, about, lanes, cases)), cut)


async def trace(db: Connection, text: str, entities: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The whole timeline of the engagement a text means, as rows of `at, system, what, actor, money, latency_ms, ref`.

    What is not over yet comes last. Raises NoSuchEngagement, SeveralEngagements.
    """
    engagement = await find_engagement(db, text, entities)
    found = await timeline(db, engagement.id)
    return [traced(entry) for entry in (*found.entries, *found.open)]


def traced(entry: Entry) -> dict[str, Any]:
    """One entry as a row of `accord trace --json`."""
    return {
        "at": entry.at.isoformat(),
        "system": entry.system,
        "what": entry.what,
        "actor": entry.actor,
        "money": None if entry.money is None else to_plain(entry.money),
        "latency_ms": entry.latency_ms,
        "ref": entry.ref,
    }


def with_gaps(entries: Iterable[Entry], held: Sequence[tuple[datetime, datetime | None, str, str]] = ()) -> list[Entry]:
    """The entries with a row for each long pause, named by the case that held things up or by what ended it. Pure.

    `held` are cases: from, until (None: still), title, owner.
    """
    result: list[Entry] = []
    before: Entry | None = None
    for entry in entries:
        if before is not None:
            seconds = (entry.at - before.at).total_seconds()
            if seconds >= GAP_SECONDS:
                result.append(_gap(before, entry, int(seconds), held))
        result.append(entry)
        before = entry
    return result


def _gap(
    before: Entry, after: Entry, seconds: int, held: Sequence[tuple[datetime, datetime | None, str, str]]
) -> Entry:
    covering = [case for case in held if case[0] <= before.at and (case[1] is None or case[1] >= after.at)]
    what = (
        f"In the hands of {covering[0][3]}: {covering[0][2]}" if covering else f"Nothing happened until: {after.what}"
    )
    return Entry(before.at, "gap", OURSELVES, OURSELVES, what, covering[0][3] if covering else "", seconds=seconds)


async def lanes_of(db: Connection) -> dict[str, str]:
    """The lane (role) of each connection."""
    rows = await (await db.execute(LANES)).fetchall()
    return {connection: role if role in ("crm", "erp", "billing") else OURSELVES for connection, role in rows}


def _fact(row: Sequence[Any], lanes: Mapping[str, str]) -> Entry:
    _, type, _subject, occurred_at, recorded_at, actor, causation, payload = row
    system, ref = _source(causation, payload, lanes)
    latency = payload.get("latency_ms")
    ours = system == OURSELVES or type == "effect.committed"
    differs = abs((recorded_at - occurred_at).total_seconds()) > 1
    return Entry(
        at=recorded_at,
        kind="write" if type == "effect.committed" else "case" if type.startswith("case.") else "fact",
        system=system,
        lane=lanes.get(system, OURSELVES),
        what=words_of(type, payload),
        actor=actor,
        money=money_of(payload),
        latency_ms=None if latency is None else round(float(latency), 1),
        ref=ref,
        type=type,
        happened_at=occurred_at if differs and not ours else None,
        case=payload.get("case") if type.startswith("case.") else None,
    )


def _source(causation: str | None, payload: Mapping[str, Any], lanes: Mapping[str, str]) -> tuple[str, str | None]:
    """Which system a fact came from, and that system's own id of the thing: a fact seen at a vendor names both as its
    cause (`salesforce deal 006...`)."""
    if payload.get("system"):
        return str(payload["system"]), payload.get("ref")
    parts = (causation or "").split(" ", 2)
    if len(parts) == 3 and parts[0] in lanes:
        return parts[0], parts[2]
    return OURSELVES, payload.get("ref")


def _case(row: Sequence[Any], told: set[int | None]) -> list[Entry]:
    id, title, owner, amount, currency, opened_at, resolved_at, resolution, by = row
    money = None if amount is None or currency is None else Money(amount, currency)
    opened = Entry(
        opened_at,
        "case",
        OURSELVES,
        OURSELVES,
        f"Case {id} for {owner}: {title}",
        OURSELVES,
        money,
        case=id,
        type="case.opened",
    )
    if resolved_at is None or id in told:
        return [opened]
    closed = replace(
        opened, at=resolved_at, what=f"Case {id} closed: {resolution}", actor=by or OURSELVES, type="case.closed"
    )
    return [opened, closed]


async def _open(
    db: Connection, about: Mapping[str, Any], lanes: Mapping[str, str], cases: Sequence[Sequence[Any]]
) -> list[Entry]:
    found = []
    for id, title, owner, amount, currency, opened_at, resolved_at, *_ in cases:
        if resolved_at is None:
            money = None if amount is None or currency is None else Money(amount, currency)
            what = f"Case {id} waits for {owner}: {title}"
            found.append(Entry(opened_at, "wait", OURSELVES, OURSELVES, what, owner, money, case=id))
    for connection, label, amount, currency, state, reason, since, _ in await (
        await db.execute(WAITING_EFFECTS, about)
    ).fetchall():
        money = None if amount is None or currency is None else Money(amount, currency)
        unknown = "its outcome is not known and will be asked for" if state == EffectState.UNKNOWN else reason
        lane = lanes.get(connection, OURSELVES)
        found.append(Entry(since, "wait", connection, lane, f"Waits: {label} ({unknown})", OURSELVES, money))
    for _, name, state, wake_at, since, facts in await (await db.execute(WAITING_STORIES, about)).fetchall():
        until = ", ".join(facts or ()) or (f"{wake_at:%Y-%m-%d %H:%M} UTC" if wake_at else "")
        if until and state == ProcessState.WAITING:
            what = f"{name.replace('_', ' ').capitalize()} waits for {until}"
            found.append(Entry(since, "wait", OURSELVES, OURSELVES, what, OURSELVES))
    return sorted(found, key=lambda entry: entry.at)
