"""The verbs that settle cases. Each runs inside the caller's transaction, is audited, and is told as a fact.

A verb changes what the engine will do; the case of a story that goes on is closed by the engine when it passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from accord.engine import eventlog, interventions
from accord.engine.shell import Connection
from accord.engine.turning import fact_row
from accord.errors import Conflict, UsageError
from accord.governance import audit
from accord.model.events import Fact
from accord.model.plain import to_plain
from accord.workbench import corrections
from accord.workbench.casefile import Attempt, Behind, CaseFile, EffectOf, ProcessOf, show, verbs
from accord.workbench.listing import (
    Case,
    Cluster,
    Filter,
    NoSuchCase,
    Page,
    clusters,
    facets,
    list_cases,
    one,
    plain,
)
from accord.workbench.remedies import Remedy

CASE_RETRIED = "case.retried"
CASE_RESOLVED = "case.resolved"

RESOLVE = """
UPDATE business_case SET state = 'resolved', resolved_at = clock_timestamp(), resolution = %(resolution)s,
    resolved_by = %(by)s, note = coalesce(%(note)s, note) WHERE id = %(id)s AND state = 'open'
"""
OPEN_OF_CAUSE = """
SELECT c.id FROM business_case c WHERE c.state = 'open' AND c.signature = %(signature)s AND (
    %(entities)s::text[] IS NULL OR EXISTS (
        SELECT FROM record d WHERE d.kind = 'deal' AND d.id = c.correlation AND of_entities(d.body, %(entities)s)))
ORDER BY c.id
"""
TRY_PUSH_AGAIN = "UPDATE inbox SET state = 0, reason = NULL, settled_at = NULL WHERE id = %(id)s AND state = 3"
RESUME_CONNECTION = """
UPDATE connection SET state = 'active', state_reason = NULL, updated_at = now()
WHERE name = %(name)s AND state <> 'active'
"""


class CaseIsSettled(Conflict):
    """The case is resolved already; look at how before doing more."""

    title = "Case is settled"


async def retry(db: Connection, case: int, *, by: str, entities: Sequence[str] | None = None) -> None:
    """Try again: what was read is read anew, and the story goes on where it stopped. Raises NoSuchCase, Conflict."""
    found = await _open(db, case, entities)
    await _retry(db, found, by)
    await _tell(db, [found], CASE_RETRIED, by, "Tried again", {})


async def retry_cluster(db: Connection, signature: str, *, by: str, entities: Sequence[str] | None = None) -> int:
    """Try again every open case of one cause; how many."""
    about = {"signature": signature, "entities": None if entities is None else list(entities)}
    ids = [row[0] for row in await (await db.execute(OPEN_OF_CAUSE, about)).fetchall()]
    return await _retry_all(db, ids, by, "Tried again with all of its cause")


async def skip(db: Connection, case: int, reason: str, *, by: str, entities: Sequence[str] | None = None) -> None:
    """Go on without it: the refused write is not needed, or the requirement is waived. Raises NoSuchCase, Conflict."""
    found = await _settling(db, case, "skip", entities)
    reason = _said(reason, "say why it is skipped")
    if found.effect_id is not None:
        await interventions.skip(db, found.effect_id, reason, by)
    else:
        await interventions.answer(db, _process(found), _key(found), None, by)
    await _resolved(db, found, by, f"skipped: {reason}")


async def supply(
    db: Connection,
    case: int,
    vendor_id: str,
    details: Mapping[str, Any],
    *,
    by: str,
    entities: Sequence[str] | None = None,
) -> None:
    """Say that the write was done by hand, and under which id the vendor has it. Raises NoSuchCase, Conflict."""
    found = await _settling(db, case, "supply", entities)
    vendor_id = _said(vendor_id, "give the id the vendor shows for it")
    assert found.effect_id is not None
    await interventions.supply(db, found.effect_id, vendor_id, dict(details), by)
    await _resolved(db, found, by, f"done by hand: {vendor_id}", {"details": dict(details)})


async def answer(db: Connection, case: int, option: str, *, by: str, entities: Sequence[str] | None = None) -> None:
    """Choose one of the options of a question. Raises NoSuchCase, Conflict, UsageError."""
    found = await _settling(db, case, "answer", entities)
    if option not in found.options:
        raise UsageError(f"{option!r} is not one of the options: {', '.join(found.options)}")
    await interventions.answer(db, _process(found), _key(found), option, by)
    await _resolved(db, found, by, f"answered: {option}")


async def cancel(db: Connection, case: int, reason: str, *, by: str, entities: Sequence[str] | None = None) -> None:
    """End the story and take back what it did, last first. Raises NoSuchCase, Conflict."""
    found = await _settling(db, case, "cancel", entities)
    reason = _said(reason, "say why it is cancelled")
    await interventions.cancel(db, _process(found), reason, by)
    await _resolved(db, found, by, f"cancelled: {reason}")


async def resolve(db: Connection, case: int, note: str, *, by: str, entities: Sequence[str] | None = None) -> None:
    """Close a case that no story waits behind, with a note of what was done. Raises NoSuchCase, Conflict."""
    found = await _settling(db, case, "resolve", entities)
    await _resolved(db, found, by, "closed by a person", note=_said(note, "say what was done"))


async def correct_reference(db: Connection, list_name: str, given: str, meaning: str, *, by: str) -> int:
    """Declare what a source's text means, and try again every case that this cures; how many. Raises UsageError."""
    cured = await corrections.declare(db, list_name, given, meaning, by=by)
    return await _retry_all(db, cured, by, f"{given!r} in {list_name} means {meaning!r}")


