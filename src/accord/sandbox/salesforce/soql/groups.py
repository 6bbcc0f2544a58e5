"""GROUP BY and the aggregate functions: one AggregateResult for each group of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from accord.sandbox.salesforce.refusals import malformed
from accord.sandbox.salesforce.schema import Row, SObject
from accord.sandbox.salesforce.soql.filter import Getter, resolve, sort_key
from accord.sandbox.salesforce.soql.tree import Aggregate, FieldItem, Query

if TYPE_CHECKING:
    from accord.sandbox.salesforce.org import Org

_FUNCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "COUNT": len,
    "COUNT_DISTINCT": lambda values: len(set(values)),
    "SUM": lambda values: sum(values, Decimal(0)) if values else None,
    "MIN": lambda values: min(values, default=None),
    "MAX": lambda values: max(values, default=None),
    "AVG": lambda values: sum(values, Decimal(0)) / len(values) if values else None,
}


class Groups:
    """The grouped part of a statement. Unnamed aggregates are called expr0, expr1, ..."""

    def __init__(self, org: Org, sobject: SObject, query: Query) -> None:
        self._query = query
        self._keys = [resolve(org, sobject, path) for path in query.group_by]
        self._columns: list[tuple[str, Callable[[Sequence[Row]], Any]]] = []
        unnamed = 0
        for item in query.select:
            if isinstance(item, Aggregate) and item.path:
                name = item.alias or f"expr{unnamed}"
                unnamed += item.alias is None
                get, field = resolve(org, sobject, item.path)
                self._columns.append((name, _reduced(get, item.function, whole=field.type == "int")))
            elif isinstance(item, FieldItem) and item.path in query.group_by:
                get, field = resolve(org, sobject, item.path)
                self._columns.append((item.alias or field.name, _first(get)))
            elif not query.counts_only:
                raise malformed("Field must be grouped or aggregated")

    def records(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """One record for each group, ordered by the grouped values."""
        found: dict[tuple[Any, ...], list[Row]] = {} if self._keys else {(): []}
        for row in rows:
            key = tuple(field.key(get(row)) for get, field in self._keys)
            found.setdefault(key, []).append(row)
        ordered = sorted(found, key=lambda key: [sort_key(value, nulls_last=False) for value in key])
        records = [
            {"attributes": {"type": "AggregateResult"}, **{name: of(found[key]) for name, of in self._columns}}
            for key in ordered
        ]
        end = None if self._query.limit is None else self._query.offset + self._query.limit
        return records[self._query.offset : end]


def _reduced(get: Getter, function: str, *, whole: bool) -> Callable[[Sequence[Row]], Any]:
    def of(rows: Sequence[Row]) -> Any:
        result = _FUNCTIONS[function]([value for row in rows if (value := get(row)) is not None])
        return int(result) if whole and function == "SUM" and result is not None else result

    return of


def _first(get: Getter) -> Callable[[Sequence[Row]], Any]:
    return lambda rows: get(rows[0])
