"""One NetSuite account: its records, its clock and time zone, and who wants to know of changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from zoneinfo import ZoneInfo

from accord.sandbox.kit.simulator import Clock
from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.refusals import not_there
from accord.sandbox.netsuite.schema import TYPES, RecordType
from accord.sandbox.netsuite.table import Table

# told after every change: record type, what happened (create | edit | delete), the row before, the row after
Listener = Callable[[RecordType, str, Row | None, Row | None], None]


class Account:
    """The state of one account. `clock` dates everything; dates without a time are those of the account's zone."""

    def __init__(self, *, account_id: str, clock: Clock, random: Random, time_zone: str) -> None:
        self.id = account_id
        self.clock = clock
        self.random = random
        self.zone = ZoneInfo(time_zone)
        self.tables = {name: Table(kind) for name, kind in TYPES.items()}
        self.names: dict[str, dict[str, str]] = {}  # family -> lower-case unique name -> id
        self.applications: dict[str, dict[str, Decimal]] = {}  # invoice id -> paying transaction id -> amount
        self.covered: dict[str, set[str]] = {}  # paying transaction id -> invoice ids
        self.refunds: dict[str, dict[str, Decimal]] = {}  # payment or credit memo id -> refund id -> amount
        self.deleted: list[Row] = []
        self.listeners: list[Listener] = []
        self._next: dict[str, int] = {"entity": 1000 + random.randrange(500), "transaction": 5000, "item": 100}

    def now(self) -> datetime:
        """Aware UTC, in whole seconds: the account keeps no fractions (vendors.md 2.3)."""
        return self.clock.now().astimezone(UTC).replace(microsecond=0)

    def today(self) -> date:
        return self.now().astimezone(self.zone).date()

    def new_id(self, kind: RecordType) -> str:
        family = kind.family or kind.name
        self._next[family] = self._next.get(family, 0) + 1
        return str(self._next[family])

    def table(self, name: str) -> Table:
        return self.tables[name]

    def find(self, name: str, address: str) -> Row:
        """The row by internal id or `eid:` external id. Raises Refused: 404 NONEXISTENT_ID."""
        table = self.tables[name]
        row = table.by_external_id(address[4:]) if address.startswith("eid:") else table.get(address)
        if row is None:
            raise not_there(f"/services/rest/record/v1/{name}/{address}")
        return row

    def named(self, name: str, internal_id: str) -> str:
        """The refName of a record, of that type (or of one of several, as `job|customer`) or of another one that shares
        its ids."""
        family = TYPES[name.partition("|")[0]].family
        kind, row = self.pointed_to(name, internal_id)
        if row is None and family:
            kind, row = self.pointed_to("|".join(n for n, t in TYPES.items() if t.family == family), internal_id)
        return "" if row is None else str(row.get(TYPES[kind].title) or row.get("companyName") or internal_id)

    def pointed_to(self, names: str, internal_id: str) -> tuple[str, Row | None]:
        """Type and row of a record that a reference to one of several types points to."""
        found = ((name, self.tables[name].get(internal_id)) for name in names.split("|"))
        return next((each for each in found if each[1] is not None), (names.partition("|")[0], None))

    def keep(self, kind: RecordType, before: Row | None, row: Row) -> None:
        """Store a checked row, date it, and tell the listeners."""
        row["lastModifiedDate"] = self.now()
        row.setdefault("createdDate", row["lastModifiedDate"])
        self._name(kind, before, row)
        self.tables[kind.name].put(row)
        self._tell(kind, "create" if before is None else "edit", before, row)

    def drop(self, kind: RecordType, row: Row) -> None:
        self._name(kind, row, None)
        self.tables[kind.name].remove(row["id"])
        self.deleted.append({"id": row["id"], "kind": kind, "name": row.get(kind.title), "at": self.now()})
        self._tell(kind, "delete", row, None)

    def forget(self, kind: RecordType) -> int:
        """Drop all records of a type as if they had never been, and give their ids again; how many there were."""
        table = self.tables[kind.name]
        ids = table.ids()
        for each in ids:
            self._name(kind, table.get(each), None)
            table.remove(each)
        if ids:
            self._next[kind.family or kind.name] = min(map(int, ids)) - 1
        return len(ids)

    def name_taken(self, kind: RecordType, name: str, by_others_than: str) -> bool:
        holder = self.names.get(kind.family, {}).get(name.lower())
        return holder is not None and holder != by_others_than

    def rounded(self, amount: Decimal, currency: str | None) -> Decimal:
        """NetSuite rounds an amount to its currency's precision without a word."""
        row = self.tables["currency"].get(currency or "")
        places = 2 if row is None else int(row["currencyPrecision"])
        return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)

    def period_of(self, on: str) -> Row | None:
        """The accounting period of a day (ISO text)."""
        found = self.tables["accountingPeriod"].by("startDate", f"{on[:7]}-01")
        return found[0] if found else None

    def paid(self, invoice_id: str) -> Decimal:
        return sum(self.applications.get(invoice_id, {}).values(), Decimal(0))

    def refunded(self, source_id: str, but_by: str = "") -> Decimal:
        """What has gone back of a payment or credit memo."""
        given = self.refunds.get(source_id, {})
        return sum((amount for refund, amount in given.items() if refund != but_by), Decimal(0))

    def _name(self, kind: RecordType, before: Row | None, after: Row | None) -> None:
        if not kind.unique:
            return
        names = self.names.setdefault(kind.family, {})
        if before is not None and before.get(kind.unique):
            names.pop(before[kind.unique].lower(), None)
        if after is not None and after.get(kind.unique):
            names[after[kind.unique].lower()] = after["id"]

    def _tell(self, kind: RecordType, what: str, before: Row | None, after: Row | None) -> None:
        for listener in self.listeners:
            listener(kind, what, before, after)
