"""Takes a file of work in: each row becomes an entry, stays as it was, or is kept with what is wrong with it.

A corrected file replaces exactly the rows of the one it corrects: what it does not tell any more is deleted at its
source, and becomes a revision that says so. Rows that another file told later belong to that file.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from accord.engine.shell import Connection
from accord.ledger import gone, work
from accord.model.plain import to_plain
from accord.model.work import WorkEntry, WorkProblem

ALONE = "SELECT pg_advisory_xact_lock(hashtext('work files ' || %(source)s))"
PATIENCE = "SELECT set_config('statement_timeout', '600s', true)"
KEEP_FILE = """
INSERT INTO work_file (source, hash, name, series, version, encoding, shown_by, mapping, state, reason, taken_at,
    bound_at)
VALUES (%(source)s, %(hash)s, %(name)s, %(series)s, %(version)s, %(encoding)s, %(shown_by)s, %(mapping)s, %(state)s,
    %(reason)s, %(now)s,
    (SELECT max(declared_at) FROM reference WHERE list = 'time_project' AND starts_with(given, %(source)s || '/')))
ON CONFLICT (source, hash) DO UPDATE SET name = excluded.name, series = excluded.series, version = excluded.version,
    encoding = excluded.encoding, shown_by = excluded.shown_by, mapping = excluded.mapping, state = excluded.state,
    reason = excluded.reason, corrected_by = NULL, taken_at = excluded.taken_at,
    bound_at = excluded.bound_at
RETURNING id
"""
CORRECTED = "UPDATE work_file SET corrected_by = %(file)s WHERE id = %(replaced)s AND id <> %(file)s"
ARRIVE = """
CREATE TEMPORARY TABLE arriving_row (
    line integer NOT NULL, row_key text, entry_id text, digest bytea, hours numeric, reason text
) ON COMMIT DROP
"""
COPY = "COPY arriving_row (line, row_key, entry_id, digest, hours, reason) FROM STDIN"
# A key told twice: the same words count once, different ones not at all, since which is right is not ours to say.
REPEATED = """
WITH twice AS (
    SELECT row_key, count(DISTINCT digest) AS tellings, min(line) AS first_line FROM arriving_row
    WHERE reason IS NULL GROUP BY row_key HAVING count(*) > 1
)
UPDATE arriving_row a SET reason = CASE WHEN t.tellings > 1 THEN 'key_told_twice' ELSE 'row_repeated' END
FROM twice t WHERE a.row_key = t.row_key AND a.reason IS NULL AND (t.tellings > 1 OR a.line > t.first_line)
RETURNING a.line, a.row_key, a.hours, a.reason, t.first_line
"""
CHANGED = """
SELECT a.line FROM arriving_row a LEFT JOIN work_file_row r ON r.source = %(source)s AND r.row_key = a.row_key
WHERE a.reason IS NULL AND (r.row_key IS NULL OR r.gone OR r.digest <> a.digest) ORDER BY a.line
"""
SETTLE = """
UPDATE work_problem p SET settled_at = clock_timestamp()
WHERE p.source = %(source)s AND p.settled_at IS NULL
  AND EXISTS (SELECT 1 FROM unnest(%(names)s::text[]) AS x (name)
      WHERE p.place = x.name OR starts_with(p.place, x.name || ' line '))
  AND NOT EXISTS (SELECT 1 FROM arriving_row a
      WHERE a.reason = p.reason AND p.place = %(name)s || ' line ' || a.line)
"""
KEEP_ROWS = """
INSERT INTO work_file_row (source, row_key, entry_id, revision, digest, file_id, line)
SELECT %(source)s, a.row_key, a.entry_id, w.revision, a.digest, %(file)s, a.line
FROM arriving_row a JOIN work_entry w ON w.id = a.entry_id AND w.current WHERE a.reason IS NULL
ON CONFLICT (source, row_key) DO UPDATE SET revision = excluded.revision, digest = excluded.digest,
    file_id = excluded.file_id, line = excluded.line, gone = false
WHERE (work_file_row.revision, work_file_row.digest, work_file_row.file_id, work_file_row.line, work_file_row.gone)
    IS DISTINCT FROM (excluded.revision, excluded.digest, excluded.file_id, excluded.line, false)
