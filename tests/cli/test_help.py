"""`accord --help` is quick and reads like a manual."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
import typer

from accord.cli.commands import app

HEAVY = ("aiohttp", "fastapi", "alembic", "uvicorn", "pycountry", "psycopg", "pydantic")


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path), command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def test_help_takes_little_time() -> None:
    """The aim is half a second; the bound leaves room for a busy machine."""
    before = os.times()
    done = subprocess.run([sys.executable, "-m", "accord.cli", "--help"], capture_output=True, text=True, check=True)
    after = os.times()
    assert after.children_user - before.children_user < 1
    for word in ("demo", "trace", "Exit codes", "ACCORD_HOME"):
        assert word in done.stdout


def test_help_loads_nothing_heavy() -> None:
    look = f"import sys, accord.cli.commands; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_commands_are_those_that_were_promised() -> None:
    promised = {
        "demo", "up", "serve", "worker", "sandbox", "migrate", "connect", "import crm-pipeline", "status", "trace",
        "cases list", "cases show", "cases correct", "cases retry", "cases resolve", "replay", "doctor",
    }  # fmt: skip
    assert promised <= set(ALL)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path or "accord")
def test_every_command_and_parameter_says_what_it_is_for(path: str) -> None:
    assert (ALL[path].help or "").strip()
    without = [each.name for each in ALL[path].params if not (getattr(each, "help", None) or "").strip()]
    assert without == []
