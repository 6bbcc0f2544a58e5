"""Receivables: what customers owe by age, and how long it takes them; from the invoices' amounts and dates alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from accord.db import keyset
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.model.money import Money
from accord.rules.measures.definition import Reading
from accord.rules.measures.receivables import (
    MonthOfSales,
    average_days_delinquent,
    best_possible_dso,
    dso_count_back,
    dso_simple,
)

ZERO = Decimal(0)
MONTHS_BACK = 12  # count-back looks no further: what is older is said to be
MONTHS_FIRST = 4  # most receivables are used up by so many months' sales, and the others are asked for only then
PERIOD_MONTHS = 3  # the period of the simple method, the current month to date included
# The ranges of `ageing.receivables` with the first day of each in days after the due date.
AGES: Mapping[str, tuple[int | None, int | None]] = {
    "current": (None, 0),
    "1-30": (1, 30),
    "31-60": (31, 60),
    "61-90": (61, 90),
    "91-120": (91, 120),
    "over 120": (121, None),
}

# By day, of which there are few; what a day is part of is reckoned outside.
OPEN = """
SELECT r.currency, r.due_on, r.disputed, count(*), sum(greatest(r.gross - r.reduced - r.paid, 0)) FROM receivable r
WHERE r.status = 'open' AND (%(entities)s::text[] IS NULL OR r.legal_entity = ANY(%(entities)s))
GROUP BY 1, 2, 3
"""
SALES = """
SELECT r.currency, r.issued_on, sum(r.gross) FROM receivable r
WHERE r.issued_on >= %(since)s AND r.issued_on <= %(until)s AND r.status NOT IN ('draft', 'void')
    AND (%(entities)s::text[] IS NULL OR r.legal_entity = ANY(%(entities)s))
GROUP BY 1, 2
"""
# Money of customers that pays no invoice yet.
UNAPPLIED = """
SELECT u.body -> 'amount' ->> 'currency', sum((u.body -> 'amount' ->> 'amount')::numeric
    - coalesce((u.body -> 'applied' ->> 'amount')::numeric, 0)
    - coalesce((u.body -> 'refunded' ->> 'amount')::numeric, 0))
FROM record u
WHERE u.kind = 'unapplied_cash' AND NOT u.deleted
    AND (%(entities)s::text[] IS NULL OR u.body ->> 'legal_entity' = ANY(%(entities)s))
GROUP BY 1
"""
ROWS = """
WITH page AS (
    SELECT * FROM receivable r
    WHERE r.status = 'open' AND (%(entities)s::text[] IS NULL OR r.legal_entity = ANY(%(entities)s))
        AND (%(currency)s::text IS NULL OR r.currency = %(currency)s)
        AND (%(latest)s::date IS NULL OR coalesce(r.due_on, %(as_of)s) <= %(latest)s)
        AND (%(earliest)s::date IS NULL OR coalesce(r.due_on, %(as_of)s) >= %(earliest)s)
        AND (NOT %(disputed)s OR r.disputed)
        AND (%(after)s::date IS NULL OR (coalesce(r.due_on, 'infinity'), r.invoice_id) > (%(after)s, %(after_id)s))
    ORDER BY coalesce(r.due_on, 'infinity'), r.invoice_id LIMIT %(limit)s
)
SELECT r.invoice_id, r.number, r.engagement, d.body ->> 'name', c.body ->> 'legal_name', r.legal_entity, r.currency,
    r.issued_on, r.due_on, r.gross, r.paid, greatest(r.gross - r.reduced - r.paid, 0), r.disputed
