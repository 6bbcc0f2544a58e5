"""A mapping: one table of rows for both directions, its identity, and its overrides. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from collections.abc import Mapping as Record
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from accord.connect.mapping.relations import Key, Nested, Own, Version, read_rows, vendor_text, write_rows
from accord.connect.mapping.row import MISSING, Plain, Problem, Row, Sink, dig
from accord.engine.outcomes import Rejected
from accord.errors import UsageError


class MappingInvalid(UsageError):
    """The mapping contradicts itself; every mistake is listed, correct them together."""


class Reading(NamedTuple):
    """A vendor's record as a canonical body. `links` is {field: (kind, vendor_id)}; what is a problem is left out."""

    body: Plain
    links: dict[str, tuple[str, str]]
    problems: tuple[Problem, ...]


class Writing(NamedTuple):
    """A canonical body as vendor fields. With problems it must not be sent; `rejected` is the outcome to answer."""

    fields: Plain
    problems: tuple[Problem, ...]

    def rejected(self) -> Rejected | None:
        """The outcome of a write whose body cannot be written, naming all its fields; None when it can."""
        if not self.problems:
            return None
        at_fault = tuple(dict.fromkeys(problem.field or problem.vendor_field for problem in self.problems))
        return Rejected("not_writable", "; ".join(map(str, self.problems)), at_fault)


class MappingVersion(NamedTuple):
    """Which mapping produced a value: kept with provenance, so that a number can be explained years later."""

    name: str
    version: int
    valid_from: date
    content_hash: str


class DictionaryRow(NamedTuple):
    """One line of the data dictionary."""

    field: str
    type: str
    vendor_field: str
    direction: str
    required: bool
    owner: str
    detail: str
    note: str


@dataclass(frozen=True)
class Mapping:
    """`name` is `vendor.kind`; `label` what the vendor calls the object; `of` the canonical class its rows must fit.

    `null` is what the vendor wants for an emptied field (None, or "" for Stripe); `sparse`: it leaves empty fields
    out of its records, as SuiteQL does (vendors.md 2.3), so that an absent field is no sign of drift. The constructor
    checks the whole table, for a firm's overrides as for ours. Raises MappingInvalid.
    """

    name: str
    kind: str
    label: str
    rows: tuple[Row, ...]
    of: type | None = None
    version: int = 1
    valid_from: date = date.min
    null: Any = None
    sparse: bool = False

    def __post_init__(self) -> None:
        rows = tuple(row.made_sparse() for row in self.rows) if self.sparse else tuple(self.rows)
        object.__setattr__(self, "rows", rows)
        mistakes = [*self._mistakes()]
        if mistakes:
            raise MappingInvalid(f"the mapping {self.name} cannot be: {'; '.join(mistakes)}")

    def read(self, record: Record[str, Any]) -> Reading:
        """The canonical body of a vendor's record, without ids. Never raises for a value."""
        sink = Sink()
        read_rows(self.rows, record, sink)
        return Reading(sink.values, sink.links, tuple(sink.problems))

    def write(self, body: Record[str, Any], vendor_ids: Record[str, str] | None = None) -> Writing:
        """The vendor fields of a canonical body. A field the body does not have is not touched, one that is None is
        emptied; rows that `clear` empty both. Never raises for a value."""
        sink = Sink(null=self.null)
        write_rows(self.rows, body, vendor_ids or {}, sink)
        return Writing(sink.values, tuple(sink.problems))

    def vendor_id(self, record: Record[str, Any]) -> str | None:
        """The vendor's id of the object, by the key row."""
        return self._special(Key, record)

    def canonical_id(self, record: Record[str, Any]) -> str | None:
        """Our id, when the vendor's object carries it, by the own row."""
        return self._special(Own, record)

    def version_of(self, record: Record[str, Any]) -> str:
        """What orders observations of this object, by the version row; "" without one."""
        return self._special(Version, record) or ""

    def fields(self) -> tuple[str, ...]:
        """The vendor paths to ask for, in the order of the table, each once."""
        return tuple(dict.fromkeys(path for row in self.rows for path in row.read_paths()))

    def written_fields(self) -> tuple[str, ...]:
        """The vendor paths a write may touch."""
        return tuple(dict.fromkeys(path for row in self.rows for path in row.write_paths()))

    def owners(self) -> dict[str, str]:
        """{canonical field: who owns it}, for the rows that say so."""
        return {row.field: row.owner for row in self.rows if row.field and row.owner}

    def dictionary(self) -> list[DictionaryRow]:
        """The data dictionary, nested rows with their whole names."""
        return [line for row in self.rows for line in _lines(row, "", "")]

    @cached_property
    def identity(self) -> MappingVersion:
        """Name, version, first day and a hash of what the table says; equal hashes mean equal tables."""
        said = [self.name, self.kind, self.null, *map(_said, self.rows)]
        text = json.dumps(said, ensure_ascii=False)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return MappingVersion(self.name, self.version, self.valid_from, digest)

    def with_names(
        self, names: Record[str, str], *, version: int | None = None, valid_from: date | None = None
    ) -> Mapping:
        """The same mapping with a firm's own vendor names: {"payment_terms_days": "Terms__c", "amount.currency":
        "Cur__c", "contract.number": "Nr__c"}; `id`, `@key`, `@version` and `=Vendor_Field` name the rows without a
        field.

        Raises MappingInvalid for a name that is no row and for a table that contradicts itself afterwards.
        """
        known = {name for row in self.rows for name in row.override_names()}
        unknown = sorted(names.keys() - known)
        if unknown:
            raise MappingInvalid(
                f"the mapping {self.name} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}"
            )
        rows = tuple(row.renamed(names) for row in self.rows)
        return self._next(rows, version, valid_from)

    def with_rows(self, *rows: Row, version: int | None = None, valid_from: date | None = None) -> Mapping:
        """The same mapping with these rows instead of those of the same name, or added to them."""
        fresh = {row.name: row for row in rows}
        kept = tuple(fresh.pop(row.name, row) for row in self.rows)
        return self._next((*kept, *fresh.values()), version, valid_from)

    def without(self, *names: str) -> Mapping:
        """The same mapping without the rows of these names: fields a firm does not have."""
        return self._next(tuple(row for row in self.rows if row.name not in names), None, None)

    def _next(self, rows: tuple[Row, ...], version: int | None, valid_from: date | None) -> Mapping:
        return replace(self, rows=rows, version=version or self.version, valid_from=valid_from or self.valid_from)

    def _special(self, kind: type[Row], record: Record[str, Any]) -> str | None:
        row = next((row for row in self.rows if isinstance(row, kind)), None)
        found = dig(record, row.vendor) if row is not None else MISSING
        return vendor_text(found)

    def _mistakes(self) -> Iterable[str]:
        if not self.rows:
            yield "it has no rows"
        for row in self.rows:
            yield from row.mistakes()
        yield from _doubles("field", [row.name for row in self.rows if row.name])
        written = [path for row in self.rows if row.writes for path in _own_write_paths(row)]
        yield from _doubles("written vendor field", written)
        for path in written:
            yield from (
                f"{path} is written, and so is {inner} in it" for inner in written if inner.startswith(f"{path}.")
            )
        if self.of is not None:
            yield from _misfits(self.rows, self.of)