"""
# A row that is still told, however badly, is not gone: it goes on in the newer file as it was.
STILL_TOLD = """
UPDATE work_file_row r SET file_id = %(file)s, line = a.line FROM arriving_row a
WHERE r.file_id = %(replaced)s AND a.row_key = r.row_key AND a.reason IS NOT NULL
"""
GONE = """
SELECT r.row_key FROM work_file_row r
WHERE r.file_id = %(file)s AND NOT r.gone AND NOT EXISTS (SELECT 1 FROM arriving_row a WHERE a.row_key = r.row_key)
ORDER BY r.row_key LIMIT %(limit)s
"""
GONE_ENTRIES = f"""
SELECT {gone.COLUMNS} FROM work_file_row r JOIN work_entry w ON w.id = r.entry_id AND w.current
WHERE r.source = %(source)s AND r.row_key = ANY(%(keys)s)
"""
MARK_GONE = """
UPDATE work_file_row r SET gone = true, file_id = %(file)s, revision = w.revision
FROM work_entry w WHERE r.source = %(source)s AND r.row_key = ANY(%(keys)s) AND w.id = r.entry_id AND w.current
"""
UNREADABLE_KEYS = "SELECT count(*) FROM arriving_row WHERE row_key IS NULL"
COUNT = """
UPDATE work_file SET rows = x.rows, entries = x.entries, problems = x.problems, gone = %(gone)s, hours = x.hours
FROM (SELECT count(*) AS rows, count(*) FILTER (WHERE reason IS NULL) AS entries,
    count(*) FILTER (WHERE reason IS NOT NULL) AS problems, coalesce(sum(hours), 0) AS hours FROM arriving_row) x
WHERE id = %(file)s
RETURNING work_file.rows, work_file.entries, work_file.problems, work_file.hours
"""
NEWEST = """
SELECT id, name FROM work_file WHERE source = %(source)s AND series = %(series)s AND corrected_by IS NULL
    AND state = 'taken' AND hash <> %(hash)s ORDER BY version DESC, id DESC LIMIT 1
"""
GONE_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class ArrivedFile:
    """A file as it lies before us: `hash` is SHA-256 in hexadecimal; `series` is what its corrections share with it,
    `version` counts them; `mapping` the version of the table it is read by."""

    source: str
    name: str
    hash: str
    series: str
    version: int = 0
    encoding: str | None = None
    shown_by: str | None = None
    mapping: int = 1


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row of a file, on its line. `key` is None when not even that can be read."""

    line: int
    key: str | None
    found: WorkEntry | WorkProblem

    @property
    def hours(self) -> Decimal | None:
        return self.found.quantity if isinstance(self.found, WorkEntry) else self.found.hours


@dataclass(frozen=True, slots=True)
class FileTaken:
    """What a file came to: `rows` = `entries` + `problems`, of whose entries `new` and `revised` were written; `gone`
    rows of the file it replaces were deleted, `held` is true when they could not be told for sure."""

    file_id: int
    rows: int
    entries: int
    problems: int
    hours: Decimal
    new: int
    revised: int
    gone: int
    held: bool = False


def place(name: str, line: int) -> str:
    """Where a row is, in the words that problems and explanations of lines use."""
    return f"{name} line {line}"


async def take_file(
    connection: Connection,
    file: ArrivedFile,
    rows: Callable[[], Iterator[ReadRow]],
    *,
    now: datetime,
    replaces: tuple[int, str] | None = None,
    expected: Callable[[int, Decimal], None] = lambda _rows, _hours: None,
) -> FileTaken:
    """Take a file in, inside the caller's transaction; memory grows with its problems alone.

    `rows` gives the rows anew each time: they are read twice, first to see what changed, then to take that. `replaces`
    is (id, name) of the file that this one corrects. `expected` raises when rows and hours are not those announced.
    What `rows` raises goes through: then the whole file is refused with `refuse_file`, in another transaction.
    """
    about = {"source": file.source}
    await connection.execute(ALONE, about)
    await connection.execute(PATIENCE)
    file_id = await _keep(connection, file, now, "taken")
    await connection.execute(ARRIVE)
    problems: list[WorkProblem] = []
    async with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for row in rows():
            await copy.write_row(_told(row))
            if isinstance(row.found, WorkProblem):
                problems.append(row.found)
    await connection.execute("ANALYZE arriving_row")
    repeated = await (await connection.execute(REPEATED)).fetchall()
    changed = array("q", [row[0] for row in await (await connection.execute(CHANGED, about)).fetchall()])
    names = [file.name, *([replaces[1]] if replaces else [])]
    await connection.execute(SETTLE, {**about, "name": file.name, "names": names})
    problems += [_repeated(file.name, *row) for row in repeated]
    taken = await work.take(connection, _at_lines(rows(), changed), problems, source=file.source)
    await connection.execute(KEEP_ROWS, {**about, "file": file_id})
    left, held = await _delete_gone(connection, file, file_id, replaces[0]) if replaces else (0, False)
    counted = await (await connection.execute(COUNT, {"file": file_id, "gone": left})).fetchone()
    assert counted is not None
    count, entries, bad, hours = counted
    expected(count, hours)
    await connection.execute("DROP TABLE arriving_row")
    return FileTaken(file_id, count, entries, bad, hours, taken.new, taken.revised, left, held)


