"""Applies what a vendor showed us to the canonical records, and appends the facts that follow, in one transaction.

A batch of any size takes a fixed number of statements. An older observation than the one we have is set aside; an
unchanged one changes nothing; a field its system does not own is kept as a conflict beside the owner's value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from accord.engine import eventlog
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.engine.turning import fact_row
from accord.model.identity import canonical_id
from accord.rules import facts
from accord.rules.ownership import owner_of, split_by_owner

MOST_ROUNDS = 20  # each is lost to another transaction that wrote the same new object first

KNOWN_IDS = """
SELECT c.kind, c.vendor_id, c.canonical_id
FROM json_to_recordset(%(rows)s::json) AS x (kind text, vendor_id text)
JOIN crosswalk c ON c.connection = %(connection)s AND c.kind = x.kind AND c.vendor_id = x.vendor_id
"""
NEW_IDS = """
INSERT INTO crosswalk (connection, kind, canonical_id, vendor_id)
SELECT %(connection)s, x.kind, x.canonical_id, x.vendor_id
FROM json_to_recordset(%(rows)s::json) AS x (kind text, canonical_id text, vendor_id text)
ORDER BY x.canonical_id, x.kind ON CONFLICT DO NOTHING
"""
CURRENT = """
SELECT r.kind, r.id, r.version, r.body, r.digest, r.provenance, r.connection, r.source_version, r.correlation
FROM json_to_recordset(%(rows)s::json) AS x (kind text, id text)
JOIN record r ON r.kind = x.kind AND r.id = x.id ORDER BY r.kind, r.id FOR UPDATE OF r
"""
CORRELATIONS = "SELECT kind, id, correlation FROM record WHERE id = ANY(%(ids)s) AND correlation IS NOT NULL"
WRITE_RECORDS = """
WITH x AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (kind text, id text, version integer, body jsonb, digest text,
        provenance jsonb, connection text, source_version text, correlation text, deleted boolean, at timestamptz)
), kept AS (
    INSERT INTO record_version (kind, id, version, body, provenance, changed_at)
    SELECT kind, id, version, body, provenance, at FROM x ORDER BY kind, id ON CONFLICT DO NOTHING
)
INSERT INTO record (kind, id, version, body, digest, provenance, connection, source_version, correlation, deleted,
    changed_at, observed_at)
SELECT kind, id, version, body, decode(digest, 'hex'), provenance, connection, source_version, correlation, deleted, at,
    at
FROM x ORDER BY kind, id
ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, body = excluded.body, digest = excluded.digest,
    provenance = excluded.provenance, connection = excluded.connection, source_version = excluded.source_version,
    correlation = coalesce(excluded.correlation, record.correlation), deleted = excluded.deleted,
    changed_at = excluded.changed_at, observed_at = excluded.observed_at
WHERE record.version = excluded.version - 1
RETURNING kind, id
"""
CONFLICTS = """
INSERT INTO ownership_conflict (kind, canonical_id, field, owner_role, connection, kept, offered)
SELECT x.kind, x.id, x.field, x.owner_role, x.connection, x.kept, x.offered
FROM json_to_recordset(%(rows)s::json) AS x (kind text, id text, field text, owner_role text, connection text,
    kept jsonb, offered jsonb)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One object as a vendor holds it, ready to be applied: like `connect.Observed`, without the connector kit."""

    kind: str
    vendor_id: str
    version: str
    body: Mapping[str, Any]
    canonical_id: str | None = None
    links: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    deleted: bool = False
    problems: tuple[str, ...] = ()
    actor: str | None = None


@dataclass(slots=True)
class Applied:
    """What came of a batch."""

    changed: int = 0
    unchanged: int = 0
    stale: int = 0
    facts: int = 0
    problems: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)


class NotApplied(Exception):
    """An observation is not written although nobody else wrote first; going on would never end."""


async def apply(db: Connection, connection: str, roles: frozenset[str], seen: Sequence[Seen], now: datetime) -> Applied:
    """Apply a batch from one connection inside the caller's transaction."""
    result = Applied()
    if not seen:
        return result
    ids = await _identify(db, connection, seen)
    left = _newest(seen, ids)
    for _ in range(MOST_ROUNDS):  # a second time only for objects that somebody else saw first at the same moment
        if not left:
            return result
        left = await _apply(db, connection, roles, left, ids, now, result)
    raise NotApplied(f"the {left[0].kind} {left[0].vendor_id!r} of {connection} could not be written")


