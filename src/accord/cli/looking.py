"""`accord status`, `trace`, `doctor`, `replay`, `migrate`: looking, and playing again what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import typer

from accord.app import House, open_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.connect.store import load_connections
from accord.connect.vault import NotOpened
from accord.db.pool import transaction
from accord.engine import eventlog
from accord.engine.replaying import Replayed, replay_process
from accord.errors import CheckFailed, UsageError
from accord.ledger.postings import standing
from accord.settings import Settings

COUNTS = """
SELECT (SELECT count(*) FROM open_process WHERE state IN (0, 1)) AS moving,
       (SELECT count(*) FROM open_process WHERE state = 2) AS waiting,
       (SELECT count(*) FROM open_process WHERE state = 3) AS parked,
       (SELECT count(*) FROM waiting_effect) AS waiting_effects,
       (SELECT count(*) FROM waiting_effect WHERE probe) AS unknown_effects,
       (SELECT count(*) FROM inbox WHERE state = 0) AS pushes_to_translate,
       (SELECT count(*) FROM business_case WHERE state = 'open') AS open_cases,
       (SELECT count(*) FROM worker_heartbeat WHERE at > clock_timestamp() - interval '5 seconds') AS workers
"""
CONNECTIONS = """
SELECT c.name, c.vendor, c.state, coalesce(c.state_reason, ''), p.kind, p.last_at, p.failures,
    coalesce(p.last_error, '')
FROM connection c LEFT JOIN poll p ON p.connection = c.name ORDER BY 1, 5
"""
REARM_INBOX = "UPDATE inbox SET state = 0, reason = NULL WHERE id = ANY(%(ids)s) AND state IN (3, 4) RETURNING id"
CLOSE_INBOX_CASES = """
UPDATE business_case SET state = 'resolved', resolved_at = clock_timestamp(), resolution = 'replayed',
    resolved_by = 'cli'
