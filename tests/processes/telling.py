"""Drives a story in memory: what it reads is given, what it does is written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.engine.instance import Instance
from accord.engine.story import Command, Effect, Process
from accord.model.events import Fact
from accord.model.plain import to_plain

NOW = "2026-11-23T12:00:00+00:00"


def tell(process: Process, fact: Fact, known: Mapping[str, Any], waits: Mapping[str, Any]) -> list[Command[Any]]:
    """The commands of a story to its end. `known` answers reads by key, `waits` facts by key; effects are committed."""
    instance = Instance(1, process, fact)
    done: list[Command[Any]] = []
    while not instance.ended:
        for key, command in list(instance.advance().items()):
            done.append(command)
            instance.resolve(key, _answer(key, command, known, waits))
    return done


def _answer(key: str, command: Command[Any], known: Mapping[str, Any], waits: Mapping[str, Any]) -> Any:
    if isinstance(command, Effect):
        return {"vendor_id": f"vendor {command.canonical_id}", "details": {}}
    if key.startswith("read:"):
        return to_plain(known.get(key))
    if key.startswith("related:"):
        return to_plain(known.get(key, ()))
    if key.startswith("now:"):
        return NOW
    return waits[key] if key.startswith("wait:") else None
