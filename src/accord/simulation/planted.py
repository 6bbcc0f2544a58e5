"""Bugs planted on purpose, to show that each promise can be broken and that the simulation sees it.

Nothing of Accord asks for these: a bug is put in by replacing a part of the engine for the length of one run, from
outside, and is taken out again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest.mock import patch

from accord.connect import translation
from accord.engine import intents, statements, writing
from accord.engine.dispatcher import Dispatcher
from accord.engine.intents import Decision
from accord.engine.outcomes import Committed, Unknown
from accord.ledger import approving, postings, rating, work
from accord.simulation.weather import FAULTS

Patches = Callable[[], contextlib.AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Planted:
    """One bug: its name, what it does in words, the promise it breaks, the faults it needs to show."""

    name: str
    does: str
    breaks: str
    put_in: Patches
    faults: tuple[str, ...] = ()


def _statement(name: str, change: Callable[[str], str]) -> Patches:
    return lambda: patch.object(statements, name, change(getattr(statements, name)))


@contextlib.contextmanager
def _repeats_are_new() -> Iterator[None]:
    """A repeat of a committed write is taken for a new one."""
    real = intents.decide

    def decide(row: Any, history: Any) -> Decision:
        decision = real(row, history)
        if decision.what == "known" and row["kind"] == "customer":
            newest = max(history, key=lambda each: each["generation"])
            return Decision("new", newest["generation"] + 1)
        return decision

    with patch.object(intents, "decide", decide):
        yield


@contextlib.contextmanager
def _nobody_stands_in_line() -> Iterator[None]:
    """What waits behind an older write of its object is sent all the same."""
    names = ("WAITING_LANES", "CLAIM_WAITING")
    with contextlib.ExitStack() as stack:
        for name in names:
            hasty = getattr(statements, name).replace("AND w.after IS NULL", "")
            stack.enter_context(patch.object(statements, name, hasty))
        yield


@contextlib.contextmanager
def _unknown_is_sent_again() -> Iterator[None]:
    """What may have happened is sent again under a new key, without asking the vendor."""
    real = Dispatcher._outcomes
    write = Dispatcher._write

    async def outcomes(self: Dispatcher, key: Any, batch: Any) -> Any:
        connection, _, kind, verb, probe = key
        if not probe:
            return await real(self, key, batch)
        return await real(self, (connection, key[1], kind, verb, False), batch)

    def renamed(self: Dispatcher, flight: Any) -> Any:
        made = write(self, flight)
        if flight.probe:
            made.key += f" again {flight.row.get('attempts')}"
            made.attempt = 1  # or the connector would look itself what is there before it writes again
        return made

    with patch.object(Dispatcher, "_outcomes", outcomes), patch.object(Dispatcher, "_write", renamed):
        yield


@contextlib.contextmanager
def _lost_in_the_dispatcher() -> Iterator[None]:
    """Some writes given to the dispatcher are forgotten, and their stories let go."""
    real = writing.Writing.rest

    async def rest(self: Any, connection: Any, turn: Any, written: Any, now: Any) -> None:
        await real(self, connection, turn, written, now)
        await connection.execute(
            "DELETE FROM waiting_effect w USING effect e"
            " WHERE e.id = w.effect_id AND e.kind = 'task' AND w.owner IS NULL"
        )

    with patch.object(writing.Writing, "rest", rest):
        yield


@contextlib.contextmanager
def _wait_forgotten() -> Iterator[None]:
    """What a story awaits is deleted once it waits; a wait that is never written would be asked for again at once."""
    real = writing.Writing.rest

    async def rest(self: Any, connection: Any, turn: Any, written: Any, now: Any) -> None:
        await real(self, connection, turn, written, now)
        await connection.execute(
            "DELETE FROM awaited_fact a USING open_process o WHERE o.process_id = a.process_id AND o.state = 2"
        )

    with patch.object(writing.Writing, "rest", rest):
        yield


@contextlib.contextmanager
def _half_an_entry() -> Iterator[None]:
    """One side of some ledger entries is not posted."""
    real = postings.write

    async def write(connection: Any, entries: Any) -> None:
        await real(connection, entries)
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE item_part SET amount = amount - 1 WHERE disposition = 'wip'")
        await connection.execute("SET LOCAL session_replication_role = origin")

    with patch.object(postings, "write", write):
        yield


@contextlib.contextmanager
def _billed_twice() -> Iterator[None]:
    """An invoice is posted once more, past the database's own refusal."""
    real = postings.write

    async def write(connection: Any, entries: Any) -> None:
        await real(connection, entries)
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "INSERT INTO transfer (entry, item_id, part, out_of, placed_in, amount, cause, posted_at)"
            " SELECT entry || ' again', item_id, part, out_of, placed_in, amount, cause, posted_at FROM transfer"
            " WHERE placed_in = 'billed' AND entry NOT LIKE '%% again' ON CONFLICT DO NOTHING"
        )
        await connection.execute("SET LOCAL session_replication_role = origin")

    with patch.object(postings, "write", write):
        yield


