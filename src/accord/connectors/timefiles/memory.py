"""What is remembered of a place between two looks: how its files lay there, and which were read so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accord.connectors.timefiles.mapping import TimeFile
from accord.connectors.timefiles.picking import KnownFile, Listed, Sighting
from accord.engine.intents import as_json
from accord.engine.shell import Connection

# A file that left problems is read again when the table or the bindings have changed since, and so is a refused one.
SIGHTINGS = """
SELECT s.name, s.size_bytes, s.modified_at, s.seen_at, s.hash, coalesce(f.state = 'refused', false), coalesce(
    f.mapping <> %(mapping)s AND (f.problems > 0 OR f.state = 'refused')
    OR f.problems > 0 AND f.bound_at IS DISTINCT FROM (SELECT max(r.declared_at) FROM reference r
        WHERE r.list = 'time_project' AND starts_with(r.given, %(source)s || '/')), false)
FROM work_file_sighting s LEFT JOIN work_file f ON f.source = s.source AND f.hash = s.hash
WHERE s.source = %(source)s
"""
REMEMBER = """
WITH listed AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (name text, size bigint, modified_at timestamptz)
), gone AS (
    DELETE FROM work_file_sighting s
    WHERE s.source = %(source)s AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.name = s.name)
)
INSERT INTO work_file_sighting AS s (source, name, size_bytes, modified_at, seen_at)
SELECT %(source)s, name, size, modified_at, %(now)s FROM listed
ON CONFLICT (source, name) DO UPDATE SET size_bytes = excluded.size_bytes, modified_at = excluded.modified_at,
    seen_at = excluded.seen_at, hash = NULL
WHERE (s.size_bytes, s.modified_at) IS DISTINCT FROM (excluded.size_bytes, excluded.modified_at)
"""
READ = """
UPDATE work_file_sighting SET hash = %(hash)s
WHERE source = %(source)s AND name = %(name)s AND size_bytes = %(size)s AND modified_at = %(modified_at)s
"""
KNOWN = """
SELECT f.id, f.hash, f.name, f.series, f.version, f.state = 'taken', f.corrected_by IS NOT NULL,
    f.problems > 0 AND EXISTS (SELECT 1 FROM work_problem p
        WHERE p.source = f.source AND p.settled_at IS NULL AND starts_with(p.place, f.name || ' line '))
FROM work_file f
WHERE f.source = %(source)s AND (f.hash = %(hash)s OR f.name = %(replaces)s
    OR f.series = %(series)s AND f.corrected_by IS NULL)
ORDER BY f.id
"""


async def sightings(connection: Connection, table: TimeFile) -> dict[str, Sighting]:
    """How the files of a source lay there at the last look, by name."""
    about = {"source": table.source, "mapping": table.version}
    rows = await (await connection.execute(SIGHTINGS, about)).fetchall()
    return {row[0]: Sighting(*row[1:]) for row in rows}


async def remember(connection: Connection, source: str, listing: Sequence[Listed], now: object) -> None:
    """Keep how the files lie there now; what is gone is forgotten."""
    rows = [{"name": each.name, "size": each.size, "modified_at": each.modified_at.isoformat()} for each in listing]
    await connection.execute(REMEMBER, {"source": source, "rows": as_json(rows), "now": now})


async def mark_read(connection: Connection, source: str, file: Listed, hash: str) -> None:
    """Keep that a file was read as it lies there."""
    about = {"source": source, "name": file.name, "size": file.size, "modified_at": file.modified_at, "hash": hash}
    await connection.execute(READ, about)


async def known(
    connection: Connection, source: str, hashes: Mapping[str, str], series: str, replaces: str | None
) -> list[KnownFile]:
    """The files that matter for what this one is: the same bytes, the same series, or the one it says it replaces."""
    about = {"source": source, "hash": hashes["sha256"], "series": series, "replaces": replaces}
    rows = await (await connection.execute(KNOWN, about)).fetchall()
    return [KnownFile(*row) for row in rows]
