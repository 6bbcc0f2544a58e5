"""Sends effects: packs them into the vendor's batch calls, a bounded number of calls at a time, and collects outcomes.

Nothing here touches the database: intent is committed before an effect comes in, outcomes go out to the next turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog

from accord.engine.budget import SENDING, Sending
from accord.engine.outcomes import Misconfigured, Outcome, Transient, Unknown, Write
from accord.engine.shell import Vendors

log = structlog.get_logger()

Lane = tuple[str, int, str, str, bool]  # connection, priority, kind, verb, probe

# While effects of a lane keep coming, a batch call that is not full waits for them: how long at most, and what share of
# a full batch has to be expected in that time. A few effects never wait.
LINGER_SECONDS = 1.5
BUSY = 0.2
# A connection that was found misconfigured gets no more calls until the pause is known everywhere.
HOLD_SECONDS = 2.0


@dataclass(slots=True)
class InFlight:
    """One effect this worker is responsible for: its row as read or written, and how it came out."""

    row: dict[str, Any]
    probe: bool = False
    waiting_row: bool = False
    sent_at: float = 0.0
    outcome: Outcome | None = None


@dataclass(slots=True)
class _Arrivals:
    """How fast effects come into a lane, and since when its first waits."""

    since: float
    oldest: float = 0.0
    count: int = 0
    before: float = 0.0

    def note(self, moment: float, *, first: bool) -> None:
        if moment - self.since >= 1.0:
            self.before, self.count, self.since = self.count / (moment - self.since), 0, moment
        self.count += 1
        if first:
            self.oldest = moment

    def rate(self, moment: float) -> float:
        """Arrivals a second, lately."""
        elapsed = moment - self.since
        return max(self.count / max(elapsed, 1.0), self.before if elapsed < LINGER_SECONDS else 0.0)


class Dispatcher:
    """Effects in, outcomes out, in order of business priority within a connection."""

    def __init__(
        self,
        vendors: Vendors,
        *,
        now: Callable[[], float],
        may_send: Callable[[], bool],
        wake: Callable[[], None],
        stories: Callable[[], int],
    ) -> None:
        self._vendors = vendors
        self._now = now
        self._may_send = may_send
        self._wake = wake
        self._stories = stories
        self._lanes: dict[Lane, deque[InFlight]] = {}
        self._queued: dict[str, Counter[int]] = {}  # connection -> priority -> effects held and not started
        self._running: dict[str, Counter[int]] = {}  # connection -> priority -> sends under way
        self._held_until: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: set[int] = set()
        self._arrivals: dict[Lane, _Arrivals] = {}
        self.done: list[InFlight] = []
        self.vendor_ids: MutableMapping[tuple[str, str, str], str] = {}

    def room(self, connection: str, kind: str, verb: str, priority: int) -> int:
        """How many more effects of this priority are worth holding in memory: what is being sent and as much again.
        Less urgent ones that are held already do not keep more urgent ones out."""
        depth = self._parallel(connection) * self._vendors.batch_size(connection, kind, verb) * 2
        queued = self._queued.get(connection, Counter())
        as_urgent = sum(effects for other, effects in queued.items() if other <= priority)
        return max(0, min(depth - as_urgent, 2 * depth - queued.total()))

    def idle(self, connection: str, priority: int) -> bool:
        """Whether another send of this priority is worth starting: less urgent ones under way do not keep it waiting,
        for the calls of all of them wait for the same slots, the most urgent first."""
        running, parallel = self._running.get(connection, Counter()), self._parallel(connection)
        as_urgent = sum(sends for other, sends in running.items() if other <= priority)
        return as_urgent < parallel and running.total() < 2 * parallel

    def holds(self, effect_id: int) -> bool:
        """Whether this effect was given here and its outcome has not been taken yet."""
        return effect_id in self._held

    def running(self) -> int:
        return sum(sends.total() for sends in self._running.values())

    def add(self, flight: InFlight) -> None:
        row = flight.row
        key = (row["connection"], row["priority"], row["kind"], row["verb"], flight.probe)
        lane = self._lanes.setdefault(key, deque())
        self._arrivals.setdefault(key, _Arrivals(self._now())).note(self._now(), first=not lane)
        lane.append(flight)
        self._held.add(row["id"])
        self._queued.setdefault(key[0], Counter())[key[1]] += 1

    def pump(self) -> None:
        """Start as many calls as the connections allow, the most urgent first."""
        for key in sorted(self._lanes):
            connection, priority, kind, verb, probe = key
            size = 1 if probe else self._vendors.batch_size(connection, kind, verb)
            lane = self._lanes[key]
            while lane and self.idle(connection, priority) and not self._worth_waiting(key, len(lane), size):
                batch = self._distinct(lane, size)
                self._queued[connection][priority] -= len(batch)
                self._running.setdefault(connection, Counter())[priority] += 1
                task = asyncio.create_task(self._send(key, batch))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if not lane:
                del self._lanes[key]

    def _worth_waiting(self, key: Lane, queued: int, size: int) -> bool:
        """Whether a batch call that is not full had better wait a little: only while much is coming in."""
        # Only stories at work that are not in this lane already can add to it; one alone never waits for itself.
        if queued >= size or key[4] or self._stories() <= 1:
            return False
        arrivals = self._arrivals.get(key)
        if arrivals is None:
            return False
        moment = self._now()
        return arrivals.rate(moment) * LINGER_SECONDS > size * BUSY and moment - arrivals.oldest < LINGER_SECONDS

    def take_back(self) -> list[InFlight]:
        """Everything that was not started, to put it where others can find it."""
        back = list(self._waiting())
        self._held.difference_update(flight.row["id"] for flight in back)
        self._lanes.clear()
        self._queued.clear()
        return back

    def take_done(self) -> list[InFlight]:
        done, self.done = self.done, []
        self._held.difference_update(flight.row["id"] for flight in done)
        return done

    async def drain(self) -> None:
        """Wait until every started call has its outcome."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _waiting(self) -> Iterator[InFlight]:
        for lane in self._lanes.values():
            yield from lane

    def _parallel(self, connection: str) -> int:
        if self._held_until.get(connection, 0.0) > self._now():
            return 0
        return self._vendors.parallel(connection)

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
        connection, priority = key[:2]
        sending = Sending(priority)
        SENDING.set(sending)
        try:
            outcomes = await self._outcomes(key, batch)
        finally:
            self._running[connection][priority] -= 1
        if sending.began is not None:  # until then it waited for a slot
            for flight in batch:
                flight.sent_at = sending.began
        for flight, outcome in zip(batch, outcomes, strict=True):
            flight.outcome = outcome
            if type(outcome) is Misconfigured:
                self._held_until[connection] = self._now() + HOLD_SECONDS
        self.done.extend(batch)
        self._wake()

    async def _outcomes(self, key: Lane, batch: list[InFlight]) -> list[Outcome]:
        connection, _, kind, verb, probe = key
        # Checked just before sending: a worker that was stopped and goes on must not send what others took over.
        if not self._may_send():
            return [Transient("the worker's lease ran out before it was sent", outage=True)] * len(batch)
        started = self._now()
        for flight in batch:
            flight.sent_at = started
        try:
            if probe:
                return [await self._vendors.probe(connection, kind, verb, self._write(batch[0]))]
            outcomes = list(await self._vendors.send(connection, kind, verb, [self._write(flight) for flight in batch]))
        except Exception as error:  # noqa: BLE001  (a connector's defect must not lose the effects it was given)
            log.warning("a connector failed", connection=connection, kind=kind, verb=verb, error=type(error).__name__)
            return [Unknown(f"the connector failed: {type(error).__name__}")] * len(batch)
        if len(outcomes) != len(batch):
            return [Unknown(f"the connector answered {len(outcomes)} of {len(batch)} writes")] * len(batch)
        return outcomes

    def _write(self, flight: InFlight) -> Write:
        row = flight.row
        connection, kind, about = row["connection"], row["kind"], row["canonical_id"]
        vendor_ids = self.vendor_ids
        known: dict[str, str] = {}
        for link in row["links"] or ():
            other, id = link.split(" ", 1)
            vendor_id = vendor_ids.get((connection, other, id))
            if vendor_id is not None:
                known[id] = vendor_id
        return Write(
            effect_id=row["id"],
            key=f"{connection}:{kind}:{about}:{row['verb']}:{row['version']}:{row['generation']}",
            kind=kind,
            verb=row["verb"],
            canonical_id=about,
            body=row["body"],
            vendor_id=row.get("vendor_id") or vendor_ids.get((connection, kind, about)),
            vendor_ids=known,
            attempt=(row.get("attempts") or 0) + 1,
        )