class MappingHistory:
    """The versions of one mapping, each valid from its first day until the next one's."""

    def __init__(self, *versions: Mapping) -> None:
        self._versions = sorted(versions, key=lambda each: each.valid_from)
        days = [each.valid_from for each in self._versions]
        if not versions or len(set(days)) != len(days) or len({each.name for each in versions}) > 1:
            raise MappingInvalid("a history has one or more versions of one mapping, each from its own day")

    def on(self, day: date) -> Mapping:
        """The mapping valid on a day. Raises MappingInvalid for a day before the first."""
        valid = [each for each in self._versions if each.valid_from <= day]
        if not valid:
            raise MappingInvalid(f"the mapping {self._versions[0].name} is not valid on {day} yet")
        return valid[-1]


def _said(value: Any) -> Any:
    """Everything a table says, the same in every process: functions by their names, not their addresses."""
    if isinstance(value, Row):
        own = {each.name: _said(getattr(value, each.name)) for each in fields(value)}
        return {"type": value.type, **own}
    if isinstance(value, tuple | list):
        return [_said(each) for each in value]
    if isinstance(value, Record):
        return [[_said(name), _said(each)] for name, each in value.items()]
    if callable(value):
        return f"{value.__module__}.{value.__qualname__}"
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _lines(row: Row, outer_field: str, outer_vendor: str) -> Iterable[DictionaryRow]:
    name = f"{outer_field}{row.name}"
    vendor = f"{outer_vendor}{row.vendor}"
    direction = {(True, True): "both", (True, False): "read", (False, True): "write"}.get(
        (row.reads, row.writes), "none"
    )
    yield DictionaryRow(name, row.type, vendor, direction, row.required, row.owner, row.detail(), row.note)
    if isinstance(row, Nested):
        list_mark = "[]" if row.many else ""
        inside = f"{vendor}{list_mark}." if row.vendor else outer_vendor
        for each in row.rows:
            yield from _lines(each, f"{outer_field}{row.field}{list_mark}.", inside)


def _own_write_paths(row: Row) -> Iterable[str]:
    """The paths only this row writes; a currency may be shared by several amounts of one record."""
    if isinstance(row, Nested):
        return [row.vendor] if row.many else row.write_paths()
    return [row.vendor]


def _doubles(what: str, names: list[str]) -> Iterable[str]:
    for name in sorted({each for each in names if names.count(each) > 1}):
        yield f"the {what} {name} is there twice"


def _misfits(rows: Iterable[Row], cls: type) -> Iterable[str]:
    known = {each.name for each in fields(cls)} if is_dataclass(cls) else set()
    for row in rows:
        if row.field and row.field not in known:
            yield f"{cls.__name__} has no field {row.field}"
