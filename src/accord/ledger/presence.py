"""Looks now and then whether the work we hold is still at its source: what vanished without a word is a case.

Polls tell what changed and what was deleted; they cannot tell what is gone without a trace, as after a refresh of the
vendor's sandbox. What is found is taken as it is now, so that a change that every poll missed is found here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from accord.connect.connector import Observed
from accord.connect.failures import CallFailed, outcome_of
from accord.connect.switchboard import Line, Switchboard
from accord.db.pool import Pool, transaction
from accord.engine import schedule
from accord.engine.outcomes import Committed
from accord.ledger.told import ToldWorkTaker
from accord.model.told_work import TOLD_KINDS

log = structlog.get_logger()

EVERY_SECONDS = 6 * 3600.0  # four times a day: half a thousand records a call, 200 calls for 100,000 of them
DAYS = 100  # what was worked longer ago is billed and closed in any firm; `presence_days` of a connection
BATCH = 500
WAS_SEEN = "1 day"
HELD = """
SELECT last_day, vendor_id FROM told_work
WHERE connection = %(connection)s AND kind = %(kind)s AND NOT gone AND cardinality(entries) > 0
    AND last_day >= %(since)s AND (last_day, vendor_id) > (%(day)s, %(after)s)
ORDER BY last_day, vendor_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look came to: records asked for, and those that are neither there nor deleted."""

    asked: int
    missing: int


class Presence:
    """The work of a worker's connections; `run` looks at each kind every six hours, one worker at a time."""

    def __init__(self, pool: Pool, switchboard: Switchboard, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._switchboard = switchboard
        self._now = now
        self._taker = ToldWorkTaker()

    async def run(self, stopping: asyncio.Event, idle_seconds: float = 60.0) -> None:
        """Look until stopped."""
        await self.enter()
        while not stopping.is_set():
            await self.once()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), idle_seconds)

    async def enter(self) -> None:
        """Say how often each kind of each connection is looked at."""
        async with transaction(self._pool) as db:
            for line, kind in self._kinds():
                every = float(line.session.config.get("presence_seconds") or EVERY_SECONDS)
                await schedule.enter(db, _name(line, kind), every)

    async def once(self) -> int:
        """Look at what is due and ours; how many kinds that were."""
        looked = 0
        for line, kind in self._kinds():
            if line.state == "active" and await self._is_ours(line, kind):
                await self._look_at(line, kind)
                looked += 1
        return looked

    async def look(self, line: Line, kind: str) -> Looked:
        """One look at all that was worked lately. Raises CallFailed; what was looked at by then stays looked at."""
        days = int(line.session.config.get("presence_days") or DAYS)
        about = {"connection": line.name, "kind": kind, "since": self._now().date() - timedelta(days=days)}
        day, after, asked, missing = date.min, "", 0, 0
        while True:
            async with self._pool.connection() as db:
                more = {"day": day, "after": after, "limit": BATCH}
                rows = await (await db.execute(HELD, {**about, **more})).fetchall()
            if not rows:
                return Looked(asked, missing)
            day, after = rows[-1]
            ids = [vendor_id for _, vendor_id in rows]
            asked += len(ids)
            missing += await self._ask(line, kind, ids)

    async def _ask(self, line: Line, kind: str, ids: Sequence[str]) -> int:
        """Whether these are there; those that are not, and were not deleted either, are told as missed."""
        resource = line.connector.resources[kind]
        assert resource.get is not None
        present = set(await resource.present(line.session, ids)) if resource.present is not None else set()
        doubtful = [each for each in ids if each not in present]
        found: Sequence[Observed] = await resource.get(line.session, doubtful) if doubtful else ()
        lost = sorted(set(doubtful) - {each.vendor_id for each in found})
        async with transaction(self._pool) as db:
            await self._taker.take(db, line.name, found)
            if lost:
                await self._taker.missed(db, line.name, kind, lost)
        return len(lost)

    async def _look_at(self, line: Line, kind: str) -> None:
        try:
            looked = await self.look(line, kind)
        except CallFailed as failure:
            line.budget.outcome(outcome_of(failure))
            log.warning("nobody could look whether work is still there", connection=line.name, reason=str(failure))
            async with transaction(self._pool) as db:
                await schedule.failed(db, _name(line, kind), str(failure), long=WAS_SEEN)
            return
        line.budget.outcome(Committed())
        if looked.missing:
            log.warning("work is missing at its source", connection=line.name, kind=kind, records=looked.missing)
        async with transaction(self._pool) as db:
            await schedule.done(db, _name(line, kind))

    async def _is_ours(self, line: Line, kind: str) -> bool:
        async with transaction(self._pool) as db:
            return await schedule.claim(db, _name(line, kind))

    def _kinds(self) -> list[tuple[Line, str]]:
        return [
            (line, kind)
            for line in self._switchboard.lines()
            for kind in TOLD_KINDS
            if kind in line.connector.resources and self._switchboard.is_read(line.name, kind)
        ]


def _name(line: Line, kind: str) -> str:
    return f"presence of {kind} at {line.name}"
