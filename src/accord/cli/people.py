"""`accord people declare` and `accord missing-time`: who works when, and whose time is not there."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from accord.app import House
from accord.cli.house import with_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.db.pool import transaction
from accord.errors import UsageError
from accord.insight.pmo_hours import Weeks
from accord.insight.pmo_missing import Missing, MissingTime, OfManager, missing_time
from accord.ledger.people import Declared, declare
from accord.model.money import Money
from accord.model.people import Staffing
from accord.model.plain import NotReadable, from_plain


def run_declare(file: Path, by: str) -> None:
    """Declare the people of a JSON file."""
    try:
        given = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
        staffing = from_plain(Staffing, given)
    except (OSError, ValueError, NotReadable) as error:
        raise UsageError(f"{file}: {error}; see docs/reference/people.md for the fields") from error

    async def work(house: House) -> Declared:
        async with transaction(house.pool) as db:
            return await declare(db, staffing, by=by)

    found = with_house(work)
    Console().print(f"new or changed: {found.people} people, {found.days_off} days off, {found.holidays} holidays")


def run_missing_time(weeks: int, manager: str | None, *, as_json: bool) -> None:
    """What is missing in the last weeks, by manager; of one manager person by person."""
    span = Weeks.until(datetime.now(UTC).date(), weeks)

    async def work(house: House) -> MissingTime:
        async with house.pool.connection() as db:
            return await missing_time(db, span, manager=manager)

    found = with_house(work)
    if as_json:
        told = {"first_day": span.first_day, "last_day": span.last_day, "undeclared": found.undeclared}
        print_json({**told, "managers": [asdict(each) for each in found.managers],
                    "people": [asdict(each) for each in found.people]})  # fmt: skip
        return
    title = f"Missing time, {span.first_day} to {span.last_day}"
    if manager is None:
        _managers(title, found.managers)
    else:
        _people(title, found.people)
    if found.undeclared:
        Console().print(f"{found.undeclared} more told time and are not declared; `accord people declare` does that.")


def _managers(title: str, managers: tuple[OfManager, ...]) -> None:
    columns = ("manager", "people", "not submitted", "not approved", "at stake", "not valued")
    rows = [
        (each.name, each.people, *_hours(each), _amounts(each.at_stake), each.not_valued)
        for each in managers
    ]  # fmt: skip
    as_table(title, columns, rows, right=columns[1:])


def _people(title: str, people: tuple[Missing, ...]) -> None:
    columns = ("worker", "name", "not submitted", "not approved", "at stake", "since")
    rows = [
        (each.worker, each.name, *_hours(each), _amounts(each.at_stake), each.oldest_week)
        for each in people
    ]  # fmt: skip
    as_table(title, columns, rows, right=("not submitted", "not approved", "at stake"))


def _hours(of: OfManager | Missing) -> tuple[str, str]:
    return f"{of.lacking:.2f} h", f"{of.submitted:.2f} h"


def _amounts(amounts: tuple[Money, ...]) -> str:
    return " + ".join(f"{each.amount:,} {each.currency}" for each in amounts) or "-"
