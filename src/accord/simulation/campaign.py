"""Many seeds, over several processes, each with a PostgreSQL of its own; a failing one is made shorter."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import multiprocessing
import os
import queue
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from accord.db import embedded
from accord.db.scratch import MEMORY, scratch_folder
from accord.errors import AccordError
from accord.simulation.database import Database
from accord.simulation.planted import PLANTED, Planted, planted
from accord.simulation.run import Plan, Result, Run
from accord.simulation.weather import forecast

LOOK_SECONDS = 2.0  # between two looks whether the processes of a campaign still live
# Where databases lie, and the file in each that its process holds locked for as long as it lives.
HOMES, IN_USE = "accord-simulate-", "in_use"
SHORTENINGS = 24  # runs spent on making a failing history shorter


class PlayerDied(AccordError):
    """A process of the simulation ended with an error."""


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
def own_database() -> Iterator[Database]:
    """A PostgreSQL for one process of the campaign, gone afterwards; what a killed process left goes now."""
    sweep()
    home = scratch_folder(HOMES)
    with (home / IN_USE).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            with _quiet(), contextlib.closing(Database(home)) as database:
                yield database
        finally:
            _remove(home)


def sweep() -> None:
    """Remove the databases of processes that were killed: PostgreSQL outlives who started it."""
    for home in (home for folder in (MEMORY, Path(tempfile.gettempdir())) for home in folder.glob(f"{HOMES}*")):
        if (home / "pg").exists():
            # Gone meanwhile, another user's, or still held by a living process.
            with contextlib.suppress(OSError), (home / IN_USE).open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(home)


def _remove(home: Path) -> None:
    embedded.stop(home)
    shutil.rmtree(home, ignore_errors=True)


def play(plan: Plan, database: Database, bug: Planted | None = None) -> Result:
    """One run, with its bug put in."""
    with bug.put_in() if bug is not None else contextlib.nullcontext():
        return Run(plan, database).go()


def run(campaign: Campaign, *, processes: int = 2, told: Callable[[Result], None] = lambda _: None) -> list[Result]:
    """Every seed of a campaign; `told` is called with each as it ends. Results in the order of seeds."""
    seeds = range(campaign.first, campaign.first + campaign.seeds)
    results: list[Result] = []
    if processes <= 1 or campaign.seeds == 1:
        with own_database() as database:
            for seed in seeds:
                results.append(play(campaign.plan(seed), database, _bug(campaign)))
                told(results[-1])
        return results
    context = multiprocessing.get_context("spawn")
    waiting, ended = context.Queue(), context.Queue()
    for seed in (*seeds, *[None] * processes):
        waiting.put(seed)
    players = [context.Process(target=_play_all, args=(campaign, waiting, ended, core)) for core in range(processes)]
    for each in players:
        each.start()
    try:
        while len(results) < len(seeds):
            results.append(_next(ended, players))
            told(results[-1])
    finally:
        for each in players:
            each.join() if len(results) == len(seeds) else each.terminate()
    return sorted(results, key=lambda each: each.plan.seed)


def _next(ended: Any, players: Sequence[Any]) -> Result:
    while True:
        try:
            result: Result = ended.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            if any(each.exitcode for each in players):
                raise PlayerDied("a process of the simulation ended with an error; see above") from None
        else:
            return result


def _play_all(campaign: Campaign, waiting: Any, ended: Any, core: int) -> None:
    """One process of a campaign: play the next seed until there is none."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # its database is stopped and removed on the way out
    with on_one_core(core), own_database() as database:
        parent = multiprocessing.parent_process()
        for seed in iter(waiting.get, None):
            if parent is not None and not parent.is_alive():
                return
            ended.put(play(campaign.plan(seed), database, _bug(campaign)))


@contextlib.contextmanager
def on_one_core(core: int) -> Iterator[None]:
    """Share one core with the PostgreSQL that is started meanwhile: the two take turns, and waking another core costs
    more than the statement."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[core % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _bug(campaign: Campaign) -> Planted | None:
    return None if campaign.plant is None else planted(campaign.plant)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What the simulated system logs of its simulated faults is nobody's news."""
    before, level = structlog.get_config(), logging.getLogger("psycopg").level
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        structlog.configure(**before)
        logging.getLogger("psycopg").setLevel(level)


def shorten(failed: Result, database: Database, bug: Planted | None = None) -> Result:
    """The shortest failing history found: fewer deals, fewer kinds of faults, fewer actions."""
    best, spent = failed, 0

    def attempt(plan: Plan) -> bool:
        nonlocal best, spent
        if spent >= SHORTENINGS:
            return False
        spent += 1
        result = play(plan, database, bug)
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
    with own_database() as database:
        for bug in PLANTED if names is None else [planted(name) for name in names]:
            yield _find(bug, database, within, deals, days)


def _find(bug: Planted, database: Database, within: int, deals: int, days: int) -> Found:
    faults = frozenset(bug.faults)
    violated = ""
    for tried, seed in enumerate(range(1, within + 1), start=1):
        plan = Plan(seed, forecast(seed, faults), deals, days)
        result = play(plan, database, bug)
        names = list(dict.fromkeys(each.invariant for each in result.violations))
        if bug.breaks in names:
            return Found(bug, seed, tried, ", ".join(names))
        violated = ", ".join(names) or str(result.broken or "")
    return Found(bug, None, within, violated)
