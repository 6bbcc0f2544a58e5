"""A PostgreSQL of the bench's own, durable as in production, and databases in it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from accord.db import embedded, migrate


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The address of a fresh embedded PostgreSQL with fsync on; gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="accord-bench-"))
    try:
        yield embedded.ensure_running(home)
    finally:
        embedded.stop(home)
        shutil.rmtree(home)


def database(server_url: str, name: str, *, migrated: bool = True) -> str:
    """The address of a new database on the server."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    url = make_conninfo(server_url, dbname=name)
    if migrated:
        migrate.upgrade(url)
    return url


def settle(server_url: str) -> None:
    """Write out what the last measurement left behind, so that the next does not pay for it."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
