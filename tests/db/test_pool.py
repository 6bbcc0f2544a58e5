"""Connections come with limits and exact JSON; a transaction is whole or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import Jsonb

from accord.db import documents, open_pool, transaction
from accord.db import pool as pool_module
from accord.db.pool import DatabaseTooOld, DatabaseUnreachable, Pool


async def _value(pool: Pool, statement: str, *parameters: object) -> object:
    async with transaction(pool) as connection:
        row = await (await connection.execute(statement, parameters)).fetchone()
        return row[0] if row else None


async def test_a_transaction_is_committed_at_its_end(pool: Pool) -> None:
    """And the next one sees it."""
    async with transaction(pool) as connection:
        await connection.execute("CREATE TABLE kept (n integer)")
        await connection.execute("INSERT INTO kept VALUES (1)")
    assert await _value(pool, "SELECT count(*) FROM kept") == 1


async def test_a_transaction_in_which_anything_is_raised_leaves_nothing(pool: Pool) -> None:
    """Whatever the error is, and the connection serves on."""

    async def fail_half_way() -> None:
        async with transaction(pool) as connection:
            await connection.execute("CREATE TABLE lost (n integer)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_half_way()
    assert await _value(pool, "SELECT to_regclass('lost')::text") is None


async def test_every_connection_works_in_utc_under_time_limits(pool: Pool) -> None:
    """Stuck work ends by itself."""
    for name, setting in {
        "timezone": "UTC",
        "statement_timeout": "1min",
        "lock_timeout": "15s",
        "idle_in_transaction_session_timeout": "1min",
        "application_name": "accord test",
    }.items():
        assert await _value(pool, "SELECT current_setting(%s)", name) == setting


async def test_settings_of_the_caller_go_before_the_usual_ones(database_url: str) -> None:
    """An engine forces generic plans, a long report gets longer."""
    pool = await open_pool(
        database_url, settings={"statement_timeout": "5min", "plan_cache_mode": "force_generic_plan"}
    )
    try:
        assert await _value(pool, "SELECT current_setting('statement_timeout')") == "5min"
        assert await _value(pool, "SELECT current_setting('plan_cache_mode')") == "force_generic_plan"
    finally:
        await pool.close()


async def test_a_number_with_a_fraction_comes_out_exact(pool: Pool) -> None:
    """json and jsonb, text and binary; whole numbers stay int."""
    text = '{"amount": 12345678901234567.89, "zero": 0.00, "count": 3}'
    for kind in ("json", "jsonb"):
        for binary in (False, True):
            async with transaction(pool) as connection:
                cursor = connection.cursor(binary=binary)
                await cursor.execute(f"SELECT %s::{kind}".encode(), [text])
                row = await cursor.fetchone()
            assert row is not None
            assert row[0] == {"amount": Decimal("12345678901234567.89"), "zero": Decimal("0.00"), "count": 3}
            assert isinstance(row[0]["amount"], Decimal)
            assert isinstance(row[0]["count"], int)


async def test_a_dict_goes_in_as_jsonb_with_its_amounts_as_strings(pool: Pool) -> None:
    """With or without the wrapper."""
    body = {
        "amount": Decimal("1E+2"),
        "day": date(2026, 1, 31),
        "id": uuid.UUID(int=7),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    written = {
        "amount": "100",
        "day": "2026-01-31",
        "id": "00000000-0000-0000-0000-000000000007",
        "at": "2026-01-01T00:00:00+00:00",
    }
    assert await _value(pool, "SELECT %s", body) == written
    assert await _value(pool, "SELECT %b", body) == written
    assert await _value(pool, "SELECT %s", Jsonb(body)) == written
    assert await _value(pool, "SELECT pg_typeof(%s)::text", body) == "jsonb"


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_an_amount_survives_the_way_there_and_back(amount: Decimal) -> None:
    """Digit by digit, without an exponent that another reader might not know."""
    text = documents.loads(documents.dumps({"amount": amount}))["amount"]
    assert Decimal(text) == amount
    assert "E" not in text


def test_what_has_no_plain_form_is_refused() -> None:
    """Rather than written as the name of an object."""
    with pytest.raises(TypeError):
        documents.dumps({"what": object()})


async def test_an_address_where_nobody_answers_is_explained() -> None:
    """The reason and the setting are in the sentence; the password is not."""
    with pytest.raises(DatabaseUnreachable, match="ACCORD_DATABASE_URL") as caught:
        await open_pool("postgresql://accord:hunter2@127.0.0.1:1/accord")
    assert "hunter2" not in str(caught.value)


async def test_a_server_that_is_too_old_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is tried on it."""
    monkeypatch.setattr(pool_module, "OLDEST_SERVER", 99)
    with pytest.raises(DatabaseTooOld, match="needs 99"):
        await open_pool(database_url)


async def test_a_statement_that_takes_too_long_is_ended(database_url: str) -> None:
    """By the server, with the driver's own error."""
    pool = await open_pool(database_url, settings={"statement_timeout": "50ms"})
    try:
        with pytest.raises(psycopg.errors.QueryCanceled):
            await _value(pool, "SELECT pg_sleep(30)")
    finally:
        await pool.close()


TERMINATE = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'accord test'"


async def test_connections_that_the_server_has_ended_are_not_given_out(pool: Pool, database_url: str) -> None:
    """A failover costs no request more than those that were under way."""
    async with transaction(pool), transaction(pool), transaction(pool):
        pass  # three connections lie ready now
    with psycopg.connect(database_url, autocommit=True) as other:
        assert other.execute(TERMINATE).rowcount >= 3
    for _ in range(4):
        assert await _value(pool, "SELECT 1") == 1


async def test_a_connection_that_takes_no_writes_is_given_up(pool: Pool) -> None:
    """The error says what every lost database says, and the next connection is another one."""
    async with pool.connection() as connection:
        await connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(psycopg.OperationalError, match="takes no writes"):
        async with transaction(pool) as connection:
            await connection.execute("CREATE TABLE written (n integer)")
    async with transaction(pool) as connection:
        await connection.execute("CREATE TABLE written (n integer)")


async def test_a_database_that_was_away_is_found_as_soon_as_it_is_back(database_url: str) -> None:
    """Not at the end of a pause that has doubled meanwhile."""
    address = conninfo_to_dict(database_url)
    behind = f"{address['host']}/.s.PGSQL.{address.get('port', 5432)}"
    folder = Path(tempfile.mkdtemp(prefix="accord-", dir="/tmp"))
    way = Way(folder / ".s.PGSQL.5432", behind)
    await way.open()
    pool = await open_pool(make_conninfo(database_url, host=str(folder), port=5432), max_size=2)
    try:
        await way.cut()
        asked = asyncio.create_task(_value(pool, "SELECT 1"))
        await asyncio.sleep(3.5)
        assert not asked.done()
        await way.open()
        back = time.monotonic()
        assert await asked == 1
        assert time.monotonic() - back < 1.5
    finally:
        await pool.close()
        await way.cut()
        shutil.rmtree(folder)


class Way:
    """A way to the server's socket that can be cut."""

    def __init__(self, front: Path, behind: str) -> None:
        self._front = front
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._forward, self._front)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        self._front.unlink(missing_ok=True)
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(self._behind)
        self._writers += [writer, there_writer]
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