@dataclass(frozen=True, slots=True)
class _Change:
    """One object that is to be written, and what follows from it."""

    seen: Seen
    row: dict[str, Any]
    facts: list[dict[str, Any]]


async def _apply(
    db: Connection,
    connection: str,
    roles: frozenset[str],
    seen: Sequence[Seen],
    ids: Mapping[tuple[str, str], str],
    now: datetime,
    result: Applied,
) -> list[Seen]:
    """Apply one observation each of distinct objects; those that have to be applied again."""
    bodies = [_body(each, ids) for each in seen]
    current = await _current(db, [(each.kind, body["id"]) for each, body in zip(seen, bodies, strict=True)])
    correlations = await _correlations(db, bodies)
    changes: dict[tuple[str, str], _Change] = {}
    conflicts: list[dict[str, Any]] = []
    for each, body in zip(seen, bodies, strict=True):
        before = current.get((each.kind, body["id"]))
        if before is not None and before["connection"] == connection and before["source_version"] > each.version:
            result.stale += 1
            continue
        merged, provenance, refused = _merge(each, body, before, connection, roles)
        conflicts.extend(refused)
        digest = digest_of_record(merged, deleted=each.deleted)
        if before is not None and bytes(before["digest"]).hex() == digest:
            result.unchanged += 1
            continue
        correlation = _correlation(each.kind, merged, before, correlations)
        version = 1 if before is None else before["version"] + 1
        row = {
            "kind": each.kind,
            "id": merged["id"],
            "version": version,
            "body": merged,
            "digest": digest,
            "provenance": provenance,
            "connection": connection,
            "source_version": each.version,
            "correlation": correlation,
            "deleted": each.deleted,
            "at": now,
        }
        before_body = None if before is None else before["body"]
        actor = each.actor or connection
        found = facts.derive(each.kind, merged["id"], before_body, merged, at=_occurred(each, now), actor=actor)
        for fact in found:
            fact.payload["record_version"] = version  # two changes in one second are two facts
        cause = f"{connection} {each.kind} {each.vendor_id}"
        told = [fact_row(fact, correlation, cause) for fact in found]
        changes[each.kind, merged["id"]] = _Change(each, row, told)
    written = await write_records(db, [change.row for change in changes.values()])
    if conflicts:
        await db.execute(CONFLICTS, {"rows": as_json(conflicts)})
    done = [change for about, change in changes.items() if about in written]
    new_facts = [fact for change in done for fact in change.facts]
    await eventlog.append(db, new_facts)
    result.changed += len(done)
    result.facts += len(new_facts)
    result.problems += [(each.seen.kind, each.row["id"], each.seen.problems) for each in done if each.seen.problems]
    return [change.seen for about, change in changes.items() if about not in written]


