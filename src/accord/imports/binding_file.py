"""Reads which engagement each project of a time system is: a CSV with project, engagement, legal_entity, valid_from."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from accord.errors import UsageError
from accord.ledger.bindings import Binding, ProjectRow

NEEDED = ("project", "engagement", "legal_entity")


class BindingsUnreadable(UsageError):
    """A file of bindings is no CSV with the columns project, engagement, legal_entity and, if wanted, valid_from."""

    title = "Bindings unreadable"


def read_bindings(path: Path) -> list[ProjectRow]:
    """The rows of the file; `valid_from` is YYYY-MM-DD, or empty for ever. Raises BindingsUnreadable with the line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if missing := [name for name in NEEDED if name not in columns]:
            raise BindingsUnreadable(f"{path.name} has no column {', '.join(missing)}; it has {', '.join(columns)}")
        rows = [_row(path, reader.line_num, row) for row in reader]
    told = [(row.project, row.valid_from) for row in rows]
    if twice := sorted({each for each in told if told.count(each) > 1}):
        raise BindingsUnreadable(f"{path.name} binds {twice[0][0]} twice from the same day on")
    return rows


def _row(path: Path, line: int, row: dict[str, str | None]) -> ProjectRow:
    project, engagement, entity = ((row[name] or "").strip() for name in NEEDED)
    if not (project and engagement and entity):
        raise BindingsUnreadable(f"{path.name} line {line} lacks project, engagement or legal entity")
    since = (row.get("valid_from") or "").strip()
    try:
        valid_from = date.fromisoformat(since) if since else date.min
    except ValueError:
        raise BindingsUnreadable(f"{path.name} line {line}: {since!r} is no day written YYYY-MM-DD") from None
    return ProjectRow(project, Binding(engagement, entity), valid_from)
