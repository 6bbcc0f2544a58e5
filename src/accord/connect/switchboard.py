"""The firm's connections as the engine uses them: which one plays a role, how much it can take, and the way to it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol, Self

import structlog

from accord.connect.connector import Action, Connector, Resource, Webhook
from accord.connect.failures import UNSHAPED
from accord.connect.observation import is_id
from accord.connect.session import Session
from accord.engine.meter import Meter
from accord.engine.outcomes import Committed, Outcome, Rejected, Unknown, Write
from accord.engine.shell import Connection, NotBound
from accord.errors import NotFound

log = structlog.get_logger()

LOAD_BINDINGS = """
SELECT role, legal_entity, valid_from, connection FROM binding ORDER BY valid_from DESC, legal_entity DESC
"""
LOAD_STATES = "SELECT name, state FROM connection"


class Budget(Protocol):
    """A connection's share of the vendor's limits in this worker. `meter` is told of every send."""

    meter: Meter

    def parallel(self) -> int: ...

    def slot(self, endpoint: str) -> Any: ...

    def overloaded(self, retry_after_seconds: float | None) -> None: ...

    def outcome(self, outcome: Outcome) -> None:
        """Tell how a send went, for the breaker."""
        ...


@dataclass(slots=True)
class Line:
    """One connection, opened: its connector, session, budget and secrets for checking pushes."""

    name: str
    connector: Connector
    session: Session
    budget: Budget
    secrets: Mapping[str, Any]
    state: str = "active"


@dataclass(frozen=True, slots=True)
class Binding:
    """From `valid_from` on, `connection` plays `role` for `legal_entity` ('' = all)."""

    role: str
    legal_entity: str
    valid_from: date
    connection: str


class Switchboard:
    """Opened connections and bindings. The engine's `Vendors`."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._bindings: list[Binding] = []

    def add(self, line: Line) -> None:
        self._lines[line.name] = line

    def lines(self) -> Iterator[Line]:
        yield from self._lines.values()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        for line in self._lines.values():
            await line.session.close()

    async def refresh(self, db: Connection) -> None:
        """Read bindings and the state of connections again (a paused one gets no more work)."""
        cursor = await db.execute(LOAD_BINDINGS)
        self._bindings = [Binding(*row) for row in await cursor.fetchall()]
        cursor = await db.execute(LOAD_STATES)
        for name, state in await cursor.fetchall():
            if name in self._lines:
                self._lines[name].state = state

    def connection_for(self, role: str, legal_entity: str, on: date) -> str:
        """The binding of the legal entity itself goes before the one for all; the latest that is valid counts.

        Raises NotBound.
        """
        for wanted in dict.fromkeys((legal_entity, "")):
            for each in self._bindings:
                if each.role == role and each.legal_entity == wanted and each.valid_from <= on:
                    return each.connection
        whom = f" for {legal_entity}" if legal_entity else ""
        raise NotBound(f"no connection plays the role {role!r}{whom}; bind one with `accord connect bind`")

    def roles_of(self, connection: str) -> frozenset[str]:
        return frozenset(each.role for each in self._bindings if each.connection == connection)

    def line(self, connection: str) -> Line:
        """An opened connection. Raises NotFound."""
        try:
            return self._lines[connection]
        except KeyError:
            raise NotFound(
                f"there is no connection {connection!r}; `accord connect list` shows those there are"
            ) from None

    def session(self, connection: str) -> Session:
        return self.line(connection).session

    def webhook(self, connection: str) -> Webhook | None:
        return self.line(connection).connector.webhook

    def resource(self, connection: str, kind: str) -> Resource:
        """How a vendor holds a kind. Raises NotFound."""
        resource = self.line(connection).connector.resources.get(kind)
        if resource is None:
            raise NotFound(f"{connection} has no {kind}")
        return resource

    def pollable(self) -> list[tuple[str, str, float]]:
        """(connection, kind, seconds between polls) of all that can be polled."""
        return [
            (line.name, resource.kind, float(line.session.config.get("poll_seconds", resource.poll_seconds)))
            for line in self._lines.values()
            for resource in line.connector.resources.values()
            if resource.changed is not None and resource.wanted(line.session.config)
        ]

    def is_read(self, connection: str, kind: str) -> bool:
        """Whether the settings of the connection ask for this kind. Raises NotFound."""
        return self.resource(connection, kind).wanted(self.session(connection).config)

    def batch_size(self, connection: str, kind: str, verb: str) -> int:
        action = self._action(connection, kind, verb)
        return 1 if action is None else action.batch

    def grace_seconds(self, connection: str, kind: str, verb: str) -> float:
        action = self._action(connection, kind, verb)
        return 1.0 if action is None else max(1.0, action.proof.read_after_write_seconds)

    def parallel(self, connection: str) -> int:
        line = self._lines.get(connection)
        # One shown as broken is tried again by each worker's own breaker; only a pause waits for a person.
        return 0 if line is None or line.state == "paused" else line.budget.parallel()

    async def send(self, connection: str, kind: str, verb: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        line = self.line(connection)
        action = self._action(connection, kind, verb)
        if action is None:
            return [Rejected("not_supported", f"{line.connector.label} cannot {verb} a {kind}")] * len(writes)
        outcomes: list[Outcome] = []
        sending = line.budget.meter.begin(kind, len(writes))
        try:
            outcomes = [_named(line, each) for each in await action.send(line.session, writes)]
        except UNSHAPED as error:
            outcomes = [_unshaped(line, error)] * len(writes)
        finally:
            line.budget.meter.end(sending, sum(isinstance(each, Committed | Rejected) for each in outcomes))
        for outcome in outcomes:
            line.budget.outcome(outcome)
        return outcomes

    async def probe(self, connection: str, kind: str, verb: str, write: Write) -> Outcome:
        line = self.line(connection)
        action = self._action(connection, kind, verb)
        if action is None:
            return Rejected("not_supported", f"{line.connector.label} cannot {verb} a {kind}")
        try:
            outcome = _named(line, await action.probe(line.session, write))
        except UNSHAPED as error:
            outcome = _unshaped(line, error)
        line.budget.outcome(outcome)
        return outcome

    def _action(self, connection: str, kind: str, verb: str) -> Action | None:
        resource = self.line(connection).connector.resources.get(kind)
        return None if resource is None else resource.actions.get(verb)


def _named(line: Line, outcome: Outcome) -> Outcome:
    """The outcome, unless the id the vendor gave cannot be kept: one too long would end every worker that enters it."""
    if isinstance(outcome, Committed) and outcome.vendor_id is not None and not is_id(outcome.vendor_id):
        return Unknown(f"{line.connector.label} answered with an id that is none: {str(outcome.vendor_id)[:40]!r}")
    return outcome


def _unshaped(line: Line, error: Exception) -> Unknown:
    """The vendor answered, and whether it did the work cannot be read from it: the probe has to find out."""
    words = line.session.redact(f"{type(error).__name__}: {error}")[:300]
    log.warning("an answer has an unknown shape", connection=line.name, error=words)
    return Unknown(f"{line.connector.label} answered in an unknown shape ({words})")


class LocalBudget:
    """A budget without limits, for connections whose vendor has none."""

    def __init__(self, parallel: int = 64) -> None:
        self._parallel = parallel
        self.meter = Meter(time.monotonic)

    def parallel(self) -> int:
        return self._parallel

    def slot(self, endpoint: str) -> Any:  # noqa: ARG002  (no bucket to choose)
        return nullcontext()

    def overloaded(self, retry_after_seconds: float | None) -> None:
        """Nothing to shrink."""

    def outcome(self, outcome: Outcome) -> None:
        """Nothing to break."""
