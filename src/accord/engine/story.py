"""The language of processes: commands that a story awaits, and `@process` that makes a coroutine one. Pure.

A story is an `async def` that awaits commands and gets their outcomes. It has no clock, no random numbers, no I/O, no
`try` and no retry: the engine drives it, in memory or again from its journal, and both must say the same.

A command's `key` says what it is about. Outcomes are journalled by key, never by position, so that a line added or
moved does not break the stories in flight.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

import orjson

from accord.engine.states import Priority
from accord.model.events import Fact
from accord.model.money import Money
from accord.model.plain import Plain, from_plain, to_plain
from accord.model.problem import Problem

T = TypeVar("T")


class Command(Generic[T]):
    """Something a story asks for. Awaiting it gives its outcome."""

    __slots__ = ()

    @property
    def key(self) -> str:
        raise NotImplementedError

    def decode(self, value: Any) -> T:
        """The outcome as the story sees it, from its journalled JSON value."""
        return cast(T, value)

    def __await__(self) -> Generator[Command[Any], Any, T]:
        return cast(T, (yield self))


def digest_of(plain: Any) -> str:
    """A short digest of a JSON value, the same for equal values."""
    return hashlib.blake2b(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of a committed effect: the id the vendor gave, and what it told us. `skipped` when a person
    decided that it is not needed."""

    vendor_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None


@dataclass(slots=True)
class Effect(Command[Done]):
    """One write to the system that plays `role` for `entity`. Not frozen, because that would make it four times as
    slow to make; nobody changes one.

    The engine keys it by (connection, kind, canonical id, verb, version). `once` says that the version does not
    count: the thing can be done a single time (an invoice is issued once), and doing it again with other content is
    refused. `undo` is the (verb, body) that takes it back. `links` are the canonical ids the body refers to.
    """

    role: str
    kind: str
    verb: str
    canonical_id: str
    body: Plain
    label: str
    entity: str = ""
    once: bool = False
    priority: Priority = Priority.REVENUE
    money: Money | None = None
    undo: tuple[str, Plain] | None = None
    links: tuple[tuple[str, str], ...] = ()  # (kind, canonical id)
    version: str = ""

    @property
    def key(self) -> str:
        return f"effect:{self.role}:{self.kind}:{self.canonical_id}:{self.verb}:{self.version}"

    def decode(self, value: Any) -> Done:
        return Done(value.get("vendor_id"), value.get("details") or {}, value.get("skipped"))


def effect(
    role: str,
    verb: str,
    kind: str,
    thing: Any,
    label: str,
    *,
    entity: str = "",
    once: bool = False,
    priority: Priority = Priority.REVENUE,
    money: Money | None = None,
    undo: tuple[str, Any] | None = None,
    links: Sequence[tuple[str, str | None]] = (),
) -> Effect:
    """The effect of writing a canonical object (a dataclass with an `id`) to the system that plays `role`."""
    body = cast(Plain, to_plain(thing))
    return Effect(
        role=role,
        kind=kind,
        verb=verb,
        canonical_id=thing.id,
        body=body,
        label=label,
        entity=entity,
        once=once,
        priority=priority,
        money=money,
        undo=None if undo is None else (undo[0], cast(Plain, to_plain(undo[1]))),
        links=tuple((kind, about) for kind, about in links if about is not None),
        version="once" if once else digest_of(body),
    )


@dataclass(frozen=True, slots=True)
class Read(Command[T]):
    """What we know of one canonical object now; journalled, so that the story sees one world. None when unknown.

    Reading the same again gives the same answer; a `name` makes it a new question, for after a wait.
    """

    kind: str
    id: str
    cls: type[T]
    name: str = ""

    @property
    def key(self) -> str:
        return f"read:{self.kind}:{self.id}:{self.name}" if self.name else f"read:{self.kind}:{self.id}"

    def decode(self, value: Any) -> T:
        return cast(T, None if value is None else from_plain(self.cls, value))


@dataclass(frozen=True, slots=True)
class ReadRelated(Command[tuple[T, ...]]):
    """All current canonical objects of one kind that belong to one engagement, by id."""

    kind: str
    correlation: str
    cls: type[T]
    name: str = ""

    @property
    def key(self) -> str:
        return f"related:{self.kind}:{self.correlation}" + (f":{self.name}" if self.name else "")

    def decode(self, value: Any) -> tuple[T, ...]:
        return tuple(from_plain(self.cls, each) for each in value)


@dataclass(frozen=True, slots=True)
class ReadPolicy(Command[T]):
    """The firm's policy of that name, in force when first read, with its version; parsed by `parse`."""

    name: str
    parse: Callable[[Mapping[str, Any]], T]

    @property
    def key(self) -> str:
        return f"policy:{self.name}"

    def decode(self, value: Any) -> T:
        return self.parse(value)


@dataclass(frozen=True, slots=True)
class Now(Command[datetime]):
    """The time, read once and journalled."""

    name: str = ""

    @property
    def key(self) -> str:
        return f"now:{self.name}"

    def decode(self, value: Any) -> datetime:
        return datetime.fromisoformat(value)


