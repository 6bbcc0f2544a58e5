"""Hour to cash at scale: approved work rated, capped, posted and put into proposals by two processes, beside bare SQL.

`python -m bench.hour_to_cash URL` is one of the processes: `go` starts it, and it ends when nothing waits any more.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from accord.db.pool import Pool, open_pool, transaction
from accord.ledger.explaining import explain_items, explain_line
from accord.ledger.postings import standing
from accord.ledger.proposing import propose_some
from accord.ledger.rating import rate_waiting
from accord.reconcile.matches import TIME_TO_LEDGER
from accord.reconcile.running import reconcile
from bench import cpu, waits, work

NOW = datetime(2027, 1, 2, 9, tzinfo=UTC)
LEVELS = (10_000, 1_000_000)
SAMPLE = 500

# Only hours, only their most specific rate row, only sums: no discount, step, cap, retainer, usage or expense.
RATED = """
SELECT DISTINCT ON (w.id) w.id, w.engagement, w.legal_entity, r.currency, w.worked_on, w.quantity, r.per_hour,
    round(w.quantity * r.per_hour, CASE r.currency WHEN 'JPY' THEN 0 ELSE 2 END) AS amount, w.worker, w.role, w.task
FROM work_entry w JOIN (
    SELECT t.engagement, t.legal_entity, t.body ->> 'currency' AS currency, x.worker, x.role, x.task, x.valid_from,
        x.valid_to, (x.per_hour ->> 'amount')::numeric AS per_hour
    FROM billing_terms t, jsonb_to_recordset(t.body -> 'rates') AS x (worker text, role text, task text,
        valid_from date, valid_to date, per_hour jsonb) OFFSET 0
) r ON r.engagement = w.engagement AND r.legal_entity = w.legal_entity AND (r.worker IS NULL OR r.worker = w.worker)
    AND (r.role IS NULL OR r.role = w.role) AND (r.task IS NULL OR r.task = w.task)
    AND r.valid_from <= w.worked_on AND (r.valid_to IS NULL OR w.worked_on < r.valid_to)
WHERE w.kind = 'time' AND w.current
ORDER BY w.id, r.worker NULLS LAST, r.role NULLS LAST, r.task NULLS LAST, r.valid_from DESC
"""
SUM = f"SELECT engagement, legal_entity, currency, count(*), sum(amount) FROM ({RATED}) rated GROUP BY 1, 2, 3"
# What a ledger cannot do without: an item, where it lies and how it came there, found again by the same indexes.
TABLES = "".join(
    f"CREATE TABLE bare_{name} (LIKE {name} INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING INDEXES);"
    for name in ("billable_item", "item_part", "transfer")
)
KEEP = f"""
WITH rated AS MATERIALIZED ({RATED}), items AS (
    INSERT INTO bare_billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id,
        approved_at, worked_on, quantity, unit, rate, worker, role, task)
    SELECT 'BIL' || id, 'time', engagement, legal_entity, currency, amount, 'bench', id, now(), worked_on, quantity,
        'h', per_hour, worker, role, task FROM rated
), parts AS (
    INSERT INTO bare_item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity,
        worked_on, entry, cause, posted_at)
    SELECT 'BIL' || id, 1, engagement, legal_entity, currency, 'draft', amount, quantity, worked_on, 'rated',
        'work.approved', now() FROM rated
)
INSERT INTO bare_transfer (entry, item_id, part, out_of, placed_in, amount, cause, posted_at)
SELECT 'rated', 'BIL' || id, 1, 'approved', 'draft', amount, 'work.approved', now() FROM rated
"""
LEFT = "SELECT EXISTS (SELECT FROM work_to_rate)"
ENDED = """
SELECT (SELECT count(*) FROM billable_item WHERE kind <> 'intercompany' AND engagement LIKE 'DEA-BENCH%'),
    (SELECT count(*) FROM work_unpriced), (SELECT count(*) FROM work_to_rate),
    (SELECT count(*) FROM proposal WHERE engagement LIKE 'DEA-BENCH%'),
    (SELECT sum(parts) FROM ledger_total WHERE disposition = 'wip' AND engagement LIKE 'DEA-BENCH%'),
    (SELECT sum(net) FROM proposal WHERE engagement LIKE 'DEA-BENCH%'),
    (SELECT sum(amount) FROM ledger_total WHERE disposition = 'draft' AND engagement LIKE 'DEA-BENCH%')
