"""What each vendor can do and what makes it safe to repeat, as rows for the documentation. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from accord.connect.connector import Action, Connector, Proof, Resource


class Capability(NamedTuple):
    """One line of the capability matrix."""

    vendor: str
    kind: str
    label: str
    reads: str
    verb: str
    batch: str
    safe_by: str
    key_life: str
    read_after_write: str
    note: str


_BY = {
    "upsert_key": "the vendor's upsert on our id",
    "idempotency_key": "an idempotency key",
    "search": "a search for our id",
}


def capability_matrix(connectors: Iterable[Connector]) -> list[Capability]:
    """One row for every verb of every kind of every vendor; a kind that is only read has one row without a verb."""
    return [
        row
        for connector in sorted(connectors, key=lambda each: each.vendor)
        for _, resource in sorted(connector.resources.items())
        for row in _rows(connector, resource)
    ]


def as_markdown(rows: Iterable[Capability]) -> str:
    """The matrix as a table for the documentation."""
    names = [name.replace("_", " ") for name in Capability._fields]
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _rows(connector: Connector, resource: Resource) -> list[Capability]:
    reads = ", ".join(
        name for name, there in (("changes", resource.changed), ("by id", resource.get)) if there is not None
    )
    verbs: list[tuple[str, Action | None]] = [*sorted(resource.actions.items())]
    return [_row(connector, resource, reads, verb, action) for verb, action in verbs or [("", None)]]


def _row(connector: Connector, resource: Resource, reads: str, verb: str, action: Action | None) -> Capability:
    proof = action.proof if action else Proof(by="")
    life = "" if action is None else "for ever" if proof.key_life_hours is None else f"{proof.key_life_hours} h"
    delay = f"{proof.read_after_write_seconds:g} s" if action and proof.read_after_write_seconds else ""
    return Capability(
        connector.vendor,
        resource.kind,
        resource.label,
        reads,
        verb,
        str(action.batch) if action else "",
        _BY.get(proof.by, proof.by),
        life,
        delay,
        proof.note,
    )
