"""Rows as one array parameter a column: one plan for any number of rows, and a third of what reading them as JSON
costs.

PostgreSQL reads an array of text written as `{"a","b",null}`, which is a JSON list in other brackets. Only control
characters differ; a value that has any is written out by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS


class Columns:
    """Names and types of the columns of a set of rows; `source` is the set as SQL, under the name `x`.

    Types are PostgreSQL's. A `jsonb` value is any plain value (None is SQL null); `text[]` a list of text.
    """

    def __init__(self, **types: str) -> None:
        self._types = types
        self._values = itemgetter(*types)
        arrays = ", ".join(f"%({name})s::{'text' if kind == 'text[]' else kind}[]" for name, kind in types.items())
        self.source = f"unnest({arrays}) AS x ({', '.join(types)})"

    def of(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """The parameters that carry these rows. Raises TypeError for a value that has no plain form."""
        columns = list(zip(*map(self._values, rows), strict=True)) or [()] * len(self._types)
        return {name: _array(kind, values) for (name, kind), values in zip(self._types.items(), columns, strict=True)}


def _array(kind: str, values: Sequence[Any]) -> str:
    if kind == "jsonb":
        # JSON within JSON: its control characters are escaped twice, which is what PostgreSQL wants.
        values = [None if value is None else _json(value) for value in values]
        return "{" + orjson.dumps(values).decode()[1:-1] + "}"
    if kind == "text[]":
        values = [None if value is None else _array("text", value) for value in values]
    elif kind == "numeric":
        values = [None if value is None else str(value) for value in values]
    dumped = orjson.dumps(values).decode()
    if "\\" in dumped:
        dumped = "[" + ",".join("null" if value is None else _quoted(value) for value in values) + "]"
    return "{" + dumped[1:-1] + "}"


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str, option=_OPTIONS).decode()


def _quoted(value: Any) -> str:
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
