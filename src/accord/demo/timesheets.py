"""Three months of time and expenses: the files that an old time system drops, and what a portal tells of expenses."""

from __future__ import annotations

import calendar
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from accord.app import House
from accord.connect.store import Connection, save_connection
from accord.db.pool import transaction
from accord.ledger import bindings, people, terms
from accord.ledger.bindings import Binding, ProjectRow
from accord.model.money import Money
from accord.model.people import Calendar, Person, Staffing
from accord.model.terms import BillingTerms, Cap, CapLevel, ExpenseRule, RateRow
from accord.reconcile.calendar import LateWork, declare_calendar
from accord.rules.periods import months as months_from

SOURCE = "legacy-time"
PORTAL = "expense-portal"
BIND_TIME = """
INSERT INTO binding (role, legal_entity, connection) VALUES ('time', '', %(connection)s)
ON CONFLICT (role, legal_entity, valid_from) DO UPDATE SET connection = excluded.connection
"""
HEADINGS = (
    "Beleg;Mitarbeiter;Rolle;Datum;Stunden;Projekt;Tätigkeit;Status;Fakturierbar;Bemerkung;Freigabe am;Freigabe durch"
)
CURRENCIES = {"US": "USD", "DE": "EUR", "JP": "JPY"}
# name, role, legal entity of the project
PEOPLE = (
    ("Anna Berg", "senior", "US"), ("Ben Ortiz", "consultant", "US"), ("Clara Müßig", "senior", "DE"),
    ("Dieter Groß", "consultant", "DE"), ("Emi Sato", "senior", "JP"), ("Fumio Abe", "consultant", "JP"),
)  # fmt: skip
RATES = {"US": ("187.50", "250.00"), "DE": ("140.00", "195.50"), "JP": ("18000", "24500")}
COSTS = {"US": ("95.00", "130.00"), "DE": ("72.00", "98.00"), "JP": ("9200", "12800")}
CAP_US = "90000.00"


@dataclass(frozen=True, slots=True)
class Month:
    """One month of work: its first and last day."""

    first: date
    last: date

    @property
    def name(self) -> str:
        return f"{self.first:%Y-%m}"


def months_before(today: date, count: int = 3) -> tuple[Month, ...]:
    """The months that are over, the oldest first."""
    found = []
    last = today.replace(day=1) - timedelta(days=1)
    for _ in range(count):
        found.append(Month(last.replace(day=1), last))
        last = last.replace(day=1) - timedelta(days=1)
    return tuple(reversed(found))


async def prepare(house: House) -> Path:
    """The folder of the drop, and the connection to it: before workers start, which look at connections once."""
    folder = house.settings.home.absolute() / "drop"
    folder.mkdir(parents=True, exist_ok=True)
    config = {"place": str(folder), "every_seconds": 1, "settle_seconds": 0.5}
    async with transaction(house.pool) as db:
        await save_connection(db, house.vault, Connection(SOURCE, "timefiles", config, {}))
        await db.execute(BIND_TIME, {"connection": SOURCE})
    return folder


async def agree(house_pool: Any, engagement: str, customer: str, number: str, months: Sequence[Month]) -> None:
    """Terms for each legal entity, which engagement the time system's projects are, who works where, and when the books
    of each legal entity close."""
    async with transaction(house_pool) as db:
        await people.declare(db, _staffing(months[-1].last.year), by="Paul Porter (PMO)")
        for entity in CURRENCIES:
            periods = months_from(months[0].first, len(months) + 3)
            await declare_calendar(db, entity, periods, LateWork.NEXT_PERIOD, by="Carla Controller")
        await terms.declare(db, _terms(engagement, customer), by="Carla Controller")
        rows = [ProjectRow(f"{number}-{entity}", Binding(engagement, entity)) for entity in CURRENCIES]
        for source in (SOURCE, PORTAL):
            await bindings.declare(db, source, rows, by="Paul Porter (PMO)")


def _staffing(year: int) -> Staffing:
    """Everyone works 35 hours a week, but for the holidays of the country; internal work is strategic."""
    return Staffing(
        people=tuple(
            Person(
                name, name, entity, Decimal(35), date(year - 1, 1, 1), manager="Paul Porter", role=role,
                calendar=entity, practice="Architecture" if role == "senior" else "Delivery",
                cost_per_hour=Money.of(COSTS[entity][role == "senior"], CURRENCIES[entity]),
            )
            for name, role, entity in PEOPLE
        ),
        calendars=tuple(Calendar(entity, entity, year - 1, year + 1) for entity in CURRENCIES),
        strategic_tasks=("Internal",),
    )  # fmt: skip


