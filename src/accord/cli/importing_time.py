"""`accord import sip-time`: takes ten years of task time, gives it its price, and accounts for every row and hour."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console

from accord.app import House, open_house
from accord.cli.printing import as_table
from accord.db.pool import transaction
from accord.engine.shell import Connection, Kept
from accord.settings import Settings

# Where each row of a file is now: in the ledger by its parts, without a price for a reason, not approved, or a problem
# of the file. A row that is in none of these is counted in none.
ACCOUNTED = """
WITH entry AS (
    SELECT w.id, w.status, w.quantity, u.reason AS unpriced, i.id IS NOT NULL AS posted, p.quantity AS placed
    FROM work_file_row r JOIN work_entry w ON w.id = r.entry_id AND w.revision = r.revision
    LEFT JOIN work_unpriced u ON u.entry_id = w.id AND u.revision = w.revision
    LEFT JOIN billable_item i ON i.source_id = w.id AND i.reverses IS NULL
        AND NOT EXISTS (SELECT 1 FROM billable_item back WHERE back.reverses = i.id)
    LEFT JOIN LATERAL (SELECT sum(quantity) AS quantity FROM item_part WHERE item_id = i.id) p ON true
    WHERE r.file_id = %(file)s AND NOT r.gone
), place AS (
    SELECT CASE WHEN posted THEN '' WHEN unpriced IS NOT NULL THEN unpriced
            WHEN status <> 'approved' THEN 'not_approved' END AS reason,
        CASE WHEN posted THEN placed ELSE quantity END AS hours
    FROM entry
    UNION ALL
    SELECT reason, hours FROM work_problem WHERE source = %(source)s AND settled_at IS NULL
)
SELECT reason, count(*), coalesce(sum(hours), 0) FROM place WHERE reason IS NOT NULL GROUP BY reason ORDER BY 2 DESC, 1
"""


def run_sip_time(directory: Path, bind: Path | None, *, as_json: bool) -> None:
    """Import task time; the last line printed is the result."""
    asyncio.run(_sip_time(Settings(), directory, bind, as_json=as_json))


async def _sip_time(settings: Settings, directory: Path, bind: Path | None, *, as_json: bool) -> None:
    from accord.imports.binding_file import read_bindings
    from accord.imports.sip_time import SOURCE, TASK_FILE, counted, read_sip
    from accord.ledger import bindings
    from accord.ledger.rating import rate_waiting
    from accord.ledger.work_files import ArrivedFile, newest, take_file

    started = time.monotonic()
    declared = read_bindings(bind) if bind is not None else []
    found = await asyncio.to_thread(read_sip, directory)
    encoding = found.encodings[TASK_FILE]
    file = ArrivedFile(SOURCE, TASK_FILE, found.hash, TASK_FILE, encoding=encoding.name, shown_by=encoding.shown_by)
    async with open_house(settings) as house:
        async with transaction(house.pool) as db:
            await bindings.declare(db, SOURCE, declared, by="accord import sip-time")
            bound = await bindings.load(db, SOURCE)
            if not bound.by_project:
                bound = await _engagements(house, db)
            # Other files in the folder than last time are corrected ones.
            before = await newest(db, SOURCE, TASK_FILE, other_than=found.hash)
            taken = await take_file(db, file, lambda: found.rows(bound), now=house.now(), replaces=before)
        await rate_waiting(house.pool, house.now())
        async with house.pool.connection() as db:
            parameters = {"file": taken.file_id, "source": SOURCE}
            places = await (await db.execute(ACCOUNTED, parameters)).fetchall()
    rows_in, hours_in = counted(directory, encoding)
    result = _result(rows_in, hours_in, {reason: (rows, hours) for reason, rows, hours in places})
    result["seconds"] = round(time.monotonic() - started, 1)
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        _show(result, places)


async def _engagements(house: House, db: Connection) -> Any:
    """One engagement a project under the terms of the import, bound by the reference list."""
    from accord.imports import sip_terms
    from accord.imports.sip_time import SOURCE
    from accord.ledger import bindings, postings, terms
    from accord.model.plain import to_plain
    from accord.records.knowledge import Records

    by = "accord import sip-time"
    made = [Kept("engagement", each.id, to_plain(each), each.id) for each in sip_terms.engagements()]
    await Records(postings.write).keep(db, made, house.now())
    await terms.declare(db, sip_terms.terms(), by=by)
    await bindings.declare(db, SOURCE, sip_terms.bindings(), by=by)
    return await bindings.load(db, SOURCE)


def _result(rows_in: int, hours_in: Decimal, places: Mapping[str, tuple[int, Decimal]]) -> dict[str, Any]:
    """What came in beside what is accounted for; "" is the ledger."""
    return {
        "rows_in": rows_in,
        "rows_accounted": sum(rows for rows, _ in places.values()),
        "hours_in": float(hours_in),
        "hours_accounted": float(sum((hours for _, hours in places.values()), Decimal(0))),
        "posted": places.get("", (0, Decimal(0)))[0],
        "cases_by_reason": {reason: rows for reason, (rows, _) in places.items() if reason},
    }


def _show(result: Mapping[str, Any], places: list[tuple[str, int, Decimal]]) -> None:
    rows = [(reason or "in the ledger", f"{count:,}", f"{hours:,}") for reason, count, hours in places]
    as_table("Where the time is", ("where", "rows", "hours"), rows, right=("rows", "hours"))
    Console(stderr=True).print(
        f"{result['rows_accounted']:,} of {result['rows_in']:,} rows and {result['hours_accounted']:,} of "
        f"{result['hours_in']:,} hours are accounted for; {result['seconds']} s"
    )
