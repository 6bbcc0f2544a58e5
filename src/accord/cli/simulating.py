"""`accord simulate` and `accord check`: whether the promises hold, in a simulated firm and in this installation."""

from __future__ import annotations

import asyncio
import shlex
from datetime import UTC, datetime, timedelta

import typer

from accord.app import open_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.errors import CheckFailed, UsageError
from accord.invariants import INVARIANTS
from accord.invariants.watch import violations
from accord.settings import Settings
from accord.simulation.campaign import Campaign, find_planted, own_database, run, shorten
from accord.simulation.planted import planted
from accord.simulation.run import Result
from accord.simulation.weather import FAULTS


def run_check(days: int | None, *, as_json: bool) -> None:
    """Look at this installation's promises once. Raises CheckFailed when one is broken."""

    async def look() -> list[dict[str, object]]:
        since = datetime(1970, 1, 1, tzinfo=UTC) if days is None else datetime.now(UTC) - timedelta(days=days)
        async with open_house(Settings()) as house, house.pool.connection() as db:
            await db.execute("SET statement_timeout = 0")
            found = await violations(db, since)
        return [
            {"promise": each.invariant, "subject": each.subject, "what": each.what, "amount": each.amount}
            for each in found
        ]

    broken = asyncio.run(look())
    if as_json:
        print_json({"promises": [each.name for each in INVARIANTS if each.when == "always"], "broken": broken})
    else:
        names = {str(each["promise"]) for each in broken}
        rows = [
            ("✗ broken" if each.name in names else "✓ holds", each.name, each.says)
            for each in INVARIANTS
            if each.when == "always"
        ]
        as_table("Promises", ("", "promise", "what it says"), rows)
        for each in broken:
            typer.echo(f"{each['promise']}: {each['subject']} {each['what']}")
    if broken:
        raise CheckFailed(f"{len({each['promise'] for each in broken})} promises are broken")


def run_simulate(
    seeds: int,
    seed: int,
    *,
    faults: str | None,
    keep: str | None,
    deals: int,
    days: int,
    actions: int | None,
    plant: str | None,
    processes: int,
    as_json: bool,
) -> None:
    """Play seeds; raises CheckFailed when one breaks a promise, after the shortest history that does was looked for."""
    campaign = Campaign(seed, seeds, deals, days, _faults(faults), plant, _faults(keep), actions)
    if plant is not None:
        try:
            planted(plant)
        except KeyError:
            raise UsageError(f"there is no planted bug {plant!r}; see docs/reference/simulation.md") from None
    results = run(campaign, processes=processes, told=_teller(seeds, as_json=as_json))
    failed = [each for each in results if not each.holds]
    shortest = _shortest(failed[0], plant) if failed and seeds > 1 else (failed[0] if failed else None)
    if as_json:
        print_json(
            {
                "seeds": len(results),
                "failed": [_plain(each) for each in failed],
                "happenings": sum(each.happenings for each in results),
                "kills": sum(each.kills for each in results),
                "committed": sum(each.committed for each in results),
                "cases": sum(each.cases for each in results),
                "digest": results[0].digest if len(results) == 1 else None,
            }
        )
    elif shortest is not None:
        _tell_history(shortest, faults, plant)
    if failed:
        raise CheckFailed(f"{len(failed)} of {len(results)} seeds broke a promise; the first is {failed[0].plan.seed}")


def run_planted(names: list[str], within: int, *, as_json: bool) -> None:
    """Put in each planted bug and look for it. Raises CheckFailed for one that is not found."""
    found = []
    for each in find_planted(names or None, within=within, deals=8, days=60):
        found.append(each)
        if not as_json:
            at = f"seed {each.seed}" if each.seed is not None else "not found"
            typer.echo(f"{each.bug.breaks:22} {each.bug.name:22} {at}, {each.tried} tried: {each.violated}")
    if as_json:
        print_json([
            {"promise": each.bug.breaks, "bug": each.bug.name, "does": each.bug.does, "seed": each.seed,
             "tried": each.tried, "violated": each.violated} for each in found
        ])  # fmt: skip
    missed = [each.bug.name for each in found if each.seed is None]
    if missed:
        raise CheckFailed(f"not found within {within} seeds: {', '.join(missed)}")


def _faults(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    chosen = frozenset(each for each in text.replace(" ", "").split(",") if each and each != "none")
    unknown = sorted(chosen - set(FAULTS))
    if unknown:
        raise UsageError(f"there is no fault {', '.join(unknown)}; there are: none, {', '.join(FAULTS)}")
    return chosen


class _teller:  # noqa: N801  (a callable with a bar)
    def __init__(self, seeds: int, *, as_json: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._silent = as_json
        self._bar = Progress(
            TextColumn("seeds"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self._task = self._bar.add_task("", total=seeds)
        self._left, self._failed = seeds, 0
        if not as_json:
            self._bar.start()

    def __call__(self, result: Result) -> None:
        self._left -= 1
        self._failed += not result.holds
        self._bar.update(self._task, advance=1, description=f"{self._failed} failed" if self._failed else "all hold")
        if not self._left:
            self._bar.stop()


def _shortest(failed: Result, plant: str | None) -> Result:
    with own_database() as database:
        return shorten(failed, database, None if plant is None else planted(plant))


def _tell_history(result: Result, faults: str | None, plant: str | None) -> None:
    plan = result.plan
    for line in result.last[-80:]:
        typer.echo(line)
    for each in result.violations:
        typer.echo(f"broken: {each.invariant}: {each.subject} {each.what}")
    if result.broken:
        typer.echo(f"broken: {result.broken}")
    again = ["accord", "simulate", "--seeds", "1", "--seed", str(plan.seed), "--deals", str(plan.deals)]
    again += ["--days", str(plan.days), *(["--actions", str(plan.actions)] if plan.actions is not None else [])]
    again += ["--faults", faults] if faults is not None else []  # they set how hard each fault comes
    again += ["--keep", ",".join(plan.weather.present()) or "none"]
    again += ["--plant", plant] if plant is not None else []
    typer.echo(f"again: {shlex.join(again)}")


def _plain(result: Result) -> dict[str, object]:
    return {
        "seed": result.plan.seed,
        "broken": result.broken,
        "violations": [f"{each.invariant}: {each.subject} {each.what}" for each in result.violations],
        "digest": result.digest,
        "seconds": round(result.seconds, 2),
    }
