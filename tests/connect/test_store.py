"""Connections in the database, their credentials never in the clear."""

from __future__ import annotations

import os

import pytest

from accord.connect.store import (
    Connection,
    NoSuchConnection,
    load_connection,
    load_connections,
    reseal_all,
    save_connection,
    set_state,
)
from accord.connect.vault import NotOpened, Vault
from accord.db import transaction
from accord.db.pool import Pool

VAULT = Vault([b"k" * 32])
CRM = Connection("crm", "salesforce", {"api_version": "67.0"}, {"client_id": "us", "key": "hush-hush"})


async def test_what_is_saved_is_loaded(pool: Pool) -> None:
    plain = Connection("files", "timefiles", {"folder": "in"})
    async with transaction(pool) as database:
        await save_connection(database, VAULT, CRM)
        await save_connection(database, VAULT, plain)
        assert await load_connections(database, VAULT) == {"crm": CRM, "files": plain}
        assert await load_connection(database, VAULT, "crm") == CRM


async def test_the_database_holds_no_secret(pool: Pool) -> None:
    async with transaction(pool) as database:
        await save_connection(database, VAULT, CRM)
        row = await (await database.execute("SELECT connection::text FROM connection")).fetchone()
    assert row is not None
    assert "hush" not in row[0]
    assert "hush" not in repr(CRM)


async def test_new_credentials_end_a_pause(pool: Pool) -> None:
    async with transaction(pool) as database:
        await save_connection(database, VAULT, CRM)
        await set_state(database, "crm", "paused", "the password expired")
        paused = await load_connection(database, VAULT, "crm")
        assert (paused.state, paused.state_reason) == ("paused", "the password expired")
        await save_connection(database, VAULT, CRM)
        assert (await load_connection(database, VAULT, "crm")).state == "active"


async def test_rotation_reseals_what_is_stored(pool: Pool) -> None:
    fresh = Vault([os.urandom(32), b"k" * 32])
    async with transaction(pool) as database:
        await save_connection(database, VAULT, CRM)
        assert await reseal_all(database, fresh) == 1
        assert await reseal_all(database, fresh) == 0
        assert await load_connection(database, fresh, "crm") == CRM
        with pytest.raises(NotOpened):
            await load_connections(database, VAULT)


async def test_a_connection_that_is_not_there_is_said(pool: Pool) -> None:
    async with transaction(pool) as database:
        with pytest.raises(NoSuchConnection, match="'erp'"):
            await load_connection(database, VAULT, "erp")
        with pytest.raises(NoSuchConnection):
            await set_state(database, "erp", "paused")
