"""Sends effects: packs them into the vendor's batch calls, a bounded number of calls at a time, and collects outcomes.

Nothing here touches the database: intent is committed before an effect comes in, outcomes go out to the next turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accord.engine.outcomes import Outcome, Transient, Unknown, Write
from accord.engine.shell import Vendors

Lane = tuple[str, str, str, bool]  # connection, kind, verb, probe


@dataclass(slots=True)
class InFlight:
    """One effect this worker is responsible for: its row as read or written, and whether a story here waits for it."""

    row: dict[str, Any]
    probe: bool = False
    waiting_row: bool = False
    sent_at: float = 0.0
    outcome: Outcome | None = None


class Dispatcher:
    """Effects in, outcomes out, in order of business priority within a connection."""

    def __init__(self, vendors: Vendors, *, now: Callable[[], float], may_send: Callable[[], bool], wake: Callable[[], None]) -> None:
        self._vendors = vendors
        self._now = now
        self._may_send = may_send
        self._wake = wake
        self._lanes: dict[Lane, deque[InFlight]] = {}
        self._running: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.done: list[InFlight] = []
        self.vendor_ids: dict[tuple[str, str, str], str] = {}

    def room(self, connection: str, kind: str, verb: str) -> int:
        """How many more effects of this lane are worth holding in memory now."""
        lane = self._lanes.get((connection, kind, verb, False))
        depth = self._vendors.parallel(connection) * self._vendors.batch_size(connection, kind, verb) * 2
        return max(0, depth - (len(lane) if lane else 0))

    def queued(self, connection: str) -> int:
        return sum(len(lane) for key, lane in self._lanes.items() if key[0] == connection) + self._running.get(connection, 0)

    def running(self) -> int:
        return sum(self._running.values())

    def add(self, flight: InFlight) -> None:
        row = flight.row
        key = (row["connection"], row["kind"], row["verb"], flight.probe)
        self._lanes.setdefault(key, deque()).append(flight)

    def pump(self) -> None:
        """Start as many calls as the connections allow."""
        for key in sorted((key for key, lane in self._lanes.items() if lane), key=self._urgency):
            connection = key[0]
            size = 1 if key[3] else self._vendors.batch_size(*key[:3])
            lane = self._lanes[key]
            while lane and self._running.get(connection, 0) < self._vendors.parallel(connection):
                batch = self._distinct(lane, size)
                self._running[connection] = self._running.get(connection, 0) + 1
                task = asyncio.create_task(self._send(key, batch))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def unsent(self) -> list[InFlight]:
        """Take back everything that was not started, to put it where others can find it."""
        back = [flight for lane in self._lanes.values() for flight in lane]
        self._lanes.clear()
        return back

    def take_done(self) -> list[InFlight]:
        done, self.done = self.done, []
        return done

    async def drain(self) -> None:
        """Wait until every started call has its outcome."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _urgency(self, key: Lane) -> int:
        return int(self._lanes[key][0].row["priority"])

    @staticmethod
    def _distinct(lane: deque[InFlight], size: int) -> list[InFlight]:
        """Up to `size` effects of different objects; a second write of one object waits for the next call."""
        batch: list[InFlight] = []
        seen: set[str] = set()
        while lane and len(batch) < size and lane[0].row["canonical_id"] not in seen:
            flight = lane.popleft()
            seen.add(flight.row["canonical_id"])
            batch.append(flight)
        return batch

    async def _send(self, key: Lane, batch: list[InFlight]) -> None:
        connection, kind, verb, probe = key
        try:
            outcomes = await self._outcomes(connection, kind, verb, batch, probe=probe)
        finally:
            self._running[connection] -= 1
        for flight, outcome in zip(batch, outcomes, strict=True):
            flight.outcome = outcome
        self.done.extend(batch)
        self._wake()

    async def _outcomes(
        self, connection: str, kind: str, verb: str, batch: list[InFlight], *, probe: bool
    ) -> list[Outcome]:
        # Checked just before sending: a worker that was stopped and goes on must not send what others took over.
        if not self._may_send():
            return [Transient("the worker's lease ran out before it was sent")] * len(batch)
        started = self._now()
        for flight in batch:
            flight.sent_at = started
        writes = [self._write(flight) for flight in batch]
        try:
            if probe:
                return [await self._vendors.probe(connection, kind, verb, writes[0])]
            outcomes = list(await self._vendors.send(connection, kind, verb, writes))
        except Exception as error:  # noqa: BLE001  (a connector's defect must not lose the effects it was given)
            return [Unknown(f"the connector failed: {type(error).__name__}")] * len(batch)
        if len(outcomes) != len(batch):
            return [Unknown(f"the connector answered {len(outcomes)} of {len(batch)} writes")] * len(batch)
        return outcomes

    def _write(self, flight: InFlight) -> Write:
        row = flight.row
        connection = row["connection"]
        links = [link.split(" ", 1) for link in row.get("links") or ()]
        known = {about: self.vendor_ids.get((connection, kind, about)) for kind, about in links}
        return Write(
            effect_id=row["id"],
            key=f"{connection}:{row['kind']}:{row['canonical_id']}:{row['verb']}:{row['version']}:{row['generation']}",
            kind=row["kind"],
            verb=row["verb"],
            canonical_id=row["canonical_id"],
            body=row["body"],
            vendor_id=row.get("vendor_id") or self.vendor_ids.get((connection, row["kind"], row["canonical_id"])),
            vendor_ids={about: vendor_id for about, vendor_id in known.items() if vendor_id is not None},
            attempt=(row.get("attempts") or 0) + 1,
        )
