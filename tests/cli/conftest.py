"""Runs `accord` inside the test's process, on the test's own database and home."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accord.cli import main


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The error, which is one line on stderr and nothing else."""
        assert (self.err.startswith("accord: "), self.err.count("\n"), self.out) == (True, 1, ""), self
        return self.err.removeprefix("accord: ").rstrip("\n")


Accord = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Accord:
    """`run("trace", "x")` without a database of the test; nothing may reach for one."""
    monkeypatch.setenv("ACCORD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["accord", *arguments])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def accord(run: Accord, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Accord:
    """`accord("status", "--json")` on a migrated, empty database."""
    monkeypatch.setenv("ACCORD_DATABASE_URL", database_url)
    return run
