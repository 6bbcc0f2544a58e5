"""What a worker takes on: ready stories with their journals, and waiting effects where a connection has room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accord.engine import statements
from accord.engine.dispatcher import Dispatcher, InFlight
from accord.engine.instance import Instance
from accord.engine.shell import Connection
from accord.engine.states import EffectState
from accord.engine.story import Process
from accord.engine.turn import Turn
from accord.engine.turning import Live
from accord.engine.undo import undo_process
from accord.model.events import Fact

_SETTLING = (EffectState.SENDING, EffectState.WAITING, EffectState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A story this worker has taken; `begun` says that there may be something in its journal."""

    id: int
    name: str
    version: str
    correlation: str | None
    trigger: dict[str, Any]
    begun: bool


async def claim(
    connection: Connection, worker_id: int, processes: Mapping[str, Process], limit: int, now: datetime
) -> list[Claimed]:
    """Take ready stories, in a transaction of its own. Stories this version does not know are left to others."""
    about = {
        "worker": worker_id,
        "limit": limit,
        "names": list(processes),
        "versions": _versions(processes),
        "titles": [process.title for process in processes.values()],
        "now": now,
    }
    cursor = await connection.execute(statements.CLAIM_PROCESSES, about, prepare=True)
    return [Claimed(*row) for row in await cursor.fetchall()]


def _versions(processes: Mapping[str, Process]) -> list[str]:
    return [f"{name} {each.version}" for name, process in processes.items() for each in process.versions]


async def left_to_others(connection: Connection, processes: Mapping[str, Process]) -> list[tuple[str, str, int]]:
    """Unfinished stories of processes or versions not known here: name, version, how many."""
    cursor = await connection.execute(statements.OF_OTHER_VERSIONS, {"versions": _versions(processes)})
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def load(
    connection: Connection, processes: Mapping[str, Process], claimed: Sequence[Claimed], turn: Turn
) -> list[Live]:
    """The claimed stories as far as their journals reach. Facts that came meanwhile are journalled by `turn`.

    A cancelled story becomes the story that takes back what it did, once nothing of it is under way any more.
    """
    lives = {
        each.id: Live(
            Instance(each.id, processes[each.name].of(each.version), Fact(**each.trigger)),
            each.correlation,
            resumed=each.begun,
        )
        for each in claimed
    }
    begun = [each.id for each in claimed if each.begun]
    try:
        if begun:
            await _load_journals(connection, lives, begun, turn)
            await _load_undo(connection, [lives[id] for id in begun if "cancel" in lives[id].instance.journal])
    except BaseException:
        for live in lives.values():
            live.instance.close()
        raise
    return list(lives.values())


async def _load_journals(connection: Connection, lives: dict[int, Live], ids: list[int], turn: Turn) -> None:
    for process_id, key, value in await _all(connection, statements.LOAD_JOURNALS, ids):
        lives[process_id].instance.journal[key] = value
    for process_id, key, effect_id, state, own in await _all(connection, statements.LOAD_PENDING, ids):
        lives[process_id].pending[key] = (effect_id, state)
        if own and state in _SETTLING:
            lives[process_id].settling = True
    for (process_id,) in await _all(connection, statements.HAVE_CASES, ids):
        lives[process_id].has_case = True
    for process_id, key, payload in await _all(connection, statements.LOAD_WAITS, ids):
        if payload is None:
            lives[process_id].waits.add(key)
        else:
            turn.met.append({"process_id": process_id, "key": key})
            turn.journal.append({"process_id": process_id, "key": key, "value": payload})
            lives[process_id].instance.journal.setdefault(key, payload)


async def _load_undo(connection: Connection, cancelled: list[Live]) -> None:
    if not cancelled:
        return
    undo: dict[int, list[dict[str, Any]]] = {live.instance.id: [] for live in cancelled}
    names = ("connection", "kind", "canonical_id", "undo", "label", "id", "correlation")
    for process_id, *rest in await _all(connection, statements.LOAD_UNDO, list(undo)):
        undo[process_id].append(dict(zip(names, rest, strict=True)))
    for live in cancelled:
        live.cancelled = True
        live.instance.close()
        old = live.instance
        process = undo_process(old.process, undo[old.id], settled=not live.settling)
        live.instance = Instance(old.id, process, old.trigger, old.journal)


async def _all(connection: Connection, statement: str, ids: list[int]) -> list[Any]:
    cursor = await connection.execute(statement, {"ids": ids}, prepare=True)
    return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class WaitingLane:
    """Effects that could go into one vendor call; `oldest` is the first of them."""

    connection: str
    priority: int
    kind: str
    verb: str
    probe: bool
    oldest: int


class Backlog:
    """What waits in the database to be sent, as last seen: whoever is new and not more urgent gets in line behind
    it.
    """

    def __init__(self, dispatcher: Dispatcher, worker_id: int) -> None:
        self._dispatcher = dispatcher
        self._worker_id = worker_id
        self._most_urgent: dict[str, int] = {}

    def room(self, connection: str, kind: str, verb: str, priority: int) -> int:
        """How many new effects may be sent past the backlog: none unless all that waits is less urgent."""
        if self._most_urgent.get(connection, priority + 1) <= priority:
            return 0
        return self._dispatcher.room(connection, kind, verb, priority)

    def pressing(self) -> bool:
        """Whether something waits for a connection that could start a call now."""
        return any(self._dispatcher.idle(name, priority) for name, priority in self._most_urgent.items())

    async def look(self, connection: Connection) -> list[WaitingLane]:
        """What waits, the most urgent first."""
        cursor = await connection.execute(statements.WAITING_LANES, prepare=True)
        lanes = [WaitingLane(*row) for row in await cursor.fetchall()]
        self._most_urgent = {}
        for lane in lanes:
            known = self._most_urgent.get(lane.connection, lane.priority)
            self._most_urgent[lane.connection] = min(known, lane.priority)
        return sorted(lanes, key=lambda lane: (lane.priority, lane.oldest))

    async def claim(self, connection: Connection, promised: Sequence[InFlight]) -> list[InFlight]:
        """Take effects from the waiting list, by priority and age, as far as there is room beside those `promised`."""
        taken: list[InFlight] = []
        used = Counter(flight.row["connection"] for flight in promised)
        for lane in await self.look(connection):
            name = lane.connection
            free = self._dispatcher.room(name, lane.kind, lane.verb, lane.priority) - used[name]
            if free > 0:
                flights = await self._take(connection, lane, min(free, 1000))
                used[name] += len(flights)
                taken.extend(flights)
        return taken

    async def _take(self, connection: Connection, lane: WaitingLane, limit: int) -> list[InFlight]:
        about = {
            "connection": lane.connection,
            "priority": lane.priority,
            "kind": lane.kind,
            "verb": lane.verb,
            "probe": lane.probe,
            "worker": self._worker_id,
            "limit": limit,
        }
        cursor = await connection.execute(statements.CLAIM_WAITING, about, prepare=True)
        found = await cursor.fetchall()
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found]
        return [InFlight(row, probe=row.pop("probe"), waiting_row=True) for row in rows]
