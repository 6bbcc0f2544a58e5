"""A small staff with a month of work: who told time, who did not, at what rates; for tests about people and projects.

Today is Wednesday, 2026-11-25; the last four whole weeks run from Monday, 2026-10-26, to Sunday, 2026-11-22.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from accord.db import open_pool
from accord.db.pool import Pool, transaction
from accord.ledger import people, terms
from accord.ledger.rating import rate_waiting
from accord.ledger.work import take
from accord.model.money import Money
from accord.model.people import Holiday, Person, Staffing, TimeOff
from accord.model.terms import BillingTerms, Cap, CapLevel, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from tests.conftest import TEMPLATE
from tests.seeding import seed

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
TODAY = NOW.date()
MONDAYS = [date(2026, 10, 26) + timedelta(weeks=nth) for nth in range(4)]
DEAL = "DEA-AAAAAAAAAAAAAAAA"
CUSTOMER = "CUS-AAAAAAAAAAAAAAAA"


def usd(amount: str) -> Money:
    return Money.of(amount, "USD")


def person(worker: str, **changes: Any) -> Person:
    base = Person(worker, worker.capitalize(), "US", Decimal(40), date(2026, 1, 1), manager="petra", practice="Data",
                  calendar="US", cost_per_hour=usd("80.00"))  # fmt: skip
    return replace(base, **changes)


STAFFING = Staffing(
    people=(
        person("anna"),
        person("ben", practice="Cloud", cost_per_hour=usd("90.00")),
        person("clara", legal_entity="DE", manager="paul", calendar="DE", practice="Cloud",
               cost_per_hour=Money.of("70.00", "EUR")),
        person("dora", manager=None, hours_per_week=Decimal(20)),
        person("petra", manager=None, role="manager", hours_per_week=Decimal(0), practice="Office"),
    ),
    # Two whole days of the second week; the holiday of the third is one of the US calendar alone.
    time_off=(TimeOff("anna", date(2026, 11, 2), date(2026, 11, 3)),),
    holidays=(Holiday("US", date(2026, 11, 11), "Veterans Day"),),
    strategic_tasks=("Proposals",),
)  # fmt: skip
TERMS = (
    BillingTerms(
        DEAL, "US", 1, "USD", CUSTOMER, non_billable_tasks=("Travel",), clause="SOW 4.1",
        rates=(RateRow("R", usd("200.00")), RateRow("R-ben", usd("250.00"), worker="ben")),
        caps=(Cap("PO", CapLevel.CONTRACT, usd("60000.00"), clause="PO 4711"),),
    ),
    BillingTerms(DEAL, "DE", 1, "EUR", CUSTOMER, rates=(RateRow("R-de", Money.of("180.00", "EUR")),)),
)  # fmt: skip


def entry(worker: str, day: date, hours: str = "8", **changes: Any) -> WorkEntry:
    key = f"{worker}-{day:%m%d}-{changes.get('task', '')}"
    base = WorkEntry(
        id=f"WRK-{key}", revision=1, kind=WorkKind.TIME, source="time", source_key=key, status=WorkStatus.APPROVED,
        worked_on=day, quantity=Decimal(hours), engagement_id=DEAL, legal_entity="US", worker=worker, approver="petra",
        approved_at=f"{day}T18:00:00+00:00",
    )  # fmt: skip
    return replace(base, **changes)


def month() -> Iterator[WorkEntry]:
    """Anna and Ben full weeks, but for what is missing; Clara for Germany; nothing of Dora."""
    for nth, monday in enumerate(MONDAYS):
        days = [monday + timedelta(nth) for nth in range(5)]
        for day in days:
            if day not in (date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 11)):
                # Anna: the last week is submitted, not approved; on its Friday she travelled for 3 of her hours.
                status = WorkStatus.SUBMITTED if nth == 3 else WorkStatus.APPROVED
                last = nth == 3 and day.weekday() == 4
                yield entry("anna", day, "5" if last else "8", status=status)
                if last:
                    yield entry("anna", day, "3", task="Travel", status=status)
        for day in days:
            # Ben told no more than the first two weeks, ten hours a day.
            if nth < 2:
                yield entry("ben", day, "10")
        for day in days:
            yield entry("clara", day, legal_entity="DE", billable=day.weekday() != 4,
                        task="Proposals" if day.weekday() == 4 else None)  # fmt: skip


async def staff(pool: Pool, staffing: Staffing = STAFFING, entries: Any = None) -> None:
    """Declare people and terms, take the month's work in and give it its price."""
    async with transaction(pool) as db:
        await people.declare(db, staffing, by="hana")
        await terms.declare(db, TERMS, by="fatima")
        await take(db, month() if entries is None else entries, (), source="time")
    await rate_waiting(pool, NOW)


@pytest.fixture(scope="module")
def firm_database(create_database: Callable[[str], tuple[str, str]], database_server: str) -> Iterator[str]:
    """The name of a database with the seeded firm and its staff: to look at, and to copy for what changes it."""
    name, url = create_database(TEMPLATE)

    async def write() -> None:
        pool = await open_pool(url, min_size=1, max_size=2)
        async with transaction(pool) as db:
            await seed(db, NOW)
            # As the router names it: one story a deal.
            await db.execute("UPDATE process SET one_per = subject WHERE name = 'quote_to_project'")
        await staff(pool)
        await pool.close()

    asyncio.run(write())
    yield name
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
async def firm(firm_database: str, database_server: str) -> AsyncIterator[Pool]:
    """The staffed firm, to be looked at and left as it is."""
    pool = await open_pool(make_conninfo(database_server, dbname=firm_database), min_size=1, max_size=4)
    yield pool
    await pool.close()


@pytest.fixture
async def own_firm(firm_database: str, create_database: Callable[[str], tuple[str, str]]) -> AsyncIterator[Pool]:
    """A copy of the staffed firm that a test may change."""
    name, url = create_database(firm_database)
    pool = await open_pool(url, min_size=1, max_size=4)
    yield pool
    await pool.close()
    with psycopg.connect(url.replace(name, "postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
