"""Puts pushes into the inbox by group commit: all that came in during one commit go into the next, as one statement."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
import psycopg
from psycopg import AsyncConnection

# A body seen before under its id is taken as received; another body under a known id is kept beside it, and flagged.
STORE = """
WITH x AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (place integer, connection text, id text, digest text,
        headers jsonb, body text)
), stored AS (
    INSERT INTO inbox (connection, vendor_event_id, body_digest, headers, body, differs)
    SELECT x.connection, x.id, decode(x.digest, 'hex'), x.headers, decode(x.body, 'base64'),
           EXISTS (SELECT FROM inbox i WHERE i.connection = x.connection AND i.vendor_event_id = x.id
                   AND i.body_digest <> decode(x.digest, 'hex'))
           OR EXISTS (SELECT FROM x y WHERE y.connection = x.connection AND y.id = x.id AND y.digest <> x.digest
                      AND y.place < x.place)
    FROM x ORDER BY x.place
    ON CONFLICT (connection, vendor_event_id, body_digest) DO NOTHING
    RETURNING id
)
SELECT pg_notify('accord_inbox', '') FROM stored LIMIT 1
"""
MOST_AT_ONCE = 500

Row = dict[str, Any]


class Shelf:
    """`await put(...)` returns when the push is committed; raises psycopg.Error when it is not."""

    def __init__(self, connect: Callable[[], Awaitable[AsyncConnection[Any]]]) -> None:
        self._connect = connect
        self._connection: AsyncConnection[Any] | None = None
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self.commits = 0

    async def put(self, connection: str, event_id: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Store one push raw."""
        row = {
            "connection": connection,
            "id": event_id,
            "digest": hashlib.sha256(body).hexdigest(),
            "headers": dict(headers),
            "body": base64.b64encode(body).decode(),
        }
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await done

    async def close(self) -> None:
        """Finish what is being stored and let the connection go."""
        if self._flusher is not None:
            await asyncio.gather(self._flusher, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            await self._commit(batch)

    async def _commit(self, batch: Sequence[tuple[Row, asyncio.Future[None]]]) -> None:
        try:
            await self._store([row for row, _ in batch])
        except psycopg.DataError as error:
            # One push that PostgreSQL cannot hold (a zero byte in an id) must not take the others with it.
            if len(batch) == 1:
                _settle(batch, error)
                return
            for each in batch:
                await self._commit([each])
        except Exception as error:  # noqa: BLE001  (each sender is told; none may wait for ever)
            await self._drop_connection()
            _settle(batch, error)
        else:
            self.commits += 1
            _settle(batch, None)

    async def _store(self, rows: Sequence[Row]) -> None:
        for place, row in enumerate(rows):
            row["place"] = place
        text = orjson.dumps(rows).decode()
        fresh = self._connection is None
        try:
            await self._run(text)
        except psycopg.OperationalError:
            # A connection that lay idle may have been cut since; storing twice is harmless, so once more on a new one.
            if fresh:
                raise
            await self._drop_connection()
            await self._run(text)

    async def _run(self, rows: str) -> None:
        if self._connection is None:
            self._connection = await self._connect()
        await self._connection.execute(STORE, {"rows": rows}, prepare=True)

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()


def _settle(batch: Sequence[tuple[Row, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in batch:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error if isinstance(error, psycopg.Error) else psycopg.OperationalError(str(error)))
