"""`accord revenue` by the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from rich.console import Console

from accord.app import House
from accord.cli.house import with_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.db.pool import transaction
from accord.errors import CheckFailed, NotFound, UsageError
from accord.ledger.revenue import comparing, contracts, keeping
from accord.ledger.revenue.keeping import Recognised
from accord.model.money import Money, TooManyDecimals
from accord.model.plain import NotReadable, from_plain
from accord.rules.revenue.comparison import Difference
from accord.rules.revenue.contract import RevenueContract


def run_declare(file: Path, by: str) -> None:
    """Declare the contracts of a JSON file, all or none."""
    try:
        given = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
        told = [from_plain(RevenueContract, each) for each in (given if isinstance(given, list) else [given])]
    except (OSError, ValueError, NotReadable) as error:
        raise UsageError(f"{file}: {error}; see docs/reference/revenue.md for the fields") from error

    async def work(house: House) -> list[int | None]:
        async with transaction(house.pool) as db:
            return [await contracts.declare_contract(db, each, by=by) for each in told]

    versions = with_house(work)
    rows = [
        (each.engagement_id, each.legal_entity, version or "as before")
        for each, version in zip(told, versions, strict=True)
    ]
    as_table("Revenue contracts declared", ("engagement", "legal entity", "version"), rows, right=("version",))


def run_estimate(
    engagement: str, entity: str, obligation: str, period: str, cost: str | None, hours: str | None, by: str
) -> None:
    """Estimate in cost or hours."""
    if (cost is None) == (hours is None):
        raise UsageError("give what is to come as --cost or as --hours")

    async def work(house: House) -> None:
        key = (engagement, entity)
        async with transaction(house.pool) as db:
            currency = (await contracts.current(db, key)).currency
            told = _number(hours) if cost is None else _money(cost, currency)
            await contracts.estimate(db, key, obligation, period, told, by=by)

    with_house(work)
    Console().print(f"{obligation} is estimated at the end of {period}")


def run_accept(engagement: str, entity: str, about: str, on: date, evidence: str, by: str) -> None:
    """Note an acceptance."""

    async def work(house: House) -> None:
        async with transaction(house.pool) as db:
            await contracts.accept(db, (engagement, entity), about, on, evidence=evidence, by=by)

    with_house(work)
    Console().print(f"{about} was accepted on {on}")


def run_show(engagement: str, entity: str, *, as_json: bool) -> None:
    """The schedule as it is by now."""

    async def work(house: House) -> list[Recognised]:
        async with house.pool.connection() as db:
            return await keeping.recognise(db, [(engagement, entity)], house.now().date())

    found = with_house(work)
    if not found:
        raise NotFound(f"{engagement} has no revenue contract in {entity}; `accord revenue declare` declares one")
    if as_json:
        print_json(_plain(found[0]))
        return
    rows = [
        (row.obligation_id, row.period.code, row.price.amount, f"{float(row.progress):.2%}", row.cumulative.amount,
         row.recognised.amount, row.caught_up.amount, row.told)
        for row in found[0].rows
    ]  # fmt: skip
    columns = ("obligation", "period", "price", "progress", "to date", "recognised", "caught up", "by")
    currency = found[0].measured.contract.currency
    as_table(f"Revenue of {engagement} in {entity} ({currency})", columns, rows, right=columns[2:7])
    balances = [
        (each.period.code, each.billed.amount, each.recognised.amount, each.contract_asset.amount,
         each.unbilled_receivable.amount, each.contract_liability.amount)
        for each in found[0].positions
    ]  # fmt: skip
    names = ("period", "billed", "recognised", "contract asset", "unbilled receivable", "contract liability")
    as_table(f"Balances ({currency})", names, balances, right=names[1:])
    if found[0].provision is not None and found[0].provision.expected_loss:
        Console().print(f"provision {found[0].provision.provision}: {found[0].provision.told}")
    for problem in found[0].problems:
        Console().print(f"  {problem.message} {problem.cure}", markup=False)


def _plain(found: Recognised) -> dict[str, Any]:
    return {
        "engagement": found.key[0],
        "legal_entity": found.key[1],
        "version": found.measured.contract.version,
        "rows": [{**asdict(row), "progress": str(row.progress)} for row in found.rows],
        "positions": [asdict(each) for each in found.positions],
        "provision": None if found.provision is None else asdict(found.provision),
        "problems": [asdict(each) for each in found.problems],
    }


def run_keep(entity: str | None) -> None:
    """Keep what is new."""

    async def work(house: House) -> int:
        async with transaction(house.pool) as db:
            return await keeping.keep(db, house.now(), entity=entity)

    Console().print(f"{with_house(work)} rows are new")


def run_load_booked(entity: str, file: Path, by: str) -> None:
    """Load what the ERP told."""
    try:
        booked = comparing.read_booked(file)
    except OSError as error:
        raise UsageError(f"{file}: {error}") from error

    async def work(house: House) -> int:
        async with transaction(house.pool) as db:
            return await comparing.load_booked(db, entity, booked, by=by)

    Console().print(f"{with_house(work)} of {len(booked)} entries are kept")


def run_compare(entity: str, tolerance: str, *, as_json: bool) -> None:
    """Compare with the ERP."""

    async def work(house: House) -> Sequence[Difference]:
        async with house.pool.connection() as db:
            return await comparing.compare(db, entity, house.now().date(), _number(tolerance))

    found = with_house(work)
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        columns = ("obligation", "period", "ours", "ERP", "difference", "kind", "ERP entries")
        rows = [
            (each.obligation_id, each.period_code, each.ours, each.erp, each.by, each.kind.value.replace("_", " "),
             ", ".join(each.references))
            for each in found
        ]  # fmt: skip
        as_table(f"Revenue of {entity}: ours and the ERP's", columns, rows, right=columns[2:5])
    if found:
        raise CheckFailed(f"{len(found)} differences between our schedule and the ERP's")


def _number(text: str | None) -> Decimal:
    try:
        found = Decimal(text or "")
    except InvalidOperation as error:
        raise UsageError(f"{text!r} is no number") from error
    if not found.is_finite():
        raise UsageError(f"{text!r} is no number")
    return found


def _money(text: str, currency: str) -> Money:
    try:
        return Money.of(_number(text), currency)
    except TooManyDecimals as error:
        raise UsageError(str(error)) from error
