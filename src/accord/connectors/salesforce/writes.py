"""Writing: up to 200 records a call, one outcome each, safe to repeat (vendors.md 1.3).

An update goes by the record's id, a create by upsert on our own external id. A record is in a call only once; records
that a lost race or a crossing refused are sent again as the update they are now (vendors.md 0.9).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from accord.connect.connector import Probe, SendBatch
from accord.connect.failures import CallFailed, outcome_of
from accord.connect.session import Session
from accord.connectors.salesforce.errors import member_outcome
from accord.connectors.salesforce.soql import among, data_path, found, quoted
from accord.engine.outcomes import Absent, Committed, Outcome, Rejected, Transient, Unknown, Write

MOST = 200


@dataclass(frozen=True, slots=True)
class Prepared:
    """One record to write: by `id`, or by the external id field `key` whose value is in `fields`."""

    object: str
    fields: Mapping[str, Any]
    id: str | None = None
    key: str = ""

    @property
    def identity(self) -> str:
        return self.id or str(self.fields[self.key])

    def sent(self) -> dict[str, Any]:
        own = {"Id": self.id} if self.id else {}
        return {"attributes": {"type": self.object}, **own, **self.fields}


Prepare = Callable[[Session, Sequence[Write]], Awaitable[Sequence[Prepared | Rejected]]]


def sender(prepare: Prepare) -> SendBatch:
    """A sender that writes whatever `prepare` makes of the writes."""

    async def send(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
        try:
            prepared = await prepare(session, writes)
        except CallFailed as error:
            return [_not_begun(error)] * len(writes)
        outcomes: list[Outcome] = [each if isinstance(each, Rejected) else Absent() for each in prepared]
        for round_ in _rounds(prepared):
            records = [(at, each) for at, each in enumerate(prepared) if at in round_ and isinstance(each, Prepared)]
            results = await _written(session, [each for _, each in records])
            for (at, _), outcome in zip(records, results, strict=True):
                outcomes[at] = outcome
        return outcomes

    return send


def _not_begun(error: CallFailed) -> Outcome:
    """Reading before writing failed: nothing was written, whatever became of the reading."""
    outcome = outcome_of(error)
    return Transient(outcome.reason) if isinstance(outcome, Unknown) else outcome


def _rounds(prepared: Sequence[Prepared | Rejected]) -> list[set[int]]:
    """Positions by call: of one object and way, at most 200, no record twice, a record's writes in order."""
    rounds: list[tuple[tuple[str, str], set[str], set[int]]] = []
    for at, each in enumerate(prepared):
        if isinstance(each, Rejected):
            continue
        way = (each.object, each.key)
        last = max((n for n, (_, met, _) in enumerate(rounds) if each.identity in met), default=-1)
        fitting = (entry for entry in rounds[last + 1 :] if entry[0] == way and len(entry[2]) < MOST)
        entry = next(fitting, None)
        if entry is None:
            entry = (way, set(), set())
            rounds.append(entry)
        entry[1].add(each.identity)
        entry[2].add(at)
    return [places for _, _, places in rounds]


async def _written(session: Session, records: Sequence[Prepared]) -> list[Outcome]:
    """The outcome of each record of one call; those that lost a race are written once more."""
    outcomes = await _call(session, records)
    lost = [at for at, each in enumerate(outcomes) if records[at].key and _is_race(each)]
    if lost:
        again = await _call(session, [records[at] for at in lost])
        for at, outcome in zip(lost, again, strict=True):
            outcomes[at] = outcome
    return outcomes


def _is_race(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejected) and outcome.code == "DUPLICATE_VALUE"


async def _call(session: Session, records: Sequence[Prepared]) -> list[Outcome]:
    first = records[0]
    path = f"composite/sobjects/{first.object}/{first.key}" if first.key else "composite/sobjects"
    body = {"allOrNone": False, "records": [each.sent() for each in records]}
    try:
        answer = await session.call("PATCH", data_path(session, path), json=body, timeout_seconds=120)
        if not answer.ok:
            return [session.classify(answer)] * len(records)
        results = answer.json()
    except CallFailed as error:
        return [outcome_of(error)] * len(records)
    if not isinstance(results, list) or len(results) != len(records):
        return [Unknown("the answer does not have one result for each record")] * len(records)
    outcomes = [_outcome(each) for each in results]
    if any(isinstance(each, Transient) and each.overload for each in outcomes):
        session.overloaded()
    return outcomes


def _outcome(result: Mapping[str, Any]) -> Outcome:
    if result.get("success"):
        details = {"created": result["created"]} if "created" in result else {}
        return Committed(str(result["id"]), details)
    return member_outcome(result.get("errors"))


def prober(prepare: Prepare) -> Probe:
    """A probe that reads the record and compares what would be written with what is there."""

    async def ask(session: Session, write: Write) -> Outcome:
        try:
            (prepared,) = await prepare(session, [write])
            if isinstance(prepared, Rejected):
                return Absent(prepared.message)
            return await _compared(session, prepared)
        except CallFailed as error:
            outcome = outcome_of(error)
            return Unknown(outcome.message) if isinstance(outcome, Rejected) else outcome

    return ask


async def _compared(session: Session, prepared: Prepared) -> Outcome:
    which = f"Id = {quoted(prepared.id)}" if prepared.id else f"{prepared.key} = {quoted(prepared.identity)}"
    names = ", ".join(dict.fromkeys(("Id", *prepared.fields)))
    records = await found(session, f"SELECT {names} FROM {prepared.object} WHERE {which}")
    if not records:
        return Absent(f"there is no such {prepared.object}")
    differing = [name for name, value in prepared.fields.items() if not same(value, records[0].get(name))]
    if differing:
        return Absent(f"{', '.join(differing)} are not as written")
    return Committed(str(records[0]["Id"]))


def same(ours: Any, theirs: Any) -> bool:
    """Whether a value is the one we wrote: numbers by value, text as the vendor trims it, nothing as empty."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return bool(ours) is bool(theirs)
    if isinstance(ours, int | Decimal) or isinstance(theirs, int | Decimal):
        try:
            return ours is not None and theirs is not None and Decimal(ours) == Decimal(theirs)
        except (InvalidOperation, TypeError):
            return False
    return (str(ours).strip() if ours is not None else "") == (str(theirs).strip() if theirs is not None else "")


async def look_up(session: Session, name: str, ids: Sequence[str], fields: str) -> dict[str, Mapping[str, Any]]:
    """Records by id, in calls of 200. Raises CallFailed."""
    once = list(dict.fromkeys(ids))
    records = [
        record
        for start in range(0, len(once), MOST)
        for record in await found(
            session, f"SELECT Id, {fields} FROM {name} WHERE {among('Id', once[start : start + MOST])}"
        )
    ]
    return {str(record["Id"]): record for record in records}
