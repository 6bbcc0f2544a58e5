"""What SuiteQL reads: a SQLite copy of the records, brought up to date just before a query with what changed since."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.fields import COLUMN_TYPES, Field, Row, clock_hours, stored_number
from accord.sandbox.netsuite.oracle import account_day, functions
from accord.sandbox.netsuite.schema import POSTING, TYPES, RecordType

# SQLite calls these for a column selected as it is, never for an expression: TO_CHAR(d) stays what it made
sqlite3.register_converter("NSDATE", account_day)
sqlite3.register_converter("NSTIMESTAMP", account_day)

_LINE_COLUMNS = (
    '"transaction" INTEGER, id INTEGER, linesequencenumber INTEGER, mainline TEXT, subsidiary INTEGER, item INTEGER, '
    "memo TEXT, foreignamount NUMERIC, taxamount NUMERIC, entity INTEGER"
)
_STATUS_CODES = {"open": "A", "paidInFull": "B", "deposited": "C", "fullyApplied": "B", "unapplied": "A"}
_STRIDE = 1_000_000
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


class Mirror:
    """One connection; `refresh` writes, then only reading is allowed until the next one."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._renamed: dict[tuple[str, str], str] = {}
        self._deleted = 0
        self.hours_by_the_clock = False  # Oracle does not say whether SuiteQL tells 7.5 or 7:30
        self.connection = sqlite3.connect(":memory:", detect_types=sqlite3.PARSE_DECLTYPES, check_same_thread=False)
        self.connection.isolation_level = None
        self.connection.execute("PRAGMA case_sensitive_like = ON")
        for name, arguments, function in functions():
            self.connection.create_function(name, arguments, function, deterministic=True)
        self.connection.create_function("SYSDATE", 0, self._now)
        self.connection.create_function("BUILTIN_DF", 2, self._display)
        self._columns = {name: _columns(kind) for name, kind in TYPES.items()}
        self._targets = {
            f"{kind.table}.{column}": each.target
            for kind in TYPES.values()
            for column, _, each in _named(kind)
            if each.kind == "ref"
        }
        self._create()

    def refresh(self) -> None:
        """Take over what changed since the last query."""
        self.connection.set_progress_handler(None, 0)
        self.connection.set_authorizer(None)
        self.connection.execute("BEGIN")
        for table in self._account.tables.values():
            if table.changed:
                self._take_over(table.kind, table.changed)
                table.changed = set()
        fresh = self._account.deleted[self._deleted :]
        self._deleted = len(self._account.deleted)
        rows = [(each["id"], each["kind"].label, each["name"], self.local(each["at"])) for each in fresh]
        self.connection.executemany("INSERT INTO deletedrecord VALUES (?, ?, ?, ?)", rows)
        self.connection.execute("COMMIT")
        self.connection.set_authorizer(_only_reading)

    def allow_steps(self, steps: int) -> None:
        """Give the next query so many steps of SQLite's machine; one that takes more is interrupted."""
        calls = iter(range(steps // _STRIDE))
        self.connection.set_progress_handler(lambda: 0 if next(calls, None) is not None else 1, _STRIDE)

    def rename(self, kind: RecordType, name: str, to: str) -> None:
        """Schema drift: the column is called otherwise from now on."""
        column = kind.fields[name].column or name.lower()
        self.connection.set_authorizer(None)
        self.connection.execute(f'ALTER TABLE "{kind.table}" RENAME COLUMN "{column}" TO "{to.lower()}"')
        for other in TYPES.values():
            if other.table == kind.table:
                held = self._columns[other.name]
                self._columns[other.name] = [(to.lower() if each == column else each, field) for each, field in held]

    def local(self, at: datetime) -> str:
        """A moment in the account's time zone, to the second, without saying which zone (vendors.md 2.3)."""
        return at.astimezone(self._account.zone).strftime("%Y-%m-%d %H:%M:%S")

    def _create(self) -> None:
        tables: dict[str, dict[str, str]] = {}
        for kind in TYPES.values():
            columns = tables.setdefault(kind.table, {"id": "INTEGER PRIMARY KEY", "externalid": "TEXT"})
            columns |= {column: COLUMN_TYPES[each.kind] for column, _, each in _named(kind)}
            columns |= {"createddate": "NSTIMESTAMP", "lastmodifieddate": "NSTIMESTAMP"}
        tables["transaction"] |= {"type": "TEXT", "recordtype": "TEXT", "posting": "TEXT"}
        for table, columns in tables.items():
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            self.connection.execute(f'CREATE TABLE "{table}" ({listed})')
            for name in ("externalid", "lastmodifieddate"):
                self.connection.execute(f'CREATE INDEX "{table}_{name}" ON "{table}" ("{name}")')
        self.connection.execute(f"CREATE TABLE transactionline ({_LINE_COLUMNS})")
        self.connection.execute('CREATE INDEX transactionline_of ON transactionline ("transaction")')
        self.connection.execute(
            "CREATE TABLE deletedrecord (recordid INTEGER, recordtypeid TEXT, name TEXT, deleteddate NSTIMESTAMP)"
        )

    def _take_over(self, kind: RecordType, changed: Iterable[str]) -> None:
        table = self._account.table(kind.name)
        rows = [(each, table.get(each)) for each in changed]
        gone = [(int(each),) for each, row in rows if row is None]
        self.connection.executemany(f'DELETE FROM "{kind.table}" WHERE id = ?', gone)
        names = self._columns[kind.name]
        columns = ", ".join(f'"{column}"' for column, _ in names)
        marks = ", ".join("?" * len(names))
        kept = [self._values(kind, row) for _, row in rows if row is not None]
        self.connection.executemany(
            f'INSERT OR REPLACE INTO "{kind.table}" ({columns}) VALUES ({marks})',
            kept,
        )
        if kind.name in POSTING:
            self._take_over_lines(kind, rows)

    def _values(self, kind: RecordType, row: Row) -> list[Any]:
        given = {**row, "type": kind.code, "recordtype": kind.name.lower(), "posting": True}
        return [self._value(kind, name, given.get(name)) for _, name in self._columns[kind.name]]

    def _value(self, kind: RecordType, name: str, value: Any) -> Any:
        if isinstance(value, bool):
            return "T" if value else "F"
        if isinstance(value, Decimal):
            clock = self.hours_by_the_clock and name in kind.fields and kind.fields[name].kind == "duration"
            return clock_hours(value) if clock else stored_number(value)
        if isinstance(value, datetime):
            return self.local(value)
        if name in kind.fields and kind.fields[name].kind == "instant" and value is not None:
            return self.local(datetime.fromisoformat(value))
        if name == "status" and kind.name in POSTING:
            return _STATUS_CODES.get(value, value)
        return value

    def _take_over_lines(self, kind: RecordType, rows: Iterable[tuple[str, Row | None]]) -> None:
        """Lines live apart, and so does the subsidiary of a transaction: the main line has it."""
        party = "customer" if "customer" in kind.fields else "entity"
        lines: list[tuple[Any, ...]] = []
        for internal_id, row in rows:
            self.connection.execute('DELETE FROM transactionline WHERE "transaction" = ?', (internal_id,))
            if row is None:
                continue
            total = row.get("total") or Decimal(0)
            shared = (row["subsidiary"], row[party])
            lines.append(_line(internal_id, 0, "T", shared, None, row.get("memo"), total, Decimal(0)))
            lines += [
                _line(
                    internal_id,
                    each["line"],
                    "F",
                    shared,
                    each["item"],
                    each.get("description"),
                    -each["amount"],
                    each["taxAmount"],
                )
                for each in row.get("item") or []
            ]
        self.connection.executemany("INSERT INTO transactionline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", lines)

    def _now(self) -> str:
        return self.local(self._account.now())

    def _display(self, column: str, value: Any) -> str | None:
        if value is None:
            return None
        target = self._targets.get(column)
        return self._account.named(target, str(value)) if target else str(value)


def _line(
    transaction: str, number: int, main: str, shared: tuple[str, str], item: str | None, memo: str | None,
    amount: Decimal, tax: Decimal,
) -> tuple[Any, ...]:  # fmt: skip
    subsidiary, entity = shared
    return (
        transaction,
        number,
        number,
        main,
        subsidiary,
        item,
        memo,
        stored_number(amount),
        stored_number(tax),
        entity,
    )


def _named(kind: RecordType) -> list[tuple[str, str, Field]]:
    """Column name, field name and field of everything SuiteQL can see; computed fields it cannot (vendors.md 2.3)."""
    return [
        (each.column or name.lower(), name, each)
        for name, each in kind.fields.items()
        if not each.computed and each.column != "-"
    ]


def _columns(kind: RecordType) -> list[tuple[str, str]]:
    columns = [("id", "id"), ("externalid", "externalId"), *((column, name) for column, name, _ in _named(kind))]
    columns += [("createddate", "createdDate"), ("lastmodifieddate", "lastModifiedDate")]
    return columns + ([(name, name) for name in ("type", "recordtype", "posting")] if kind.code else [])


def _only_reading(action: int, table: str | None, *_: Any) -> int:
    """What a query may do: read the account's tables, and nothing of SQLite's own."""
    allowed = action in _READING and not (action == sqlite3.SQLITE_READ and (table or "").startswith("sqlite_"))
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
