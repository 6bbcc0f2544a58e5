"""What the engine needs from the rooms above it, handed in at the composition root."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol

from psycopg import AsyncConnection

from accord.engine.outcomes import Outcome, Write
from accord.engine.story import Process, Read, ReadPolicy, ReadRelated

Connection = AsyncConnection[Any]
Reading = Read[Any] | ReadRelated[Any] | ReadPolicy[Any]


class Kept(NamedTuple):
    """An object the platform makes, to be kept: its fields are laid over what is there. With `instead_of`, which is
    what a story read, only while nobody has changed those fields since."""

    kind: str
    id: str
    body: dict[str, Any]
    correlation: str | None = None
    instead_of: dict[str, Any] | None = None


class Changed(Exception):
    """What a story wanted to keep in the place of what it had read was changed by somebody else meanwhile: nothing is
    kept, and the story reads it anew."""


class Knowledge(Protocol):
    """The records, policies and ledger, as the stories use them; always inside the caller's transaction."""

    async def read(self, connection: Connection, readings: Sequence[Reading]) -> list[Any]:
        """The plain value of each reading, in order, in a fixed number of queries."""
        ...

    async def keep(self, connection: Connection, objects: Sequence[Kept], at: datetime) -> None:
        """Keep objects the platform makes, in this order. Raises Changed."""
        ...

    async def post(
        self, connection: Connection, entries: Sequence[tuple[str, tuple[Any, ...], tuple[Any, ...]]], at: datetime
    ) -> None:
        """Post ledger entries: (entry, items, postings)."""
        ...


class Vendors(Protocol):
    """The connections of this firm, as the dispatcher uses them."""

    def connection_for(self, role: str, legal_entity: str, on: date) -> str:
        """The connection bound to a role, or raises NotBound."""
        ...

    def batch_size(self, connection: str, kind: str, verb: str) -> int: ...

    def grace_seconds(self, connection: str, kind: str, verb: str) -> float:
        """How long a probe must wait before absence means absence."""
        ...

    def parallel(self, connection: str) -> int:
        """How many sends this worker may have under way on the connection now; 0 when it is paused or broken."""
        ...

    async def send(self, connection: str, kind: str, verb: str, writes: Sequence[Write]) -> Sequence[Outcome]: ...

    async def probe(self, connection: str, kind: str, verb: str, write: Write) -> Outcome: ...


class NotBound(Exception):
    """No connection plays this role for this legal entity; bind one with `accord connect`."""


ProcessTable = dict[str, Process]