async def write_records(db: Connection, rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Write records, each the version after the one that was read; (kind, id) of those that were written.

    A record that was read is locked, so the others are objects that nobody knew when they were looked for, and that
    another transaction wrote before this one. What was made without knowing of it must be made again.
    """
    if not rows:
        return set()
    cursor = await db.execute(WRITE_RECORDS, {"rows": as_json(rows)}, prepare=True)
    return {(kind, id) for kind, id in await cursor.fetchall()}


def _newest(seen: Sequence[Seen], ids: Mapping[tuple[str, str], str]) -> list[Seen]:
    """One observation per object: the newest of the batch, whether or not the vendor's object bears our id by then."""
    best: dict[tuple[str, str], Seen] = {}
    for each in seen:
        about = (each.kind, each.canonical_id or ids[each.kind, each.vendor_id])
        if about not in best or best[about].version <= each.version:
            best[about] = each
    return list(best.values())


async def _identify(db: Connection, connection: str, seen: Sequence[Seen]) -> dict[tuple[str, str], str]:
    """Canonical ids of all vendor ids in the batch: known, told by the vendor's object itself, or newly derived."""
    ids: dict[tuple[str, str], str] = {}
    told = {(each.kind, each.vendor_id): each.canonical_id for each in seen if each.canonical_id is not None}
    wanted = {(each.kind, each.vendor_id) for each in seen} | {link for each in seen for link in each.links.values()}
    rows = [{"kind": kind, "vendor_id": vendor_id} for kind, vendor_id in sorted(wanted)]
    cursor = await db.execute(KNOWN_IDS, {"connection": connection, "rows": as_json(rows)}, prepare=True)
    for kind, vendor_id, canonical in await cursor.fetchall():
        ids[kind, vendor_id] = canonical
    new = []
    for kind, vendor_id in sorted(wanted - ids.keys()):
        canonical = told.get((kind, vendor_id)) or canonical_id(kind, connection, vendor_id)
        ids[kind, vendor_id] = canonical
        new.append({"kind": kind, "canonical_id": canonical, "vendor_id": vendor_id})
    if new:
        await db.execute(NEW_IDS, {"connection": connection, "rows": as_json(new)})
    return ids


def _body(each: Seen, ids: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    body = {key: value for key, value in each.body.items() if value is not None}
    body["id"] = each.canonical_id or ids[each.kind, each.vendor_id]
    for name, link in each.links.items():
        body[name] = ids[link]
    if each.problems and each.kind == "deal":
        body["unreadable"] = list(each.problems)
    return body


async def _current(db: Connection, about: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    rows = [{"kind": kind, "id": id} for kind, id in sorted(set(about))]
    cursor = await db.execute(CURRENT, {"rows": as_json(rows)}, prepare=True)
    names = [column.name for column in cursor.description or ()]
    return {(row[0], row[1]): dict(zip(names, row, strict=True)) for row in await cursor.fetchall()}


_LINKED = ("engagement_id", "deal_id", "invoice_id", "project_id", "subscription_id", "id")


async def _correlations(db: Connection, bodies: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The engagement of objects that these refer to."""
    ids = sorted({str(body[name]) for body in bodies for name in _LINKED if body.get(name)})
    cursor = await db.execute(CORRELATIONS, {"ids": ids}, prepare=True)
    return {row[1]: row[2] for row in await cursor.fetchall()}


def _correlation(
    kind: str, body: Mapping[str, Any], before: Mapping[str, Any] | None, known: Mapping[str, str]
) -> str | None:
    if kind == "deal":
        return str(body["id"])
    if before is not None and before["correlation"]:
        return str(before["correlation"])
    if body.get("engagement_id"):
        return str(body["engagement_id"])
    return next((known[str(body[name])] for name in _LINKED if str(body.get(name)) in known), None)


def _merge(
    each: Seen, body: dict[str, Any], before: Mapping[str, Any] | None, connection: str, roles: frozenset[str]
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The record after this observation, where each field came from, and what was refused.

    A field this connection gave before and no longer gives is gone; one that others gave stays.
    """
    if before is None:
        return body, dict.fromkeys(body, connection), []
    allowed, refused = split_by_owner(each.kind, roles, before["body"], body)
    provenance = dict(before["provenance"])
    merged = {
        name: value for name, value in before["body"].items() if name in body or provenance.get(name) != connection
    }
    for name, value in allowed.items():
        if merged.get(name) != value or name not in provenance:
            provenance[name] = connection
        merged[name] = value
    conflicts = [
        {
            "kind": each.kind,
            "id": body["id"],
            "field": name,
            "owner_role": owner_of(each.kind, name) or "",
            "connection": connection,
            "kept": before["body"].get(name),
            "offered": value,
        }
        for name, value in refused.items()
    ]
    return merged, {name: provenance[name] for name in merged if name in provenance}, conflicts


def digest_of_record(body: Mapping[str, Any], *, deleted: bool) -> str:
    """What tells a changed record from an unchanged one."""
    text = orjson.dumps(body, default=str, option=orjson.OPT_SORT_KEYS) + (b"deleted" if deleted else b"")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _occurred(each: Seen, now: datetime) -> str:
    """When the vendor says it happened, as far as its version is a time; otherwise when we saw it."""
    try:
        at = datetime.fromisoformat(each.version)
    except ValueError:
        return now.isoformat()
    return at.isoformat() if at.tzinfo is not None else now.isoformat()
