"""Each of the 25 edge cases has a test of its name."""

from __future__ import annotations

import re
from pathlib import Path

NAMED = re.compile(r"test_(\d\d)_\w+\.py")


def test_every_edge_case_has_a_named_test() -> None:
    names = [each.name for each in Path(__file__).parent.glob("test_*.py")]
    there = {int(match[1]) for match in map(NAMED.fullmatch, names) if match}
    assert sorted({*range(1, 26)} - there) == [], "edge cases without a test"
