"""Stories for people: the list, and one with everything it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accord.db import keyset
from accord.engine.shell import Connection
from accord.engine.states import EffectState, ProcessState
from accord.errors import NotFound, UsageError
from accord.model.money import Money

LIST = """
SELECT p.id, p.name, p.version, p.subject, p.correlation, p.started_at, p.finished_at, coalesce(o.state, p.end_state)
FROM process p LEFT JOIN open_process o ON o.process_id = p.id
WHERE (%(name)s::text IS NULL OR p.name = %(name)s) AND (%(engagement)s::text IS NULL OR p.correlation = %(engagement)s)
  AND (%(states)s::smallint[] IS NULL OR coalesce(o.state, p.end_state) = ANY(%(states)s))
  AND (%(entities)s::text[] IS NULL OR EXISTS (
      SELECT FROM record d WHERE d.kind = 'deal' AND d.id = p.correlation AND of_entities(d.body, %(entities)s)))
  AND (%(after_at)s::timestamptz IS NULL OR p.started_at < %(after_at)s
      OR (p.started_at = %(after_at)s AND p.id > %(after_id)s))
ORDER BY p.started_at DESC, p.id LIMIT %(limit)s
"""
ONE = """
SELECT p.id, p.name, p.version, p.subject, p.correlation, p.started_at, p.finished_at, coalesce(o.state, p.end_state),
       p.trigger, p.result, d.body ->> 'name'
FROM process p LEFT JOIN open_process o ON o.process_id = p.id
LEFT JOIN record d ON d.kind = 'deal' AND d.id = p.correlation
WHERE p.id = %(id)s AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s))
"""
EFFECTS = """
SELECT e.id, e.connection, e.kind, e.verb, e.canonical_id, e.label, e.state, e.attempts, e.amount, e.currency,
       e.vendor_id, e.intended_at, e.sent_at, e.finished_at, w.reason, e.process_id <> %(id)s
FROM (SELECT id FROM effect WHERE process_id = %(id)s
      UNION SELECT effect_id FROM adopted_effect WHERE process_id = %(id)s) mine
JOIN effect e ON e.id = mine.id LEFT JOIN waiting_effect w ON w.effect_id = e.id ORDER BY e.id
"""
READ = "SELECT key, at FROM journal WHERE process_id = %(id)s ORDER BY at, key"
CASES = "SELECT id FROM business_case WHERE process_id = %(id)s AND state = 'open' ORDER BY id"


class NoSuchProcess(NotFound):
    """No process has that id; the list of processes shows what there is."""


@dataclass(frozen=True, slots=True)
class Line:
    """One story in the list; `state` is a word."""

    id: int
    name: str
    version: str
    subject: str
    engagement: str | None
    started_at: datetime
    finished_at: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of stories and the cursor of the next one."""

    processes: tuple[Line, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """One write of a story; `shared` when another story asked for it first. `waits` says why it is not sent."""

    id: int
    connection: str
    kind: str
    verb: str
    canonical_id: str
    label: str
    state: str
    attempts: int
    money: Money | None
    vendor_id: str | None
    intended_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    waits: str | None
    shared: bool


@dataclass(frozen=True, slots=True)
class Story:
    """One story with all it read and wrote."""

    line: Line
    engagement_name: str | None
    trigger: Mapping[str, Any]
    result: Any
    effects: tuple[Effect, ...]
    read: tuple[tuple[str, datetime], ...]
    cases: tuple[int, ...]


def states() -> list[str]:
    """The words of a story's state."""
    return [state.name.lower() for state in ProcessState]


async def list_processes(
    db: Connection,
    *,
    name: str | None = None,
    state: str | None = None,
    engagement: str | None = None,
    entities: Sequence[str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """A page of stories, the last started first. Raises UsageError, CursorNotUnderstood."""
    if state is not None and state not in states():
        raise UsageError(f"the state is one of {', '.join(states())}; {state!r} was asked for")
    limit = max(1, min(limit, 200))
    after_at, after_id = (None, None) if cursor is None else keyset.decode(cursor, str, int)
    about = {
        "name": name,
        "states": None if state is None else [int(ProcessState[state.upper()])],
        "engagement": engagement,
        "entities": None if entities is None else list(entities),
        "after_at": None if after_at is None else keyset.moment(after_at),
        "after_id": after_id,
        "limit": limit + 1,
    }
    lines = [_line(row) for row in await (await db.execute(LIST, about)).fetchall()]
    following = None
    if len(lines) > limit:
        following = keyset.encode(lines[limit - 1].started_at.isoformat(), lines[limit - 1].id)
    return Page(tuple(lines[:limit]), following)


async def one_process(db: Connection, id: int, entities: Sequence[str] | None = None) -> Story:
    """One story. Raises NoSuchProcess."""
    about = {"id": id, "entities": None if entities is None else list(entities)}
    row = await (await db.execute(ONE, about)).fetchone() if 0 < id < 2**63 else None
    if row is None:
        raise NoSuchProcess(f"there is no process {id}; the list of processes shows what there is")
    effects = await (await db.execute(EFFECTS, about)).fetchall()
    read = await (await db.execute(READ, about)).fetchall()
    cases = await (await db.execute(CASES, about)).fetchall()
    return Story(
        line=_line(row),
        engagement_name=row[10],
        trigger=row[8],
        result=row[9],
        effects=tuple(_effect(each) for each in effects),
        read=tuple((key, at) for key, at in read),
        cases=tuple(each[0] for each in cases),
    )


def _line(row: Sequence[Any]) -> Line:
    id, name, version, subject, engagement, started_at, finished_at, state = row[:8]
    word = "unknown" if state is None else ProcessState(state).name.lower()
    return Line(id, name, version, subject, engagement, started_at, finished_at, word)


def _effect(row: Sequence[Any]) -> Effect:
    (
        id,
        connection,
        kind,
        verb,
        about,
        label,
        state,
        attempts,
        amount,
        currency,
        vendor_id,
        intended,
        sent,
        done,
        why,
        shared,
    ) = row
    return Effect(
        id=id,
        connection=connection,
        kind=kind,
        verb=verb,
        canonical_id=about,
        label=label,
        state=EffectState(state).name.lower().replace("_", " "),
        attempts=attempts,
        money=None if amount is None or currency is None else Money(amount, currency),
        vendor_id=vendor_id,
        intended_at=intended,
        sent_at=sent,
        finished_at=done,
        waits=why,
        shared=shared,
    )
