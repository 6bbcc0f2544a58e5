"""Connections in the database: configuration in the clear, credentials sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from accord.connect.vault import Vault
from accord.errors import NotFound


class NoSuchConnection(NotFound):
    """No connection has that name; `accord connect list` shows them."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection to one system: `state` is active | paused | broken, with a reason for people."""

    name: str
    vendor: str
    config: Mapping[str, Any] = field(default_factory=dict)
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)
    state: str = "active"
    state_reason: str | None = None


# A new secret or setting is tried at once: whatever the old ones were paused for may be cured by it.
_SAVE = """
INSERT INTO connection (name, vendor, config, sealed) VALUES (%(name)s, %(vendor)s, %(config)s, %(sealed)s)
ON CONFLICT (name) DO UPDATE SET vendor = excluded.vendor, config = excluded.config, sealed = excluded.sealed,
    state = 'active', state_reason = NULL, updated_at = now()
"""
_LOAD = "SELECT name, vendor, config, sealed, state, state_reason FROM connection ORDER BY name"
_LOAD_ONE = "SELECT name, vendor, config, sealed, state, state_reason FROM connection WHERE name = %(name)s"
_SET_STATE = """
UPDATE connection SET state = %(state)s, state_reason = %(reason)s, updated_at = now() WHERE name = %(name)s
"""
_SEALED = "SELECT name, sealed FROM connection WHERE sealed IS NOT NULL ORDER BY name FOR UPDATE"
_RESEAL = "UPDATE connection SET sealed = %(sealed)s WHERE name = %(name)s"


async def save_connection(database: AsyncConnection[Any], vault: Vault, connection: Connection) -> None:
    """Store a connection, new or changed; it becomes active."""
    values = {
        "name": connection.name,
        "vendor": connection.vendor,
        "config": Jsonb(dict(connection.config)),
        "sealed": vault.seal(connection.name, connection.credentials) if connection.credentials else None,
    }
    await database.execute(_SAVE, values)


async def load_connections(database: AsyncConnection[Any], vault: Vault) -> dict[str, Connection]:
    """Every connection by name, credentials opened. Raises NotOpened for the first that cannot be."""
    async with database.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_LOAD)
        return {row[0]: _opened(row, vault) for row in await cursor.fetchall()}


async def load_connection(database: AsyncConnection[Any], vault: Vault, name: str) -> Connection:
    """One connection. Raises NoSuchConnection, NotOpened."""
    async with database.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_LOAD_ONE, {"name": name})
        row = await cursor.fetchone()
    if row is None:
        raise NoSuchConnection(f"there is no connection {name!r}")
    return _opened(row, vault)


async def set_state(database: AsyncConnection[Any], name: str, state: str, reason: str | None = None) -> None:
    """Pause, break or resume a connection. Raises NoSuchConnection."""
    cursor = await database.execute(_SET_STATE, {"name": name, "state": state, "reason": reason})
    if cursor.rowcount != 1:
        raise NoSuchConnection(f"there is no connection {name!r}")


async def reseal_all(database: AsyncConnection[Any], vault: Vault) -> int:
    """Seal everything stored with the current key; the number changed. Run it in one transaction."""
    async with database.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_SEALED)
        older = [(name, sealed) for name, sealed in await cursor.fetchall() if not vault.is_current(sealed)]
        fresh = [{"name": name, "sealed": vault.reseal(name, sealed)} for name, sealed in older]
        if fresh:
            await cursor.executemany(_RESEAL, fresh)
    return len(fresh)


def _opened(row: tuple[Any, ...], vault: Vault) -> Connection:
    name, vendor, config, sealed, state, reason = row
    credentials = vault.open_sealed(name, bytes(sealed)) if sealed is not None else {}
    return Connection(name, vendor, config, credentials, state, reason)
