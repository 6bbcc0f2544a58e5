"""`accord cases`."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import typer

from accord.app import open_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.db.pool import transaction
from accord.errors import UsageError
from accord.settings import Settings
from accord.workbench import cases

CASE_COLUMNS = ("id", "age", "amount", "owner", "reason", "engagement_number", "title")
CLUSTER_COLUMNS = ("cases", "age", "amount", "owner", "reason", "title", "signature")
NUMBERS = ("id", "cases", "age", "amount")


def _in_transaction(doing: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with open_house(Settings()) as house, transaction(house.pool) as db:
            return await doing(db)

    return asyncio.run(run())


def _me() -> str:
    return f"cli:{getpass.getuser()}"


def show_list(
    *, as_json: bool, owner: str | None, reason: str | None, engagement: str | None, clusters: bool, limit: int
) -> None:
    if clusters:
        rows = _in_transaction(cases.clusters)
        _print("Open cases by cause", CLUSTER_COLUMNS, rows, as_json=as_json)
        return
    filters = cases.Filter(owner=owner, reason=reason, engagement=engagement)
    page = _in_transaction(lambda db: cases.list_cases(db, filters, limit=limit))
    _print("Open cases", CASE_COLUMNS, page.cases, as_json=as_json)


def _print(title: str, columns: Sequence[str], rows: Any, *, as_json: bool) -> None:
    plain = [cases.plain(row) for row in rows]
    if as_json:
        print_json(plain)
    elif not plain:
        typer.echo("No open cases.")
    else:
        # A case without money has no amount.
        as_table(title, columns, [[row.get(name) for name in columns] for row in plain], right=NUMBERS)


def show_one(case: int, *, as_json: bool) -> None:
    found = cases.plain(_in_transaction(lambda db: cases.show(db, case)))
    if as_json:
        print_json(found)
    else:
        as_table(f"Case {case}", ("what", "is"), list(found.items()))


def correct(list_name: str, given: str, meaning: str) -> None:
    done = _in_transaction(lambda db: cases.correct_reference(db, list_name, given, meaning, by=_me()))
    typer.echo(f"{given!r} in {list_name} means {meaning!r} now; {done} cases are tried again")


def retry(numbers: list[int], signature: str | None) -> None:
    if not numbers and signature is None:
        raise UsageError("name the cases to retry, or a cause with --signature")

    async def again(db: Any) -> int:
        if signature is not None:
            return int(await cases.retry_cluster(db, signature, by=_me()))
        for number in numbers:
            await cases.retry(db, number, by=_me())
        return len(numbers)

    typer.echo(f"{_in_transaction(again)} cases are tried again")


def resolve(
    case: int, *, answer: str | None, skip: str | None, supply: str | None, cancel: str | None, note: str | None
) -> None:
    given = {"answer": answer, "skip": skip, "supply": supply, "cancel": cancel, "note": note}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        raise UsageError("give one of --answer, --skip, --supply, --cancel, --note")
    value = given[chosen[0]] or ""

    async def settle(db: Any) -> None:
        if answer is not None:
            await cases.answer(db, case, value, by=_me())
        elif skip is not None:
            await cases.skip(db, case, value, by=_me())
        elif supply is not None:
            await cases.supply(db, case, value, {}, by=_me())
        elif cancel is not None:
            await cases.cancel(db, case, value, by=_me())
        else:
            await cases.resolve(db, case, value, by=_me())

    _in_transaction(settle)
    typer.echo(f"case {case}: {chosen[0]}")