@contextlib.contextmanager
def _parked_in_silence() -> Iterator[None]:
    """A refused requirement parks its story, and no case is opened."""
    real = writing.Writing._told

    async def told(self: Any, connection: Any, turn: Any, written: Any) -> None:
        turn.cases = []
        await real(self, connection, turn, written)

    with patch.object(writing.Writing, "_told", told):
        yield


@contextlib.contextmanager
def _refusal_put_to_sleep() -> Iterator[None]:
    """A story whose write was refused sleeps for a year, and the case of it is lost."""
    real = writing.Writing.rest

    async def rest(self: Any, connection: Any, turn: Any, written: Any, now: Any) -> None:
        await real(self, connection, turn, written, now)
        await connection.execute(
            "WITH asleep AS (UPDATE open_process o SET state = 2, wake_at = clock_timestamp() + interval '1 year'"
            " WHERE o.state = 3 AND EXISTS (SELECT FROM effect e WHERE e.process_id = o.process_id AND e.state = 3)"
            " RETURNING o.process_id)"
            " DELETE FROM business_case c USING asleep WHERE c.process_id = asleep.process_id"
        )

    with patch.object(writing.Writing, "rest", rest):
        yield


@contextlib.contextmanager
def _push_dropped() -> Iterator[None]:
    """A push that cannot be used is set aside without a reason."""
    real = translation.SETTLE
    silent = real.replace("reason = x.reason", "reason = CASE WHEN x.state = 2 THEN NULL ELSE x.reason END")
    with patch.object(translation, "SETTLE", silent):
        yield


@contextlib.contextmanager
def _refusals_swallowed() -> Iterator[None]:
    """What may have happened is taken as done."""
    real = Dispatcher._outcomes

    async def outcomes(self: Dispatcher, key: Any, batch: Any) -> Any:
        found = await real(self, key, batch)
        return [Committed(f"lost-{flight.row['id']}") if isinstance(each, Unknown) else each
                for each, flight in zip(found, batch, strict=True)]  # fmt: skip

    with patch.object(Dispatcher, "_outcomes", outcomes):
        yield


@contextlib.contextmanager
def _recall_ignored() -> Iterator[None]:
    """Approved work that is taken back or deleted by its source keeps its price."""
    deaf = work.TAKE.replace("OR status_before = 'approved' AND (engagement", "OR false AND (engagement")
    with patch.object(work, "TAKE", deaf):
        yield


@contextlib.contextmanager
def _lines_not_counted_again() -> Iterator[None]:
    """A proposal that is written down still says what it said before."""

    async def recount(db: Any, ids: Any) -> None:
        """Nothing is counted."""

    with patch.object(approving, "recount", recount):
        yield


