"""The org: its schema, its rows, its clock, and the journal that makes a request all-or-nothing where it must be."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from accord.sandbox.kit.simulator import Clock
from accord.sandbox.salesforce.ids import IdSequence
from accord.sandbox.salesforce.moments import stamp
from accord.sandbox.salesforce.refusals import Refused
from accord.sandbox.salesforce.schema import Row, Schema, SObject, standard_schema
from accord.sandbox.salesforce.table import Table


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, through which client (`Sforce-Call-Options: client=`), with which leave."""

    user_id: str
    client: str = ""
    allow_duplicates: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change of one record, as a change feed would tell it."""

    kind: str  # CREATE | UPDATE | DELETE | UNDELETE
    object: str
    id: str
    at: str
    user_id: str
    origin: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    change: Change
    table: Table
    row: Row
    before: Row | None  # None: the row did not exist


class Org:
    """Rows by object. Every write goes through `insert_row` and `change_row`, so that it can be undone and told."""

    def __init__(self, clock: Clock, random: Random, name: str) -> None:
        self.clock = clock
        self.random = random
        self.ids = IdSequence(random)
        self.schema: Schema = standard_schema()
        self.tables = {each.name: Table(each) for each in self.schema.objects.values()}
        self.changes: deque[Change] = deque(maxlen=200_000)
        self.listener: Callable[[Sequence[Change]], None] | None = None
        self._journal: list[_Entry] = []
        self._last_moment = ""
        self.id = self.ids.new("00D")
        self.name = name

    def moment(self) -> str:
        """Now by the business clock, never earlier than before."""
        self._last_moment = max(self._last_moment, stamp(self.clock.now()))
        return self._last_moment

    def table(self, name: str) -> Table:
        return self.tables[name]

    def find(self, row_id: str) -> tuple[SObject, Row] | None:
        """The row with this 18-character id, whatever its object."""
        sobject = self.schema.by_prefix.get(row_id[:3])
        row = self.tables[sobject.name].get(row_id) if sobject else None
        return (sobject, row) if sobject and row is not None else None

    def existing(self, sobject: SObject, row_id: str) -> Row:
        """A row to be changed. Raises Refused: NOT_FOUND, ENTITY_IS_DELETED."""
        row = self.tables[sobject.name].get(row_id)
        if row is None:
            raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)
        if row["IsDeleted"]:
            raise Refused("ENTITY_IS_DELETED", "entity is deleted", [], status=404)
        return row

    def insert_row(self, sobject: SObject, values: Row, writer: Writer) -> Row:
        now = self.moment()
        row: Row = {"Id": values.pop("Id", None) or self.ids.new(sobject.prefix), **values}
        row |= {
            "IsDeleted": False,
            "CreatedDate": now,
            "CreatedById": writer.user_id,
            "LastModifiedDate": now,
            "LastModifiedById": writer.user_id,
            "SystemModstamp": now,
        }
        table = self.tables[sobject.name]
        table.add(row)
        self._note("CREATE", table, row, None, writer, tuple(values))
        return row

    def change_row(self, sobject: SObject, row: Row, changes: Row, writer: Writer, kind: str = "UPDATE") -> None:
        """Apply changes; the moment and the user of the change are set here."""
        now = self.moment()
        stamped = {
            **changes,
            "LastModifiedDate": now,
            "LastModifiedById": writer.user_id,
            "SystemModstamp": now,
        }
        before = {name: row.get(name) for name in stamped}
        table = self.tables[sobject.name]
        table.change(row, stamped)
        self._note(kind, table, row, before, writer, tuple(changes))

    def mark(self) -> int:
        return len(self._journal)

    def rollback(self, mark: int) -> None:
        """Undo everything since the mark, newest first."""
        while len(self._journal) > mark:
            entry = self._journal.pop()
            if entry.before is None:
                entry.table.remove(entry.row["Id"])
            else:
                entry.table.change(entry.row, entry.before)

    def commit(self) -> None:
        """Make what was done final, and tell the listener the changes in order."""
        if not self._journal:
            return
        done = [entry.change for entry in self._journal]
        self._journal.clear()
        self.changes.extend(done)
        if self.listener is not None:
            self.listener(done)

    def rename_field(self, object_name: str, old: str, new: str) -> None:
        """The field and its values in every row. Raises ValueError."""
        self.schema.rename_field(object_name, old, new)
        table = self.tables[object_name]
        for row in table.rows.values():
            if old in row:
                row[new] = row.pop(old)
        table.reindex()

    def _note(
        self, kind: str, table: Table, row: Row, before: Row | None, writer: Writer, fields: tuple[str, ...]
    ) -> None:
        name, at = table.sobject.name, row["SystemModstamp"]
        change = Change(kind, name, row["Id"], at, writer.user_id, writer.client, fields)
        self._journal.append(_Entry(change, table, row, before))

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Every row by object, deleted ones too."""
        return {name: [dict(row) for row in table.rows.values()] for name, table in self.tables.items()}
