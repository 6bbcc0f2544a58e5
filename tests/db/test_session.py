"""A session of one's own gets its settings; one that a pooler lends for a transaction is left as it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from accord.db import session
from accord.db.pool import LIMITS
from accord.db.session import settle


class Lent(psycopg.AsyncConnection[Any]):
    """What a pooler's client sees: the process number that it was told is the pooler's invention."""

    @property
    def info(self) -> Any:
        return SimpleNamespace(backend_pid=super().info.backend_pid + 1)


async def _now(connection: Any, name: str) -> str:
    row = await (await connection.execute("SELECT current_setting(%s)", [name])).fetchone()
    return str(row[0])


async def test_a_session_of_ones_own_gets_what_was_asked(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        assert await settle(connection, {**LIMITS, "timezone": "Asia/Tokyo", "jit": "off"})
        assert await _now(connection, "statement_timeout") == "1min"
        assert await _now(connection, "timezone") == "Asia/Tokyo"
        assert connection.prepare_threshold is not None


async def test_a_session_without_wishes_is_recognised_too(database_url: str) -> None:
    """And works in UTC."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        assert await settle(connection, {})
        assert await _now(connection, "timezone") == "UTC"


async def test_a_lent_session_is_left_as_it_is(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set that another client would find, nothing is prepared, and the missing limits are said once."""
    monkeypatch.setattr(session, "_told", set())
    async with await Lent.connect(database_url, autocommit=True) as connection:
        with capture_logs() as said:
            assert not await settle(connection, LIMITS)
            assert not await settle(connection, LIMITS)
        assert await _now(connection, "statement_timeout") == "0"
        for _ in range(7):
            await connection.execute("SELECT 1", prepare=True)
        prepared = await (await connection.execute("SELECT count(*) FROM pg_prepared_statements")).fetchone()
    assert prepared == (0,)
    (warning,) = said
    assert "statement_timeout" in warning["missing"]
    assert "timezone" not in warning["missing"]


async def test_limits_that_the_role_has_are_not_missed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ALTER ROLE ... IN DATABASE ... SET, as the guide says."""
    monkeypatch.setattr(session, "_told", set())
    with psycopg.connect(database_url, autocommit=True) as owner:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            owner.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {owner.info.dbname} SET {name} = '60s'")
    async with await Lent.connect(database_url, autocommit=True) as connection:
        with capture_logs() as said:
            assert not await settle(connection, LIMITS)
    assert said == []
