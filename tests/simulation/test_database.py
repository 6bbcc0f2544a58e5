"""The simulation's database is the real one in all that the played system can see, but for the time."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from accord.simulation.campaign import own_database, sweep
from accord.simulation.run import Plan, Run
from accord.simulation.weather import Weather


def test_the_ledger_moves_in_a_calm_firm() -> None:
    """Its functions find PostgreSQL's types, and what the migrations wrote is still there once it was emptied."""
    with own_database() as database:
        result = Run(Plan(seed=3, weather=Weather(), deals=3, days=25), database).go()
        assert result.holds, result.violations or result.broken
        with psycopg.connect(database.url) as db:
            assert db.execute("SELECT count(*) FROM transfer").fetchone() != (0,)
            assert db.execute("SELECT count(*) FROM business_case WHERE reason = 'not_recordable'").fetchone() == (0,)
            assert db.execute("SELECT now() < pg_catalog.now() - interval '10 days'").fetchone() == (True,)


def test_what_a_killed_process_left_is_stopped_and_removed() -> None:
    left = """
import time
from accord.simulation.campaign import own_database
with own_database() as database:
    print(database.url, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", left], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        sweep()
        with psycopg.connect(url):
            process.kill()
    sweep()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
