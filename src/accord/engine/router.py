"""Reads the event log and starts or wakes stories. One router works at a time; its cursor is the lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accord.engine import eventlog, statements
from accord.engine.casework import case_row
from accord.engine.eventlog import Logged
from accord.engine.identities import Identities
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.engine.story import Process
from accord.model.events import Fact
from accord.model.problem import Problem

CONSUMER = "router"

# Stories that wait for one of these facts are claimed, and look at what came.
WAKE_WAITERS = """
WITH x AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (type text, subject text)
), met AS (
    SELECT o.process_id FROM open_process o
    WHERE o.process_id IN (SELECT a.process_id FROM awaited_fact a JOIN x ON a.subject = x.subject AND a.type = x.type)
      AND o.state IN (1, 2)
    ORDER BY o.process_id FOR UPDATE
)
UPDATE open_process o SET state = CASE WHEN o.state = 2 THEN 0 ELSE o.state END, poked = (o.state = 1)
FROM met WHERE o.process_id = met.process_id
"""
# Parked stories whose case watches something that changed: what they read is forgotten and they are tried again.
RETRY_WATCHERS = """
WITH watching AS (
    SELECT o.process_id FROM open_process o
    WHERE o.process_id IN (
        SELECT c.process_id FROM business_case c
        WHERE c.state = 'open' AND c.process_id IS NOT NULL AND c.question -> 'watch' ?| %(subjects)s)
      AND o.state IN (1, 3)
    ORDER BY o.process_id FOR UPDATE
), forgotten AS (
    DELETE FROM journal j USING watching w WHERE j.process_id = w.process_id
        AND (j.key LIKE 'read:%%' OR j.key LIKE 'related:%%' OR j.key LIKE 'policy:%%')
)
UPDATE open_process o SET state = CASE WHEN o.state = 3 THEN 0 ELSE o.state END, poked = (o.state = 1)
FROM watching w WHERE o.process_id = w.process_id
"""


def starts(
    processes: Mapping[str, Process], facts: Sequence[Fact], correlations: Sequence[str | None]
) -> list[dict[str, Any]]:
    """The stories these facts start, as rows without ids. Pure. Raises what a process does at an odd fact."""
    return [
        _start(process, fact, correlation)
        for fact, correlation in zip(facts, correlations, strict=True)
        for process in processes.values()
        if fact.type in process.starts_on
    ]


def _start(process: Process, fact: Fact, correlation: str | None) -> dict[str, Any]:
    return {
        "name": process.name,
        "version": process.version,
        "one_per": process.one_per(fact),
        "subject": process.subject(fact),
        "correlation": correlation,
        "trigger": _plain(fact),
        "priority": process.priority,
    }


def _readable(processes: Mapping[str, Process], logged: Sequence[Logged]) -> tuple[list[dict[str, Any]], list[Any]]:
    """The stories to start, and (process, fact, why) of those that cannot be started."""
    rows, refused = [], []
    for each in logged:
        fact = _fact(each)
        for process in processes.values():
            if fact.type in process.starts_on:
                try:
                    rows.append(_start(process, fact, each.correlation))
                except Exception as error:  # noqa: BLE001  (one fact must not hold up all that come after it)
                    refused.append((process, fact, f"{type(error).__name__}: {error}"))
    return rows, refused


async def route(connection: Connection, processes: Mapping[str, Process], limit: int = 2000) -> int:
    """Deal with the next facts in one transaction; how many."""
    async with connection.transaction():
        logged = await eventlog.read_on(connection, CONSUMER, limit)
        if not logged:
            return 0
        rows, refused = _readable(processes, logged)
        await start(connection, rows)
        await _open_cases(connection, refused)
        waking = [{"type": each.type, "subject": each.subject} for each in logged]
        await connection.execute(WAKE_WAITERS, {"rows": as_json(waking)}, prepare=True)
        changed = sorted({each.subject for each in logged if not each.type.startswith(("effect.", "process."))})
        if changed:
            await connection.execute(RETRY_WATCHERS, {"subjects": changed}, prepare=True)
        await eventlog.move(connection, CONSUMER, logged[-1])
        await connection.execute("SELECT pg_notify('accord_ready', '')")
    return len(logged)


async def start(connection: Connection, rows: list[dict[str, Any]]) -> list[int]:
    """Start stories inside the caller's transaction; the ids of those that are new."""
    if not rows:
        return []
    identities = Identities(connection)
    await identities.ensure(len(rows))
    numbered = [{"id": identities.take(), **row} for row in rows]
    cursor = await connection.execute(statements.START_PROCESSES, {"rows": as_json(numbered)}, prepare=True)
    return [row[0] for row in await cursor.fetchall()]


async def _open_cases(connection: Connection, refused: Sequence[tuple[Process, Fact, str]]) -> None:
    if not refused:
        return
    identities = Identities(connection)
    await identities.ensure(len(refused))
    cases = [
        case_row(
            id=identities.take(),
            reason="fact_unreadable",
            title=f"{process.title} could not be started by {fact.type}: {why}",
            problems=(Problem("fact_unreadable", why, cure="Correct the source of the fact, or the process."),),
            owner="integration engineer",
            subject=fact.subject,
            correlation=fact.correlation,
        )
        for process, fact, why in refused
    ]
    await connection.execute(statements.OPEN_CASES, {"rows": as_json(cases)})


def _fact(logged: Logged) -> Fact:
    return Fact(
        type=logged.type,
        subject=logged.subject,
        occurred_at=logged.occurred_at.isoformat(),
        actor=logged.actor,
        payload=logged.payload,
        correlation=logged.correlation,
        schema_version=logged.schema_version,
    )


def _plain(fact: Fact) -> dict[str, Any]:
    return {
        "type": fact.type,
        "subject": fact.subject,
        "occurred_at": fact.occurred_at,
        "actor": fact.actor,
        "payload": fact.payload,
        "correlation": fact.correlation,
        "schema_version": fact.schema_version,
    }
