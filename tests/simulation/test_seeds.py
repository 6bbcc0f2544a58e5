"""Seeds of a small simulated firm that are always the same, fresh ones that nobody has seen, and proofs that they fail.

ACCORD_TEST_FRESH_SEEDS says how many fresh ones (`make simulate` plays a thousand of a larger firm). One that fails is
told with the command that plays it again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from accord.simulation.campaign import Campaign, on_one_core, own_database, play, shorten
from accord.simulation.database import Database
from accord.simulation.planted import planted
from accord.simulation.run import Result
from accord.simulation.weather import forecast

# What two test workers play in the time they have; docs/reference/simulation.md has the figures of larger firms.
SIZE = {"deals": 1, "days": 12}
FIXED, AT_ONCE = 200, 10
FRESH = int(time.time()) // 60 % 1_000_000 + 10_000
FRESH_SEEDS = int(os.environ.get("ACCORD_TEST_FRESH_SEEDS", "50"))


@pytest.fixture(scope="module")
def place(worker_id: str) -> Iterator[Database]:
    """One PostgreSQL for the seeds of this process, on the core that it shares with it."""
    core = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0
    with on_one_core(core), own_database() as found:
        yield found


def told(result: Result) -> str:
    broken = "; ".join(f"{each.invariant}: {each.subject} {each.what}" for each in result.violations)
    again = f"accord simulate --seeds 1 --seed {result.plan.seed} --deals {result.plan.deals} --days {result.plan.days}"
    return f"{broken or result.broken}\nagain: {again}\n" + "\n".join(result.last[-30:])


def holds(seeds: range, place: Database) -> None:
    campaign = Campaign(seeds.start, len(seeds), **SIZE)
    for seed in seeds:
        result = play(campaign.plan(seed), place)
        assert result.holds, told(result)
        assert result.happenings > 50, "a run in which nothing happens proves nothing"


@pytest.mark.parametrize("first", range(1, FIXED + 1, AT_ONCE))
def test_fixed_seeds_hold(first: int, place: Database) -> None:
    holds(range(first, first + AT_ONCE), place)


@pytest.mark.parametrize("first", range(0, FRESH_SEEDS, AT_ONCE))
def test_fresh_seeds_hold(first: int, place: Database) -> None:
    holds(range(FRESH + first, FRESH + min(first + AT_ONCE, FRESH_SEEDS)), place)


@pytest.mark.parametrize("name", ["repeats-are-new", "silent-park"])
def test_a_planted_bug_is_found_and_its_history_shortened(name: str, place: Database) -> None:
    bug = planted(name)
    campaign = Campaign(1, 1, deals=8, days=60, faults=frozenset(bug.faults))
    results = (play(campaign.plan(seed), place, bug) for seed in range(1, 20))
    found = next(each for each in results if not each.holds)
    assert bug.breaks in {each.invariant for each in found.violations}
    shortest = shorten(found, place, bug)
    assert not shortest.holds
    assert shortest.happenings <= found.happenings
    assert play(shortest.plan, place, bug).digest == shortest.digest, "the shortest history plays again exactly"
    assert play(shortest.plan, place).holds, "without the bug the same history holds"


def test_the_same_seed_is_the_same_run_whatever_the_process_hashes_by() -> None:
    digests = []
    for hashing in ("1", "2"):
        command = [
            sys.executable,
            "-m",
            "accord.cli",
            "simulate",
            "--seeds",
            "1",
            "--seed",
            "6",
            "--deals",
            "2",
            "--json",
        ]
        done = subprocess.run(
            [*command, "--days", "25"],
            env={**os.environ, "PYTHONHASHSEED": hashing},
            capture_output=True,
            check=True,
            timeout=120,
        )
        digests.append(json.loads(done.stdout)["digest"])
    assert digests[0] is not None
    assert digests[0] == digests[1]


def test_the_weather_of_a_seed_is_drawn_once_and_can_be_taken_away() -> None:
    assert forecast(5) == forecast(5)
    weather = forecast(5)
    for name in weather.present():
        weather = weather.without(name)
    assert weather.present() == []
    assert forecast(5, frozenset({"crash"})).present() == ["crash"]
