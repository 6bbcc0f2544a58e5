"""Callers of the server while it is in trouble: a vendor that pushes, a program that reads, and what they are told."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

EVERY_SECONDS = 0.05
PATIENCE_SECONDS = 30.0


@dataclass
class Answers:
    """What callers were told: a count by status, 0 where no answer came; refusals that do not say when to come again;
    and the longest that anybody waited."""

    by_status: Counter[int] = field(default_factory=Counter)
    impolite: int = 0
    slowest: float = 0.0

    def told(self) -> str:
        statuses = ", ".join(f"{count} x {status}" for status, count in sorted(self.by_status.items()))
        return f"{statuses}; slowest {self.slowest:.1f} s"

    async def call(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> int:
        began = time.monotonic()
        try:
            async with session.request(method, url, data=body, headers=headers) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            self.by_status[0] += 1
            return 0
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.by_status[answer.status] += 1
        self.impolite += answer.status != 200 and "retry-after" not in answer.headers
        return answer.status


@dataclass
class Callers:
    """A vendor's pushes to NetSuite's door, each an event of its own, and reads of the list of cases."""

    base_url: str
    push_secret: str
    api_key: str
    acknowledged: set[str] = field(default_factory=set)
    pushes: Answers = field(default_factory=Answers)
    reads: Answers = field(default_factory=Answers)

    async def push(self, session: aiohttp.ClientSession, number: int) -> None:
        id, at = f"pushed-{number}", datetime.now(UTC).isoformat()
        event = {"event_id": id, "type": "edit", "record": "customer", "id": "1", "fields": {}, "at": at}
        body, stamp = json.dumps(event).encode(), str(int(time.time()))
        digest = hmac.new(self.push_secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"x-accord-signature": f"t={stamp},v1={digest}", "content-type": "application/json"}
        if await self.pushes.call(session, "POST", f"{self.base_url}/in/netsuite", headers, body) == 200:
            self.acknowledged.add(id)

    async def read(self, session: aiohttp.ClientSession, _: int) -> None:
        headers = {"authorization": f"Bearer {self.api_key}"}
        await self.reads.call(session, "GET", f"{self.base_url}/api/process/v1/cases?limit=5", headers)


@asynccontextmanager
async def calling(base_url: str, push_secret: str, api_key: str) -> AsyncIterator[Callers]:
    """A push every 50 ms and a read every 200 ms, whatever becomes of the others; all are answered or given up when the
    block ends."""
    here = Callers(base_url, push_secret, api_key)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:

        async def again(act: Callable[[aiohttp.ClientSession, int], Awaitable[None]], seconds: float) -> None:
            for number in itertools.count(1):
                group.create_task(act(session, number))  # type: ignore[arg-type]
                await asyncio.sleep(seconds)

        callers = [asyncio.create_task(again(here.push, EVERY_SECONDS)), asyncio.create_task(again(here.read, 0.2))]
        try:
            yield here
        finally:
            for each in callers:
                each.cancel()
