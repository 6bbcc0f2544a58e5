"""Which row of a rate card applies: the most specific one, person before role before task, valid on the day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date

from accord.model.problem import Problem
from accord.model.terms import RateRow

# Worker, role, task: which of them a row names, the most specific first.
_SPECIFIC = tuple((w, r, t) for w in (True, False) for r in (True, False) for t in (True, False))


class RateTable:
    """A rate card, indexed once; looked up for each entry."""

    def __init__(self, rows: Sequence[RateRow]) -> None:
        self._rows: dict[tuple[str | None, str | None, str | None], list[RateRow]] = {}
        for row in sorted(rows, key=lambda each: each.valid_from, reverse=True):
            self._rows.setdefault((row.worker, row.role, row.task), []).append(row)
        # What no row names makes no difference, so it does not divide what is remembered.
        self._named = tuple(any(getattr(row, name) is not None for row in rows) for name in ("worker", "role", "task"))
        # Between two of these days no row begins or ends, so all days between them have one answer.
        self._changes = sorted({day for row in rows for day in (row.valid_from, row.valid_to) if day is not None})
        self._found: dict[tuple[str | None, str | None, str | None, int], RateRow] = {}

    def find(self, worker: str | None, role: str | None, task: str | None, on: date) -> RateRow | Problem:
        """The row for work of that kind on that day, or why there is none."""
        by_worker, by_role, by_task = self._named
        period = bisect_right(self._changes, on)
        key = (worker if by_worker else None, role if by_role else None, task if by_task else None, period)
        known = self._found.get(key)
        if known is not None:
            return known
        found = self._look(worker, role, task, on)
        if not isinstance(found, Problem):  # a problem names its day and whose work it is
            self._found[key] = found
        return found

    def _look(self, worker: str | None, role: str | None, task: str | None, on: date) -> RateRow | Problem:
        for by_worker, by_role, by_task in _SPECIFIC:
            key = (worker if by_worker else None, role if by_role else None, task if by_task else None)
            fits = [
                row
                for row in self._rows.get(key, ())
                if row.valid_from <= on and (row.valid_to is None or on < row.valid_to)
            ]
            if len(fits) > 1 and fits[0].valid_from == fits[1].valid_from:
                message = f"The rate rows {fits[0].id} and {fits[1].id} both fit {worker or role or task} on {on}."
                return Problem("rate_ambiguous", message, "rates", "Give one of them another first day, or end it.")
            if fits:
                return fits[0]
        who = ", ".join(each for each in (worker, role, task) if each) or "anybody"
        message = f"No rate row fits {who} on {on}."
        return Problem("rate_missing", message, "rates", "Add a row to the rate card and declare the terms anew.")
