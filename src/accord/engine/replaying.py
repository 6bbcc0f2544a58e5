"""Drives a recorded story again from its journal, touching nothing, and compares what it asks for with what was
done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accord.engine import statements
from accord.engine.instance import Instance, StoryBroken
from accord.engine.shell import Connection
from accord.engine.story import Effect, Process
from accord.errors import NotFound
from accord.model.events import Fact

FIND = "SELECT name, version, trigger, end_state FROM process WHERE id = %(id)s"
DONE = """
SELECT story_key FROM effect WHERE process_id = %(id)s
UNION SELECT story_key FROM adopted_effect WHERE process_id = %(id)s
"""
# Answers a story gets without anybody outside: given again as they were, they need no journal.
_SILENT = ("tell:", "keep:", "post:", "require:")


@dataclass(frozen=True, slots=True)
class Replayed:
    """Whether a story says today what it said then, and where it differs."""

    process_id: int
    same: bool
    differences: list[str]


async def replay_process(connection: Connection, processes: Mapping[str, Process], process_id: int) -> Replayed:
    """Replay one story. Raises NotFound."""
    cursor = await connection.execute(FIND, {"id": process_id})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"there is no process {process_id}")
    name, version, trigger, end_state = row
    if name not in processes or version not in {each.version for each in processes[name].versions}:
        raise NotFound(f"this Accord does not know version {version} of {name}")
    cursor = await connection.execute(statements.LOAD_JOURNALS, {"ids": [process_id]})
    journal = {key: value for _, key, value in await cursor.fetchall()}
    cursor = await connection.execute(DONE, {"id": process_id})
    done = {found[0] for found in await cursor.fetchall()}
    instance = Instance(process_id, processes[name].of(version), Fact(**trigger), journal)
    return _compare(instance, done, finished=end_state is not None)


def _compare(instance: Instance, done: set[str], *, finished: bool) -> Replayed:
    differences: list[str] = []
    try:
        while not instance.ended:
            waiting = instance.advance()
            silent = [key for key in waiting if key.startswith(_SILENT)]
            if not silent:
                break
            for key in silent:
                instance.resolve(key, None)
        differences += [
            _words(key, command) for key, command in instance.awaiting.items() if key not in done and finished
        ]
    except StoryBroken as error:
        differences.append(str(error))
    asked = {key for key in instance.asked if key.startswith("effect:")}
    differences += [f"no longer asks for {key}" for key in sorted(done - asked) if finished]
    instance.close()
    return Replayed(instance.id, not differences, differences)


def _words(key: str, command: Any) -> str:
    return f"now asks for {command.label} ({key})" if isinstance(command, Effect) else f"now waits for {key}"