def _terms(engagement: str, customer: str) -> Iterator[BillingTerms]:
    for entity, currency in CURRENCIES.items():
        consultant, senior = (Money.of(each, currency) for each in RATES[entity])
        caps = (
            (Cap("PO 4711", CapLevel.PURCHASE_ORDER, Money.of(CAP_US, currency), clause="PO 4711"),)
            if entity == "US"
            else ()
        )
        yield BillingTerms(
            engagement_id=engagement,
            legal_entity=entity,
            version=1,
            currency=currency,
            customer_id=customer,
            rates=(
                RateRow("consultant", consultant, role="consultant", clause="Annex B 1"),
                RateRow("senior", senior, role="senior", clause="Annex B 2"),
            ),
            caps=caps,
            expenses=(
                ExpenseRule(
                    "travel", "travel", mark_up=Decimal(5), receipt_above=Money.of(50, currency), clause="SOW 6.2"
                ),
            ),
            non_billable_tasks=("Internal",),
            clause="SOW 4.1",
        )


def rows_of(month: Month, number: str) -> list[list[str]]:
    """A month's rows: each working day of each person; the last two days are not approved yet."""
    rows = []
    for person, (name, role, entity) in enumerate(PEOPLE):
        for day in range(1, month.last.day + 1):
            on = month.first.replace(day=day)
            if calendar.weekday(on.year, on.month, on.day) >= 5:
                continue
            hours = ("7,5", "8", "6,25", "4")[(day + person) % 4]
            task = "Internal" if (day + person) % 11 == 0 else ("Design", "Build")[day % 2]
            approved = day <= month.last.day - 2
            rows.append(
                [
                    f"{number}-{month.name}-{person}-{day:02}", name, role, f"{day}.{on.month}.{on:%y}", hours,
                    f"{number}-{entity}", task, "freigegeben" if approved else "erfasst", "ja", "",
                    f"{month.last:%d.%m.%Y}" if approved else "", "Dana Delivery" if approved else "",
                ]
            )  # fmt: skip
    return rows


def corrected(rows: list[list[str]]) -> list[list[str]]:
    """The same month told again: one entry longer, one not approved any more, one gone."""
    first, second, _, *rest = rows
    longer = [*first[:4], "9,75", *first[5:]]
    withdrawn = [*second[:7], "zurückgerufen", *second[8:10], "", ""]
    return [longer, withdrawn, *rest]


def drop(folder: Path, name: str, rows: list[list[str]], *, replaces: str | None = None) -> None:
    """Put a file into the drop as the old system does: windows-1252, with a manifest that gives its checksum."""
    content = "\r\n".join([HEADINGS, *(";".join(row) for row in rows), ""]).encode("windows-1252")
    told: dict[str, Any] = {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "rows": len(rows)}
    if replaces is not None:
        told["replaces"] = replaces
    (folder / name).write_bytes(content)
    (folder / f"{name}.manifest.json").write_text(json.dumps({"files": [told]}))


def expenses(month: Month, number: str) -> list[Mapping[str, Any]]:
    """What the portal tells: a journey in each country, and one in the US whose receipt is missing."""
    spent = {"US": "842.10", "DE": "396.27", "JP": "58340"}
    told: list[Mapping[str, Any]] = [
        {
            "key": f"{number}-{month.name}-{entity}", "kind": "expense", "status": "approved",
            "project": f"{number}-{entity}", "worked_on": month.first.replace(day=12).isoformat(),
            "worker": next(name for name, _, of in PEOPLE if of == entity), "category": "travel",
            "cost": amount, "currency": CURRENCIES[entity], "receipt": f"receipt-{entity}-{month.name}.pdf",
            "approver": "Dana Delivery", "approved_at": f"{month.last.isoformat()}T17:00:00Z",
        }
        for entity, amount in spent.items()
    ]  # fmt: skip
    return [*told, {**told[0], "key": f"{number}-{month.name}-taxi", "cost": "61.40", "receipt": None}]
