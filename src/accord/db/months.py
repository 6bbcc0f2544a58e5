"""The months of a table that is partitioned by time: made ahead, so that the default partition stays empty.

Rows that are in the default partition all the same (an installation from before months were made, or one whose workers
stood still for a quarter) are not moved. The default partition itself becomes the partition of their range, and a new,
empty one takes its place: no row is copied, the indexes stay, and what locks the table takes milliseconds. The one scan
that shows the range is a VALIDATE, beside which readers and writers go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from accord.errors import Conflict

# Table -> the column of its range.
BY_MONTH = {"event": "recorded_at"}
# A quarter: longer than any holiday during which nobody looks at the workers.
AHEAD = 3
# A lock that cannot be had soon is given up and asked for again an hour later: nobody queues behind it.
LOCK_TIMEOUT = "2s"
# Taken by transaction, so that it also holds behind a pooler that shares sessions.
ALONE: LiteralString = "SELECT pg_try_advisory_xact_lock(hashtext('accord months'))"

PARTITIONS = """
SELECT c.oid::regclass::text, pg_get_expr(c.relpartbound, c.oid), c.reltuples::bigint, pg_total_relation_size(c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(%(table)s) ORDER BY 1
"""


class RowsOnBothSides(Conflict):
    """The default partition holds rows on both sides of a month, so it cannot become one range."""

    title = "Rows on both sides of a month"


@dataclass(frozen=True, slots=True)
class Month:
    """One partition: `start` inclusive and `end` exclusive, in UTC; None is no bound. `rows` is the planner's guess."""

    table: str
    name: str
    start: datetime | None
    end: datetime | None
    is_default: bool
    rows: int
    size_bytes: int


def keep(connection: psycopg.Connection[Any], *, today: date | None = None) -> list[str]:
    """Make the months that are missing up to a quarter ahead; the names of what was made. Blocks for milliseconds.

    The connection must be in autocommit. `today` is the database's day unless given: its clock fills the columns.
    Makes nothing while another process does. Raises psycopg.errors.LockNotAvailable: ask again later.
    """
    made = []
    for table, column in BY_MONTH.items():
        if not _exists(connection, table):
            continue
        day = today or _today(connection)
        made += _put_away(connection, table, column, day)
        for start in _starts(day):
            made += _make(connection, table, start)
    return made


def partitions(connection: psycopg.Connection[Any], table: str) -> list[Month]:
    """The partitions of a table, first to last, the default one at the end."""
    rows = connection.execute(PARTITIONS, {"table": table}).fetchall()
    found = [_read(table, *row) for row in rows]
    early = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda each: (each.is_default, each.start or early))


def _read(table: str, name: str, bound: str, rows: int, size: int) -> Month:
    if bound == "DEFAULT":
        return Month(table, name, None, None, True, rows, size)
    start, end = (part.strip("()") for part in bound.removeprefix("FOR VALUES FROM ").split(" TO "))
    return Month(table, name, _instant(start), _instant(end), False, rows, size)


def _instant(bound: str) -> datetime | None:
    return None if bound in ("MINVALUE", "MAXVALUE") else datetime.fromisoformat(bound.strip("'")).astimezone(UTC)


def _exists(connection: psycopg.Connection[Any], table: str) -> bool:
    found = connection.execute("SELECT FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'p'", [table]).fetchone()
    return found is not None


def _today(connection: psycopg.Connection[Any]) -> date:
    row = connection.execute("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date").fetchone()
    assert row is not None
    day: date = row[0]
    return day


def _starts(day: date) -> list[datetime]:
    first = datetime(day.year, day.month, 1, tzinfo=UTC)
    starts = [first]
    while len(starts) <= AHEAD:
        starts.append(_next_month(starts[-1]))
    return starts


def _next_month(start: datetime) -> datetime:
    return (start.replace(day=1) + timedelta(days=32)).replace(day=1)


