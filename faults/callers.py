"""Callers of the server while it is in trouble: a vendor that pushes, again and again, and keeps every answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

EVERY_SECONDS = 0.05
PATIENCE_SECONDS = 30.0


@dataclass
class Pushing:
    """Pushes of NetSuite's user event to one door: what was acknowledged, and what each push was answered.

    `answers` counts by status, 0 where no answer came; a refusal without Retry-After is counted under its status and
    `impolite`.
    """

    url: str
    secret: str
    acknowledged: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    impolite: int = 0
    slowest: float = 0.0

    async def push(self, session: aiohttp.ClientSession, id: str) -> None:
        at = datetime.now(UTC).isoformat()
        event = {"event_id": id, "type": "edit", "record": "customer", "id": "1", "fields": {}, "at": at}
        body = json.dumps(event).encode()
        stamp = str(int(time.time()))
        digest = hmac.new(self.secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"x-accord-signature": f"t={stamp},v1={digest}", "content-type": "application/json"}
        began = time.monotonic()
        try:
            async with session.post(self.url, data=body, headers=headers) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            self.answers[0] += 1
            return
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.answers[answer.status] += 1
        if answer.status == 200:
            self.acknowledged.add(id)
        elif "retry-after" not in answer.headers:
            self.impolite += 1


@asynccontextmanager
async def pushing(base_url: str, secret: str) -> AsyncIterator[Pushing]:
    """A push every 50 ms, whatever becomes of the others; all are answered or given up when the block ends."""
    here = Pushing(f"{base_url}/in/netsuite", secret)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
        begin = asyncio.create_task(_begin(here, session, group))
        try:
            yield here
        finally:
            begin.cancel()


async def _begin(here: Pushing, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
    for number in itertools.count(1):
        group.create_task(here.push(session, f"pushed-{number}"))
        await asyncio.sleep(EVERY_SECONDS)
