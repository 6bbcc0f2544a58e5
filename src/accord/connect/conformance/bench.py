"""What the suite needs of one vendor: its simulator, running, and how to make things happen in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from accord.connect.connector import Action, Connector, Resource
from accord.connect.registry import open_session
from accord.connect.session import Session
from accord.connect.slots import Slots
from accord.connect.store import Connection
from accord.engine.outcomes import Outcome, Write


class NotApplicable(Exception):
    """The vendor does not have what this check is about; the message says what."""


class Inject(Protocol):
    """`inject(kind, **options)`: make the simulator misbehave, with the kinds and options of its faults."""

    def __call__(self, kind: str, /, **options: Any) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCase:
    """How to test the reading of one kind. `seed(n)` makes n objects and answers their vendor ids; `change(vendor_id)`
    alters one so that a reader must see it.

    `many` objects fill at least three pages. `next_page` is a regular expression found in "METHOD URL BODY" of a
    request for a further page only. `rename` are the options of a rename_field fault that takes a field away from the
    reader.
    """

    kind: str
    seed: Callable[[int], Sequence[str]]
    change: Callable[[str], object]
    many: int
    next_page: str = ""
    rename: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCase:
    """How to test one verb on one kind. `make(n)` is the n-th write, of an object of its own, the same each time;
    `held(write)` counts the vendor's objects for it.

    `method` and `path` (a regular expression) find the request that does the write. `refused` is a write the vendor
    says no to. `overload` are the options of the status fault for "too many calls", `wait_seconds` what the vendor
    then says. `settle` lets the vendor's read-after-write delay pass.
    """

    kind: str
    verb: str
    make: Callable[[int], Write]
    held: Callable[[Write], int]
    path: str
    method: str = ""
    refused: Callable[[], Write] | None = None
    overload: Mapping[str, Any] = field(default_factory=lambda: {"status": 429, "retry_after": 7.0})
    wait_seconds: float | None = 7.0
    settle: Callable[[], object] = lambda: None

    @property
    def name(self) -> str:
        return f"{self.kind}.{self.verb}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushCase:
    """How to test one kind of push. `make(at)` is a genuine one, signed at that time: (headers, body).

    `signs_time` is False for a vendor whose signature says nothing about when it was made.
    """

    name: str
    make: Callable[[datetime], tuple[Mapping[str, str], bytes]]
    secrets: Mapping[str, Any]
    signs_time: bool = True


@dataclass(slots=True, kw_only=True)
class Bench:
    """One vendor ready to be tested. A check gets a fresh one: nothing it does is seen by the next.

    `calls()` are the (method, path) of the requests the vendor has seen, oldest first; `token_path` a regular
    expression for its token endpoint ("" = it has none); `peak()` the most calls it ever worked on at once. `secrets`
    are what must never be shown; those of the connection are known already.
    """

    connector: Connector
    connection: Connection
    inject: Inject
    calls: Callable[[], Sequence[tuple[str, str]]]
    now: Callable[[], datetime]
    reading: Sequence[ReadCase] = ()
    writing: Sequence[WriteCase] = ()
    pushing: Sequence[PushCase] = ()
    token_path: str = ""
    peak: Callable[[], int] | None = None
    secrets: Sequence[str] = ()

    def session(self, slots: Slots | None = None, make: type[Session] | None = None) -> Session:
        return open_session(self.connection, now=self.now, table=self.connector, slots=slots, make=make)

    def resource(self, kind: str) -> Resource:
        return self.connector.resources[kind]

    def action(self, case: WriteCase) -> Action:
        return self.resource(case.kind).actions[case.verb]

    def count(self, path: str, method: str = "") -> int:
        """How many requests the vendor has seen whose path matches."""
        return sum(1 for seen, where in self.calls() if re.search(path, where) and (not method or seen == method))

    def token_calls(self) -> int:
        return self.count(self.token_path) if self.token_path else 0

    def not_the_token(self) -> str:
        """A path expression for every request but those for a token."""
        return f"^(?!.*(?:{self.token_path}))" if self.token_path else ""

    async def send_one(self, session: Session, case: WriteCase, write: Write) -> Outcome:
        """Send one write as the engine does. AssertionError unless exactly one outcome comes back."""
        outcomes = await self.action(case).send(session, [write])
        assert len(outcomes) == 1, f"{case.name}: {len(outcomes)} outcomes for one write"
        return outcomes[0]


def each_of(cases: Sequence[Any], what: str) -> Sequence[Any]:
    """The cases, or NotApplicable when there are none."""
    if not cases:
        raise NotApplicable(what)
    return cases
