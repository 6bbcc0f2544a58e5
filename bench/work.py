"""Approved work of a firm of 2,000 people in 500 engagements, all ways of billing, three currencies: always the same.

What a record says is decided by a digest of its number, so that any stretch of it can be made alone.
"""

from __future__ import annotations

import asyncio
from base64 import b32encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from hashlib import blake2b

import psycopg

from accord.db.pool import open_pool, transaction
from accord.ledger.terms import declare
from accord.model.money import Money
from accord.model.terms import (
    BillingTerms,
    Cap,
    CapLevel,
    ExpenseRule,
    LinePer,
    RateRow,
    Retainer,
    UsageRate,
    UsageTier,
)

ENGAGEMENTS, PEOPLE, TEAM = 500, 2_000, 40
YEAR, HALF = date(2026, 1, 1), date(2026, 7, 1)
LAST_DAY = date(2026, 12, 31)
DAYS = tuple((YEAR + timedelta(n)).isoformat() for n in range(365))
ENTITIES = (("US", "USD"), ("DE", "EUR"), ("JP", "JPY"))
ROLES = ("partner", "manager", "senior", "consultant", "analyst")
TASKS = ("analysis", "design", "build", "test", "internal")
CATEGORIES = ("travel", "hotel", "meals", "other")
# An hour of each role, in each entity's currency; half a year later a twentieth more.
RATES = {
    "USD": (420, 310, 240, 190, 140),
    "EUR": (380, 280, 220, 170, 125),
    "JPY": (60_000, 45_000, 34_000, 27_000, 20_000),
}
MEAN_HOURS = 4

COPY = """
COPY work_entry (id, revision, kind, source, source_key, status, worked_on, quantity, unit, engagement, legal_entity,
    worker, worker_entity, role, task, category, cost, cost_currency, tax_included, receipt, billable, approver,
    submitted_at, approved_at, recorded_as) FROM STDIN
"""
QUEUE = """
INSERT INTO work_to_rate (entry_id, revision, engagement, legal_entity, worked_on)
SELECT id, revision, engagement, legal_entity, worked_on FROM work_entry WHERE engagement LIKE 'DEA-BENCH%'
"""


def fill(url: str, count: int) -> None:
    """Terms of all engagements, and `count` approved records of work that wait for their price."""
    asyncio.run(_declare(url, count))
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.cursor().copy(COPY) as copy:
            for block in blocks(0, count, count):
                copy.write(block)
        connection.execute(QUEUE)
        connection.execute("VACUUM (ANALYZE) work_entry, work_to_rate, billing_terms")