def _make(connection: psycopg.Connection[Any], table: str, start: datetime) -> list[str]:
    """One month, unless a partition covers any of it. LIKE and ATTACH, because PARTITION OF would lock the table."""
    end = _next_month(start)
    name = f"{table}_{start:%Y_%m}"
    with connection.transaction():
        if not _mine(connection):
            return []
        if any(_overlaps(each, start, end) for each in partitions(connection, table)):
            return []
        connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)").format(
                sql.Identifier(name), sql.Identifier(table)
            )
        )
        _attach(connection, table, name, sql.Literal(start.isoformat()), sql.Literal(end.isoformat()))
    return [name]


def _overlaps(month: Month, start: datetime, end: datetime) -> bool:
    if month.is_default:
        return False
    return (month.start is None or month.start < end) and (month.end is None or month.end > start)


def _attach(
    connection: psycopg.Connection[Any], table: str, name: str, start: sql.Composable, end: sql.Composable
) -> None:
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(table), sql.Identifier(name), start, end
        )
    )


def _mine(connection: psycopg.Connection[Any]) -> bool:
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
    row = connection.execute(ALONE).fetchone()
    return bool(row and row[0])


def _put_away(connection: psycopg.Connection[Any], table: str, column: str, day: date) -> list[str]:
    """Turn a default partition that holds rows into the partition of their range."""
    default = next((each for each in partitions(connection, table) if each.is_default), None)
    if default is None:
        return []
    span = connection.execute(
        sql.SQL("SELECT min({0}), max({0}) FROM {1}").format(sql.Identifier(column), sql.Identifier(default.name))
    ).fetchone()
    if span is None or span[0] is None:
        return []
    first, last = span
    others = [each for each in partitions(connection, table) if not each.is_default]
    if any(each.start is not None and first < each.start <= last for each in others):
        raise RowsOnBothSides(f"{default.name} holds rows before and after a month of {table}: move them by hand.")
    start, end = _gap(others, first, last, day)
    return _convert(connection, default, column, start, end)


def _gap(others: list[Month], first: datetime, last: datetime, day: date) -> tuple[datetime | None, datetime]:
    """The range around the rows from `first` to `last` that no partition covers, to the end of a month. Pure."""
    start = max((each.end for each in others if each.end is not None and each.end <= first), default=None)
    # A day's margin: what is written while the range is being shown must still lie within it.
    tomorrow = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    newest = max(last.astimezone(UTC), tomorrow)
    end = _next_month(newest.replace(hour=0, minute=0, second=0, microsecond=0))
    return start, min([end, *(each.start for each in others if each.start is not None and each.start > last)])


def _convert(
    connection: psycopg.Connection[Any], default: Month, column: str, start: datetime | None, end: datetime
) -> list[str]:
    table = default.table
    names = {"default": sql.Identifier(default.name), "column": sql.Identifier(column), "table": sql.Identifier(table)}
    bounds = [sql.SQL("{column} < {end}").format(**names, end=sql.Literal(end.isoformat()))]
    if start is not None:
        bounds.append(sql.SQL("{column} >= {start}").format(**names, start=sql.Literal(start.isoformat())))
    with connection.transaction():
        if not _mine(connection):
            return []
        connection.execute(sql.SQL("ALTER TABLE {default} DROP CONSTRAINT IF EXISTS in_range").format(**names))
        connection.execute(
            sql.SQL("ALTER TABLE {default} ADD CONSTRAINT in_range CHECK ({bounds}) NOT VALID").format(
                **names, bounds=sql.SQL(" AND ").join(bounds)
            )
        )
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")  # a scan as long as the table; the role may have a limit
        connection.execute(sql.SQL("ALTER TABLE {default} VALIDATE CONSTRAINT in_range").format(**names))
    name = f"{table}_before_{end:%Y_%m}"
    with connection.transaction():
        if not _mine(connection):
            return []
        connection.execute(sql.SQL("ALTER TABLE {table} DETACH PARTITION {default}").format(**names))
        connection.execute(sql.SQL("ALTER TABLE {default} RENAME TO {name}").format(**names, name=sql.Identifier(name)))
        low = sql.SQL("MINVALUE") if start is None else sql.Literal(start.isoformat())
        _attach(connection, table, name, low, sql.Literal(end.isoformat()))
        connection.execute(sql.SQL("ALTER TABLE {name} DROP CONSTRAINT in_range").format(name=sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE TABLE {default} PARTITION OF {table} DEFAULT").format(**names))
    return [name]
