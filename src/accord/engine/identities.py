"""Ids handed out in blocks, so that a worker knows the id of a row before it writes it."""

from __future__ import annotations

from collections import deque

from accord.engine.shell import Connection

BLOCK = 1000  # the increment of the sequence `identity_block`


class Identities:
    """`await ensure(n)` before a turn, then `take()` up to n times without a round trip."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._free: deque[range] = deque()
        self._left = 0
        self._next = iter(range(0))

    async def ensure(self, count: int) -> None:
        missing = count - self._left
        if missing <= 0:
            return
        blocks = -(-missing // BLOCK)
        cursor = await self._connection.execute(
            "SELECT nextval('identity_block') FROM generate_series(1, %(blocks)s)", {"blocks": blocks}, prepare=True
        )
        for (last,) in await cursor.fetchall():
            self._free.append(range(last - BLOCK + 1, last + 1))
            self._left += BLOCK

    def take(self) -> int:
        for id in self._next:
            self._left -= 1
            return id
        self._next = iter(self._free.popleft())
        return self.take()