async def correct_field(
    db: Connection,
    case: int,
    name: str,
    value: str,
    *,
    by: str,
    now: datetime,
    entities: Sequence[str] | None = None,
) -> None:
    """Correct a field such as `deal.delivery_region` and try again. Raises NoSuchCase, Conflict, UsageError."""
    found = await _open(db, case, entities)
    await corrections.override(db, found, name, value, by=by, now=now)
    await _retry(db, found, by)
    await _tell(db, [found], CASE_RETRIED, by, f"{name} corrected, tried again", {"field": name})


async def _open(db: Connection, id: int, entities: Sequence[str] | None) -> Case:
    """The case, if it is open. Nothing is locked: the engine locks effects before cases, and so must we.

    Raises NoSuchCase, CaseIsSettled.
    """
    found = await one(db, id, entities)
    if found.state != "open":
        raise CaseIsSettled(f"case {id} is resolved already ({found.resolution}); there is nothing left to do")
    return found


async def _settling(db: Connection, id: int, verb: str, entities: Sequence[str] | None) -> Case:
    found = await _open(db, id, entities)
    allowed = verbs(found)
    if verb not in allowed:
        raise Conflict(f"case {id} cannot be settled by {verb}; it can by {', '.join(allowed)}")
    return found


async def _retry(db: Connection, case: Case, by: str) -> None:
    if case.process_id is not None:
        if case.options:
            raise Conflict(f"case {case.id} is a question; answer it with one of: {', '.join(case.options)}")
        await interventions.retry(db, case.process_id)
    elif case.inbox_id is not None:
        await db.execute(TRY_PUSH_AGAIN, {"id": case.inbox_id})
        await _close(db, case, "translated again", by)
        await db.execute("SELECT pg_notify('accord_inbox', '')")
    elif case.reason == "connection_paused" and case.connection is not None:
        await db.execute(RESUME_CONNECTION, {"name": case.connection})
        await _close(db, case, "connection resumed", by)
        await db.execute("SELECT pg_notify('accord_ready', '')")
    else:
        raise Conflict(f"case {case.id} has nothing to try again; correct the source, then resolve it with a note")


async def _retry_all(db: Connection, ids: Sequence[int], by: str, what: str) -> int:
    """Cases resolved or turned into questions meanwhile are left as they are."""
    tried = []
    for id in ids:
        found = await one(db, id)
        if found.state == "open" and "retry" in verbs(found):
            await _retry(db, found, by)
            tried.append(found)
    await _tell(db, tried, CASE_RETRIED, by, what, {})
    return len(tried)


async def _resolved(
    db: Connection, case: Case, by: str, resolution: str, more: Mapping[str, Any] | None = None, note: str | None = None
) -> None:
    await _close(db, case, resolution, by, note)
    await _tell(db, [case], CASE_RESOLVED, by, resolution, {**(more or {}), **({} if note is None else {"note": note})})


async def _close(db: Connection, case: Case, resolution: str, by: str, note: str | None = None) -> None:
    """Raises CaseIsSettled when somebody else was quicker; that undoes the rest of this transaction."""
    about = {"id": case.id, "resolution": resolution[:500], "by": by, "note": note}
    if (await db.execute(RESOLVE, about)).rowcount != 1:
        raise CaseIsSettled(f"case {case.id} was resolved by somebody else just now; look at how before doing more")


async def _tell(db: Connection, cases: Sequence[Case], type: str, by: str, what: str, more: Mapping[str, Any]) -> None:
    """The audit entries and facts of a verb, in two statements whatever the number of cases."""
    if not cases:
        return
    row = await (await db.execute("SELECT clock_timestamp()")).fetchone()
    assert row is not None
    at = row[0].isoformat()
    rows = []
    entries = []
    for case in cases:
        payload = {"case": case.id, "what": what, "title": case.title, "reason": case.reason, **more}
        if case.money is not None:
            payload["money"] = to_plain(case.money)
        fact = Fact(type, f"case-{case.id}", at, by, payload, correlation=case.engagement)
        rows.append(fact_row(fact, case.engagement, f"case {case.id}"))
        entries.append({"actor": by, "action": type, "about": f"case {case.id}", "detail": payload})
    await eventlog.append(db, rows)
    await audit.write_many(db, entries)


def _process(case: Case) -> int:
    assert case.process_id is not None
    return case.process_id


def _key(case: Case) -> str:
    key = (case.question or {}).get("key")
    if not key:
        raise Conflict(f"case {case.id} asks nothing that can be answered; retry or cancel it")
    return str(key)


def _said(text: str, cure: str) -> str:
    if not text.strip():
        raise UsageError(cure)
    return text.strip()[:2000]


__all__ = [
    "Attempt",
    "Behind",
    "Case",
    "CaseFile",
    "CaseIsSettled",
    "Cluster",
    "EffectOf",
    "Filter",
    "NoSuchCase",
    "Page",
    "ProcessOf",
    "Remedy",
    "answer",
    "cancel",
    "clusters",
    "correct_field",
    "correct_reference",
    "facets",
    "list_cases",
    "one",
    "plain",
    "resolve",
    "retry",
    "retry_cluster",
    "show",
    "skip",
    "supply",
    "verbs",
]
