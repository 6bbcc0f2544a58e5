"""`accord rates` and `accord terms release` by the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from accord.app import House
from accord.cli.house import with_house
from accord.db.pool import transaction
from accord.errors import UsageError
from accord.ledger import fitting
from accord.ledger.exchange import declare_policy, load_rates, read_rates
from accord.rules.fx import RateDate, RateDatePolicy, RateKind


def run_load(file: Path, source: str, by: str, *, averages: bool) -> None:
    """Load the rates of a file, all or none."""
    try:
        rates = read_rates(file, source, RateKind.MONTH_AVERAGE if averages else RateKind.DAILY)
    except OSError as error:
        raise UsageError(f"{file}: {error}") from error

    async def work(house: House) -> int:
        async with transaction(house.pool) as db:
            return await load_rates(db, rates, by=by)

    Console().print(f"{with_house(work)} of {len(rates)} rates are new")


def run_use(source: str, date: str, max_age_days: int, pivot: str | None, by: str) -> None:
    """Declare the policy."""
    if date not in list(RateDate):
        raise UsageError(f"the date is one of {', '.join(RateDate)}; {date!r} was given")
    policy = RateDatePolicy(RateDate(date), source, 0, max_age_days, pivot=pivot)

    async def work(house: House) -> int:
        async with transaction(house.pool) as db:
            return await declare_policy(db, policy, by=by)

    Console().print(f"version {with_house(work)} of the policy counts from now on")


def run_release(engagement: str, entity: str, items: list[str], by: str, *, only: bool) -> None:
    """Set free what the newest terms have room for."""

    async def work(house: House) -> fitting.Fitted:
        async with transaction(house.pool) as db:
            return await fitting.release(
                db, (engagement, entity), by=by, now=datetime.now(UTC), chosen=items, only=only
            )

    done = with_house(work)
    Console().print(f"{done.parts} parts with {done.released} are billable now")
