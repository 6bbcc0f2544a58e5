"""The promises in production: looked at on a schedule; a broken one is an alarm and one case until it holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog

from accord.engine import statements
from accord.engine.casework import case_row
from accord.engine.identities import Identities
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.invariants.asked import ALWAYS, INVARIANTS
from accord.invariants.invariant import Violation
from accord.model.problem import Problem

log = structlog.get_logger()

REASON = "promise_broken"
ONE_AT_A_TIME = "SELECT pg_try_advisory_xact_lock(hashtext('accord invariants'))"
HOLDS_AGAIN = """
UPDATE business_case SET state = 'resolved', resolved_at = clock_timestamp(), resolution = 'it holds again',
    resolved_by = 'accord'
WHERE state = 'open' AND reason = %(reason)s AND NOT subject = ANY(%(broken)s)
"""
CURE = "Look at the subjects named here with `accord check`; what wrote them is a defect of Accord: report it."


async def violations(db: Connection, since: datetime) -> list[Violation]:
    """The promises that must hold after every commit, looked at in one statement; `since` leaves out what is older."""
    cursor = await db.execute(ALWAYS, {"since": since})
    return [Violation(*row) for row in await cursor.fetchall()]


async def watch(db: Connection, since: datetime) -> list[Violation] | None:
    """Look once, inside the caller's transaction, and open or close the cases; None when another process is at it."""
    held = await (await db.execute(ONE_AT_A_TIME)).fetchone()
    if held is None or not held[0]:
        return None
    found = await violations(db, since)
    by_name: dict[str, list[Violation]] = {}
    for each in found:
        by_name.setdefault(each.invariant, []).append(each)
    if by_name:
        log.error("promises are broken", promises=sorted(by_name), first=f"{found[0].subject}: {found[0].what}")
        await _open(db, by_name)
    await db.execute(HOLDS_AGAIN, {"reason": REASON, "broken": sorted(by_name)})
    return found


async def _open(db: Connection, by_name: dict[str, list[Violation]]) -> None:
    identities = Identities(db)
    await identities.ensure(len(by_name))
    says = {each.name: each.says for each in INVARIANTS}
    rows: list[dict[str, Any]] = [
        case_row(
            id=identities.take(),
            reason=REASON,
            title=f"A promise is broken: {says[name]}",
            problems=tuple(Problem(name, f"{each.subject} {each.what}", cure=CURE) for each in broken),
            owner="integration engineer",
            subject=name,
        )
        for name, broken in by_name.items()
    ]
    await db.execute(statements.OPEN_CASES, {"rows": as_json(rows)})
