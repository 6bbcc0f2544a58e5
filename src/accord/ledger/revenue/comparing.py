"""The ERP's revenue beside ours: loaded as it told it, compared by obligation and period, and never replaced."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.governance import audit
from accord.ledger.revenue.keeping import recognise_all
from accord.model.money import Money
from accord.rules.revenue.comparison import Booked, Difference, differences

# What the ERP told last of an obligation in a period takes the place of what it told before.
LOAD = """
WITH told AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (obligation_id text, period text, reference text,
        amount numeric, currency text)
), gone AS (
    DELETE FROM booked_revenue b WHERE b.legal_entity = %(entity)s
        AND (b.obligation_id, b.period) IN (SELECT obligation_id, period FROM told)
        AND (b.obligation_id, b.period, b.reference) NOT IN (SELECT obligation_id, period, reference FROM told)
)
INSERT INTO booked_revenue (legal_entity, obligation_id, period, reference, amount, currency)
SELECT %(entity)s, obligation_id, period, reference, sum(amount), min(currency) FROM told GROUP BY 2, 3, 4
ON CONFLICT (legal_entity, obligation_id, period, reference)
DO UPDATE SET amount = excluded.amount, currency = excluded.currency, loaded_at = clock_timestamp()
"""
BOOKED = """
SELECT obligation_id, period, amount, currency, reference FROM booked_revenue
WHERE legal_entity = %(entity)s ORDER BY 1, 2, 5
"""


def read_booked(file: Path) -> list[Booked]:
    """The rows of a CSV file with the columns obligation, period, amount, currency, reference. Raises UsageError."""
    found = []
    with file.open(encoding="utf-8", newline="") as text:
        for number, row in enumerate(csv.DictReader(text), 2):
            try:
                amount = Money.of(Decimal(row["amount"]), row["currency"])
                found.append(Booked(row["obligation"], row["period"], amount, row["reference"]))
            except (KeyError, TypeError, ValueError, InvalidOperation) as error:
                columns = "obligation, period, amount, currency, reference"
                raise UsageError(f"{file} line {number}: {error}; the columns are {columns}") from error
    return found


async def load_booked(db: Connection, entity: str, booked: Iterable[Booked], *, by: str) -> int:
    """Keep what the ERP has of these obligations and periods, inside the caller's transaction; how many rows."""
    rows = [
        {
            "obligation_id": each.obligation_id,
            "period": each.period_code,
            "reference": each.reference,
            "amount": str(each.amount.amount),
            "currency": each.amount.currency,
        }
        for each in booked
    ]
    count = (await db.execute(LOAD, {"entity": entity, "rows": as_json(rows)})).rowcount
    await audit.write(db, by, "booked revenue loaded", f"revenue of {entity}", {"rows": len(rows)})
    return count


async def compare(db: Connection, entity: str, to: date, tolerance: Decimal = Decimal(0)) -> list[Difference]:
    """Where our schedule and the ERP's differ in a legal entity, in the periods that begin up to a day.

    A difference of at most `tolerance` (in the currency of each obligation) is none.
    """
    rows = [row async for batch in recognise_all(db, to, entity=entity) for each in batch for row in each.rows]
    told = await (await db.execute(BOOKED, {"entity": entity})).fetchall()
    booked = [Booked(row[0], row[1], Money(row[2], row[3]), row[4]) for row in told]
    currency_of = {each.obligation_id: each.amount.currency for each in booked}
    currency_of |= {row.obligation_id: row.recognised.currency for row in rows}
    found: list[Difference] = []
    for currency in sorted(set(currency_of.values())):
        found += differences(
            [row for row in rows if currency_of[row.obligation_id] == currency],
            [each for each in booked if currency_of[each.obligation_id] == currency],
            Money(tolerance, currency),
        )
    return sorted(found, key=lambda each: (each.obligation_id, each.period_code))