WHERE state = 'open' AND inbox_id = ANY(%(ids)s)
"""


def _in_house(doing: Callable[[House], Awaitable[Any]], *, migrate: bool = True) -> Any:
    async def run() -> Any:
        async with open_house(Settings(), migrate=migrate) as house:
            return await doing(house)

    return asyncio.run(run())


def run_migrate() -> None:
    """Upgrade, then say where the database stands."""
    from accord.db.address import url
    from accord.db.migrate import current, upgrade

    address = url(Settings())
    upgrade(address)
    typer.echo(f"the database is at revision {current(address)}")


def show_status(*, as_json: bool) -> None:
    async def read(house: House) -> tuple[Any, Any, Any]:
        async with house.pool.connection() as db:
            cursor = await db.execute(COUNTS)
            names = [column.name for column in cursor.description or ()]
            counts = dict(zip(names, (await cursor.fetchone()) or (), strict=True))
            connections = await (await db.execute(CONNECTIONS)).fetchall()
            return counts, connections, await standing(db)

    counts, connections, ledger = _in_house(read)
    names = ("connection", "vendor", "state", "reason", "polled", "last", "failures", "error")
    money = [
        {"entity": each.legal_entity, "currency": each.currency, "approved": str(each.approved)}
        | {name: str(value) for name, value in each.dispositions.items()}
        | {"unexplained": str(each.unexplained)}
        for each in ledger
    ]
    if as_json:
        polls = [dict(zip(names, row, strict=True)) for row in connections]
        print_json({"counts": counts, "connections": polls, "ledger": money})
        return
    as_table("Now", ("what", "how many"), list(counts.items()), right=("how many",))
    as_table("Connections", names, connections)
    dispositions = ("approved", "wip", "billed", "collected", "disputed", "credited", "unexplained")
    rows = [[each["entity"], each["currency"], *(each.get(name, "0") for name in dispositions)] for each in money]
    as_table("Ledger", ("entity", "currency", *dispositions), rows, right=dispositions)


def show_trace(engagement: str, *, as_json: bool) -> None:
    from accord.insight import timeline

    async def read(house: House) -> Any:
        async with house.pool.connection() as db:
            return await timeline.trace(db, engagement)

    steps = _in_house(read)
    if as_json:
        print_json(steps)
        return
    columns = ("at", "system", "what", "actor", "money", "latency_ms", "ref")
    rows = [[_cell(step[name]) for name in columns] for step in steps]
    as_table(f"Timeline of {engagement}", columns, rows, right=("money", "latency_ms"))


def _cell(value: Any) -> Any:
    return f"{value['amount']} {value['currency']}" if isinstance(value, dict) else value


def run_replay(inbox: list[int], process: int | None, *, as_json: bool) -> None:
    """Translate pushes again, or drive a story again from its journal and compare what it asks for."""
    if inbox:

        async def rearm(house: House) -> list[int]:
            async with transaction(house.pool) as db:
                rows = await (await db.execute(REARM_INBOX, {"ids": inbox})).fetchall()
                ids = [row[0] for row in rows]
                await db.execute(CLOSE_INBOX_CASES, {"ids": ids})
                await db.execute("SELECT pg_notify('accord_inbox', '')")
                return ids

        ids = _in_house(rearm)
        print_json({"translated_again": ids}) if as_json else typer.echo(f"{len(ids)} pushes will be translated again")
    elif process is not None:
        from accord.processes import PROCESSES

        async def drive(house: House) -> Replayed:
            async with house.pool.connection() as db:
                return await replay_process(db, PROCESSES, process)

        _show_replayed(_in_house(drive), as_json=as_json)
    else:
        raise UsageError("say what to replay: --inbox ROW or --process ID")


def _show_replayed(replayed: Replayed, *, as_json: bool) -> None:
    if as_json:
        print_json({"process": replayed.process_id, "same": replayed.same, "differences": replayed.differences})
    else:
        typer.echo("the story says the same as then" if replayed.same else "\n".join(replayed.differences))
    if not replayed.same:
        raise CheckFailed(f"process {replayed.process_id} would do otherwise today")


async def _vault(house: House, db: Any) -> tuple[str, bool, str]:
    try:
        stored = await load_connections(db, house.vault)
    except NotOpened as error:
        return ("vault", False, str(error))
    return ("vault", True, f"the key opens all of {len(stored)} stored connections")


def _settings_given(settings: Settings) -> str:
    """What is set by the environment; a SecretStr shows as stars."""
    given = [f"ACCORD_{name.upper()}={getattr(settings, name)}" for name in sorted(settings.model_fields_set)]
    return ", ".join(given) or "all as they come"


def run_doctor(*, as_json: bool) -> None:
    """Every check with its finding; raises CheckFailed when one does not hold."""

    async def examine(house: House) -> list[tuple[str, bool, str]]:
        from accord.db.migrate import pending

        findings = []
        async with house.pool.connection() as db:
            row = await (await db.execute("SELECT current_setting('server_version')")).fetchone()
            findings.append(("database", True, f"PostgreSQL {row[0] if row else '?'}"))
            waiting = await asyncio.to_thread(pending, house.url)
            findings.append(("migrations", not waiting, ", ".join(waiting) or "up to date"))
            async with db.transaction():
                broken = await eventlog.verify(db)
            findings.append(("audit chain", not broken, broken[0].why if broken else "every sealed block verifies"))
            wrong = [each for each in await standing(db) if each.unexplained]
            told = ", ".join(f"{each.unexplained} {each.currency} in {each.legal_entity}" for each in wrong)
            findings.append(("ledger", not wrong, told or "every approved amount is placed"))
            rows = await (await db.execute("SELECT name, state, coalesce(state_reason, '') FROM connection")).fetchall()
            findings.extend(
                (f"connection {name}", state == "active", f"{state} {reason}") for name, state, reason in rows
            )
            findings.append(await _vault(house, db))
        findings.append(("settings", True, _settings_given(house.settings)))
        return findings

    findings = _in_house(examine)
    if as_json:
        print_json([{"check": name, "holds": holds, "finding": found} for name, holds, found in findings])
    else:
        as_table(
            "Doctor",
            ("check", "holds", "finding"),
            [(name, "yes" if holds else "NO", found) for name, holds, found in findings],
        )
    failed = [name for name, holds, _ in findings if not holds]
    if failed:
        raise CheckFailed(f"these need a look: {', '.join(failed)}")
