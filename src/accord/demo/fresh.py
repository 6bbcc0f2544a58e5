"""A database of its own for each demonstration, so that a run starts from nothing and harms nothing."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from accord.db.address import url as database_url
from accord.settings import Settings

PREFIX = "accord_demo_"
KEEP = 2  # demonstrations whose data stays for a second look


async def fresh_database(settings: Settings) -> Settings:
    """The settings with a new, empty database on the same server; all but the newest earlier ones are dropped."""
    url = await asyncio.to_thread(database_url, settings)
    name = f"{PREFIX}{datetime.now(UTC):%Y%m%d%H%M%S}_{secrets.token_hex(2)}"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(
            "SELECT datname FROM pg_database d WHERE datname LIKE %s AND NOT EXISTS "
            "(SELECT FROM pg_stat_activity a WHERE a.datname = d.datname) ORDER BY datname DESC",
            [PREFIX.replace("_", r"\_") + "%"],
        )
        for (old,) in (await cursor.fetchall())[KEEP:]:
            await connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(old)))
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return settings.model_copy(update={"database_url": SecretStr(_with_database(url, name))})


def _with_database(url: str, name: str) -> str:
    return make_conninfo("", **{**conninfo_to_dict(url), "dbname": name})
