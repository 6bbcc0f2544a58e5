"""Which engagement, in which legal entity, the project of a time system is: the reference list `time_project`.

A row of the list says, from a day on, what `SOURCE/PROJECT` means: `ENGAGEMENT LEGAL_ENTITY`. What is not in the list
is not bound; names that look alike bind nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from accord.engine.intents import as_json
from accord.engine.shell import Connection

LIST = "time_project"
LOAD = """
SELECT given, meaning, valid_from FROM reference
WHERE list = 'time_project' AND starts_with(given, %(source)s || '/') ORDER BY given, valid_from
"""
DECLARE = """
INSERT INTO reference (list, given, meaning, valid_from, declared_by)
SELECT 'time_project', x.given, x.meaning, x.valid_from, %(by)s
FROM json_to_recordset(%(rows)s::json) AS x (given text, meaning text, valid_from date)
ON CONFLICT (list, given, valid_from) DO UPDATE SET meaning = excluded.meaning, declared_by = excluded.declared_by,
    declared_at = now() WHERE reference.meaning <> excluded.meaning
"""


class Binding(NamedTuple):
    """Where a project's work belongs."""

    engagement_id: str
    legal_entity: str


class ProjectRow(NamedTuple):
    """A project of one source and what it is from a day on."""

    project: str
    binding: Binding
    valid_from: date = date.min


@dataclass(frozen=True, slots=True)
class Bindings:
    """The projects of one source: each with its bindings, the earliest first."""

    by_project: Mapping[str, tuple[tuple[date, Binding], ...]] = field(default_factory=dict)

    def of(self, project: str, day: date) -> Binding | None:
        """What the project is on a day; None when nobody has said so."""
        known = [binding for since, binding in self.by_project.get(project, ()) if since <= day]
        return known[-1] if known else None

    @classmethod
    def out_of(cls, rows: Iterable[ProjectRow]) -> Bindings:
        found: dict[str, list[tuple[date, Binding]]] = {}
        for row in sorted(rows, key=lambda each: (each.project, each.valid_from)):
            found.setdefault(row.project, []).append((row.valid_from, row.binding))
        return cls({project: tuple(each) for project, each in found.items()})


async def load(connection: Connection, source: str) -> Bindings:
    """What is declared of a source's projects; an entry that does not say engagement and entity binds nothing."""
    rows: list[ProjectRow] = []
    for given, meaning, since in await (await connection.execute(LOAD, {"source": source})).fetchall():
        engagement, _, entity = meaning.strip().rpartition(" ")
        if engagement:
            rows.append(ProjectRow(given.removeprefix(f"{source}/"), Binding(engagement.strip(), entity), since))
    return Bindings.out_of(rows)


async def declare(connection: Connection, source: str, rows: Iterable[ProjectRow], *, by: str) -> None:
    """Write what projects of a source are; what is declared already stays untouched when it says the same."""
    told: list[dict[str, Any]] = [
        {
            "given": f"{source}/{row.project}",
            "meaning": f"{row.binding.engagement_id} {row.binding.legal_entity}",
            "valid_from": row.valid_from.isoformat(),
        }
        for row in rows
    ]
    if told:
        await connection.execute(DECLARE, {"rows": as_json(told), "by": by})
