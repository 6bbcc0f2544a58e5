"""Taking back what a cancelled process did: its committed effects in reverse order, as effects of their own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accord.engine.states import Priority
from accord.engine.story import Command, Effect, Process, digest_of
from accord.model.events import Fact


@dataclass(frozen=True, slots=True)
class Settled(Command[None]):
    """Nothing of the story is under way. Never answered: an outcome makes the story ready, and it is loaded anew."""

    @property
    def key(self) -> str:
        return "settled"


def undo_process(original: Process, effects: Sequence[dict[str, Any]], *, settled: bool = True) -> Process:
    """A story that undoes `effects` (rows with connection, kind, canonical_id, undo, label), given last first. Until
    all
    of them are `settled` it only waits: what is under way may yet have to be taken back too."""

    async def undo(_: Fact) -> str:
        if not settled:
            await Settled()
        for row in effects:
            undo_spec = row["undo"]
            await Effect(
                role=f"connection {row['connection']}",
                kind=row["kind"],
                verb=undo_spec["verb"],
                canonical_id=row["canonical_id"],
                body=undo_spec["body"],
                label=f"Take back: {row['label']}",
                version=f"undo-{digest_of(undo_spec['body'])}",
                priority=Priority.CUSTOMER,
            )
        return f"cancelled, {len(effects)} effects taken back"

    return Process(
        name=original.name,
        title=f"Cancel: {original.title}",
        version=original.version,
        story=undo,
        starts_on=(),
        one_per=original.one_per,
        subject=original.subject,
        priority=original.priority,
    )
