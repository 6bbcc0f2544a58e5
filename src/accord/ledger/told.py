"""Takes in the work that vendors' records tell, by poll and by push: a page or a batch of pushes is one transaction.

The same record told twice is one entry; what is older than what we have changes nothing. What a source deletes is
deleted; what it merely does not find any more is a case. A record that nobody can bind is kept as it was told, and
taken as soon as somebody says what its project is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from accord.connect.connector import Observed
from accord.db.pool import Pool, transaction
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.ledger import bindings, work
from accord.ledger.bindings import Binding
from accord.ledger.gone import deleted_of
from accord.ledger.told_entries import CURES, Built, Reach, build, place_of
from accord.model.work import WorkEntry, WorkProblem

# One transaction at a time takes a source's work: a poll and a push of one record wait for each other here.
ALONE = "SELECT pg_advisory_xact_lock(hashtext('told work of ' || %(connection)s))"
KNOWN = """
SELECT t.kind, t.vendor_id, t.version, t.digest, t.born_at, t.entries, t.gone, t.place
FROM json_to_recordset(%(rows)s::json) AS x (kind text, vendor_id text)
JOIN told_work t ON t.connection = %(connection)s AND t.kind = x.kind AND t.vendor_id = x.vendor_id
"""
PROJECTS = """
SELECT c.vendor_id, r.body ->> 'engagement_id', r.body ->> 'legal_entity'
FROM crosswalk c JOIN record r ON r.kind = 'project' AND r.id = c.canonical_id AND NOT r.deleted
WHERE c.connection = %(connection)s AND c.kind = 'project' AND c.vendor_id = ANY(%(ids)s)
"""
DEALS = """
SELECT c.vendor_id, c.canonical_id, array_remove(array_agg(DISTINCT p.body ->> 'legal_entity'), NULL)
FROM crosswalk c LEFT JOIN record p ON p.kind = 'project' AND p.correlation = c.canonical_id AND NOT p.deleted
WHERE c.connection = %(connection)s AND c.kind = 'deal' AND c.vendor_id = ANY(%(ids)s)
GROUP BY c.vendor_id, c.canonical_id
"""
# Whatever was wrong with these records and their lines; what still is, is kept anew.
SETTLE = """
UPDATE work_problem SET settled_at = clock_timestamp()
WHERE source = %(source)s AND settled_at IS NULL AND split_part(place, ' line ', 1) = ANY(%(places)s)
"""
REMEMBER = """
INSERT INTO told_work (connection, kind, vendor_id, place, version, digest, born_at, entries, gone, held, wants,
    held_at, last_day)
SELECT %(connection)s, x.kind, x.vendor_id, x.place, x.version, x.digest, x.born_at, x.entries, x.gone, x.held, x.wants,
    CASE WHEN x.held IS NOT NULL THEN clock_timestamp() END, x.last_day
FROM json_to_recordset(%(rows)s::json) AS x (kind text, vendor_id text, place text, version text, digest text,
    born_at text, entries text[], gone boolean, held jsonb, wants text[], last_day date) ORDER BY 2, 3
ON CONFLICT (connection, kind, vendor_id) DO UPDATE SET place = excluded.place, version = excluded.version,
    digest = excluded.digest, born_at = coalesce(told_work.born_at, excluded.born_at), entries = excluded.entries,
    gone = excluded.gone, held = excluded.held, wants = excluded.wants, held_at = excluded.held_at,
    last_day = coalesce(excluded.last_day, told_work.last_day), seen_at = clock_timestamp()