async def _declare(url: str, count: int) -> None:
    pool = await open_pool(url)
    async with transaction(pool) as db:
        await declare(db, [terms_of(n, count // ENGAGEMENTS) for n in range(ENGAGEMENTS)], by="bench")
    await pool.close()


def engagement_id(number: int) -> str:
    return f"DEA-BENCH{number:03}"


def terms_of(number: int, records: int) -> BillingTerms:
    """The terms of an engagement with about this many records a year: ten ways of billing by turns in each entity."""
    entity, currency = ENTITIES[number % 3]
    way = number // 3 % 10
    expected = records * MEAN_HOURS * RATES[currency][2]

    def money(amount: int) -> Money:
        return Money.of(amount, currency)

    def row(name: str, per_hour: int, **fits: str) -> tuple[RateRow, RateRow]:
        first = RateRow(f"{name} 1", money(per_hour), valid_from=YEAR, valid_to=HALF, clause="Annex B")
        later = RateRow(f"{name} 2", money(per_hour + per_hour // 20), valid_from=HALF, clause="Annex B")
        return replace(first, **fits), replace(later, **fits)  # type: ignore[arg-type]  # names of columns

    rates = [row(role, rate, role=role) for role, rate in zip(ROLES, RATES[currency], strict=True)]
    if way == 1:
        rates += [row(f"person {n}", RATES[currency][n % 5], worker=person(number, n)) for n in range(1, TEAM, 2)]
    if way == 2:
        for role in ROLES:
            rates += [row(f"{role} {task}", RATES[currency][1], role=role, task=task) for task in TASKS[:2]]
    caps: list[Cap] = []
    if way == 4:
        caps.append(Cap("design", CapLevel.LINE, money(expected // 6), "design"))
        caps.append(Cap("PO", CapLevel.PURCHASE_ORDER, money(expected * 9 // 10)))
    if way == 5:
        caps.append(Cap("contract", CapLevel.CONTRACT, money(expected * 9 // 10)))
    if way in (5, 6):
        caps.append(Cap("frame", CapLevel.CUSTOMER, money(expected * 17 // 10)))
    return BillingTerms(
        engagement_id=engagement_id(number),
        legal_entity=entity,
        version=0,
        currency=currency,
        customer_id=f"CUS-BENCH{number % 3}{number // 15:02}",
        rates=tuple(each for pair in rates for each in pair),
        caps=tuple(caps),
        retainer=Retainer("prepaid", money(expected // 20), YEAR, 12, rollover_months=2) if way == 7 else None,
        usage=_usage(money) if way == 8 else (),
        expenses=_expenses(money, RATES[currency][4]),
        non_billable_tasks=("internal",) if way in (0, 3) else (),
        discount=Decimal(5 if way == 3 else 0),
        minutes_step=15 if way == 3 else 0,
        lines_per=LinePer.ITEM if number % 50 == 49 else tuple(LinePer)[1 + number % 4],
        clause="SOW 4.1",
    )


def _usage(money: Callable[[int], Money]) -> tuple[UsageRate, ...]:
    def tiers(*steps: tuple[int, int]) -> tuple[UsageTier, ...]:
        return tuple(UsageTier(Decimal(above), money(price)) for above, price in steps)

    return (
        UsageRate("storage", "GB", tiers((0, 9), (500, 7), (5_000, 5))),
        UsageRate("calls", "call", tiers((0, 4), (1_000, 3)), graduated=False),
    )


def _expenses(money: Callable[[int], Money], small: int) -> tuple[ExpenseRule, ...]:
    return (
        ExpenseRule("travel", "travel", mark_up=Decimal(10), receipt_above=money(small // 2)),
        ExpenseRule("hotel", "hotel", limit=money(small * 2)),
        ExpenseRule("meals", "meals", billable=False),
        ExpenseRule("rest", principal=False),
    )


def person(engagement: int, place: int) -> str:
    """Who has a place in an engagement's team: people of its own entity."""
    return f"person-{(engagement % 3 + 3 * (engagement * 7 + place)) % (PEOPLE - PEOPLE % 3):04}"


def blocks(first: int, last: int, count: int, size: int = 5_000) -> Iterator[str]:
    """The rows numbered from `first` to before `last` of a firm of `count` records, as text for COPY."""
    for start in range(first, last, size):
        yield "".join([_row(number, count) for number in range(start, min(last, start + size))])


def _row(number: int, count: int) -> str:
    digest = blake2b(b"%d" % number, digest_size=10, person=b"bench work").digest()
    engagement = number % ENGAGEMENTS
    entity, currency = ENTITIES[engagement % 3]
    way = engagement // 3 % 10
    day = DAYS[number * 365 // count]
    place = digest[0] % TEAM
    worker = person(engagement, place)
    employer = ENTITIES[(engagement + 1) % 3][0] if digest[1] < 8 else entity
    billable = "f" if digest[2] < 3 else "t"
    kind, unit, quantity = "time", "h", f"{digest[3] % 31 / 4 + 0.25:.2f}"
    role, task, category, cost, told_in, tax, receipt = ROLES[place % 5], TASKS[digest[4] % 5], *("\\N",) * 5
    if digest[5] < (110 if way == 9 else 5):
        unit = "1"
        amount = (digest[6] % 97 + 3) * RATES[currency][4] // 40
        kind, quantity, category, cost, told_in = "expense", "1", CATEGORIES[digest[7] % 4], str(amount), currency
        tax, receipt = str(amount // 10), "\\N" if digest[8] < 60 else f"R-{number}"
    elif way == 8 and digest[5] < 130:
        kind, unit, quantity = "usage", ("GB", "call")[digest[7] % 2], str(digest[6] % 50 + 1)
    return (
        f"WRK-{b32encode(digest).decode()}\t1\t{kind}\tbench\t{number}\tapproved\t{day}\t{quantity}\t{unit}\t"
        f"DEA-BENCH{engagement:03}\t{entity}\t{worker}\t{employer}\t{role}\t{task}\t{category}\t{cost}\t{told_in}\t{tax}\t"
        f"{receipt}\t{billable}\tpaula\t{day}T17:00:00Z\t{day}T18:00:00Z\tweek.csv line {number}\n"
    )
