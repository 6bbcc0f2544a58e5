"""Looks at every connected drop in turn, one worker at a time, and says so when one cannot be looked at."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import structlog

from accord.connect.switchboard import Line
from accord.connectors.timefiles import open_place, settle_of, table_of
from accord.connectors.timefiles.collecting import Collector, Picked
from accord.connectors.timefiles.places import PlaceUnreachable
from accord.db.pool import Pool, transaction
from accord.engine import schedule
from accord.errors import AccordError, UsageError
from accord.ledger import work
from accord.model.work import WorkProblem

log = structlog.get_logger()

VENDOR = "timefiles"
EVERY_SECONDS = 30.0
# Longer than any restart or hiccup of a network: by then somebody should know.
UNREACHABLE_FOR = "1 hour"

OPEN = """
SELECT place FROM work_problem
WHERE source = %(source)s AND reason = 'place_not_read' AND settled_at IS NULL AND place = %(place)s
"""


class Drops:
    """The drops among a worker's lines; `run` looks at each as often as its `every_seconds` says (30)."""

    def __init__(self, pool: Pool, lines: Iterable[Line], now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._lines = [line for line in lines if line.connector.vendor == VENDOR]
        self._now = now

    async def run(self, stopping: asyncio.Event, idle_seconds: float = 1.0) -> None:
        """Look until stopped."""
        async with transaction(self._pool) as db:
            for line in self._lines:
                await schedule.enter(db, _name(line), _every(line))
        while not stopping.is_set():
            for line in self._lines:
                if line.state == "active" and await self._is_ours(line):
                    await self.look(line)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), idle_seconds)

    async def look(self, line: Line) -> list[Picked]:
        """One look at one drop; what stands in its way is kept, and is a case when somebody has to do something."""
        try:
            table = table_of(line.name, line.secrets)
            collector = Collector(self._pool, table, self._now, settle_of(line.secrets))
            async with open_place(line.secrets) as place:
                picked = await collector.collect(place)
        except AccordError as failure:
            await self._failed(line, failure)
            return []
        async with transaction(self._pool) as db:
            await schedule.done(db, _name(line))
            about = {"source": line.name, "place": _place(line)}
            if await (await db.execute(OPEN, about)).fetchone() is not None:
                await work.settle(db, line.name, [_place(line)])
        return picked

    async def _is_ours(self, line: Line) -> bool:
        async with transaction(self._pool) as db:
            return await schedule.claim(db, _name(line))

    async def _failed(self, line: Line, failure: AccordError) -> None:
        log.warning("drop not read", connection=line.name, reason=str(failure))
        async with transaction(self._pool) as db:
            long = await schedule.failed(db, _name(line), str(failure), long=UNREACHABLE_FOR)
            passes_by_itself = isinstance(failure, PlaceUnreachable) and not long
            if not passes_by_itself:
                cure = "Correct the connection with `accord connect add`, or have the place set right."
                problem = WorkProblem("place_not_read", str(failure), _place(line), cure)
                await work.take(db, (), (problem,), source=line.name)


def _name(line: Line) -> str:
    return f"time files of {line.name}"


def _place(line: Line) -> str:
    return str(line.secrets.get("place") or line.name)


def _every(line: Line) -> float:
    given: Any = line.secrets.get("every_seconds")
    try:
        return EVERY_SECONDS if given is None else max(1.0, float(given))
    except ValueError:
        raise UsageError(f"every_seconds of {line.name} is {given!r}, which is no number") from None