@dataclass(frozen=True, slots=True)
class Require(Command[None]):
    """Go on only without problems. Otherwise the story is parked with one case that lists them all; when the source
    is corrected, what was read is read again and the story goes on from here."""

    reason: str
    title: str
    problems: tuple[Problem, ...]
    owner: str
    money: Money | None = None
    watch: tuple[str, ...] = ()  # canonical ids whose change is worth trying again
    name: str = ""

    @property
    def key(self) -> str:
        return f"require:{self.name or self.reason}"


@dataclass(frozen=True, slots=True)
class Decide(Command[str]):
    """Ask a person: the story waits until one of `options` was chosen."""

    name: str
    question: str
    options: tuple[str, ...]
    owner: str
    money: Money | None = None
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"decision:{self.name}"


@dataclass(frozen=True, slots=True)
class WaitFor(Command[Mapping[str, Any] | None]):
    """Wait for a fact of this type about this subject; None when `until` passed first.

    A fact recorded since the story began counts, so that one that overtook us is not missed.
    """

    type: str
    subject: str
    until: datetime | None = None

    @property
    def key(self) -> str:
        return f"wait:{self.type}:{self.subject}"


@dataclass(frozen=True, slots=True)
class SleepUntil(Command[None]):
    """Wait for a moment."""

    at: datetime

    @property
    def key(self) -> str:
        return f"sleep:{self.at.isoformat()}"


@dataclass(frozen=True, slots=True)
class Tell(Command[None]):
    """Record facts in the event log."""

    facts: tuple[Fact, ...]

    @property
    def key(self) -> str:
        return "tell:" + ",".join(f"{fact.type}:{fact.subject}" for fact in self.facts)


@dataclass(frozen=True, slots=True)
class Keep(Command[None]):
    """Keep canonical objects that the platform itself makes: (kind, id, plain body) each.

    `instead_of` are the objects as the story read them, where it decides by what it read: if somebody has changed one
    since, nothing of this turn is kept and the story reads anew. So read, decide and keep without a wait in between.
    """

    objects: tuple[tuple[str, str, Plain], ...]
    instead_of: tuple[Plain | None, ...] = ()

    @property
    def key(self) -> str:
        return "keep:" + ",".join(f"{kind}:{id}:{digest_of(body)}" for kind, id, body in self.objects)


def keep(kind: str, *things: Any, instead_of: Sequence[Any] = ()) -> Keep:
    """Keep canonical objects of one kind; `instead_of` is what was read of each, None for a new one."""
    read = tuple(None if each is None else cast(Plain, to_plain(each)) for each in instead_of)
    return Keep(tuple((kind, thing.id, cast(Plain, to_plain(thing))) for thing in things), read)


@dataclass(frozen=True, slots=True)
class Post(Command[None]):
    """Post to the hour-to-cash ledger: plain billable items and balanced entries, checked by the ledger."""

    entry: str
    items: tuple[Plain, ...]
    postings: tuple[Plain, ...]

    @property
    def key(self) -> str:
        return f"post:{self.entry}"


@dataclass(frozen=True, slots=True)
class Together(Command[tuple[Any, ...]]):
    """Several commands at once; their outcomes in the same order."""

    commands: tuple[Command[Any], ...]

    @property
    def key(self) -> str:
        return "together"


def together(*commands: Command[Any]) -> Together:
    return Together(commands)


def together_all(commands: Sequence[Command[Any]]) -> Together:
    return Together(tuple(commands))


Story = Callable[[Fact], Coroutine[Command[Any], Any, Any]]


@dataclass(frozen=True, slots=True)
class Process:
    """A story the engine can run. `starts_on` are fact types; `one_per(fact)` names what there is only one run for;
    `subject(fact)` the thing whose runs go in order; `title` is its docstring's first line. A run stays with the
    version it was started with: `earlier` are those that runs in flight may still need; who knows neither leaves a
    run alone."""

    name: str
    title: str
    version: str
    story: Story
    starts_on: tuple[str, ...]
    one_per: Callable[[Fact], str]
    subject: Callable[[Fact], str]
    priority: Priority
    earlier: tuple[Process, ...] = ()

    @property
    def versions(self) -> tuple[Process, ...]:
        """This one, which new runs get, and the earlier ones."""
        return (self, *self.earlier)

    def of(self, version: str) -> Process:
        """The version a run was started with. Raises KeyError when it is not known here."""
        for each in self.versions:
            if each.version == version:
                return each
        raise KeyError(f"{self.name} {version}")


def process(
    *,
    starts_on: str | Sequence[str],
    one_per: Callable[[Fact], str] | None = None,
    subject: Callable[[Fact], str] | None = None,
    priority: Priority = Priority.REVENUE,
    version: str = "1",
    earlier: Sequence[Process] = (),
) -> Callable[[Story], Process]:
    """Make an `async def story(fact)` a process. By default there is one run per subject of the starting fact, and
    runs about one subject go in order."""

    def make(story: Story) -> Process:
        title = (story.__doc__ or story.__name__).strip().splitlines()[0]
        return Process(
            name=story.__name__,
            title=title,
            version=version,
            story=story,
            starts_on=(starts_on,) if isinstance(starts_on, str) else tuple(starts_on),
            one_per=one_per or (lambda fact: fact.subject),
            subject=subject or (lambda fact: fact.subject),
            priority=priority,
            earlier=tuple(earlier),
        )

    return make
