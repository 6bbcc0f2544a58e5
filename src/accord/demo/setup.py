"""Sets a house up for simulated vendors: connections with credentials, bindings, policy, subscriptions to pushes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from accord.app import House
from accord.connect import registry
from accord.connect.store import Connection, load_connections, save_connection
from accord.db import documents
from accord.db.pool import transaction
from accord.demo.firm import BINDINGS, FIRM, SETTINGS
from accord.errors import UsageError

BIND = """
INSERT INTO binding (role, legal_entity, connection) VALUES (%(role)s, '', %(connection)s)
ON CONFLICT (role, legal_entity, valid_from) DO UPDATE SET connection = excluded.connection
"""
DECLARE_POLICY = """
INSERT INTO policy (name, version, body, declared_by)
SELECT %(name)s, coalesce(max(version), 0) + 1, %(body)s::jsonb, %(by)s FROM policy WHERE name = %(name)s
"""

# Vendors that are started have clocks of their own: how far others were read says nothing about them.
FORGET_POLLS = "DELETE FROM poll WHERE connection = ANY(%(names)s)"
# Another account behind a connection: its ids mean nothing, and what was committed has to be written again.
FORGET_OBJECTS = (
    "DELETE FROM crosswalk WHERE connection = ANY(%(names)s)",
    "UPDATE effect SET state = 5 WHERE connection = ANY(%(names)s) AND state = 2",
)


async def declare_policy(db: Any, name: str, body: Mapping[str, Any], by: str) -> None:
    """A new version of a policy, in force at once; inside the caller's transaction."""
    await db.execute(DECLARE_POLICY, {"name": name, "body": documents.dumps(body).decode(), "by": by})


def _refuse_real_systems(known: Mapping[str, Connection]) -> None:
    """Simulated vendors never take the place of real ones."""
    for connection in known.values():
        if connection.vendor == "timefiles":
            continue  # a folder of files has no address, and whoever asks for a demonstration made it
        host = urlsplit(str(connection.config.get("base_url") or "https://vendor")).hostname
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise UsageError(
                f"the connection {connection.name} of this database is not to a simulated vendor; "
                "set ACCORD_HOME or ACCORD_DATABASE_URL to a place for trials"
            )


def _flat(credentials: Mapping[str, Any]) -> dict[str, Any]:
    """A vendor that offers several ways to log in describes the first one best; plain values stand beside it."""
    plain = {name: value for name, value in credentials.items() if isinstance(value, str)}
    ways = [value for value in credentials.values() if isinstance(value, Mapping) and value]
    return {**plain, **(ways[0] if ways else {})}


async def connect_sandbox(
    house: House,
    sandbox: Mapping[str, Mapping[str, Any]],
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    firm: Mapping[str, Any] | None = None,
    anew: bool = False,
) -> dict[str, str]:
    """Store a connection for each simulated vendor, as `accord sandbox --json` describes it.

    Gives the push secrets by vendor. A connection that is there keeps its push secret.
    """
    push_secrets: dict[str, str] = {}
    async with transaction(house.pool) as db:
        known = await load_connections(db, house.vault)
        _refuse_real_systems(known)
        for statement in (FORGET_POLLS, *(FORGET_OBJECTS if anew else ())):
            await db.execute(statement, {"names": list(sandbox)})
        for vendor, place in sandbox.items():
            before = known.get(vendor)
            push = (before.credentials.get("push_secret") if before else None) or secrets.token_urlsafe(24)
            push_secrets[vendor] = push
            table = registry.connector(vendor)
            given = {**_flat(place["credentials"]), "push_secret": push}
            secret_names = {each.name for each in table.credentials if each.secret} | {"push_secret"}
            config = {
                "base_url": place["url"],
                "ca_file": place["ca_file"],
                **SETTINGS.get(vendor, {}),
                **(settings or {}).get(vendor, {}),
                **{name: value for name, value in given.items() if name not in secret_names},
            }
            credentials = {name: value for name, value in given.items() if name in secret_names}
            await save_connection(db, house.vault, Connection(vendor, vendor, config, credentials))
        for role, connection in BINDINGS:
            if connection in sandbox:
                await db.execute(BIND, {"role": role, "connection": connection})
        await declare_policy(db, "firm", firm or FIRM, "demo")
    return push_secrets
