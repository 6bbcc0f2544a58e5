"""Cost beside a history: the same flows with 0, 100,000 and 1,000,000 finished processes, and ten events for each.

The history is what the measured flow leaves behind (a process, five effects) and ten facts, over the months of a year,
made by PostgreSQL itself and copied in. Ids are no sequence, as in a real firm: what is new falls all over the indexes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from accord.db import months
from bench import engine, scale

LEVELS = (0, 100_000, 1_000_000)
EVENTS = 10  # a process
FACTS_A_TRANSACTION = 500
FIRST_ID = 10**9

PROCESSES = """
SELECT n, 'five', '1', md5(n::text), md5(n::text), NULL::text, jsonb_build_object('type', 'bench.go', 'subject',
    md5(n::text), 'occurred_at', at, 'actor', 'bench', 'payload', '{{}}'::jsonb, 'correlation', NULL,
    'schema_version', 1), at, at + interval '1 second', 4::smallint, '"done"'::jsonb
FROM (SELECT n, {at} AS at FROM generate_series({first}::bigint, {last}::bigint) n) x
"""
EFFECTS = """
SELECT n * 5 + step, n, 'effect:erp:thing:' || md5(n::text) || '-' || step || ':put:v', 'null', 'thing',
    md5(n::text) || '-' || step, 1, 'put', md5(step::text), 2::smallint, 1::smallint, 1::smallint,
    jsonb_build_object('id', md5(n::text) || '-' || step, 'name', 'a thing of the bench'), 'Put a thing',
    '{{"details": {{}}, "vendor_id": null}}'::jsonb, at, at, at
FROM (SELECT n, {at} AS at FROM generate_series({first}::bigint, {last}::bigint) n) x, generate_series(0, 4) step
"""
FACTS = """
SELECT ({xid} + n * {events} / {together})::text::xid8, CASE step WHEN 0 THEN 'process.started' WHEN 9 THEN
    'process.finished' ELSE 'effect.committed' END, md5(n::text), 1::smallint, at, at, 'accord', 'process ' || n,
    jsonb_build_object('system', 'null', 'what', 'Put a thing', 'kind', 'thing', 'verb', 'put', 'ref', NULL,
    'latency_ms', 1.0)
FROM (SELECT n, {at} AS at FROM generate_series({first}::bigint, {last}::bigint) n) x, generate_series(0, {events} - 1)
    step
"""
TABLES = {
    "process (id, name, version, one_per, subject, correlation, trigger, started_at, finished_at, end_state, result)":
        PROCESSES,
    "effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state, attempts,"
    " priority, body, label, outcome, intended_at, sent_at, finished_at)": EFFECTS,
    "event (xid, type, subject, schema_version, occurred_at, recorded_at, actor, causation, payload)": FACTS,
}  # fmt: skip
# A transaction number for every 500 facts, as turns use them: given out one by one.
BURN = """
DO $$ BEGIN FOR n IN 1..{count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$
"""
INDEXES = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE conrelid IN ('process'::regclass, 'effect'::regclass) AND contype IN ('u', 'p')
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid) FROM pg_index i
WHERE indrelid IN ('process'::regclass, 'effect'::regclass)
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""
SIZE = "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_stat_user_tables"


def run(fresh: Callable[..., str], *, flows: int, rounds: int = 3, levels: tuple[int, ...] = LEVELS) -> dict[str, Any]:
    """By number of finished processes: two workers, and as part of the hand-written loop beside an empty table."""
    url = fresh("history")
    found: list[dict[str, Any]] = []
    there, entered = 0, 0
    for level in levels:
        fill(url, there, level)
        there = level
        measured = []
        for _ in range(rounds):
            ours = engine.run(url, flows=flows, workers=2, spread=True, first=entered)
            measured.append(scale.beside(ours, fresh, flows=flows))
            entered += flows
        found.append({**sorted(measured, key=lambda each: each["ratio"])[rounds // 2], "gb": _gigabytes(url)})
    empty, middle, last = found[0], found[len(found) // 2], found[-1]
    return {
        **{f"{level:,} finished, {level * EVENTS:,} events": each for level, each in zip(levels, found, strict=True)},
        "middle_to_empty": round(middle["ratio"] / empty["ratio"], 2),
        "last_to_empty": round(last["ratio"] / empty["ratio"], 2),
        "last_cost_to_empty": round(empty["cost_ratio"] / last["cost_ratio"], 2),
    }


def _gigabytes(url: str) -> float:
    with psycopg.connect(url) as connection:
        row = connection.execute(SIZE).fetchone()
    assert row is not None
    return round(float(row[0]) / 2**30, 1)


def fill(url: str, first: int, last: int) -> None:
    """Bring the history from `first` to `last` processes. Indexes of large tables are made anew, which is faster."""
    if last <= first:
        return
    _months(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
        assert row is not None
        numbers = (last - first) * EVENTS // FACTS_A_TRANSACTION + 1
        connection.execute(BURN.format(count=numbers))  # type: ignore[arg-type]  # a number
        indexes = connection.execute(INDEXES).fetchall()
        for drop, _ in indexes:
            connection.execute(drop)
        given = {
            "first": FIRST_ID + first, "last": FIRST_ID + last - 1, "events": EVENTS, "together": FACTS_A_TRANSACTION,
            "xid": row[0] - (FIRST_ID + first) * EVENTS // FACTS_A_TRANSACTION,
            "at": f"now() - interval '360 days' * ({FIRST_ID + last} - n) / {last - first}",
        }  # fmt: skip
        with ThreadPoolExecutor() as copying:
            list(copying.map(lambda each: copy(url, each[0], each[1].format(**given)), TABLES.items()))
        for _, make in indexes:
            connection.execute(make)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def copy(url: str, table: str, made: str) -> None:
    """What one session makes goes straight into another's COPY."""
    with psycopg.connect(url) as source, psycopg.connect(url) as sink, source.cursor() as out, sink.cursor() as into:
        with (
            out.copy(f"COPY ({made}) TO STDOUT (FORMAT BINARY)") as rows,  # type: ignore[arg-type]  # our own words
            into.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as place,  # type: ignore[arg-type]  # our own words
        ):
            for chunk in rows:
                place.write(chunk)
        sink.commit()


def _months(url: str) -> None:
    """The months of a year back, as an installation that has run for a year has them."""
    today = datetime.now(UTC).date()
    with psycopg.connect(url, autocommit=True) as connection:
        for back in range(12, -1, -3):
            months.keep(connection, today=_month_before(today, back))


def _month_before(day: date, count: int) -> date:
    for _ in range(count):
        day = day.replace(day=1) - timedelta(days=1)
    return day.replace(day=1)
