"""The rows of one object: found by id, by keyed field, or by when they last changed, without a scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from accord.sandbox.salesforce.schema import Row, SObject

_NONE: dict[str, Row] = {}


class Table:
    """`rows` holds deleted ones too. `recent` is the same rows in the order of their SystemModstamp, so that an
    incremental pull costs what it returns."""

    def __init__(self, sobject: SObject) -> None:
        self.sobject = sobject
        self.rows: dict[str, Row] = {}
        self._recent: dict[str, Row] = {}
        self._in_order = True
        self._latest = ""
        self._indexes: dict[str, dict[Any, dict[str, Row]]] = {}
        self.reindex()

    def live(self) -> Iterator[Row]:
        return (row for row in self.rows.values() if not row["IsDeleted"])

    def get(self, row_id: str) -> Row | None:
        return self.rows.get(row_id)

    def add(self, row: Row) -> None:
        row_id = row["Id"]
        self.rows[row_id] = row
        self._move_to_end(row)
        for name, index in self._indexes.items():
            value = row.get(name)
            if value is not None:
                index.setdefault(self._key(name, value), {})[row_id] = row

    def change(self, row: Row, changes: Row) -> None:
        for name in changes.keys() & self._indexes.keys():
            self._move(name, row, changes[name])
        row.update(changes)
        if "SystemModstamp" in changes:
            self._move_to_end(row)

    def remove(self, row_id: str) -> None:
        """Take a row out as if it had never been (a rollback), not a delete."""
        row = self.rows.pop(row_id)
        self._recent.pop(row_id, None)
        for name in self._indexes:
            self._move(name, row, None)

    def is_keyed(self, name: str) -> bool:
        return name in self._indexes

    def by(self, name: str, value: Any) -> Iterable[Row]:
        """Rows whose keyed field has this value, deleted ones too."""
        return self._indexes[name].get(self._key(name, value), _NONE).values()

    def since(self, moment: str) -> list[Row]:
        """Rows changed at or after a moment, oldest change first; equal moments by Id."""
        if not self._in_order:
            self._sort()
        found = []
        for row in reversed(self._recent.values()):
            if row["SystemModstamp"] < moment:
                break
            found.append(row)
        found.sort(key=lambda row: (row["SystemModstamp"], row["Id"]))
        return found

    def reindex(self) -> None:
        """Build every index again, after the schema changed."""
        keyed = (each for each in self.sobject.fields.values() if each.is_keyed)
        self._indexes = {each.name: {} for each in keyed}
        for row in self.rows.values():
            for name, index in self._indexes.items():
                if (value := row.get(name)) is not None:
                    index.setdefault(self._key(name, value), {})[row["Id"]] = row

    def _key(self, name: str, value: Any) -> Any:
        return self.sobject.fields[name].key(value)

    def _move(self, name: str, row: Row, new: Any) -> None:
        index, old = self._indexes[name], row.get(name)
        if old is not None:
            key = self._key(name, old)
            bucket = index.get(key, {})
            bucket.pop(row["Id"], None)
            if not bucket:
                index.pop(key, None)
        if new is not None:
            index.setdefault(self._key(name, new), {})[row["Id"]] = row

    def _move_to_end(self, row: Row) -> None:
        """The clock only goes forward, so the last change belongs at the end; a rollback breaks that for a while."""
        moment = row["SystemModstamp"]
        self._in_order = self._in_order and moment >= self._latest
        self._latest = max(self._latest, moment)
        self._recent.pop(row["Id"], None)
        self._recent[row["Id"]] = row

    def _sort(self) -> None:
        ordered = sorted(self._recent.values(), key=lambda row: row["SystemModstamp"])
        self._recent = {row["Id"]: row for row in ordered}
        self._latest = ordered[-1]["SystemModstamp"] if ordered else ""
        self._in_order = True
