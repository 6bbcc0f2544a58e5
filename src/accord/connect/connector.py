"""A vendor is a table: three frozen dataclasses say what a connector can do and how.

The kit's `Session` (session.py) gives the functions named here authenticated calls, budgets, error classes and pages;
the engine only ever sees `Write` and `Outcome`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from accord.engine.outcomes import Outcome, Write

if TYPE_CHECKING:
    from accord.connect.session import Session


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a poll has read: the vendor's own modification time (as the vendor writes it) and the last id at it."""

    at: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """One object as a vendor holds it now.

    `body` is the plain canonical form WITHOUT canonical ids of other objects: links are given in `links` as
    {field: (kind, vendor_id)} or, when the vendor object carries our own id, directly in the body. `canonical_id` is
    set when the vendor object carries our id (metadata, external id). `version` orders observations of one object
    (vendor modification time, ISO, or a counter as text that sorts). `deleted` for tombstones.
    `problems` are fields that could not be read: never dropped silently.
    """

    kind: str
    vendor_id: str
    version: str
    body: Mapping[str, Any]
    canonical_id: str | None = None
    links: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    deleted: bool = False
    problems: tuple[str, ...] = ()
    modified_by: str | None = None
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a poll, and the watermark to store once it has been applied."""

    observed: tuple[Observed, ...]
    watermark: Watermark | None


@dataclass(frozen=True, slots=True)
class Pointer:
    """A push that only says which object changed: it has to be read again by id."""

    kind: str
    vendor_id: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event of a push after its signature was checked. `event_id` is the vendor's, for de-duplication."""

    event_id: str
    event_type: str
    occurred_at: datetime | None
    items: tuple[Observed | Pointer, ...]
    ignored: str | None = None  # why an event of no interest is set aside


SendBatch = Callable[["Session", Sequence[Write]], Awaitable[Sequence[Outcome]]]
Probe = Callable[["Session", Write], Awaitable[Outcome]]
GetMany = Callable[["Session", Sequence[str]], Awaitable[Sequence[Observed]]]
Present = Callable[["Session", Sequence[str]], Awaitable[Sequence[str]]]
Changed = Callable[["Session", Watermark | None], AsyncIterator[Page]]


@dataclass(frozen=True, slots=True)
class Proof:
    """What makes this write safe to repeat, shown in the capability matrix (features.md G2).

    `by` is upsert_key | idempotency_key | search; `key_life_hours` None = for ever; `read_after_write_seconds` is how
    long a probe must wait before absence means absence.
    """

    by: str
    key_life_hours: int | None = None
    read_after_write_seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One verb on one kind. `send` gets 1..`batch` writes of this kind and verb (distinct objects) and answers one
    outcome each, in order; it never raises for a vendor's answer. `probe` answers Committed, Absent or
    Transient/Unknown."""

    send: SendBatch
    probe: Probe
    proof: Proof
    batch: int = 1
    links: tuple[str, ...] = ()  # body fields (dotted, `[]` for lists) holding canonical ids to resolve before sending


@dataclass(frozen=True, slots=True)
class Resource:
    """One canonical kind in one vendor: how to read it and how to write it."""

    kind: str
    label: str  # what the vendor calls it, for people
    actions: Mapping[str, Action] = field(default_factory=dict)
    get: GetMany | None = None
    changed: Changed | None = None
    poll_seconds: float = 30.0
    mapping: Any = None
    # Which of these ids are there, where that costs less than to read them again.
    present: Present | None = None
    # Whether a connection with these settings reads it; what not every firm has is read only where it is asked for.
    wanted: Callable[[Mapping[str, Any]], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class Refusal:
    """A push that must not be accepted: HTTP status and one sentence without any secret."""

    status: int
    reason: str


Verify = Callable[[Mapping[str, str], bytes, Mapping[str, Any], datetime], Refusal | None]
Translate = Callable[[Mapping[str, str], bytes], Sequence[Arrival]]


@dataclass(frozen=True, slots=True)
class Webhook:
    """How pushes of this vendor are checked and read. `verify(headers, body, secrets, now)` is constant-time and
    returns None when the push is genuine; `event_ids(headers, body)` reads only the ids, cheaply, at the door;
    `translate` is pure; where pushes bear names of the firm's own, `configured(config)` makes one that knows them.
    `answer` is the (content type, body) the vendor wants back."""

    verify: Verify
    event_ids: Callable[[Mapping[str, str], bytes], Sequence[str]]
    translate: Translate
    answer: tuple[str, bytes] = ("application/json", b"{}")
    max_body: int = 1_000_000
    configured: Callable[[Mapping[str, Any]], Translate] | None = None

    def reader(self, config: Mapping[str, Any]) -> Translate:
        """How the pushes of a connection with these settings are read."""
        return self.translate if self.configured is None else self.configured(config)


@dataclass(frozen=True, slots=True)
class Limits:
    """The vendor's limits as the shared budget understands them; None = no such limit. Overridable per connection."""

    concurrency: int | None = None
    per_second: float | None = None
    per_day: int | None = None
    per_endpoint_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret or setting a connection needs; asked for by `accord connect`."""

    name: str
    label: str
    secret: bool = True
    required: bool = True
    help: str = ""


@dataclass(frozen=True, slots=True)
class Connector:
    """A vendor. `auth(credentials) -> authenticator` (auth.py); `classify` turns a vendor's HTTP answer that is not a
    success into an Outcome; `check` makes one cheap authenticated call and returns a sentence about who we are."""

    vendor: str
    label: str
    roles: tuple[str, ...]
    credentials: tuple[Credential, ...]
    auth: Callable[[Mapping[str, Any]], Any]
    base_url: Callable[[Mapping[str, Any]], str]
    classify: Callable[[int, Mapping[str, str], Any], Outcome]
    resources: Mapping[str, Resource]
    limits: Limits
    check: Callable[[Session], Awaitable[str]]
    webhook: Webhook | None = None
    headers: Callable[[Mapping[str, Any]], Mapping[str, str]] | None = None