"""
# When it is told again, it is news, whatever it says.
MISS = """
UPDATE told_work SET digest = NULL
WHERE connection = %(connection)s AND kind = %(kind)s AND vendor_id = ANY(%(ids)s) AND NOT gone
"""
MISSED = """
SELECT t.vendor_id, t.place, coalesce(sum(w.quantity) FILTER (WHERE w.kind = 'time'), 0)
FROM told_work t JOIN work_entry w ON w.id = ANY(t.entries) AND w.current AND w.status <> 'deleted'
WHERE t.connection = %(connection)s AND t.kind = %(kind)s AND t.vendor_id = ANY(%(ids)s) AND NOT t.gone
GROUP BY t.vendor_id, t.place ORDER BY t.vendor_id
"""
# What would bind it is there now: asked once a name, however many records wait for it. A row of the list that does not
# help, because it begins on a later day, is not tried for ever: only while it is new.
BINDABLE = """
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT t.connection, w.name, split_part(w.name, '/', 1) AS kind,
        substr(w.name, strpos(w.name, '/') + 1) AS id
    FROM told_work t CROSS JOIN unnest(t.wants) AS w (name) WHERE t.held IS NOT NULL
), there AS MATERIALIZED (
    SELECT w.connection, w.name, r.declared_at AS since FROM wanted w
    JOIN reference r ON r.list = 'time_project' AND r.given = w.connection || '/' || w.id WHERE w.kind = 'time_project'
    UNION ALL
    SELECT w.connection, w.name, 'infinity' FROM wanted w
    JOIN crosswalk c ON c.connection = w.connection AND c.kind = w.kind AND c.vendor_id = w.id
    WHERE CASE w.kind
        WHEN 'project' THEN EXISTS (
            SELECT FROM record p WHERE p.kind = 'project' AND p.id = c.canonical_id AND NOT p.deleted)
        ELSE EXISTS (
            SELECT FROM record p WHERE p.kind = 'project' AND p.correlation = c.canonical_id AND NOT p.deleted) END
)
SELECT t.connection, t.held FROM told_work t WHERE t.held IS NOT NULL AND EXISTS (
    SELECT FROM there h WHERE h.connection = t.connection AND h.name = ANY(t.wants)
        AND h.since > t.held_at - interval '10 minutes')
ORDER BY t.connection, t.held_at LIMIT %(limit)s
"""
BATCH = 500


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered of a record."""

    version: str
    digest: str | None
    born_at: str | None
    entries: tuple[str, ...]
    gone: bool
    place: str


@dataclass(slots=True)
class _Batch:
    """What one transaction takes: entries, problems, what is remembered of each record, whose problems are settled."""

    entries: list[WorkEntry] = field(default_factory=list)
    problems: list[WorkProblem] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    gone: dict[str, str] = field(default_factory=dict)  # entry id -> how we know


class ToldWorkTaker:
    """The `connect.observing.Taker` of work: entries go to the ledger, not to the records."""

    async def take(self, db: Connection, connection: str, observed: Sequence[Observed], *, again: bool = False) -> None:
        """Take a batch of records in, inside the caller's transaction; `again` also those that say what they said."""
        await db.execute(ALONE, {"connection": connection})
        newest = _newest(observed)
        known = await _known(db, connection, newest)
        fresh = [each for each in newest if _is_news(each, known.get((each.kind, each.vendor_id)), again=again)]
        reach = await _reach(db, connection, fresh)
        batch = _Batch()
        for each in fresh:
            _add(batch, each, known.get((each.kind, each.vendor_id)), reach)
        for words, ids in _by_words(batch.gone).items():
            batch.entries += await deleted_of(db, ids, words)
        if batch.places:
            await db.execute(SETTLE, {"source": connection, "places": batch.places})
            await work.take(db, batch.entries, batch.problems, source=connection)
        if batch.rows:
            await db.execute(REMEMBER, {"connection": connection, "rows": as_json(batch.rows)})

    async def missed(self, db: Connection, connection: str, kind: str, vendor_ids: Sequence[str]) -> None:
        """These were asked for and not found, and nobody says that they were deleted: a case, and nothing is taken
        back."""
        await db.execute(ALONE, {"connection": connection})
        about = {"connection": connection, "kind": kind, "ids": list(vendor_ids)}
        rows = await (await db.execute(MISSED, about)).fetchall()
        problems = [
            WorkProblem(
                "missing_at_source",
                f"{place} is not found at {connection} any more, and nothing says that it was deleted.",
                place,
                CURES["missing_at_source"],
                hours or None,
                {"vendor_id": vendor_id},
            )
            for vendor_id, place, hours in rows
        ]
        if problems:
            await db.execute(MISS, about)
            await work.take(db, (), problems, source=connection)


async def take_bindable(pool: Pool, *, limit: int = BATCH) -> int:
    """Take in what waited for a binding and has one now; how many records that were. Safe in many workers at once."""
    async with pool.connection() as db:
        rows = await (await db.execute(BINDABLE, {"limit": limit})).fetchall()
    held: dict[str, list[Observed]] = {}
    for connection, said in rows:
        held.setdefault(connection, []).append(_again(said))
    for connection, observed in held.items():
        async with transaction(pool) as db:
            await ToldWorkTaker().take(db, connection, observed, again=True)
    return len(rows)


def _newest(observed: Iterable[Observed]) -> list[Observed]:
    best: dict[tuple[str, str], Observed] = {}
    for each in observed:
        about = (each.kind, each.vendor_id)
        if about not in best or best[about].version <= each.version:
            best[about] = each
    return list(best.values())


