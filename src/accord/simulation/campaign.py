"""Many seeds, over several processes, each with a PostgreSQL of its own; a failing one is made shorter."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from accord.db import embedded
from accord.simulation import database
from accord.simulation.planted import PLANTED, Planted, planted
from accord.simulation.run import Plan, Result, Run
from accord.simulation.weather import forecast

SHORTENINGS = 24  # runs spent on making a failing history shorter


@dataclass(frozen=True, slots=True)
class Campaign:
    """What to run: seeds from `first`, the size of the firm, the faults (None: what each seed draws), a planted bug."""

    first: int
    seeds: int
    deals: int = 20
    days: int = 90
    faults: frozenset[str] | None = None
    plant: str | None = None
    keep: frozenset[str] | None = None  # of the weather a seed draws only these
    actions: int | None = None

    def plan(self, seed: int) -> Plan:
        weather = forecast(seed, self.faults)
        if self.keep is not None:
            for name in set(weather.present()) - self.keep:
                weather = weather.without(name)
        return Plan(seed, weather, self.deals, self.days, self.actions)


@contextlib.contextmanager
def own_database() -> Iterator[tuple[str, Path]]:
    """A PostgreSQL for one process of the campaign, gone afterwards: its address and its home."""
    home = Path(tempfile.mkdtemp(prefix="accord-simulate-"))
    try:
        yield database.prepare(home), home
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def play(plan: Plan, url: str, home: Path, bug: Planted | None = None) -> Result:
    """One run, with its bug put in."""
    with bug.put_in() if bug is not None else contextlib.nullcontext():
        return Run(plan, url, home).go()


def run(campaign: Campaign, *, processes: int = 2, told: Callable[[Result], None] = lambda _: None) -> list[Result]:
    """Every seed of a campaign; `told` is called with each as it ends. Results in the order of seeds."""
    seeds = range(campaign.first, campaign.first + campaign.seeds)
    results: list[Result] = []
    if processes <= 1 or campaign.seeds == 1:
        with own_database() as (url, home):
            _quiet()
            for seed in seeds:
                results.append(play(campaign.plan(seed), url, home, _bug(campaign)))
                told(results[-1])
        return results
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=_quiet) as pool:
        shares = [(campaign, list(seeds[number :: processes * 4])) for number in range(processes * 4)]
        for share in pool.imap_unordered(_share, [each for each in shares if each[1]]):
            for result in share:
                results.append(result)
                told(result)
    return sorted(results, key=lambda each: each.plan.seed)


def _share(work: tuple[Campaign, Sequence[int]]) -> list[Result]:
    campaign, seeds = work
    with own_database() as (url, home):
        return [play(campaign.plan(seed), url, home, _bug(campaign)) for seed in seeds]


def _bug(campaign: Campaign) -> Planted | None:
    return None if campaign.plant is None else planted(campaign.plant)


def _quiet() -> None:
    """What the simulated system logs of its simulated faults is nobody's news."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)


def shorten(failed: Result, url: str, home: Path, bug: Planted | None = None) -> Result:
    """The shortest failing history found: fewer deals, fewer kinds of faults, fewer actions."""
    best, spent = failed, 0

    def attempt(plan: Plan) -> bool:
        nonlocal best, spent
        if spent >= SHORTENINGS:
            return False
        spent += 1
        result = play(plan, url, home, bug)
        if result.holds or _kind(result) != _kind(failed) or result.happenings > best.happenings:
            return False
        best = result
        return True

    for name in best.plan.weather.present():
        attempt(replace(best.plan, weather=best.plan.weather.without(name)))
    for deals in _halves(best.plan.deals):
        attempt(replace(best.plan, deals=deals))
    low, high = 0, best.plan.actions or best.plan.deals * 8
    while high - low > 1 and spent < SHORTENINGS:
        middle = (low + high) // 2
        if attempt(replace(best.plan, actions=middle)):
            high = middle
        else:
            low = middle
    return best


def _halves(number: int) -> Iterable[int]:
    while number > 1:
        number //= 2
        yield number


def _kind(result: Result) -> str:
    return result.violations[0].invariant if result.violations else str(result.broken).partition(":")[0]


@dataclass(frozen=True, slots=True)
class Found:
    """How a planted bug was found: the seed, how many were tried, what was violated; no seed when it was not."""

    bug: Planted
    seed: int | None
    tried: int
    violated: str


def find_planted(names: Iterable[str] | None, *, within: int, deals: int, days: int) -> Iterator[Found]:
    """Put each bug in and look for it, seed by seed, until a promise is seen broken."""
    with own_database() as (url, home):
        _quiet()
        for bug in PLANTED if names is None else [planted(name) for name in names]:
            yield _find(bug, url, home, within, deals, days)


def _find(bug: Planted, url: str, home: Path, within: int, deals: int, days: int) -> Found:
    faults = frozenset(bug.faults)
    violated = ""
    for tried, seed in enumerate(range(1, within + 1), start=1):
        plan = Plan(seed, forecast(seed, faults), deals, days)
        result = play(plan, url, home, bug)
        names = list(dict.fromkeys(each.invariant for each in result.violations))
        if bug.breaks in names:
            return Found(bug, seed, tried, ", ".join(names))
        violated = ", ".join(names) or str(result.broken or "")
    return Found(bug, None, within, violated)
