"""What a session gets when it opens, and whether it is a session of one's own at all.

A pooler in transaction mode (PgBouncer, and others that work like it) lends a server's session to each transaction:
what is set, prepared or listened for outside of a transaction stays with somebody else. A pooler is recognised by the
process number: it tells its clients another than that of the PostgreSQL process which answers them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from psycopg import AsyncConnection

from accord.db import documents

log = structlog.get_logger()

# Set only where the session is ours; one statement, so that no pooler can put another process between the two.
SETTLE = """
SELECT pg_backend_pid(), CASE WHEN pg_backend_pid() = %(mine)s THEN set_config(name, setting, false) END
FROM unnest(%(names)s::text[], %(settings)s::text[]) AS x (name, setting)
"""
# Poolers follow this one for each of their clients, because PostgreSQL reports it.
IN_UTC = "SELECT set_config('timezone', 'UTC', false)"
# Settings that are times; 0 is none.
UNLIMITED = (
    "SELECT name FROM unnest(%s::text[]) AS x (name) WHERE name LIKE '%%timeout' AND current_setting(name) = '0'"
)
_told: set[str] = set()


async def settle(connection: AsyncConnection[Any], settings: Mapping[str, str]) -> bool:
    """Give an open connection its settings and its way with JSON; True when the session is its own.

    Behind a pooler nothing is prepared, and time limits must be the role's own settings: those that are missing are
    named in the log, once a process.
    """
    documents.adopt(connection)
    wanted = {"timezone": "UTC", **settings}
    about = {"mine": connection.info.backend_pid, "names": list(wanted), "settings": list(wanted.values())}
    row = await (await connection.execute(SETTLE, about, prepare=False)).fetchone()
    if row is not None and row[0] == connection.info.backend_pid:
        return True
    connection.prepare_threshold = None
    await connection.execute(IN_UTC)
    missing = {row[0] for row in await (await connection.execute(UNLIMITED, [list(wanted)])).fetchall()}
    if missing - _told:
        _told.update(missing)
        log.warning(
            "the database is reached through a pooler, and the role has no time limits", missing=sorted(missing)
        )
    return False
