"""What one turn of a worker writes, as rows ready for the database. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from accord.engine.shell import Kept

Row = dict[str, Any]


@dataclass(slots=True)
class Turn:
    """Everything that one turn found out and decided; written in one transaction, or not at all."""

    finished: list[Row] = field(default_factory=list)  # effects with a final or rejected outcome
    deferred: list[Row] = field(default_factory=list)  # effects to be tried or probed later, with their waiting rows
    attempts: list[Row] = field(default_factory=list)
    left_waiting: list[int] = field(default_factory=list)  # finished effects that were in the waiting list
    intents: list[Row] = field(default_factory=list)
    requeued: list[int] = field(default_factory=list)  # rejected or dead effects that their story asks for again
    journal: list[Row] = field(default_factory=list)
    facts: list[Row] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    posts: list[tuple[str, tuple[Any, ...], tuple[Any, ...]]] = field(default_factory=list)
    waits: list[Row] = field(default_factory=list)
    met: list[Row] = field(default_factory=list)  # waits whose fact has come
    cases: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)
    over_with_waits: list[int] = field(default_factory=list)  # ended while facts were still awaited
    released: list[Row] = field(default_factory=list)  # open processes that this worker lets go
    refused: list[int] = field(default_factory=list)  # stories, not in memory here, one of whose effects was refused
    paused: list[Row] = field(default_factory=list)  # connections that a person must look at
    woken: list[int] = field(default_factory=list)  # processes of effects finished for somebody else

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)
