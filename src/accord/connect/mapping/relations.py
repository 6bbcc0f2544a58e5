"""Rows that stand for more than a value: ids, links to other objects, constants, versions and nested objects. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from accord.connect.mapping.row import MISSING, Row, Sink, dig, plant, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(Row):
    """The vendor's own id of the object. It is read by `Mapping.vendor_id`; it is never written."""

    type = "key"

    @property
    def name(self) -> str:
        return "@key"

    @property
    def writes(self) -> bool:
        return False

    def read(self, record: Mapping[str, Any], sink: Sink) -> None:
        if vendor_text(dig(record, self.vendor)) is None:
            sink.object_to(self, "is missing")

    def mistakes(self) -> Iterator[str]:
        yield from _path_mistakes(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Row):
    """What orders observations: modification time or counter. Read by `Mapping.version_of`, never written."""

    type = "version"

    @property
    def name(self) -> str:
        return "@version"

    @property
    def writes(self) -> bool:
        return False

    def read(self, record: Mapping[str, Any], sink: Sink) -> None:
        if vendor_text(dig(record, self.vendor)) is None:
            sink.object_to(self, "is missing")

    def mistakes(self) -> Iterator[str]:
        yield from _path_mistakes(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Own(Row):
    """Where the vendor's object carries our canonical id (an external id, metadata). Read by `Mapping.canonical_id`."""

    type = "own"

    @property
    def name(self) -> str:
        return "id"

    def read(self, record: Mapping[str, Any], sink: Sink) -> None:
        value = self._look_up(record, sink)
        if value is not None and not isinstance(value, str):
            sink.object_to(self, f"{shown(value)} is not an id of ours")

    def write(self, body: Mapping[str, Any], vendor_ids: Mapping[str, str], sink: Sink) -> None:  # noqa: ARG002
        value = body.get("id")
        if isinstance(value, str) and value:
            plant(sink.values, self.vendor, value)
        else:
            sink.object_to(self, "is missing")

    def mistakes(self) -> Iterator[str]:
        yield from _path_mistakes(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Row):
    """Another object: the vendor's id of it there, our canonical id here. Read into `links`, resolved on writing."""

    kind: str = ""
    as_number: bool = False

    type = "link"

    def read(self, record: Mapping[str, Any], sink: Sink) -> None:
        value = self._look_up(record, sink)
        vendor_id = vendor_text(value)
        if vendor_id is not None:
            sink.links[f"{sink.prefix}{self.field}"] = (self.kind, vendor_id)
        elif value is not None:
            sink.object_to(self, f"{shown(value)} is not an id")

    def write(self, body: Mapping[str, Any], vendor_ids: Mapping[str, str], sink: Sink) -> None:
        canonical = body.get(self.field)
        if canonical is None or canonical == "":
            self._empty(sink)
            self._clear(sink, given=self.field in body)
            return
        vendor_id = vendor_ids.get(canonical) if isinstance(canonical, str) else None
        if vendor_id is None:
            sink.object_to(self, f"{self.kind} {shown(canonical)} is not known in this system yet")
        elif self.as_number and not vendor_id.isdecimal():
            sink.object_to(self, f"{shown(vendor_id)} is not a number")
        else:
            plant(sink.values, self.vendor, int(vendor_id) if self.as_number else vendor_id)

    def mistakes(self) -> Iterator[str]:
        yield from Row.mistakes(self)
        if not self.kind:
            yield f"{self.field}: the kind of the linked object is not given"

    def detail(self) -> str:
        return f"links to {self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Const(Row):
    """A value the vendor always gets. `checked`: on reading anything else is a problem (a record of another type)."""

    value: Any = None
    checked: bool = False

    type = "const"

    @property
    def name(self) -> str:
        return f"={self.vendor}"

    @property
    def reads(self) -> bool:
        return self.checked

    def read(self, record: Mapping[str, Any], sink: Sink) -> None:
        if self.checked and self._look_up(record, sink) != self.value:
            sink.object_to(self, f"is not {shown(self.value)}")

    def write(self, body: Mapping[str, Any], vendor_ids: Mapping[str, str], sink: Sink) -> None:  # noqa: ARG002
        plant(sink.values, self.vendor, self.value)

    def mistakes(self) -> Iterator[str]:
        yield from _path_mistakes(self)

    def detail(self) -> str:
        return f"always {shown(self.value)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested(Row):
    """An object inside the object, or with `many` a list of them. `vendor` "" takes the fields from the same record.

    A single one without any value is left out, so that a deal without contract has none.
    """

    rows: tuple[Row, ...] = ()
    many: bool = False

    type = "nested"

    def read(self, record: Mapping[str, Any], sink: Sink) -> None:
        found = self._look_up(record, sink)
        if found is None:
            if self.many and not self._vanished(record):
                sink.values[self.field] = []
        elif not self._fits(found):
            sink.object_to(self, f"{shown(found)} {self._is_not()}")
        elif self.many:
            sink.values[self.field] = [self._read_one(item, index, sink) for index, item in enumerate(found)]
        elif self.required or not self._is_blank(found):
            one = self._read_one(found, None, sink)
            if one:
                sink.values[self.field] = one

    def write(self, body: Mapping[str, Any], vendor_ids: Mapping[str, str], sink: Sink) -> None:
        value = body.get(self.field)
        if value is None or (self.many and not value and not self.clears):
            self._empty(sink)
            if self.vendor:
                self._clear(sink, given=self.field in body and value is None)
        elif not self._fits(value):
            sink.object_to(self, self._is_not())
        elif self.many:
            items = [self._write_one(item, index, body, vendor_ids, sink) for index, item in enumerate(value)]
            plant(sink.values, self.vendor, items)
        else:
            one = self._write_one(value, None, body, vendor_ids, sink)
            merge(sink.values, _at(self.vendor, one))

    def read_paths(self) -> Iterator[str]:
        if self.reads:
            for row in self.rows:
                yield from (_joined(self.vendor, path) for path in row.read_paths())

    def write_paths(self) -> Iterator[str]:
        if self.writes:
            for row in self.rows:
                yield from (_joined(self.vendor, path) for path in row.write_paths())

    def made_sparse(self) -> Row:
        return replace(self, sparse=True, rows=tuple(row.made_sparse() for row in self.rows))

    def renamed(self, names: Mapping[str, str]) -> Row:
        before = f"{self.field}."
        inner = {name.removeprefix(before): to for name, to in names.items() if name.startswith(before)}
        rows = tuple(row.renamed(inner) for row in self.rows)
        return replace(self, vendor=names.get(self.field, self.vendor), rows=rows)

    def override_names(self) -> Iterator[str]:
        yield self.field
        for row in self.rows:
            yield from (f"{self.field}.{name}" for name in row.override_names())

    def mistakes(self) -> Iterator[str]:
        if not self.field:
            yield "a nested row has no canonical field"
        if not self.rows:
            yield f"{self.field}: nothing is nested"
        if self.many and not self.vendor:
            yield f"{self.field}: a list needs a vendor path"
        for row in self.rows:
            yield from (f"{self.field}.{mistake}" for mistake in row.mistakes())

    def detail(self) -> str:
        return "a list" if self.many else ""

    def _is_blank(self, record: Any) -> bool:
        """Every field of it is there and empty: then there is no such object, whatever its rows require."""
        found = [(row, dig(record, path)) for row in self.rows for path in row.read_paths()]
        return all(value is None or value == "" or (value is MISSING and row.sparse) for row, value in found)

    def _read_one(self, item: Mapping[str, Any], index: int | None, sink: Sink) -> dict[str, Any]:
        inner = sink.inside(self, index, sink.values)
        read_rows(self.rows, item, inner)
        return inner.values

    def _write_one(
        self,
        item: Mapping[str, Any],
        index: int | None,
        body: Mapping[str, Any],
        vendor_ids: Mapping[str, str],
        sink: Sink,
    ) -> dict[str, Any]:
        inner = sink.inside(self, index, body)
        write_rows(self.rows, item, vendor_ids, inner)
        return inner.values

    def _fits(self, value: Any) -> bool:
        items = value if self.many else [value]
        return isinstance(items, list | tuple) and all(isinstance(item, Mapping) for item in items)

    def _is_not(self) -> str:
        return "is not a list of objects" if self.many else "is not an object"


def read_rows(rows: tuple[Row, ...], record: Mapping[str, Any], sink: Sink) -> None:
    for late in (False, True):
        for row in rows:
            if row.reads and row.late is late:
                row.read(record, sink)


def write_rows(rows: tuple[Row, ...], body: Mapping[str, Any], vendor_ids: Mapping[str, str], sink: Sink) -> None:
    for row in rows:
        if row.writes:
            row.write(body, vendor_ids, sink)


def vendor_text(value: Any) -> str | None:
    """A vendor's id or counter as text; None for none, and for what is none."""
    if value is MISSING or value is None or isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put values into an object, going into the objects both have."""
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


def _joined(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if outer else inner


def _at(path: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values inside the objects of a path; themselves for no path."""
    for part in reversed(path.split(".") if path else []):
        values = {part: values}
    return values


def _path_mistakes(row: Row) -> Iterator[str]:
    if not row.vendor or any(not part for part in row.vendor.split(".")):
        yield f"{row.name}: {row.vendor!r} is not a dotted path"
