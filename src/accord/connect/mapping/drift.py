"""Whether the vendor's schema still has what a mapping needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Record
from dataclasses import dataclass
from difflib import get_close_matches

from accord.connect.mapping.relations import Nested
from accord.connect.mapping.row import Problem, Row
from accord.connect.mapping.scalars import Choice, Text
from accord.connect.mapping.table import Mapping

# Which vendor types a row can live with. A vendor's connector translates its own type names into these words.
_FITTING = {
    "text": {"text", "id"},
    "money": {"number", "text"},
    "number": {"number", "text"},
    "decimal": {"number", "text"},
    "flag": {"flag", "text"},
    "choice": {"text", "number", "flag", "id"},
    "day": {"day", "instant", "number", "text"},
    "instant": {"instant", "number", "text"},
    "link": {"id", "text", "number"},
    "own": {"text", "id"},
    "key": {"id", "text", "number"},
    "version": {"instant", "number", "text"},
}


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One field of the vendor's schema as it is now. `type`: text, number, flag, day, instant, id, object or ""
    unknown.

    `required`: the vendor refuses a new object without it. `length` in characters; `choices` of a closed list.
    """

    type: str = ""
    writable: bool = True
    required: bool = False
    length: int | None = None
    choices: tuple[str, ...] = ()


Schema = Record[str, SchemaField]
"""The fields by dotted path, as the mapping's rows name them."""


def drift(mapping: Mapping, schema: Schema) -> tuple[Problem, ...]:
    """Everything in which the schema does not fit the mapping any more; empty when it does.

    A missing field names the closest one there is: most often it was renamed.
    """
    problems = [problem for row in mapping.rows for problem in _row_drift(row, schema, "", "")]
    written = set(mapping.written_fields())
    for path, field in schema.items():
        if written and field.required and path not in written:
            problems.append(Problem("", path, "is required by the vendor now, and no row writes it"))
    return tuple(problems)


def _row_drift(row: Row, schema: Schema, outer: str, vendor_outer: str) -> Iterator[Problem]:
    if isinstance(row, Nested):
        inside = f"{vendor_outer}{row.vendor}." if row.vendor else vendor_outer
        for each in row.rows:
            yield from _row_drift(each, schema, f"{outer}{row.field}.", inside)
        return
    for path in dict.fromkeys([*row.read_paths(), *row.write_paths()]):
        name, full = f"{outer}{row.name}", f"{vendor_outer}{path}"
        field = schema.get(full)
        reasons = [_gone(full, schema)] if field is None else _misfits(row, field, is_main=path == row.vendor)
        yield from (Problem(name, full, reason) for reason in reasons)


def _gone(path: str, schema: Schema) -> str:
    close = get_close_matches(path, schema, n=1, cutoff=0.6)
    return f"is gone; is it {close[0]} now?" if close else "is gone"


def _misfits(row: Row, field: SchemaField, *, is_main: bool) -> Iterator[str]:
    if row.writes and not field.writable:
        yield "cannot be written any more"
    if not is_main:
        return
    fitting = _FITTING.get(row.type)
    if field.type and fitting and field.type not in fitting:
        yield f"is a {field.type} now, a {row.type} is expected"
    if isinstance(row, Text) and _too_long(row, field):
        yield f"takes only {field.length} characters now"
    if isinstance(row, Choice) and row.writes and field.choices:
        unknown = [str(vendor) for vendor in row.choices if str(vendor) not in field.choices]
        if unknown:
            yield f"does not know {', '.join(unknown)} any more"


def _too_long(row: Text, field: SchemaField) -> bool:
    if field.length is None or row.cut or not row.writes:
        return False
    return row.max_length is None or row.max_length > field.length
