"""Plays the firm's own stories on a database, without engine and vendors: what they read, keep and post is real.

Each turn of a story is one transaction, as in the engine. Vendors do what they are asked, at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accord.db.pool import transaction
from accord.engine.instance import Instance
from accord.engine.shell import Kept
from accord.engine.story import Command, Effect, Keep, Now, Post, Read, ReadPolicy, ReadRelated, Require, Tell, WaitFor
from accord.ledger.postings import write
from accord.model.events import Fact
from accord.model.plain import to_plain
from accord.processes import PROCESSES
from accord.records.knowledge import Records

RECORDS = Records(write)


class Parked(AssertionError):
    """A story of a history that should go well was parked; these are its problems."""


class Run:
    """One run of a story and its journal."""

    def __init__(self, process: str, fact: Fact) -> None:
        self.process = PROCESSES[process]
        self.fact = fact
        self.journal: dict[str, Any] = {}
        self.told: dict[str, Mapping[str, Any]] = {}
        self.ended = False

    async def go_on(self, pool: Any, at: datetime) -> None:
        """As far as it goes: to its end, or to a fact that was not told yet."""
        instance = Instance(1, self.process, self.fact, self.journal)
        while not instance.ended:
            due = dict(instance.advance())
            async with transaction(pool) as db:
                outcomes = {key: await self._outcome(db, key, each, at) for key, each in due.items()}
            outcomes = {key: value for key, value in outcomes.items() if value is not _OPEN}
            self.journal.update(outcomes)
            for key, value in outcomes.items():
                instance.resolve(key, value)
            if len(outcomes) < len(due):
                instance.close()
                return
        self.ended = True

    async def _outcome(self, db: Any, key: str, command: Command[Any], at: datetime) -> Any:
        if isinstance(command, Read | ReadRelated | ReadPolicy):
            return (await RECORDS.read(db, [command]))[0]
        if isinstance(command, Post):
            await RECORDS.post(db, [(command.entry, command.items, command.postings)], at)
        elif isinstance(command, Keep):
            kept = [Kept(kind, id, dict(body), self.fact.correlation) for kind, id, body in command.objects]
            await RECORDS.keep(db, kept, at)
        elif isinstance(command, Effect):
            return {"vendor_id": f"{command.role} {command.canonical_id}", "details": _details(command)}
        elif isinstance(command, WaitFor):
            return self.told.get(key, _OPEN)
        elif isinstance(command, Now):
            return at.isoformat()
        elif isinstance(command, Require):
            if command.problems:
                raise Parked(f"{command.title}: {command.problems}")
        elif not isinstance(command, Tell):
            raise Parked(f"{self.process.name} asks {key}")
        return None


class _Open:
    """A wait whose fact was not told."""


_OPEN = _Open()


def _details(command: Effect) -> dict[str, Any]:
    if (command.kind, command.verb) != ("invoice", "issue"):
        return {}
    day = "2026-12-01"
    gross = to_plain(command.body)["gross"]
    return {"number": f"N-{command.canonical_id}", "issued_on": day, "due_on": day, "gross": gross}
