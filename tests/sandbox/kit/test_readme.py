"""The sandbox's own documentation knows every fault, address and option there is."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

import accord.sandbox
from accord.sandbox.kit.faults import FaultKind

HOME = Path(accord.sandbox.__file__).parent
README = (HOME / "README.md").read_text()


@pytest.mark.parametrize("kind", get_args(FaultKind))
def test_every_fault_is_described(kind: str) -> None:
    assert f"| `{kind}` |" in README


def test_every_option_is_described() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "accord.sandbox", "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = {word.strip("[]") for word in shown.split() if word.strip("[]").startswith("--")} - {"--help"}
    assert options
    assert [option for option in sorted(options) if f"`{option}" not in README] == []


def test_every_admin_address_is_described() -> None:
    source = (HOME / "kit" / "admin.py").read_text()
    addresses = [line.split('"')[1::2][:2] for line in source.splitlines() if line.strip().startswith("case ")]
    assert len([each for each in addresses if len(each) == 2]) >= 10
    assert [f"{method} {name}" for method, name in addresses if f"`{method} {name}" not in README] == []


async def test_the_python_examples_run(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    known: dict[str, Any] = {"tmp_path": tmp_path}
    for block in blocks:
        code = compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, known)  # the way to run code with await at its top
        if inspect.isawaitable(running):
            await running
    assert known["served"].url.startswith("https://")
    assert known["response"].status == 401
