"""Advances stories and turns what they ask for into rows. Pure: no database, no clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any

from accord.engine.casework import case_row, effect_owner
from accord.engine.instance import Instance, StoryBroken
from accord.engine.outcomes import Absent, Committed, Misconfigured, Outcome, Rejected, Transient, Unknown
from accord.engine.shell import Kept, NotBound, Reading
from accord.engine.states import EffectState, ProcessState
from accord.engine.story import (
    Decide,
    Done,
    Effect,
    Keep,
    Now,
    Post,
    Read,
    ReadPolicy,
    ReadRelated,
    Require,
    SleepUntil,
    Tell,
    WaitFor,
)
from accord.engine.turn import Turn
from accord.model.problem import Problem

_READINGS = (Read, ReadRelated, ReadPolicy)
OUTAGE_DELAY_SECONDS = 2.0  # the breaker keeps all but a trial from being sent, so waiting effects stay near the door
LONGEST_RETRY_SECONDS = 600.0
# A probe changes nothing, and money waits on its answer: a vendor that has long said nothing is soon asked again.
LONGEST_PROBE_SECONDS = 60.0
MAX_ATTEMPTS = 20  # with the waits of `retry_delay` about two hours; longer outages are carried by the breaker


@dataclass(slots=True)
class Sent:
    """How one attempt went: `sent_at` ISO text, `probed` when it was a probe, `jitter` in [0, 1) to spread the next
    try.
    """

    sent_at: str | None = None
    latency_ms: float | None = None
    probed: bool = False
    jitter: float = 0.5
    grace_seconds: float = 0.0


@dataclass(slots=True)
class Live:
    """A story in this worker's memory, with what the database knows of its effects."""

    instance: Instance
    correlation: str | None
    pending: dict[str, tuple[int, int]] = field(default_factory=dict)  # story key -> (effect id, state)
    flights: set[int] = field(default_factory=set)  # ids of its effects this worker is sending
    resumed: bool = False
    cancelled: bool = False
    parked: bool = False
    wake_at: datetime | None = None
    waits: set[str] = field(default_factory=set)  # keys of awaited facts that the database knows
    has_case: bool = False
    settling: bool = False  # a write of its own is under way or unknown
    requeued: bool = False
    postponed: int = 0  # effects whose object another worker was at; intended in a later turn
    broken: bool = False  # its turn failed: read anew from the journal once nothing of it is under way
    again: bool = False  # to be claimed once more at once


def retry_delay(attempt: int, jitter: float, longest: float = LONGEST_RETRY_SECONDS) -> float:
    """Seconds before the next attempt: doubling from a quarter second to `longest`, spread by `jitter` in [0, 1)."""
    return float(min(longest, 0.25 * 2 ** min(attempt, 12)) * (0.5 + jitter))


