"""One run of a story: a coroutine and its journal. Pure: driven with outcomes, answers with the commands that are
due.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.engine.story import Command, Process, Together
from accord.model.events import Fact

# Asking the same of these again gives the first answer; of the others (waits, facts told) it is a new question.
SAME_ANSWER = ("effect:", "read:", "related:", "policy:", "now:", "post:", "keep:")
# What a corrected source may change: forgotten when a parked story is tried again.
REREADABLE = ("read:", "related:", "policy:", "require:")


class StoryBroken(Exception):
    """The story itself raised: a defect in the process, loud."""


class Instance:
    """One run, in memory.

    `advance()` runs the story as far as the journal reaches and returns the commands it now waits for, by key (empty
    when it ended). `resolve(key, value)` enters an outcome; when nothing is awaited any more, advance again.
    """

    __slots__ = (
        "_coroutine",
        "_many",
        "_repeats",
        "_step",
        "asked",
        "awaiting",
        "ended",
        "id",
        "journal",
        "process",
        "result",
        "trigger",
    )

    def __init__(self, id: int, process: Process, trigger: Fact, journal: Mapping[str, Any] | None = None) -> None:
        self.id = id
        self.process = process
        self.trigger = trigger
        self.journal: dict[str, Any] = dict(journal or {})
        self.awaiting: dict[str, Command[Any]] = {}
        self.asked: set[str] = set()
        self.ended = False
        self.result: Any = None
        self._coroutine: Any = process.story(trigger)
        self._repeats: dict[str, int] = {}
        self._step: list[tuple[str, Command[Any]]] = []
        self._many = False

    def resolve(self, key: str, value: Any) -> None:
        """Enter the outcome of an awaited command. Raises KeyError when it was not awaited."""
        del self.awaiting[key]
        self.journal[key] = value

    def advance(self) -> dict[str, Command[Any]]:
        """Run on. Raises StoryBroken when the story raises."""
        while not self.awaiting:
            try:
                command = self._coroutine.send(self._outcome())
            except StopIteration as stop:
                self.ended, self.result = True, stop.value
                break
            except Exception as error:
                raise StoryBroken(f"{self.process.name}: {type(error).__name__}: {error}") from error
            self._many = isinstance(command, Together)
            if self._many:
                self._step = [(self._key_of(each), each) for each in command.commands]
                self.asked.update([key for key, _ in self._step])
                self.awaiting = {key: each for key, each in self._step if key not in self.journal}
            else:
                self._ask_one(command)
        return self.awaiting

    def _ask_one(self, command: Command[Any]) -> None:
        key = self._key_of(command)
        self._step = [(key, command)]
        self.asked.add(key)
        if key not in self.journal:
            self.awaiting = {key: command}

    def close(self) -> None:
        """Let go of the coroutine; the journal is what counts."""
        self._coroutine.close()

    def _outcome(self) -> Any:
        if self._many:
            return tuple(each.decode(self.journal[key]) for key, each in self._step)
        for key, each in self._step:
            return each.decode(self.journal[key])
        return None

    def _key_of(self, command: Command[Any]) -> str:
        key = command.key
        if key.startswith(SAME_ANSWER):
            return key
        count = self._repeats[key] = self._repeats.get(key, 0) + 1
        return key if count == 1 else f"{key}#{count}"
