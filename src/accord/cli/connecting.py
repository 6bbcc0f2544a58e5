"""`accord connect` and `accord key`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import typer

from accord.app import House, open_house, open_switchboard, utc_now
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.connect import registry
from accord.connect.connector import Connector, Credential
from accord.connect.failures import AccessRefused, CallFailed, ForeignAddress, NotTrusted, Refused
from accord.connect.store import Connection, load_connection, save_connection, set_state
from accord.db.pool import transaction
from accord.errors import Unavailable, UsageError
from accord.settings import Settings

BIND = """
INSERT INTO binding (role, legal_entity, valid_from, connection)
VALUES (%(role)s, %(entity)s, %(since)s, %(connection)s)
ON CONFLICT (role, legal_entity, valid_from) DO UPDATE SET connection = excluded.connection
"""
LIST = """
SELECT c.name, c.vendor, c.state, coalesce(c.state_reason, ''), coalesce((SELECT string_agg(DISTINCT b.role ||
    CASE WHEN b.legal_entity = '' THEN '' ELSE ' (' || b.legal_entity || ')' END, ', ') FROM binding b
    WHERE b.connection = c.name), '') FROM connection c ORDER BY c.name
"""
CLOSE_INCIDENT = """
UPDATE business_case SET state = 'resolved', resolved_at = clock_timestamp(), resolution = 'connection resumed',
    resolved_by = 'cli' WHERE state = 'open' AND connection = %(name)s AND reason = 'connection_paused'
"""


def _in_house(doing: Callable[[House], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with open_house(Settings()) as house:
            return await doing(house)

    return asyncio.run(run())


def add(name: str, vendor: str, settings: list[str], credentials_file: Path | None, roles: list[str]) -> None:
    """Store a connection; what its vendor needs and was not given is asked for."""
    table = registry.connector(vendor)
    _check_roles(table, roles)
    given = _read(credentials_file) if credentials_file is not None else {}
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator:
            raise UsageError(f"{setting!r} is not name=value")
        given[key] = value
    secret = {each.name for each in table.credentials if each.secret}
    for each in table.credentials:
        if each.required and not given.get(each.name):
            given[each.name] = _ask(each)
    credentials = {key: value for key, value in given.items() if key in secret}
    config = {key: value for key, value in given.items() if key not in secret}

    async def save(house: House) -> None:
        async with transaction(house.pool) as db:
            await save_connection(db, house.vault, Connection(name, vendor, config, credentials))
            for role in roles or table.roles:
                await db.execute(BIND, {"role": role, "entity": "", "since": date.min, "connection": name})

    _in_house(save)
    typer.echo(f"{name} is stored and plays {', '.join(roles or table.roles)}; `accord connect check {name}` logs in")


def _read(file: Path) -> dict[str, Any]:
    try:
        given = json.loads(file.read_text())
    except ValueError as error:
        raise UsageError(f"{file} is not JSON ({error}); write one object of names and values") from None
    if not isinstance(given, dict):
        raise UsageError(f"{file} is not one JSON object of names and values")
    return given


def _ask(credential: Credential) -> str:
    try:
        answer: str = typer.prompt(credential.label, hide_input=credential.secret)
    except typer.Abort:
        cure = f"give it with --setting {credential.name}=... or in a --credentials-file"
        raise UsageError(f"{credential.label} is needed and nobody answered; {cure}") from None
    return answer


def _check_roles(table: Connector, roles: Sequence[str]) -> None:
    wrong = [role for role in roles if role not in table.roles]
    if wrong:
        raise UsageError(f"{table.vendor} cannot play {', '.join(wrong)}; it can play {', '.join(table.roles)}")


def show(*, as_json: bool) -> None:
    async def read(house: House) -> Any:
        async with house.pool.connection() as db:
            return await (await db.execute(LIST)).fetchall()

    names = ("name", "vendor", "state", "reason", "roles")
    rows = _in_house(read)
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        as_table("Connections", names, rows)


def bind(role: str, connection: str, legal_entity: str, valid_from: str) -> None:
    try:
        since = date.fromisoformat(valid_from)
    except ValueError:
        raise UsageError(f"{valid_from!r} is not a day; write YYYY-MM-DD") from None

    async def write(house: House) -> None:
        async with transaction(house.pool) as db:
            stored = await load_connection(db, house.vault, connection)
            _check_roles(registry.connector(stored.vendor), [role])
            about = {"role": role, "entity": legal_entity, "since": since, "connection": connection}
            await db.execute(BIND, about)

    _in_house(write)
    typer.echo(f"{connection} plays {role}{f' for {legal_entity}' if legal_entity else ''} from {since}")


def pause(name: str, reason: str) -> None:
    async def write(house: House) -> None:
        async with transaction(house.pool) as db:
            await set_state(db, name, "paused", reason)

    _in_house(write)
    typer.echo(f"{name} is paused; its effects wait")


def resume(name: str) -> None:
    async def write(house: House) -> None:
        async with transaction(house.pool) as db:
            await set_state(db, name, "active")
            await db.execute(CLOSE_INCIDENT, {"name": name})
            await db.execute("SELECT pg_notify('accord_ready', '')")

    _in_house(write)
    typer.echo(f"{name} is active again")


def check(name: str) -> None:
    async def call(house: House) -> str:
        switchboard = await open_switchboard(house)
        try:
            line = switchboard.line(name)
            return await line.connector.check(line.session)
        except (AccessRefused, NotTrusted, ForeignAddress, Refused) as failed:
            raise UsageError(f"{name} refuses us: {failed}; correct it with `accord connect add`") from failed
        except CallFailed as failed:
            raise Unavailable(f"{name} does not answer: {failed}; check its address, or try again later") from failed
        finally:
            await switchboard.close()

    typer.echo(_in_house(call))


def vendors(*, as_json: bool) -> None:
    from accord.connect.capability import capability_matrix

    tables = [registry.connector(vendor) for vendor in registry.vendors()]
    rows = capability_matrix(tables)
    if as_json:
        print_json([row._asdict() for row in rows])
    elif rows:
        # Ten columns are more than a terminal is wide; --json has them all.
        columns = ("vendor", "kind", "verb", "batch", "safe_by", "key_life")
        cells = [[getattr(row, column) for column in columns] for row in rows]
        as_table("What makes each write safe to repeat", columns, cells)


def create_api_key(name: str, roles: list[str], entities: list[str]) -> None:
    from accord.governance.keys import create_key

    async def write(house: House) -> str:
        async with transaction(house.pool) as db:
            return await create_key(db, name, roles, entities, utc_now())

    typer.echo(_in_house(write))
