"""`accord change` by the command line."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console

from accord.app import House
from accord.cli.house import with_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.db.pool import Connection, transaction
from accord.errors import CheckFailed, UsageError
from accord.ledger.changes import planning
from accord.ledger.changes.planning import PlanFile
from accord.ledger.changes.reading import look
from accord.model.plain import NotReadable, from_plain, to_plain
from accord.rules.change_impact.order import ChangeOrder


def _order(file: Path) -> ChangeOrder:
    try:
        return from_plain(ChangeOrder, json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal))
    except (OSError, ValueError, NotReadable) as error:
        raise UsageError(f"{file}: {error}; see docs/reference/changes.md for the fields") from error


def run_impact(file: Path, *, as_json: bool) -> None:
    """Show an impact; nothing is written."""
    order = _order(file)

    async def work(house: House) -> Mapping[str, Any]:
        async with house.pool.connection() as db:
            return planning.plain_impact(await look(db, order, house.now().date()))

    _show(order.id, with_house(work), as_json=as_json)


def run_propose(file: Path, by: str, *, as_json: bool) -> None:
    """Keep a change with its impact."""
    order = _order(file)

    async def work(house: House) -> Mapping[str, Any]:
        async with transaction(house.pool) as db:
            return planning.plain_impact(await planning.propose(db, order, by=by, now=house.now()))

    _show(order.id, with_house(work), as_json=as_json)


def _show(id: str, impact: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(impact)
    else:
        _print_impact(id, impact)
    if not impact["applicable"]:
        raise CheckFailed(f"{id} cannot be applied as it stands; its problems say why")


def _print_impact(id: str, impact: Mapping[str, Any]) -> None:
    columns = ("area", "what", "before", "after", "by", "how")
    rows = [
        (each["area"].replace("_", " "), each["subject"], _money(each["before"]), _money(each["after"]),
         _money(each["by"]), each["told"])
        for each in impact["effects"]
    ]  # fmt: skip
    as_table(f"What {id} would do", columns, rows, right=("before", "after", "by"))
    if impact["treatment"] is not None:
        Console().print(f"revenue: {impact['treatment'].replace('_', ' ')}")
    for problem in impact["problems"]:
        Console().print(f"  {problem['message']} {problem.get('cure', '')}", markup=False)


def _money(plain: Mapping[str, str]) -> str:
    return f"{plain['amount']} {plain['currency']}"


def run_list(engagement: str | None, *, as_json: bool) -> None:
    """Changes, the last proposed first."""

    async def work(house: House) -> list[PlanFile]:
        async with house.pool.connection() as db:
            return await planning.list_plans(db, engagement)

    found = with_house(work)
    if as_json:
        print_json([_plain(each) for each in found])
        return
    columns = ("change", "engagement", "entity", "state", "why", "proposed by", "applied by")
    rows = [
        (each.id, each.engagement, each.legal_entity, each.state.replace("_", " "), each.order.why, each.proposed_by,
         each.applied_by)
        for each in found
    ]  # fmt: skip
    as_table("Contract changes", columns, rows)


def run_show(change: str, *, as_json: bool) -> None:
    """One change with its journal."""

    async def work(house: House) -> PlanFile:
        async with house.pool.connection() as db:
            return await planning.one_plan(db, change)

    found = with_house(work)
    if as_json:
        print_json(_plain(found))
        return
    _print_impact(found.id, found.impact)
    _print_steps(found)


def _plain(found: PlanFile) -> dict[str, Any]:
    return {**asdict(found), "order": to_plain(found.order)}


def _print_steps(found: PlanFile) -> None:
    columns = ("step", "what", "before", "after", "what came of it")
    rows = [
        (f"{'undo ' if each.undoes else ''}{each.verb.replace('_', ' ')}", each.subject, each.before, each.after,
         each.outcome)
        for each in found.steps
    ]  # fmt: skip
    as_table(f"{found.id}: {found.state.replace('_', ' ')}", columns, rows, right=("before", "after"))


def run_apply(change: str, by: str) -> None:
    """Apply a change."""
    _print_steps(_done(lambda db, house: planning.apply(db, change, by=by, now=house.now())))


def run_take_back(change: str, by: str) -> None:
    """Take a change back."""
    _print_steps(_done(lambda db, house: planning.take_back(db, change, by=by, now=house.now())))


def _done(doing: Callable[[Connection, House], Awaitable[PlanFile]]) -> PlanFile:
    async def work(house: House) -> PlanFile:
        async with transaction(house.pool) as db:
            return await doing(db, house)

    return with_house(work)


def run_drop(change: str, by: str) -> None:
    """Give a change up."""

    async def work(house: House) -> None:
        async with transaction(house.pool) as db:
            await planning.drop(db, change, by=by)

    with_house(work)
    Console().print(f"{change} is dropped")