def _is_news(told: Observed, known: _Known | None, *, again: bool) -> bool:
    """Not what is older than what we have, nor what it said already; and of a record that nobody knows it is nothing
    that it is gone. Vendors date changes to the second, so two states may bear one date."""
    if known is None:
        return not told.deleted
    if told.version < known.version:
        return False
    return again or (told.version, _digest(told)) != (known.version, known.digest)


async def _known(db: Connection, connection: str, newest: Iterable[Observed]) -> dict[tuple[str, str], _Known]:
    rows = [{"kind": each.kind, "vendor_id": each.vendor_id} for each in newest]
    cursor = await db.execute(KNOWN, {"connection": connection, "rows": as_json(rows)})
    return {
        (kind, vendor_id): _Known(version, digest, born_at, tuple(entries), gone, place)
        for kind, vendor_id, version, digest, born_at, entries, gone, place in await cursor.fetchall()
    }


async def _reach(db: Connection, connection: str, told: Iterable[Observed]) -> Reach:
    """All that the batch may belong to, in three queries."""
    wanted: dict[str, set[str]] = {"project": set(), "deal": set()}
    for each in told:
        for kind, vendor_id in each.links.values():
            wanted.setdefault(kind, set()).add(vendor_id)
    about = {"connection": connection, "ids": sorted(wanted["project"])}
    projects = await (await db.execute(PROJECTS, about)).fetchall() if wanted["project"] else []
    about["ids"] = sorted(wanted["deal"])
    deals = await (await db.execute(DEALS, about)).fetchall() if wanted["deal"] else []
    return Reach(
        connection,
        {vendor_id: Binding(engagement, entity) for vendor_id, engagement, entity in projects},
        {vendor_id: (engagement, tuple(sorted(entities))) for vendor_id, engagement, entities in deals},
        await bindings.load(db, connection),
    )


def _add(batch: _Batch, told: Observed, known: _Known | None, reach: Reach) -> None:
    before = known.entries if known is not None else ()
    # Of a deletion the source tells no more than the id: the record is called as it was.
    place = known.place if known is not None and told.deleted else place_of(told)
    batch.places.append(place)
    if told.deleted:
        batch.gone |= dict.fromkeys(before, f"{reach.source}: {place} was deleted there, {told.version}")
        batch.rows.append(_row(told, place, Built(), (), gone=True))
        return
    born = told.body.get("born_at")
    if known is not None and known.born_at is not None and born is not None and born != known.born_at:
        words = f"{place} was made {known.born_at}, and now there is another of this id, made {born}."
        batch.problems.append(WorkProblem("id_given_again", words, place, CURES["id_given_again"], None, {}))
        return
    built = build(told, reach, before)
    batch.entries += built.entries
    batch.problems += built.problems
    told_now = [each.id for each in built.entries]
    # A line that cannot be read is not gone: only one that is told no more is.
    if not any(problem.reason == "record_unreadable" for problem in built.problems):
        left = set(before) - set(told_now)
        batch.gone |= dict.fromkeys(left, f"{reach.source}: gone from {place}, {told.version}")
    else:
        told_now += [each for each in before if each not in told_now]
    batch.rows.append(_row(told, place, built, told_now, gone=False))


def _row(told: Observed, place: str, built: Built, entries: Sequence[str], *, gone: bool) -> dict[str, Any]:
    held = _plain(told) if built.wants else None
    return {
        "kind": told.kind, "vendor_id": told.vendor_id, "place": place, "version": told.version,
        "digest": _digest(told), "born_at": told.body.get("born_at"), "entries": list(entries), "gone": gone,
        "held": held, "wants": sorted(built.wants),
        "last_day": max((each.worked_on.isoformat() for each in built.entries), default=None),
    }  # fmt: skip


def _plain(told: Observed) -> dict[str, Any]:
    return {
        "kind": told.kind, "vendor_id": told.vendor_id, "version": told.version, "body": told.body,
        "links": told.links, "problems": told.problems,
    }  # fmt: skip


def _digest(told: Observed) -> str:
    """What it says, in 16 bytes."""
    said = [told.deleted, told.body, told.links, told.problems]
    return hashlib.blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _again(said: Mapping[str, Any]) -> Observed:
    links = {name: (kind, vendor_id) for name, (kind, vendor_id) in said["links"].items()}
    return Observed(
        kind=said["kind"], vendor_id=said["vendor_id"], version=said["version"], body=said["body"], links=links,
        problems=tuple(said["problems"]),
    )  # fmt: skip


def _by_words(gone: Mapping[str, str]) -> dict[str, list[str]]:
    by_words: dict[str, list[str]] = {}
    for id, words in gone.items():
        by_words.setdefault(words, []).append(id)
    return by_words
