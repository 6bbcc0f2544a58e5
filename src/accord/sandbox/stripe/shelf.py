"""Objects of one kind in the order they were made, found by id, by indexed field, or page by page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Json = dict[str, Any]


class Shelf:
    """All objects of one kind. Keyed reads and pages of an indexed field do not scan."""

    def __init__(self, label: str, indexes: Sequence[str] = ()) -> None:
        self.label = label
        self._rows: dict[str, Json] = {}
        self._place: dict[str, int] = {}
        self._at: dict[int, Json] = {}
        self._order: list[int] = []
        self._next = 0
        self._indexes: dict[str, dict[Any, list[int]]] = {field: {} for field in indexes}

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, object_id: str) -> Json | None:
        return self._rows.get(object_id)

    def all(self) -> Iterable[Json]:
        return self._rows.values()

    def add(self, row: Json) -> Json:
        place = self._next
        self._next += 1
        self._rows[row["id"]] = row
        self._place[row["id"]] = place
        self._at[place] = row
        self._order.append(place)
        for field, buckets in self._indexes.items():
            value = row.get(field)
            if value is not None:
                buckets.setdefault(value, []).append(place)
        return row

    def change(self, row: Json, changes: Json) -> Json:
        """Apply the changes; answers the previous values of what really changed."""
        before = {key: row.get(key) for key, value in changes.items() if row.get(key) != value}
        for field in before.keys() & self._indexes.keys():
            self._move(field, row, before[field], changes[field])
        row.update(changes)
        return before

    def remove(self, object_id: str) -> Json:
        row = self._rows.pop(object_id)
        place = self._place.pop(object_id)
        del self._at[place]
        del self._order[bisect_left(self._order, place)]
        for field in self._indexes:
            self._drop(field, row.get(field), place)
        return row

    def by(self, field: str, value: Any) -> list[Json]:
        """The objects whose indexed field has this value, oldest first."""
        return [self._at[place] for place in self._indexes[field].get(value, ())]

    def page(
        self,
        *,
        limit: int,
        after: str | None = None,
        before: str | None = None,
        where: Callable[[Json], bool] | None = None,
        index: tuple[str, Any] | None = None,
    ) -> tuple[list[Json], bool]:
        """Up to `limit` objects, newest first, and whether there are more in the direction of paging.

        `after` continues behind that id; `before` gives the page just ahead of it.
        """
        order = self._order if index is None else self._indexes[index[0]].get(index[1], [])
        if before is not None:
            rows = self._walk(order[bisect_right(order, self._place[before]) :], limit, where)
            return rows[:limit][::-1], len(rows) > limit
        end = len(order) if after is None else bisect_left(order, self._place[after])
        rows = self._walk((order[at] for at in range(end - 1, -1, -1)), limit, where)
        return rows[:limit], len(rows) > limit

    def _walk(self, places: Iterable[int], limit: int, where: Callable[[Json], bool] | None) -> list[Json]:
        found: list[Json] = []
        for place in places:
            row = self._at[place]
            if where is None or where(row):
                found.append(row)
                if len(found) > limit:
                    break
        return found

    def _move(self, field: str, row: Json, old: Any, new: Any) -> None:
        place = self._place[row["id"]]
        self._drop(field, old, place)
        if new is not None:
            insort(self._indexes[field].setdefault(new, []), place)

    def _drop(self, field: str, value: Any, place: int) -> None:
        bucket = self._indexes[field].get(value)
        if bucket is not None:
            at = bisect_left(bucket, place)
            if at < len(bucket) and bucket[at] == place:
                del bucket[at]
