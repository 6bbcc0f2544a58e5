"""Which PostgreSQL this process works with, and how a connection to it is kept an eye on."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from accord.db import embedded
from accord.settings import Settings

# A machine that is gone says nothing. By default a connection to it stands for a quarter of an hour (data that nobody
# takes) or two hours (an answer that never comes); a failover is over in less.
WATCHED: dict[str, str | int] = {
    "connect_timeout": 5,  # for each host in turn
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}


def url(settings: Settings | None = None) -> str:
    """The database's address: the one that was set, else that of the embedded PostgreSQL, started if it does not run.

    Blocks for a few seconds the first time on a machine, so call it from a thread when a loop is running.
    Raises EmbeddedDatabaseFailed.
    """
    settings = settings or Settings()
    if settings.database_url is not None:
        return watched(settings.database_url.get_secret_value())
    return watched(embedded.ensure_running(settings.home))


def watched(address: str) -> str:
    """An address that notices a dead server in seconds and, of several hosts, takes the one that takes writes.

    What the address itself says goes before. One that cannot be read comes back as it is: connecting says why. Pure.
    """
    try:
        given = conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        return address
    several = "," in f"{given.get('host') or ''}{given.get('hostaddr') or ''}"
    wanted = WATCHED | ({"target_session_attrs": "read-write"} if several else {})
    return make_conninfo(address, **{name: value for name, value in wanted.items() if name not in given})
