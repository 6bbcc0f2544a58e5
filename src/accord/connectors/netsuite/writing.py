"""The way every put goes: fields by the mapping, references by hand, one call or one job, and the probe after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accord.connect.connector import Action, Proof
from accord.connect.failures import CallFailed, outcome_of
from accord.connect.mapping import Mapping as Table
from accord.connect.session import Session
from accord.connectors.netsuite.batches import BATCH, Item, send_job
from accord.connectors.netsuite.calls import address, find, holds, identified, put
from accord.connectors.netsuite.chart import Chart, NotCharted, chart_of, table_of
from accord.engine.outcomes import Absent, Committed, Outcome, Rejected, Transient, Unknown, Write

Fields = dict[str, Any]
Refer = Callable[[Write, Chart, Fields, Mapping[str, Any]], None]

UPSERT = Proof(
    "upsert_key",
    read_after_write_seconds=5.0,
    note="PUT by external id; a job whose answer was lost is found again by its idempotency key",
)


@dataclass(frozen=True, slots=True)
class Upsert:
    """One kind as a NetSuite record. `refer` adds what is no plain field (references, lines) and may raise NotCharted;
    `replace` are the sublists the write is the whole truth of."""

    record: str
    table: Table
    refer: Refer
    replace: tuple[str, ...] = ()

    def fields(self, session: Session, write: Write, chart: Chart) -> Fields | Rejected:
        """What to write, or why it cannot be written: all reasons of a body at once."""
        writing = table_of(session, self.table).write({**write.body, "id": write.canonical_id}, write.vendor_ids)
        if (rejected := writing.rejected()) is not None:
            return rejected
        fields = dict(writing.fields)
        try:
            self.refer(write, chart, fields, session.config)
        except NotCharted as lacking:
            return lacking.rejected
        return fields

    def action(self) -> Action:
        return Action(self.send, self.probe, UPSERT, batch=BATCH)

    async def send(self, session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
        """One outcome each; what cannot be written is refused before any call about it."""

        async def work(chart: Chart) -> Sequence[Outcome]:
            return await send_all(session, self.record, [self.fields(session, each, chart) for each in writes], writes,
                                  self.replace)  # fmt: skip

        return await with_chart(session, writes, work)

    async def probe(self, session: Session, write: Write) -> Outcome:
        """Committed when NetSuite holds all of what was written; an older state is as good as none, for PUT repeats."""
        try:
            fields = self.fields(session, write, await chart_of(session))
            if isinstance(fields, Rejected):
                return Absent("this can never have been written")
            held = await find(session, self.record, address(self.record, None, write.canonical_id), lines=True)
        except CallFailed as error:
            return asked(outcome_of(error))
        if held is None:
            return Absent("NetSuite has no such record")
        return Committed(str(held["id"])) if holds(held, fields) else Absent("NetSuite holds another state of it")


def asked(outcome: Outcome) -> Outcome:
    """What a probe is refused says nothing of the write, unless the connection itself is wrong."""
    return Unknown(outcome.message) if isinstance(outcome, Rejected) else outcome


async def with_chart(
    session: Session, writes: Sequence[Write], work: Callable[[Chart], Awaitable[Sequence[Outcome]]]
) -> Sequence[Outcome]:
    """Do the work with the account's ids; when those cannot be had, nothing was written."""
    try:
        chart = await chart_of(session)
    except CallFailed as error:
        return [not_written(outcome_of(error))] * len(writes)
    return await work(chart)


def not_written(outcome: Outcome) -> Outcome:
    """The outcome of a write whose preparation failed: a lost read changed nothing, so it may be sent again."""
    return Transient(outcome.reason) if isinstance(outcome, Unknown) else outcome


async def send_all(
    session: Session, record: str, bodies: Sequence[Fields | Rejected], writes: Sequence[Write], replace: Sequence[str]
) -> list[Outcome]:
    """Bodies one by one below `batch_from` records (2), in a job from there on."""
    outcomes: list[Outcome] = [each if isinstance(each, Rejected) else Absent() for each in bodies]
    items = {n: Item(writes[n], body) for n, body in enumerate(bodies) if not isinstance(body, Rejected)}
    if len(items) >= int(session.config.get("batch_from") or 2):
        sent = await _in_one_job(session, record, list(items.values()), replace)
    else:
        sent = [await put(session, record, item.write, item.fields, replace) for item in items.values()]
    for n, outcome in zip(items, sent, strict=True):
        outcomes[n] = outcome
    return outcomes


async def _in_one_job(session: Session, record: str, items: Sequence[Item], replace: Sequence[str]) -> list[Outcome]:
    sent = await send_job(session, record, items, replace=replace)
    if len({id(each) for each in sent}) == 1 and isinstance(sent[0], Rejected):
        # The request as a whole was refused, so nobody knows whose fault it is: each alone gets its own answer.
        return [await put(session, record, item.write, item.fields, replace) for item in items]
    return [
        await identified(session, record, item.write.canonical_id, outcome)
        for item, outcome in zip(items, sent, strict=True)
    ]