@contextlib.contextmanager
def _change_not_settled() -> Iterator[None]:
    """Of a service that a change order changed, nothing is invoiced or credited for what was billed before."""
    # By its name: in the package, the module's name is the process's.
    with patch.object(import_module("accord.processes.service_settlement"), "settlements", lambda *_: ()):
        yield


@contextlib.contextmanager
def _work_half_placed() -> Iterator[None]:
    """Of work that gets its price, a unit of money is placed nowhere."""
    real = rating._write

    async def write(db: Any, batch: Any) -> None:
        await real(db, batch)
        await db.execute("SET LOCAL session_replication_role = replica")
        await db.execute("UPDATE item_part SET amount = amount - 1 WHERE disposition = 'wip'")
        await db.execute("SET LOCAL session_replication_role = origin")

    with patch.object(rating, "_write", write):
        yield


PLANTED: tuple[Planted, ...] = (
    Planted("repeats-are-new", "a repeat of a committed customer is written again", "written_once", _repeats_are_new),
    Planted("no-line", "a write does not wait for an older one of its object", "objects_in_order",
            _nobody_stands_in_line, ("slow", "lost_answer")),
    Planted("forgotten", "waiting writes of tasks are deleted from the queue", "intents_end", _lost_in_the_dispatcher,
            ("throttle", "outage", "lost_answer")),
    Planted("ended-in-queue", "a finished story stays in the queue", "ended_stories",
            _statement("END_PROCESSES", lambda text: text.replace(
                "DELETE FROM open_process o USING x WHERE",
                "UPDATE open_process o SET state = 2, owner = NULL FROM x WHERE"))),
    Planted("silent-park", "a gate that refuses opens no case", "failures_have_cases", _parked_in_silence),
    Planted("lost-wait", "what a waiting story awaits is forgotten", "waits_can_end", _wait_forgotten),
    Planted("two-at-once", "stories of one subject are claimed together", "subjects_in_order",
            _statement("CLAIM_PROCESSES", lambda text: text.replace(
                "earlier.subject = o.subject", "earlier.subject = o.subject AND false"))),
    Planted("half-entry", "one side of a ledger entry is lost", "ledger_balances", _half_an_entry),
    Planted("billed-twice", "an invoice is posted twice past the trigger", "invoiced_once", _billed_twice),
    Planted("work-half-placed", "a unit of priced work is placed nowhere", "ledger_balances", _work_half_placed),
    Planted("recall-ignored", "work that is taken back keeps its price", "nothing_unexplained", _recall_ignored),
    Planted("change-not-settled", "a billed period of a changed service is not settled", "nothing_unexplained",
            _change_not_settled),
    Planted("lines-not-counted", "a proposal that was written down is not counted again", "lines_explain_themselves",
            _lines_not_counted_again),
    Planted("no-crosswalk", "a new vendor id is not remembered", "links_are_kept",
            _statement("LINK", lambda text: text.replace("ON CONFLICT", "WHERE x.kind <> 'project' ON CONFLICT"))),
    Planted("untold", "commits of projects are not told", "facts_tell_all",
            _statement("FINISH_EFFECTS", lambda text: text.replace(
                "WHERE told IS NOT NULL", "WHERE told IS NOT NULL AND told ->> 'kind' <> 'project'"))),
    Planted("push-dropped", "a push that is set aside has no reason", "pushes_are_settled", _push_dropped),
    Planted("refusal-asleep", "a refused write's story sleeps without a case", "refusals_have_cases",
            _refusal_put_to_sleep, FAULTS),  # a write is refused only when much goes wrong at once
    Planted("unknown-sent-again", "what may have happened is sent again instead of probed", "vendors_agree",
            _unknown_is_sent_again, ("lost_answer",)),
    Planted("unknown-taken-as-done", "what may have happened is taken as done", "vendors_agree", _refusals_swallowed,
            ("lost_request", "lost_answer")),
)  # fmt: skip


def planted(name: str) -> Planted:
    """The bug of that name. Raises KeyError."""
    return {each.name: each for each in PLANTED}[name]
