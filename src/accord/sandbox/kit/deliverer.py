"""Sends what a served vendor pushes by itself (webhooks, outbound messages), without ever holding the vendor up."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping

import aiohttp

from accord.sandbox.kit.front import Front
from accord.sandbox.kit.simulator import Clock, Delivery

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25  # how late a push may be that falls due by time alone; a call wakes the deliverer at once
AT_ONCE = 16  # connections a vendor has open to its subscribers
# Stripe wants an answer within seconds and counts silence as a failure; the others are no more patient.
ANSWER_SECONDS = 10.0


class Deliverer:
    """One task that takes the pushes due and hands each to a task of its own, at most `AT_ONCE` at a time."""

    def __init__(self, front: Front, *, wall: Clock, trust: ssl.SSLContext) -> None:
        self._front = front
        self._wall = wall
        self._trust = trust
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(AT_ONCE)

    def wake(self) -> None:
        """Something happened that may have made a push due."""
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Nothing is being sent right now."""
        return not self._under_way

    async def run(self) -> None:
        """Until cancelled; what is under way then is given up."""
        connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=self._trust)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            try:
                while True:
                    self._wake.clear()
                    for delivery in self._due():
                        await self._free.acquire()
                        task = asyncio.create_task(self._send(session, delivery))
                        self._under_way.add(task)
                        task.add_done_callback(self._under_way.discard)
                    await self._pause()
            finally:
                for task in self._under_way:
                    task.cancel()
                await asyncio.gather(*self._under_way, return_exceptions=True)

    def _due(self) -> list[Delivery]:
        try:
            return self._front.take_deliveries()
        except Exception:
            # A fault of the simulator must be seen, and must not end the pushes of a sandbox that runs for days.
            log.exception("%s could not say which pushes are due", self._front.simulator.vendor)
            return []

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _send(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        status: int | None = None
        body: bytes | None = None
        try:
            status, body = await self._post(session, delivery)
        finally:
            self._free.release()
            self._front.delivered(delivery, status, body)

    async def _post(self, session: aiohttp.ClientSession, delivery: Delivery) -> tuple[int | None, bytes | None]:
        """The subscriber's status and words, or nothing when there was no answer."""
        held = (delivery.due_at - self._front.simulator.clock.now()).total_seconds()
        if held > 0:
            await asyncio.sleep(held)
        signed: Mapping[str, str] = delivery.signer(self._wall.now()) if delivery.signer else {}
        headers = {"content-type": delivery.content_type, **signed}
        try:
            async with session.post(delivery.url, data=delivery.body, headers=headers, allow_redirects=False) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None, None
