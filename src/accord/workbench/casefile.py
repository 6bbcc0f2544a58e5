"""A case with all that helps to settle it: the process, the refused write, what waits behind, the cures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.engine.shell import Connection
from accord.engine.states import EffectState, ProcessState
from accord.model.money import Money
from accord.workbench import remedies
from accord.workbench.listing import Case, one
from accord.workbench.remedies import Remedy

PROCESS = """
SELECT p.id, p.name, p.version, p.subject, p.correlation, p.started_at, p.finished_at, coalesce(o.state, p.end_state)
FROM process p LEFT JOIN open_process o ON o.process_id = p.id WHERE p.id = %(id)s
"""
EFFECT = """
SELECT id, connection, kind, canonical_id, verb, state, label, attempts, body, outcome, vendor_id, intended_at, sent_at
FROM effect WHERE id = %(id)s
"""
ATTEMPTS = "SELECT at, what, outcome, reason FROM effect_attempt WHERE effect_id = %(id)s ORDER BY at DESC LIMIT 50"
# What cannot go on before this does: later stories about the same subject, writes in line behind the refused one, and
# everything that waits for a paused connection.
BEHIND = """
SELECT 'stories about the same subject', count(*), NULL::numeric, NULL FROM open_process me
JOIN open_process later ON later.subject = me.subject AND later.process_id > me.process_id
WHERE me.process_id = %(process_id)s
UNION ALL
SELECT 'writes in line behind it', count(*), sum(e.amount), e.currency FROM waiting_effect w
JOIN effect e ON e.id = w.effect_id WHERE w.after = %(effect_id)s GROUP BY e.currency
UNION ALL
SELECT 'writes waiting for ' || w.connection, count(*), sum(e.amount), e.currency FROM waiting_effect w
JOIN effect e ON e.id = w.effect_id WHERE w.connection = %(paused)s GROUP BY w.connection, e.currency
"""
# What cancelling takes back, last first: the same rows the engine will undo.
UNDONE = """
SELECT label FROM effect WHERE process_id = %(process_id)s AND state = 2 AND undo IS NOT NULL ORDER BY id DESC LIMIT 100
"""


@dataclass(frozen=True, slots=True)
class ProcessOf:
    """The story a case holds up; `state` is a word of ProcessState."""

    id: int
    name: str
    version: str
    subject: str
    engagement: str | None
    started_at: datetime
    finished_at: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class EffectOf:
    """The write a case is about; `body` is what was to be written, `outcome` what the vendor said."""

    id: int
    connection: str
    kind: str
    canonical_id: str
    verb: str
    state: str
    label: str
    attempts: int
    body: Mapping[str, Any]
    outcome: Mapping[str, Any] | None
    vendor_id: str | None
    intended_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a write: `what` is send or probe."""

    at: datetime
    what: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Behind:
    """Something that waits behind a case."""

    what: str
    count: int
    money: Money | None = None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case and all that helps to settle it."""

    case: Case
    process: ProcessOf | None
    effect: EffectOf | None
    attempts: tuple[Attempt, ...]
    behind: tuple[Behind, ...]
    remedies: tuple[Remedy, ...]
    verbs: tuple[str, ...]
    undone_by_cancel: tuple[str, ...]


async def show(db: Connection, id: int, entities: Sequence[str] | None = None) -> CaseFile:
    """Everything about one case. Raises NoSuchCase."""
    case = await one(db, id, entities)
    process = await _process(db, case.process_id)
    effect = await _effect(db, case.effect_id)
    attempts = () if effect is None else await _attempts(db, effect.id)
    return CaseFile(
        case=case,
        process=process,
        effect=effect,
        attempts=attempts,
        behind=await _behind(db, case),
        remedies=await remedies.of(db, case) if case.state == "open" else (),
        verbs=verbs(case),
        undone_by_cancel=await _undone(db, case),
    )


def verbs(case: Case) -> tuple[str, ...]:
    """What may be done with a case as it stands."""
    if case.state != "open":
        return ()
    if case.options:
        return ("answer", "cancel")
    if case.process_id is None:
        retriable = case.inbox_id is not None or case.reason == "connection_paused"
        return ("retry", "resolve") if retriable else ("resolve",)
    return ("retry", "skip", *(("supply",) if case.effect_id is not None else ()), "cancel")


async def _process(db: Connection, id: int | None) -> ProcessOf | None:
    row = None if id is None else await (await db.execute(PROCESS, {"id": id})).fetchone()
    if row is None:
        return None
    state = ProcessState(row[7]).name.lower() if row[7] is not None else "unknown"
    id, name, version, subject, engagement, started_at, finished_at = row[:7]
    return ProcessOf(id, name, version, subject, engagement, started_at, finished_at, state)


async def _effect(db: Connection, id: int | None) -> EffectOf | None:
    row = None if id is None else await (await db.execute(EFFECT, {"id": id})).fetchone()
    if row is None:
        return None
    id, connection, kind, about, verb, state, label, attempts, body, outcome, vendor_id, intended_at, sent_at = row
    return EffectOf(
        id=id,
        connection=connection,
        kind=kind,
        canonical_id=about,
        verb=verb,
        state=EffectState(state).name.lower().replace("_", " "),
        label=label,
        attempts=attempts,
        body=body,
        outcome=outcome,
        vendor_id=vendor_id,
        intended_at=intended_at,
        sent_at=sent_at,
    )


async def _attempts(db: Connection, id: int) -> tuple[Attempt, ...]:
    return tuple(Attempt(*row) for row in await (await db.execute(ATTEMPTS, {"id": id})).fetchall())


async def _behind(db: Connection, case: Case) -> tuple[Behind, ...]:
    paused = case.connection if case.reason == "connection_paused" else None
    about = {"process_id": case.process_id, "effect_id": case.effect_id, "paused": paused}
    rows = await (await db.execute(BEHIND, about)).fetchall()
    return tuple(Behind(what, count, _money(amount, currency)) for what, count, amount, currency in rows if count)


async def _undone(db: Connection, case: Case) -> tuple[str, ...]:
    if case.process_id is None or case.state != "open":
        return ()
    rows = await (await db.execute(UNDONE, {"process_id": case.process_id})).fetchall()
    return tuple(row[0] for row in rows)


def _money(amount: Decimal | None, currency: str | None) -> Money | None:
    return None if amount is None or currency is None else Money(amount, currency)
