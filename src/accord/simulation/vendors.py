"""The simulated vendors in the same process: calls to them pass a network that can lose, delay and cut off; their
pushes go through the platform's own door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from accord.connect.answer import Answer
from accord.connect.authenticator import Outgoing
from accord.connect.transport import ConnectionDropped, Sending
from accord.sandbox import VENDORS
from accord.sandbox.kit.inprocess import InProcess, NoAnswer
from accord.sandbox.kit.simulator import Delivery, Simulator
from accord.simulation.history import History
from accord.simulation.loop import Look


class EngineClock:
    """Real time as the vendors' machines see it: runs with the loop, never jumps."""

    def __init__(self, epoch: datetime, moment: Callable[[], float]) -> None:
        self._epoch = epoch
        self._moment = moment

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=self._moment())


class BusinessClock(EngineClock):
    """The firm's calendar: runs with the loop, and jumps ahead when the world has nothing to do for days."""

    def __init__(self, epoch: datetime, moment: Callable[[], float]) -> None:
        super().__init__(epoch, moment)
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self._ahead

    def shift(self, by: timedelta) -> None:
        self._ahead += by


@dataclass(slots=True)
class Network:
    """What can go wrong on the way, as probabilities a call, and which vendors cannot be reached at all now."""

    random: Random
    lose_request: float = 0.0
    lose_answer: float = 0.0
    never_answer: float = 0.0
    slow: float = 0.0
    throttle: float = 0.0
    duplicate_push: float = 0.0
    delay_push: float = 0.0
    lose_push: float = 0.0
    unacknowledged_push: float = 0.0
    down: set[str] = field(default_factory=set)
    calm: bool = False  # nothing more goes wrong: everything is to come to rest

    def happens(self, chance: float) -> bool:
        return not self.calm and chance > 0 and self.random.random() < chance


class Vendors:
    """The three simulated vendors of one seed."""

    def __init__(
        self, seed: int, *, clock: BusinessClock, wall: EngineClock, network: Network, history: History
    ) -> None:
        self.simulators: dict[str, Simulator] = {
            name: build(clock=clock, wall=wall, seed=seed) for name, build in VENDORS.items()
        }
        self.doors = {name: InProcess(each, wall=wall) for name, each in self.simulators.items()}
        self.network = network
        self.history = history
        self.wall = wall
        self.context = Context()
        self.called = asyncio.Event()
        self.under_way = 0
        self._pushes: set[asyncio.Task[None]] = set()

    def wire(self, vendor: str) -> SimulatedWire:
        return SimulatedWire(self, vendor)

    def act(self, vendor: str, action: str, **arguments: Any) -> Any:
        """Let something happen at a vendor, as a person there would."""
        told = self.simulators[vendor].admin(action, arguments)
        self.called.set()
        return told

    async def deliver(self, take: Callable[[str, Mapping[str, str], bytes], Any]) -> None:
        """Send what the vendors push, for ever. `take(path, headers, body)` is the platform's door: (status, body), or
        None when nobody answers."""
        loop = asyncio.get_running_loop()
        while True:
            self.called.clear()
            for vendor, door in self.doors.items():
                for delivery in door.take_deliveries():
                    for _ in range(2 if self.network.happens(self.network.duplicate_push) else 1):
                        self.under_way += 1
                        task = loop.create_task(self._push(vendor, delivery, take))
                        self._pushes.add(task)
                        task.add_done_callback(self._pushes.discard)
            try:
                async with asyncio.timeout(Look(5)):
                    await self.called.wait()
            except TimeoutError:
                continue

    async def _push(self, vendor: str, delivery: Delivery, take: Callable[..., Any]) -> None:
        network, door = self.network, self.doors[vendor]
        try:
            held = (delivery.due_at - self.simulators[vendor].clock.now()).total_seconds()
            late = network.random.uniform(1, 30) if network.happens(network.delay_push) else 0.0
            await asyncio.sleep(max(0.0, held) + late + network.random.uniform(0.001, 0.05))
            if network.happens(network.lose_push):
                self.history.note("push lost", vendor)
                door.delivered(delivery, None)
                return
            signed: Mapping[str, str] = delivery.signer(self.wall.now()) if delivery.signer else {}
            path = "/in/" + delivery.url.partition("/in/")[2]
            answer = await take(path, {"content-type": delivery.content_type, **signed}, delivery.body)
            if answer is None or network.happens(network.unacknowledged_push):
                door.delivered(delivery, None)
            else:
                door.delivered(delivery, answer[0], answer[1])
            self.history.note("push", vendor, None if answer is None else answer[0])
        finally:
            self.under_way -= 1


class SimulatedWire:
    """The way to one vendor. What the vendor does, it does whether or not the caller lives to see it."""

    def __init__(self, vendors: Vendors, vendor: str) -> None:
        self._vendors = vendors
        self._vendor = vendor

    async def send(self, request: Outgoing, sending: Sending, timeout_seconds: float) -> Answer:
        vendors, network = self._vendors, self._vendors.network
        await asyncio.sleep(network.random.uniform(0.0005, 0.01))
        sending.begin()
        told = f"{request.method} {request.url.partition('?')[0]}"
        if self._vendor in network.down:
            raise ConnectionDropped("connection reset")
        if network.happens(network.lose_request):
            vendors.history.note("request lost", self._vendor, told)
            raise ConnectionDropped("connection reset on the way")
        if network.happens(network.throttle):
            vendors.history.note("throttled", self._vendor, told)
            return Answer(429, {"retry-after": "1", "content-type": "application/json"}, b"[]")
        call = vendors.doors[self._vendor].begin(request.method, request.url, request.headers, request.body or b"")
        status = call.response.status
        vendors.history.note("call", self._vendor, told, status)
        vendors.called.set()
        seconds = call.service_seconds + (network.random.uniform(1, 20) if network.happens(network.slow) else 0.0)
        silent = network.happens(network.never_answer)
        answered: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

        def answer() -> None:
            try:
                response = call.finish()
            except NoAnswer:
                response = None
            if not answered.done():
                lost = response is None or silent
                answered.set_result(
                    None if lost or response is None else Answer(response.status, dict(response.headers), response.body)
                )

        # The vendor ends its work in its own context: the death of the caller's process does not stop it.
        asyncio.get_running_loop().call_later(min(seconds, 120.0), answer, context=vendors.context)
        try:
            async with asyncio.timeout(timeout_seconds):
                given = await answered
                if silent:
                    await asyncio.sleep(timeout_seconds)
        except TimeoutError:
            vendors.history.note("timed out", self._vendor, told)
            raise
        if given is None or network.happens(network.lose_answer):
            vendors.history.note("answer lost", self._vendor, told)
            raise ConnectionDropped("connection closed before the answer")
        return given

    async def close(self) -> None:
        """Nothing is open."""
