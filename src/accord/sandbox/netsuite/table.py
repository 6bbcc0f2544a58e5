"""All records of one type, found by internal id, external id or an indexed field without scanning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.schema import RecordType


class Table:
    """Rows carry `id`, `externalId`, the values of the record's fields, and a list of lines for each sublist."""

    def __init__(self, kind: RecordType) -> None:
        self.kind = kind
        self._rows: dict[str, Row] = {}
        self._external: dict[str, str] = {}
        self._indexes: dict[str, dict[Any, dict[str, None]]] = {name: {} for name in kind.indexes}
        self.changed: set[str] = set()  # ids SuiteQL's mirror has not seen yet

    def __len__(self) -> int:
        return len(self._rows)

    def all(self) -> Iterable[Row]:
        return self._rows.values()

    def ids(self) -> list[str]:
        return list(self._rows)

    def get(self, internal_id: str) -> Row | None:
        return self._rows.get(internal_id)

    def by_external_id(self, external_id: str) -> Row | None:
        internal_id = self._external.get(external_id)
        return None if internal_id is None else self._rows[internal_id]

    def by(self, name: str, value: Any) -> list[Row]:
        """The rows whose indexed field has this value, oldest first."""
        return [self._rows[each] for each in self._indexes[name].get(value, ())]

    def put(self, row: Row) -> None:
        """Keep this row in place of the one with the same id, if there is one."""
        internal_id = row["id"]
        self._forget(internal_id)
        self._rows[internal_id] = row
        if row.get("externalId"):
            self._external[row["externalId"]] = internal_id
        for name, index in self._indexes.items():
            if row.get(name) is not None:
                index.setdefault(row[name], {})[internal_id] = None
        self.changed.add(internal_id)

    def remove(self, internal_id: str) -> None:
        self._forget(internal_id)
        del self._rows[internal_id]
        self.changed.add(internal_id)

    def _forget(self, internal_id: str) -> None:
        old = self._rows.get(internal_id)
        if old is None:
            return
        if old.get("externalId"):
            self._external.pop(old["externalId"], None)
        for name, index in self._indexes.items():
            if old.get(name) is not None:
                index[old[name]].pop(internal_id, None)