FROM page r
LEFT JOIN record d ON d.kind = 'deal' AND d.id = r.engagement
LEFT JOIN record c ON c.kind = 'customer' AND c.id = r.customer
ORDER BY coalesce(r.due_on, 'infinity'), r.invoice_id
"""


@dataclass(frozen=True, slots=True)
class DueBucket:
    """Open invoices of one range of days past due."""

    label: str
    amount: Decimal
    disputed: Decimal
    count: int


@dataclass(frozen=True, slots=True)
class Receivables:
    """What is owed in one currency, the youngest first; `unapplied` cash is told beside, not taken off. `readings` are
    DSO in two methods, the best possible one and the days customers are late; `sales` the credit sales of `days` days
    since `since` that they stand on."""

    currency: str
    buckets: tuple[DueBucket, ...]
    unapplied: Money
    sales: Money
    since: date
    days: int
    readings: tuple[Reading, ...]

    @property
    def open(self) -> Money:
        return Money(sum((each.amount for each in self.buckets), ZERO), self.currency)

    @property
    def overdue(self) -> Money:
        return Money(sum((each.amount for each in self.buckets[1:]), ZERO), self.currency)

    @property
    def count(self) -> int:
        return sum(each.count for each in self.buckets)


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """One open invoice; `open` is what is neither paid nor credited nor written off of it."""

    invoice_id: str
    number: str | None
    engagement: str | None
    engagement_name: str | None
    customer: str | None
    legal_entity: str
    issued_on: date | None
    due_on: date | None
    gross: Money
    paid: Money
    open: Money
    disputed: bool


@dataclass(frozen=True, slots=True)
class InvoicePage:
    """A page of invoices and the cursor of the next one."""

    rows: tuple[InvoiceRow, ...]
    next: str | None


async def receivables(db: Connection, as_of: date, entities: Sequence[str] | None = None) -> list[Receivables]:
    """Receivables in each currency that has any, or had sales lately."""
    firsts = _firsts(as_of)
    about = {"as_of": as_of, "entities": None if entities is None else list(entities)}
    owed: dict[str, dict[int, tuple[int, Decimal, Decimal]]] = {}
    for currency, due, disputed, count, amount in await (await db.execute(OPEN, about)).fetchall():
        buckets = owed.setdefault(currency, {})
        before = buckets.get(_bucket(due, as_of), (0, ZERO, ZERO))
        argued = amount if disputed else ZERO
        buckets[_bucket(due, as_of)] = (before[0] + count, before[1] + amount, before[2] + argued)
    sold: dict[str, dict[date, Decimal]] = {}
    await _add_sales(db, sold, {**about, "since": firsts[MONTHS_FIRST - 1], "until": as_of})
    if any(sum(each[1] for each in due.values()) > sum(sold.get(unit, {}).values()) for unit, due in owed.items()):
        older = {"since": firsts[-1], "until": firsts[MONTHS_FIRST - 1] - timedelta(days=1)}
        await _add_sales(db, sold, {**about, **older})
    cash = dict(await (await db.execute(UNAPPLIED, about)).fetchall())
    return [
        _of(currency, owed.get(currency, {}), sold.get(currency, {}), cash.get(currency, ZERO), firsts, as_of)
        for currency in sorted({*owed, *sold, *(each for each, amount in cash.items() if amount)})
    ]


async def _add_sales(db: Connection, sold: dict[str, dict[date, Decimal]], about: dict[str, object]) -> None:
    for currency, day, amount in await (await db.execute(SALES, about)).fetchall():
        months, month = sold.setdefault(currency, {}), day.replace(day=1)
        months[month] = months.get(month, ZERO) + amount


def _bucket(due: date | None, as_of: date) -> int:
    """Which of AGES; an invoice without a due date is current."""
    late = 0 if due is None else (as_of - due).days
    return next(index for index, (_, last) in enumerate(AGES.values()) if last is None or late <= last)


async def open_invoices(
    db: Connection,
    as_of: date,
    *,
    currency: str | None = None,
    age: str = "",
    only_disputed: bool = False,
    entities: Sequence[str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> InvoicePage:
    """The open invoices behind a sum, the longest due first. Raises UsageError, CursorNotUnderstood."""
    if age and age not in AGES:
        raise UsageError(f"the age is one of {', '.join(AGES)}; {age!r} was asked for")
    youngest, oldest = AGES[age] if age else (None, None)
    after, id = (None, None) if cursor is None else keyset.decode(cursor, str, str)
    about = {
        "as_of": as_of,
        "currency": currency,
        "latest": None if youngest is None else as_of - timedelta(days=youngest),
        "earliest": None if oldest is None else as_of - timedelta(days=oldest),
        "disputed": only_disputed,
        "entities": None if entities is None else list(entities),
        "after": None if after is None else "infinity" if after == "infinity" else keyset.day(after),
        "after_id": id,
        "limit": limit + 1,
    }
    found = await (await db.execute(ROWS, about)).fetchall()
    rows = tuple(
        InvoiceRow(
            invoice_id=row[0],
            number=row[1],
            engagement=row[2],
            engagement_name=row[3],
            customer=row[4],
            legal_entity=row[5],
            issued_on=row[7],
            due_on=row[8],
            gross=Money(row[9], row[6]),
            paid=Money(row[10], row[6]),
            open=Money(row[11], row[6]),
            disputed=row[12],
        )
        for row in found[:limit]
    )
    if len(found) <= limit:
        return InvoicePage(rows, None)
    end = rows[-1]
    return InvoicePage(
        rows, keyset.encode("infinity" if end.due_on is None else end.due_on.isoformat(), end.invoice_id)
    )


def _firsts(as_of: date) -> list[date]:
    """The first days of the current month and of those before it, the latest first."""
    whole = as_of.year * 12 + as_of.month - 1
    return [date((whole - n) // 12, (whole - n) % 12 + 1, 1) for n in range(MONTHS_BACK + 1)]


def _of(
    currency: str,
    owed: Mapping[int, tuple[int, Decimal, Decimal]],
    sold: Mapping[date, Decimal],
    unapplied: Decimal,
    firsts: Sequence[date],
    as_of: date,
) -> Receivables:
    buckets = tuple(
        DueBucket(label, owed[index][1], owed[index][2], owed[index][0]) if index in owed
        else DueBucket(label, ZERO, ZERO, 0)
        for index, label in enumerate(AGES)
    )  # fmt: skip
    months = [
        MonthOfSales(Money(sold.get(first, ZERO), currency), (end - first).days)
        for first, end in zip(firsts, [as_of + timedelta(days=1), *firsts], strict=False)
    ]
    since = firsts[PERIOD_MONTHS - 1]
    days = (as_of - since).days + 1
    sales = Money(sum((each.sales.amount for each in months[:PERIOD_MONTHS]), ZERO), currency)
    whole = Money(sum((each.amount for each in buckets), ZERO), currency)
    current = Money(buckets[0].amount, currency)
    readings = (
        dso_simple(whole, sales, days),
        dso_count_back(whole, months),
        best_possible_dso(current, sales, days),
        average_days_delinquent(whole, current, sales, days),
    )
    return Receivables(currency, buckets, Money(unapplied, currency), sales, since, days, readings)