"""
SOME_ITEMS = """
SELECT id FROM billable_item WHERE id > 'BIL-K' AND engagement LIKE 'DEA-BENCH%%' ORDER BY id LIMIT %(limit)s
"""
SOME_LINES = """
SELECT l.proposal_id, l.line FROM proposal d JOIN proposal_line l ON l.proposal_id = d.id
WHERE d.engagement LIKE 'DEA-BENCH%' ORDER BY hashtext(l.proposal_id || l.line) LIMIT 20
"""


def run(fresh: Callable[..., str], *, levels: Sequence[int] = LEVELS, processes: int = 2) -> dict[str, Any]:
    """By number of entries: how long, what an entry costs, and what the bare SQL of the same entries costs."""
    found = {f"{entries:,} entries": level(fresh("hours"), entries, processes) for entries in levels}
    first, *_, last = found.values()
    return {
        **found,
        "seconds": last["seconds"],
        "reconciled_seconds": last["reconciled_seconds"],
        "peak_mb": max(each["peak_mb"] for each in found.values()),
        "least_seconds": last["least_seconds"],
        **{name: each for name, each in last.items() if "times_bare" in name},
        "cost_last_to_first": round(last["cost_us"] / first["cost_us"], 2),
    }


def beside(url: str, *, entries: int, processes: int = 2) -> dict[str, Any]:
    """The same in a database whose ledger is full already; without the bare SQL, which would read all of it."""
    work.fill(url, entries)
    return _worked(url, entries, processes)


def level(url: str, entries: int, processes: int) -> dict[str, Any]:
    """One firm with so many entries, from approved to proposed; then a look at whether all of it is right."""
    work.fill(url, entries)
    (bare, bare_us), (keeping, keeping_us) = (_bare(url, query, entries) for query in (SUM, KEEP))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE bare_billable_item, bare_item_part, bare_transfer")
        connection.execute("CHECKPOINT")
    found = _worked(url, entries, processes)
    seconds, cost = found["seconds"], found["cost_us"]
    return {
        **found,
        "reconciled_seconds": round(asyncio.run(_reconcile(url, entries)), 1),
        "bare_sql_seconds": round(bare, 2),
        "bare_sql_that_keeps_seconds": round(keeping, 2),
        "bare_sql_us": round(bare_us, 1),
        "bare_sql_that_keeps_us": round(keeping_us, 1),
        "times_bare_sql": round(seconds / bare, 1),
        "times_bare_sql_that_keeps": round(seconds / keeping, 2),
        "cost_times_bare_sql": round(cost / bare_us, 1) if bare_us else None,
        "cost_times_bare_sql_that_keeps": round(cost / keeping_us, 1) if keeping_us else None,
    }


def _worked(url: str, entries: int, processes: int) -> dict[str, Any]:
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.hour_to_cash", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(processes)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    with waits.Waits(url) as waited:
        started = time.perf_counter()
        told = [json.loads(out) for out in _all(children)]
        seconds = time.perf_counter() - started
    asyncio.run(_is_right(url, entries))
    python, postgres = (round(sum(each[name] for each in told) / entries * 1e6, 1) for name in ("python", "postgres"))
    return {
        "seconds": round(seconds, 1),
        "rating_seconds": round(max(each["rated"] for each in told), 1),
        "processes": processes,
        "python_us": python,
        "postgres_us": postgres,
        "cost_us": round(python + postgres, 1),
        # What the processors alone take when nobody else is at them.
        "least_seconds": round((python + postgres) * entries / 1e6 / (os.cpu_count() or 1), 1),
        "peak_mb": max(each["mb"] for each in told),
        "session_peak_mb": max(each["session_mb"] for each in told),
        "waits": waited.shares(),
    }


def _all(children: Sequence[subprocess.Popen[bytes]]) -> list[bytes]:
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        child.stdin.flush()
    return [child.communicate()[0].splitlines()[-1] for child in children]


def _bare(url: str, query: str, entries: int) -> tuple[float, float]:
    """One statement on one connection: seconds, and microseconds of processor time an entry."""
    with psycopg.connect(url, autocommit=True) as connection:
        if query is KEEP:
            connection.execute(TABLES)
        session = [connection.info.backend_pid]
        before, started = cpu.spent(session), time.perf_counter()
        connection.execute(query)
        seconds = time.perf_counter() - started
        return seconds, cpu.spent(session).since(before).postgres / entries * 1e6


async def _is_right(url: str, entries: int) -> None:
    """Every entry has its item and every item its place; samples of items and lines explain themselves."""
    pool = await open_pool(url, settings={"statement_timeout": "600s"})
    async with pool.connection() as db:
        row = await (await db.execute(ENDED)).fetchone()
        assert row is not None
        items, unpriced, waiting, proposals, wip, proposed, draft = row
        assert (items, unpriced, waiting, wip) == (entries, 0, 0, 0), row
        assert 0 < proposals <= work.ENGAGEMENTS, row  # each at most once; a very small firm has free work only
        assert proposed == draft, row
        assert all(each.unexplained == 0 for each in await standing(db))
        ids = [row[0] for row in await (await db.execute(SOME_ITEMS, {"limit": SAMPLE})).fetchall()]
        explained = await explain_items(db, ids)
        assert len(explained) == min(SAMPLE, len(ids)) > 0
        assert all(each.agrees for each in explained), [each for each in explained if not each.agrees][:1]
        for proposal, line in await (await db.execute(SOME_LINES)).fetchall():
            assert (await explain_line(db, proposal, line)).agrees, (proposal, line)
    await pool.close()


async def _reconcile(url: str, entries: int) -> float:
    """Seconds to compare what the time system told, record by record, with what the ledger has of it."""
    pool = await open_pool(url)
    async with transaction(pool) as db:
        started = time.perf_counter()
        (found,) = await reconcile(db, NOW, [TIME_TO_LEDGER])
        seconds = time.perf_counter() - started
    await pool.close()
    assert found.agrees, found
    assert found.ours == found.theirs == entries, found
    return seconds


async def _work(url: str) -> None:
    pool = await open_pool(url, max_size=1, application_name=waits.APPLICATION)
    async with pool.connection() as db:
        session = db.info.backend_pid
    print("ready", flush=True)
    sys.stdin.readline()
    before, began = cpu.spent([session]), time.perf_counter()
    await _rate(pool)
    rated = time.perf_counter() - began
    await _propose(pool)
    used = cpu.spent([session]).since(before)
    told = {
        "rated": rated,
        "python": used.python,
        "postgres": used.postgres,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "session_mb": _peak_mb(session),
    }
    print(json.dumps(told), flush=True)
    await pool.close()


async def _rate(pool: Pool) -> None:
    while True:
        await rate_waiting(pool, NOW)
        async with pool.connection() as db:
            row = await (await db.execute(LEFT)).fetchone()
        if row is None or not row[0]:
            return
        await asyncio.sleep(0.02)  # the other process is at the last customers


async def _propose(pool: Pool) -> None:
    place: tuple[str, str, str] | None = ("", "", "")
    while place is not None:
        async with transaction(pool) as db:
            _, place = await propose_some(db, work.LAST_DAY, at=NOW, after=place)


def _peak_mb(pid: int) -> int:
    """The most memory of a session, PostgreSQL's shared buffers that it has touched included."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    gc.disable()  # as a worker does, which looks for cycles now and then
    uvloop.run(_work(sys.argv[1]))