async def newest(connection: Connection, source: str, series: str, *, other_than: str) -> tuple[int, str] | None:
    """(id, name) of the newest file of a series that was taken: what the file with another hash corrects."""
    about = {"source": source, "series": series, "hash": other_than}
    row = await (await connection.execute(NEWEST, about)).fetchone()
    return None if row is None else (row[0], row[1])


async def refuse_file(connection: Connection, file: ArrivedFile, problem: WorkProblem, *, now: datetime) -> None:
    """Keep that a file was refused as a whole, with a case by its reason; nothing of it is taken."""
    await connection.execute(ALONE, {"source": file.source})
    await _keep(connection, file, now, "refused", reason=problem.reason)
    await work.take(connection, (), (problem,), source=file.source)


async def _keep(
    connection: Connection, file: ArrivedFile, now: datetime, state: str, *, reason: str | None = None
) -> int:
    values = {name: getattr(file, name) for name in ArrivedFile.__slots__}
    about = {**values, "state": state, "reason": reason, "now": now}
    row = await (await connection.execute(KEEP_FILE, about)).fetchone()
    assert row is not None
    return int(row[0])


async def _delete_gone(connection: Connection, file: ArrivedFile, file_id: int, replaced: int) -> tuple[int, bool]:
    """Tell of the replaced file's rows that are told no more. With a key that nobody can read, any of them may be the
    one: then nothing is deleted, and a problem says so."""
    await connection.execute(CORRECTED, {"file": file_id, "replaced": replaced})
    await connection.execute(STILL_TOLD, {"file": file_id, "replaced": replaced})
    row = await (await connection.execute(UNREADABLE_KEYS)).fetchone()
    assert row is not None
    first = await (await connection.execute(GONE, {"file": replaced, "limit": 1})).fetchall()
    if not first:
        return 0, False
    if row[0]:
        await work.take(connection, (), (_held(file, row[0]),), source=file.source)
        return 0, True
    count = 0
    while keys := [
        each[0] for each in await (await connection.execute(GONE, {"file": replaced, "limit": GONE_BATCH})).fetchall()
    ]:
        about = {"source": file.source, "keys": keys}
        entries = await (await connection.execute(GONE_ENTRIES, about)).fetchall()
        deleted = [gone.deleted(each, f"{file.name}: gone from the corrected file") for each in entries]
        await work.take(connection, deleted, (), source=file.source)
        await connection.execute(MARK_GONE, {**about, "file": file_id})
        count += len(keys)
    return count, False


def _told(row: ReadRow) -> tuple[Any, ...]:
    if isinstance(row.found, WorkProblem):
        return (row.line, row.key, None, None, row.found.hours, row.found.reason)
    return (row.line, row.key, row.found.id, digest(row.found), row.found.quantity, None)


def digest(entry: WorkEntry) -> bytes:
    """What an entry says, in 16 bytes; where it was read and how often it changed are no part of it."""
    said = to_plain(replace(entry, revision=0, recorded_as=None))
    return hashlib.blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _at_lines(rows: Iterable[ReadRow], lines: array[int]) -> Iterator[WorkEntry]:
    """The entries on these lines; both are in the order of lines."""
    wanted = iter(lines)
    line = next(wanted, None)
    for row in rows:
        if line is None:
            return
        if row.line == line:
            assert isinstance(row.found, WorkEntry)
            yield row.found
            line = next(wanted, None)


def _repeated(name: str, line: int, key: str, hours: Decimal | None, reason: str, first: int) -> WorkProblem:
    if reason == "row_repeated":
        message, cure = f"says again what line {first} says of {key}", "Nothing is lost; take the row out of the file."
    else:
        message = f"{key} is told more than once in the file, in different words"
        cure = "Say at the source which row is right and send a corrected file."
    return WorkProblem(reason, message, place(name, line), cure, hours, {"key": key})


def _held(file: ArrivedFile, unreadable: int) -> WorkProblem:
    return WorkProblem(
        "deletions_held",
        f"rows are gone from the corrected file, but {unreadable} of its rows have no key that can be read",
        file.name,
        "Correct those rows and send the file again; until then nothing is deleted.",
    )
