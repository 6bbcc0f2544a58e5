"""`accord close`: the calendar, the gate and its verbs by the command line."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from rich.console import Console

from accord.app import House
from accord.cli.house import with_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.db.pool import transaction
from accord.errors import CheckFailed, UsageError
from accord.reconcile import closing, gate, late
from accord.reconcile.calendar import LateWork, Standing, declare_calendar, list_periods, one_period
from accord.reconcile.gate import Finding
from accord.rules import periods


def run_calendar(
    entity: str, starts_on: date, months: int, weeks: str | None, late_work: str, by: str, *, long_year: bool
) -> None:
    """Declare months, or a fiscal year of weeks."""
    if late_work not in list(LateWork):
        raise UsageError(f"late work becomes one of {', '.join(LateWork)}; {late_work!r} was given")
    declared = (
        periods.months(starts_on, months) if weeks is None else periods.weeks_445(starts_on, weeks, long_year=long_year)
    )

    async def work(house: House) -> int:
        async with transaction(house.pool) as db:
            return await declare_calendar(db, entity, declared, LateWork(late_work), by=by)

    count = with_house(work)
    Console().print(f"{count} of {len(declared)} periods are new or changed, {declared[0].code} to {declared[-1].code}")


def run_status(entity: str | None, period: str | None, *, as_json: bool) -> None:
    """The periods, or the gate of one as it is now."""
    if entity is None or period is None:
        _show_periods(entity, as_json=as_json)
        return

    async def work(house: House) -> tuple[Standing, tuple[Finding, ...]]:
        async with transaction(house.pool) as db:
            of = await one_period(db, entity, period)
            return of, await gate.look(db, of, house.now())

    of, found = with_house(work)
    stopped = closing.stopped_by(found)
    if as_json:
        print_json({**asdict(of), "stopped_by": stopped, "lines": [asdict(each) for each in found]})
    else:
        _show_gate(of, found)
    if stopped and of.state != "closed":
        raise CheckFailed(f"{period} of {entity} cannot be closed: {stopped}")


def _show_periods(entity: str | None, *, as_json: bool) -> None:
    async def work(house: House) -> list[Standing]:
        async with house.pool.connection() as db:
            return await list_periods(db, entity=entity)

    found = with_house(work)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    columns = ("entity", "period", "from", "to", "state", "late work", "closed", "by")
    rows = [
        (each.legal_entity, each.period, each.starts_on, each.ends_on, each.state, each.late_work.value,
         each.closed_at and f"{each.closed_at:%Y-%m-%d %H:%M}", each.closed_by or each.closing_by)
        for each in found
    ]  # fmt: skip
    as_table("Periods", columns, rows)


def _show_gate(of: Standing, found: tuple[Finding, ...]) -> None:
    rows = [
        (each.name, each.count, "  ".join(str(money) for money in each.money), _verdict(each), each.owner, each.says)
        for each in found
    ]
    columns = ("line", "count", "money", "", "owner", "what it is")
    as_table(f"{of.period} of {of.legal_entity}: {of.state}", columns, rows, right=("count", "money"))
    for each in found:
        for row in each.rows[:10]:
            amount = "" if row.amount is None else f" {row.amount} {row.currency}"
            Console().print(f"  {each.name}: {row.subject}{amount}: {row.what}", markup=False)


def _verdict(each: Finding) -> str:
    if not each.count:
        return "clear"
    if not each.blocks:
        return "to know"
    return "stops" if each.overridden is None else "agreed to"


def run_close(entity: str, period: str, by: str) -> None:
    """Close, or say what stops it."""

    async def work(house: House) -> tuple[Finding, ...]:
        async with transaction(house.pool) as db:
            return await closing.close(db, entity, period, by=by, now=house.now())

    stopped = closing.stopped_by(with_house(work))
    if stopped:
        raise closing.NotReadyToClose(f"{period} of {entity} stays open: {stopped}; `accord close status` shows more")
    Console().print(f"{period} of {entity} is closed")


def run_override(entity: str, period: str, line: str, reason: str, by: str) -> None:
    """Ask to close over a line."""

    async def work(house: House) -> None:
        async with transaction(house.pool) as db:
            await closing.override(db, entity, period, line, reason=reason, by=by, now=house.now())

    with_house(work)
    Console().print(f"asked; it counts when somebody else agrees: accord close agree {entity} {period} {line}")


def run_reopen(entity: str, period: str, reason: str, by: str) -> None:
    """Ask to open again."""

    async def work(house: House) -> str:
        async with transaction(house.pool) as db:
            return await closing.reopen(db, entity, period, reason=reason, by=by, now=house.now())

    state = with_house(work)
    told = f"asked; it happens when somebody else agrees: accord close agree {entity} {period} reopen"
    Console().print(f"{period} of {entity} is open" if state == "open" else told)


def run_agree(entity: str, period: str, what: str, by: str) -> None:
    """Agree to what another asked for."""

    async def work(house: House) -> Standing:
        async with transaction(house.pool) as db:
            return await closing.agree(db, entity, period, what, by=by, now=house.now())

    Console().print(f"agreed; {period} of {entity} is {with_house(work).state}")


def run_late(entity: str, period: str | None, limit: int, *, as_json: bool) -> None:
    """Late items and what became of them."""

    async def work(house: House) -> list[Any]:
        async with transaction(house.pool) as db:
            await late.decide_late(db, house.now())
            return list(await late.list_late(db, entity, period, limit))

    found = with_house(work)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    columns = ("item", "of", "amount", "currency", "counts in", "outcome")
    rows = [
        (each.item_id, each.period, each.amount, each.currency, each.booked_in or "not yet", each.outcome)
        for each in found
    ]
    as_table(f"Late work of {entity}", columns, rows, right=("item", "amount"))
