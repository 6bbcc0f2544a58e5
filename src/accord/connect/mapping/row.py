"""One row of a mapping: one canonical field and where the vendor keeps it. Pure.

A row never raises for a value: what does not fit is a Problem, and all problems of a record are reported together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Access = Literal["both", "read", "write"]
Plain = dict[str, Any]
Path = tuple[str, ...]

MISSING = object()
"""A path that is not in the record at all, as against one that is there and null."""


class Unfit(ValueError):
    """A value cannot be read or written by its row; the message says why, to be put behind the field's name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of a record, by its canonical and its vendor name."""

    field: str
    vendor_field: str
    reason: str

    def __str__(self) -> str:
        names = " / ".join(dict.fromkeys(name for name in (self.field, self.vendor_field) if name))
        return f"{names}: {self.reason}"


@dataclass(slots=True)
class Sink:
    """Where one record's result is gathered: `values` (a body or vendor fields), links, problems.

    `outer` is the body of the object around a nested one; `prefix` its name in problems and links.
    """

    outer: Mapping[str, Any] | None = None
    prefix: str = ""
    vendor_prefix: str = ""
    null: Any = None
    values: Plain = field(default_factory=dict)
    links: dict[str, tuple[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def object_to(self, row: Row, reason: str) -> None:
        self.problems.append(Problem(f"{self.prefix}{row.name}", f"{self.vendor_prefix}{row.vendor}", reason))

    def inside(self, row: Row, index: int | None, outer: Mapping[str, Any]) -> Sink:
        """The sink of one nested object; its links and problems end up in this one's."""
        place = "" if index is None else f"[{index}]"
        vendor = f"{row.vendor}{place}." if row.vendor else ""
        return Sink(
            outer, f"{self.prefix}{row.field}{place}.", f"{self.vendor_prefix}{vendor}", self.null,
            links=self.links, problems=self.problems,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`field` is canonical, `vendor` a dotted path in the vendor's record.

    `access` read: never written; write: never read. `clears` writes the vendor's null when the body has no value.
    `sparse`: the vendor leaves the field out when it is empty, so that its absence is no sign of a renamed field.
    `owner` names who may change the field (crm, erp, billing, accord), a hint for the ownership table.
    """

    field: str = ""
    vendor: str = ""
    required: bool = False
    access: Access = "both"
    owner: str = ""
    note: str = ""
    clears: bool = False
    sparse: bool = False

    type = "row"

    @property
    def name(self) -> str:
        """How overrides and problems call this row."""
        return self.field

    @property
    def reads(self) -> bool:
        return self.access != "write"

    @property
    def writes(self) -> bool:
        return self.access != "read"

    @property
    def late(self) -> bool:
        """Read after the others, because it looks at one of them."""
        return False

    def read(self, record: Mapping[str, Any], sink: Sink) -> None:
        raise NotImplementedError

    def write(self, body: Mapping[str, Any], vendor_ids: Mapping[str, str], sink: Sink) -> None:
        raise NotImplementedError

    def read_paths(self) -> Iterator[str]:
        """The vendor paths this row reads."""
        if self.reads:
            yield self.vendor

    def write_paths(self) -> Iterator[str]:
        """The vendor paths this row writes."""
        if self.writes:
            yield self.vendor

    def made_sparse(self) -> Row:
        """The same row for a vendor that leaves every empty field out."""
        return replace(self, sparse=True)

    def renamed(self, names: Mapping[str, str]) -> Row:
        """The same row with vendor names from `names`, looked up by the row's name."""
        return replace(self, vendor=names[self.name]) if self.name in names else self

    def override_names(self) -> Iterator[str]:
        """What `renamed` understands."""
        yield self.name

    def mistakes(self) -> Iterator[str]:
        """What is wrong with the row as written."""
        if not self.field:
            yield f"a {self.type} row for {self.vendor!r} has no canonical field"
        if not self.vendor or any(not part for part in self.vendor.split(".")):
            yield f"{self.field}: {self.vendor!r} is not a dotted path"

    def detail(self) -> str:
        """What the data dictionary adds about the values: length, choices, unit."""
        return ""

    def _look_up(self, record: Mapping[str, Any], sink: Sink) -> Any:
        """The value, None for null and for empty text; a vanished field is a problem, a required empty one too."""
        value = dig(record, self.vendor)
        if value is MISSING and not self.sparse:
            sink.object_to(self, "is not in the record; was it renamed or removed?")
            return None
        if value is MISSING or value is None or value == "":
            return self._empty(sink)
        return value

    def _vanished(self, record: Mapping[str, Any]) -> bool:
        return not self.sparse and dig(record, self.vendor) is MISSING

    def _empty(self, sink: Sink) -> None:
        if self.required:
            sink.object_to(self, "is missing")

    def _clear(self, sink: Sink, *, given: bool) -> None:
        """Nothing to write: an explicit null, or a row that clears, writes the vendor's null."""
        if given or self.clears:
            plant(sink.values, self.vendor, sink.null)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar(Row):
    """A row of one value, converted by `decode` and `encode`, which raise Unfit. `default` stands for an empty one."""

    default: Any = None

    def decode(self, value: Any) -> Any:
        raise NotImplementedError

    def encode(self, value: Any) -> Any:
        raise NotImplementedError

    def read(self, record: Mapping[str, Any], sink: Sink) -> None:
        value = self._look_up(record, sink)
        if value is None:
            if self.default is not None and not self._vanished(record):
                sink.values[self.field] = self.default
            return
        try:
            sink.values[self.field] = self.decode(value)
        except Unfit as error:
            sink.object_to(self, str(error))

    def write(self, body: Mapping[str, Any], vendor_ids: Mapping[str, str], sink: Sink) -> None:  # noqa: ARG002
        value = body.get(self.field)
        if value is None or value == "":
            self._empty(sink)
            self._clear(sink, given=self.field in body)
            return
        try:
            plant(sink.values, self.vendor, self.encode(value))
        except Unfit as error:
            sink.object_to(self, str(error))


def dig(record: Any, path: str) -> Any:
    """The value at a dotted path; None below a null, MISSING where a key is not there. "" is the record itself."""
    for part in path.split(".") if path else ():
        if record is None:
            return None
        record = record.get(part, MISSING) if isinstance(record, Mapping) else MISSING
        if record is MISSING:
            return MISSING
    return record


def plant(values: Plain, path: str, value: Any) -> None:
    """Put a value at a dotted path, making the objects on the way."""
    *way, last = path.split(".")
    for part in way:
        values = values.setdefault(part, {})
    values[last] = value


def shown(value: Any) -> str:
    """A value in a problem: short, and never a whole document."""
    text = str(value) if isinstance(value, int | str) or not isinstance(value, dict | list) else type(value).__name__
    return repr(text if len(text) <= 40 else f"{text[:39]}…") if isinstance(value, str) else text[:40]
