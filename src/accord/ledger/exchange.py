"""Rates of exchange for pricing: loaded from files, kept as published, and used by the firm's policy of the day.

Pricing again asks for what was known when the price was made: a rate or policy that came later changes no price.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.errors import Conflict, UsageError
from accord.governance import audit
from accord.model.plain import from_plain, to_plain
from accord.model.terms import BillingTerms
from accord.rules.fx import ExchangeRates, Rate, RateDate, RateDatePolicy, RateKind, by_day
from accord.rules.rating.counters import Convert, no_conversion

POLICY = "exchange"

LOAD = """
WITH told AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (source text, kind text, base text, quote text,
        effective_on date, rate numeric)
), written AS (
    INSERT INTO exchange_rate (source, kind, base, quote, effective_on, rate)
    SELECT source, kind, base, quote, effective_on, rate FROM told ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM written), (
    SELECT string_agg(concat_ws(' ', t.source, t.base, 'in', t.quote, 'on', t.effective_on, 'is', e.rate), ', ')
    FROM told t JOIN exchange_rate e USING (source, kind, base, quote, effective_on) WHERE e.rate <> t.rate)
"""
DECLARE = """
INSERT INTO policy (name, version, body, declared_by)
SELECT %(name)s, coalesce(max(version), 0) + 1,
    %(body)s::jsonb || jsonb_build_object('version', coalesce(max(version), 0) + 1), %(by)s
FROM policy WHERE name = %(name)s RETURNING version
"""
POLICIES = "SELECT declared_at, body FROM policy WHERE name = %(name)s ORDER BY version"
RATES = """
SELECT base, quote, rate, effective_on, source, kind, loaded_at FROM exchange_rate
WHERE source = ANY(%(sources)s) AND base = ANY(%(currencies)s) AND quote = ANY(%(currencies)s)
    AND effective_on BETWEEN %(first)s AND %(last)s
"""


class RateIsPublished(Conflict):
    """Another rate of that source, pair and day is known already; one that was used is never changed."""

    title = "Rate is published"


@dataclass(frozen=True, slots=True)
class Exchange:
    """Published rates and declared policies, each with the moment from which it was known."""

    policies: Sequence[tuple[datetime, RateDatePolicy]] = ()
    rates: Sequence[tuple[datetime, Rate]] = ()

    def known_at(self, moment: datetime | None) -> Convert:
        """The conversion as it was known then; None is now. Without a policy only one currency converts into itself."""
        found = [policy for at, policy in self.policies if moment is None or at <= moment]
        if not found:
            return no_conversion
        known = [rate for at, rate in self.rates if moment is None or at <= moment]
        return by_day(found[-1], ExchangeRates(known))


async def load_rates(db: Connection, rates: Iterable[Rate], *, by: str) -> int:
    """Keep published rates, inside the caller's transaction; how many were new. Raises RateIsPublished."""
    rows = [to_plain(each) for each in rates]
    row = await (await db.execute(LOAD, {"rows": as_json(rows)})).fetchone()
    assert row is not None
    if row[1]:
        raise RateIsPublished(f"{row[1]}: load the right one under another source, and declare that in the policy")
    await audit.write(db, by, "rates loaded", "exchange rates", {"told": len(rows), "new": row[0]})
    return int(row[0])


async def declare_policy(db: Connection, policy: RateDatePolicy, *, by: str) -> int:
    """Declare how the firm converts from now on; its version. Raises UsageError for a date that work does not have when
    it gets its price."""
    if policy.date not in (RateDate.WORKED, RateDate.MONTH_AVERAGE):
        raise UsageError(f"work is priced by {RateDate.WORKED} or {RateDate.MONTH_AVERAGE}, not by {policy.date}")
    about = {"name": POLICY, "body": as_json(to_plain(policy)), "by": by}
    row = await (await db.execute(DECLARE, about)).fetchone()
    assert row is not None
    await audit.write(db, by, "policy declared", f"policy {POLICY}", {"version": row[0], **to_plain(policy)})
    return int(row[0])


async def for_pricing(
    db: Connection, terms: Iterable[BillingTerms], days: Iterable[date], others: Iterable[str] = ()
) -> Exchange:
    """What is needed to price work of these days by these terms; `others` are currencies of the work itself."""
    currencies = set(others)
    for each in terms:
        currencies |= currencies_of(each)
    wanted = sorted(days)
    if len(currencies) < 2 or not wanted:
        return Exchange()
    kept = await (await db.execute(POLICIES, {"name": POLICY})).fetchall()
    policies = [(at, from_plain(RateDatePolicy, body)) for at, body in kept]
    currencies |= {policy.pivot for _, policy in policies if policy.pivot is not None}
    age = max((policy.max_age_days for _, policy in policies), default=0)
    about = {
        "sources": [policy.source for _, policy in policies],
        "currencies": sorted(currencies),
        "first": (wanted[0] - timedelta(days=age)).replace(day=1),
        "last": wanted[-1].replace(day=1) + timedelta(days=31),
    }
    rows = await (await db.execute(RATES, about)).fetchall()
    return Exchange(
        policies,
        [
            (loaded_at, Rate(base, quote, rate, day, source, RateKind(kind)))
            for base, quote, rate, day, source, kind, loaded_at in rows
        ],
    )


def currencies_of(terms: BillingTerms) -> set[str]:
    """Every currency that prices by these terms can meet."""
    return {
        terms.currency,
        *(each.per_hour.currency for each in terms.rates),
        *(each.limit.currency for each in terms.caps),
    }


def read_rates(file: Path, source: str, kind: RateKind = RateKind.DAILY) -> list[Rate]:
    """The rates of a CSV file with the columns date, base, quote, rate. Raises UsageError with the line."""
    found = []
    with file.open(encoding="utf-8", newline="") as text:
        for number, row in enumerate(csv.DictReader(text), 2):
            try:
                day, rate = date.fromisoformat(row["date"]), Decimal(row["rate"])
                found.append(Rate(row["base"], row["quote"], rate, day, source, kind))
            except (KeyError, TypeError, ValueError, InvalidOperation) as error:
                message = f"{file} line {number}: {error}; the columns are date, base, quote, rate"
                raise UsageError(message) from error
    return found
