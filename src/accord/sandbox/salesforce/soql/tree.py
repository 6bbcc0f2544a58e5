"""What a SOQL statement says, as parsed; names are still as the client wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in a condition. `kind` is text | number | boolean | null | date | datetime | period (a date literal such
    as LAST_N_DAYS:3)."""

    kind: str
    value: str | Decimal | bool | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    path: Path
    operator: str  # = != < > <= >= LIKE
    value: Literal


@dataclass(frozen=True, slots=True)
class Among:
    """`IN` and `NOT IN`, over literals or the ids another query finds."""

    path: Path
    values: tuple[Literal, ...] | Query
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    inner: Condition


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]


Condition = Compare | Among | Not | All | AnyOf


@dataclass(frozen=True, slots=True)
class FieldItem:
    path: Path
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """COUNT, COUNT_DISTINCT, SUM, MIN, MAX, AVG; `path` is empty for COUNT()."""

    function: str
    path: Path
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """FIELDS(ALL | STANDARD | CUSTOM)."""

    which: str


@dataclass(frozen=True, slots=True)
class Order:
    path: Path
    descending: bool = False
    nulls_last: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """`source` is an object, or in a child list the relationship's name."""

    select: tuple[FieldItem | Aggregate | FieldGroup | Query, ...]
    source: str
    where: Condition | None = None
    group_by: tuple[Path, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0

    @property
    def counts_only(self) -> bool:
        """`SELECT COUNT() FROM ...`"""
        return len(self.select) == 1 and isinstance(self.select[0], Aggregate) and not self.select[0].path