class Turning:
    """Collects one turn: call `advance` until it returns no more readings, then take `turn`."""

    def __init__(
        self,
        *,
        now: datetime,
        new_id: Callable[[], int],
        connection_for: Callable[[str, str], str],
    ) -> None:
        self.now = now
        self.turn = Turn()
        self._new_id = new_id
        self._connection_for = connection_for

    def advance(self, live: Live) -> list[tuple[Live, str, Reading]]:
        """Run one story on until it needs something from outside; the readings it asks for are answered by the
        caller.
        """
        try:
            return self._advance(live)
        except StoryBroken as error:
            self._park_broken(live, str(error))
        except Exception as error:  # noqa: BLE001  (a command that cannot be carried out is the story's defect, not the turn's)
            self._park_broken(live, f"{live.instance.process.name}: {type(error).__name__}: {error}")
        return []

    def _advance(self, live: Live) -> list[tuple[Live, str, Reading]]:
        instance = live.instance
        while True:
            awaiting = instance.advance()
            if instance.ended:
                self._end(live)
                return []
            readings: list[tuple[Live, str, Reading]] = []
            for key, command in list(awaiting.items()):
                if isinstance(command, _READINGS):
                    readings.append((live, key, command))
                else:
                    self._perform(live, key, command)
            if readings or instance.awaiting:
                return readings

    def read(self, live: Live, key: str, value: Any) -> None:
        """Enter the answer of a reading, journalled so that the story sees one world."""
        self._answer(live, key, value)

    def _answer(self, live: Live, key: str, value: Any, *, journal: bool = True) -> None:
        live.instance.resolve(key, value)
        if journal:
            self.turn.journal.append({"process_id": live.instance.id, "key": key, "value": value})

    def _perform(self, live: Live, key: str, command: Any) -> None:
        match command:
            case Effect():
                self._intend(live, key, command)
            case Now():
                self._answer(live, key, self.now.isoformat())
            case Tell():
                causation = f"process {live.instance.id}"
                self.turn.facts.extend(fact_row(fact, live.correlation, causation) for fact in command.facts)
                self._answer(live, key, None)
            case Keep():
                self.turn.kept.extend(
                    Kept(kind, id, body, live.correlation, read)
                    for (kind, id, body), read in zip_longest(command.objects, command.instead_of)
                )
                self._answer(live, key, None)
            case Post():
                self.turn.posts.append((command.entry, command.items, command.postings))
                self._answer(live, key, None)
            case Require():
                self._require(live, key, command)
            case Decide():
                self._ask(live, key, command)
            case SleepUntil():
                if command.at <= self.now:
                    self._answer(live, key, None)
                else:
                    live.wake_at = command.at if live.wake_at is None else min(live.wake_at, command.at)
            case WaitFor():
                self._wait(live, key, command)

    def _intend(self, live: Live, key: str, command: Effect) -> None:
        known = live.pending.get(key)
        if known is not None:
            if known[1] in (EffectState.REJECTED, EffectState.DEAD):
                live.parked = True
            elif known[1] == EffectState.ASKED_AGAIN:
                self.turn.requeued.append(known[0])
                live.requeued = True
                live.pending[key] = (known[0], EffectState.WAITING)
            return
        try:
            connection = self._connection_for(command.role, command.entity)
        except NotBound as error:
            problem = Problem("not_bound", str(error), cure="Bind a connection to the role with `accord connect`.")
            self._park(live, "not_bound", str(error), (problem,), "integration engineer", command)
            return
        live.pending[key] = (0, EffectState.SENDING)
        money = command.money
        self.turn.intents.append(
            {
                "id": 0,  # given when it is written
                "process_id": live.instance.id,
                "story_key": key,
                "connection": connection,
                "kind": command.kind,
                "canonical_id": command.canonical_id,
                "generation": 1,
                "verb": command.verb,
                "version": command.version,
                "state": int(EffectState.SENDING),
                "priority": int(command.priority),
                "body": command.body,
                "undo": None if command.undo is None else {"verb": command.undo[0], "body": command.undo[1]},
                "links": [f"{kind} {about}" for kind, about in command.links] if command.links else None,
                "correlation": live.correlation,
                "label": command.label,
                "amount": None if money is None else str(money.amount),
                "currency": None if money is None else money.currency,
            }
        )

    def _require(self, live: Live, key: str, command: Require) -> None:
        if not command.problems:
            self._answer(live, key, None)
            return
        question = {"key": key, "watch": list(command.watch)}
        self._park(live, command.reason, command.title, command.problems, command.owner, command, question)

    def _ask(self, live: Live, key: str, command: Decide) -> None:
        question = {"key": key, "options": list(command.options), "context": dict(command.context)}
        problem = Problem("decision", command.question)
        self._park(live, "decision", command.question, (problem,), command.owner, command, question)

    def _wait(self, live: Live, key: str, command: WaitFor) -> None:
        if command.until is not None and command.until <= self.now:
            self._answer(live, key, None)
            return
        if command.until is not None:
            live.wake_at = command.until if live.wake_at is None else min(live.wake_at, command.until)
        if key in live.waits:
            return
        nth = int(key.rpartition("#")[2]) if key != command.key else 1
        about = {
            "process_id": live.instance.id,
            "key": key,
            "type": command.type,
            "subject": command.subject,
            "nth": nth,
        }
        self.turn.waits.append(about)
        # The fact may have come before the wait was known: looked at in a transaction that begins after this one.
        live.again = True

    def _park(
        self,
        live: Live,
        reason: str,
        title: str,
        problems: tuple[Problem, ...],
        owner: str,
        command: Any,
        question: dict[str, Any] | None = None,
    ) -> None:
        live.parked = True
        money = getattr(command, "money", None)
        self.turn.cases.append(
            case_row(
                id=self._new_id(),
                reason=reason,
                title=title,
                problems=problems,
                owner=owner,
                money=money,
                process_id=live.instance.id,
                subject=live.instance.process.subject(live.instance.trigger),
                correlation=live.correlation,
                question=question,
            )
        )

    def _park_broken(self, live: Live, error: str) -> None:
        cure = "This is a defect of the process: correct its code, deploy it, then retry the case."
        problem = Problem("story_broken", error, cure=cure)
        self._park(live, "story_broken", error, (problem,), "integration engineer", None)

    def park_refused(self, live: Live, error: str) -> None:
        """What the story asked for cannot be written down: the database, the ledger or the records refuse it."""
        cure = "Correct what the message names, or the process, then retry the case."
        problem = Problem("not_recordable", error, cure=cure)
        self._park(live, "not_recordable", error, (problem,), "integration engineer", None)

    def _end(self, live: Live) -> None:
        instance = live.instance
        process = instance.process
        self.turn.ended.append(
            {
                "id": instance.id,
                "state": int(ProcessState.CANCELLED if live.cancelled else ProcessState.DONE),
                "result": instance.result,
                "subject": instance.trigger.subject,
                "told": {
                    "process": process.name,
                    "what": process.title,
                    "result": instance.result,
                    "cancelled": live.cancelled,
                },
            }
        )

    def refuse(self, live: Live, row: dict[str, Any], why: str) -> None:
        """An effect that may not be intended: done once before with other content."""
        problem = Problem("already_done_differently", why, cure="Skip with a reason, or credit and do it anew.")
        self._park(live, "already_done_differently", why, (problem,), effect_owner(row["kind"]), None)

    def settle(self, live: Live | None, row: dict[str, Any], outcome: Outcome, sent: Sent) -> None:
        """Enter the outcome of one effect: final, or to be tried or probed again, or parked with a case."""
        match outcome:
            case Committed():
                self._committed(live, row, outcome, sent)
            case Rejected():
                self._rejected(live, row, outcome.code, outcome.message, outcome.fields, sent=sent)
            case Misconfigured():
                self._misconfigured(row, outcome, sent)
            case Unknown():
                self._defer(row, outcome.reason, probe=True, sent=sent)
            case Absent():
                self._defer(row, outcome.reason or "it did not happen", probe=False, delay=0.0, sent=sent)
            case Transient():
                if (row.get("attempts") or 0) + 1 >= MAX_ATTEMPTS and not outcome.overload and not outcome.outage:
                    message = f"{MAX_ATTEMPTS} attempts failed, the last with: {outcome.reason}"
                    self._rejected(live, row, "dead_letter", message, (), dead=True, sent=sent)
                else:
                    self._put_off(row, outcome, sent)

    def _put_off(self, row: dict[str, Any], outcome: Transient, sent: Sent) -> None:
        """An overloaded or unreachable vendor is no fault of the write: it is not counted as an attempt."""
        delay = outcome.retry_after_seconds
        if outcome.overload or outcome.outage:
            delay = OUTAGE_DELAY_SECONDS * (0.5 + sent.jitter) if delay is None else delay
        counts = not (outcome.overload or outcome.outage)
        self._defer(row, outcome.reason, probe=sent.probed, delay=delay, sent=sent, counts=counts)

    def _misconfigured(self, row: dict[str, Any], outcome: Misconfigured, sent: Sent) -> None:
        """The connection is at fault, not the write: it waits until a person mended and resumed the connection."""
        cure = "Correct credentials, permissions or schema, then `accord connect resume` the connection."
        problem = Problem(outcome.code, outcome.message, cure=cure)
        self.turn.paused.append({"connection": row["connection"], "reason": outcome.message})
        self.turn.cases.append(
            case_row(
                id=self._new_id(),
                reason="connection_paused",
                title=f"{row['connection']} is paused: {outcome.message}",
                problems=(problem,),
                owner="integration engineer",
                connection=row["connection"],
            )
        )
        # What was unknown stays so: a connection that refuses a probe has not said that nothing happened.
        self._defer(row, outcome.message, probe=sent.probed, delay=1.0, sent=sent)

    def _committed(self, live: Live | None, row: dict[str, Any], outcome: Committed, sent: Sent) -> None:
        value = {"vendor_id": outcome.vendor_id, "details": dict(outcome.details)}
        told = effect_fact(row, outcome, sent)
        self.turn.finished.append(self._finished(row, EffectState.COMMITTED, value, sent, outcome.vendor_id, told))
        self._tell_story(live, row, value)

    def _tell_story(self, live: Live | None, row: dict[str, Any], value: Any) -> None:
        if live is not None and row["story_key"] in live.instance.awaiting:
            live.pending.pop(row["story_key"], None)
            live.instance.resolve(row["story_key"], value)

    def _rejected(
        self,
        live: Live | None,
        row: dict[str, Any],
        code: str,
        message: str,
        fields: tuple[str, ...],
        *,
        sent: Sent,
        dead: bool = False,
    ) -> None:
        state = EffectState.DEAD if dead else EffectState.REJECTED
        # A probe given up leaves open whether it happened: a retry begins with a probe.
        value = {"code": code, "message": message, "fields": list(fields), "unknown": dead and sent.probed}
        self.turn.finished.append(self._finished(row, state, value, sent, None))
        self._attempt(row, "probe" if sent.probed else "send", "dead" if dead else "rejected", message)
        problem = Problem(code, message, ", ".join(fields), "Correct the source and retry, or skip with a reason.")
        self.turn.cases.append(
            case_row(
                id=self._new_id(),
                reason="dead_letter" if dead else "rejected",
                title=f"{row['label']}: {message}",
                problems=(problem,),
                owner=effect_owner(row["kind"]),
                amount=row.get("amount"),
                currency=row.get("currency"),
                process_id=row["process_id"],
                effect_id=row["id"],
                connection=row["connection"],
                subject=row["canonical_id"],
                correlation=row.get("correlation"),
            )
        )
        if live is not None:
            live.parked = True
            live.pending[row["story_key"]] = (row["id"], state)
        else:
            self.turn.refused.append(row["process_id"])

    def _finished(
        self,
        row: dict[str, Any],
        state: EffectState,
        value: dict[str, Any],
        sent: Sent,
        vendor_id: str | None,
        told: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {
            "id": row["id"],
            "process_id": row["process_id"],
            "connection": row["connection"],
            "kind": row["kind"],
            "canonical_id": row["canonical_id"],
            "state": int(state),
            "outcome": value,
            "vendor_id": vendor_id,
            "attempts": (row.get("attempts") or 0) + 1,
            "sent_at": sent.sent_at,
            "told": told,
        }

    def _defer(
        self,
        row: dict[str, Any],
        reason: str,
        *,
        probe: bool,
        sent: Sent,
        delay: float | None = None,
        counts: bool = True,
    ) -> None:
        attempts = (row.get("attempts") or 0) + counts
        if delay is None:
            delay = retry_delay(attempts, sent.jitter, LONGEST_PROBE_SECONDS if probe else LONGEST_RETRY_SECONDS)
        if probe:
            delay = max(delay, sent.grace_seconds)
        self._attempt(row, "probe" if sent.probed else "send", "unknown" if probe else "not done", reason)
        self._queue(row, reason, probe=probe, delay=delay, attempts=attempts, sent_at=sent.sent_at)

    def put_back(self, row: dict[str, Any], *, probe: bool) -> None:
        """An effect that was not sent here waits for whoever comes next; that was no attempt."""
        self._queue(row, "its worker stopped", probe=probe, delay=0.0, attempts=row.get("attempts") or 0)

    def _queue(
        self, row: dict[str, Any], reason: str, *, probe: bool, delay: float, attempts: int, sent_at: str | None = None
    ) -> None:
        self.turn.deferred.append(
            {
                "id": row["id"],
                "connection": row["connection"],
                "kind": row["kind"],
                "verb": row["verb"],
                "priority": row["priority"],
                "state": int(EffectState.UNKNOWN if probe else EffectState.WAITING),
                "attempts": attempts,
                "sent_at": sent_at,
                "delay": delay,
                "probe": probe,
                "after": None,
                "reason": reason[:500],
            }
        )

    def _attempt(self, row: dict[str, Any], what: str, outcome: str, reason: str) -> None:
        self.turn.attempts.append({"id": row["id"], "what": what, "outcome": outcome, "reason": reason[:500]})


def fact_row(fact: Any, correlation: str | None, causation: str | None) -> dict[str, Any]:
    """A fact as the event log holds it."""
    return {
        "type": fact.type,
        "subject": fact.subject,
        "schema_version": fact.schema_version,
        "occurred_at": fact.occurred_at,
        "actor": fact.actor,
        "correlation": fact.correlation or correlation,
        "causation": causation,
        "payload": fact.payload,
    }


def effect_fact(row: dict[str, Any], outcome: Committed, sent: Sent) -> dict[str, Any]:
    """The payload of the fact that a write was done: what the timeline shows of it."""
    payload: dict[str, Any] = {
        "system": row["connection"],
        "what": row["label"],
        "kind": row["kind"],
        "verb": row["verb"],
        "ref": outcome.vendor_id,
        "latency_ms": sent.latency_ms,
    }
    if row.get("amount") is not None:
        payload["money"] = {"amount": str(row["amount"]), "currency": row["currency"]}
    return payload


__all__ = ["Done", "Live", "Turning", "effect_fact", "fact_row", "retry_delay"]
