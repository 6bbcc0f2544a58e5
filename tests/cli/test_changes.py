"""`accord change`: looked at, proposed, applied by another person, taken back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from accord.db.pool import open_pool
from accord.model.plain import to_plain
from tests.ledger.changes.test_plan import order, rated
from tests.ledger.worked import agree, entry, work

from .conftest import Accord


@pytest.fixture
def file(database_url: str, tmp_path: Path) -> Path:
    """1,600.00 of work under a cap of 1,000.00, and an order that raises it to 1,500.00."""

    async def waiting() -> None:
        pool = await open_pool(database_url, max_size=2)
        try:
            await agree(pool, rated("200", "1000"))
            await work(pool, entry(2), entry(3))
        finally:
            await pool.close()

    asyncio.run(waiting())
    path = tmp_path / "change.json"
    path.write_text(json.dumps(to_plain(order(rated("200", "1500")))))
    return path


def test_a_change_is_looked_at_proposed_applied_and_taken_back(accord: Accord, file: Path) -> None:
    shown = accord("change", "impact", str(file), "--json").json
    assert [(each["area"], each["by"]["amount"]) for each in shown["effects"]] == [("over_cap", "-500.00")]
    assert accord("change", "list", "--json").json == []
    assert "500.00 USD set free" in accord("change", "propose", str(file), "--by", "petra").out
    assert accord("change", "apply", "CO-1", "--by", "petra").code == 5
    assert "version 2" in accord("change", "apply", "CO-1", "--by", "fatima").out
    assert [each["state"] for each in accord("change", "list", "--engagement", "DEA-1", "--json").json] == ["applied"]
    assert "undo use terms" in accord("change", "take-back", "CO-1", "--by", "carla").out
    assert [step["undoes"] for step in accord("change", "show", "CO-1", "--json").json["steps"]] == [
        False, False, True, True,
    ]  # fmt: skip
    assert "taken back" in accord("change", "show", "CO-1").out


def test_what_cannot_be_applied_says_so_and_is_dropped(accord: Accord, file: Path) -> None:
    told = json.loads(file.read_text())
    told["terms"]["rates"] = []
    file.write_text(json.dumps(told))
    shown = accord("change", "propose", str(file), "--by", "petra")
    assert (shown.code, "cannot be applied" in shown.err) == (1, True)
    assert "give no price for anna" in accord("change", "apply", "CO-1", "--by", "fatima").sentence
    assert accord("change", "drop", "CO-1", "--by", "petra").code == 0
    assert accord("change", "apply", "CO-1", "--by", "fatima").code == 5


def test_a_file_that_is_none_is_refused(accord: Accord, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"id": "CO-1"}')
    assert "engagement_id: missing" in accord("change", "impact", str(wrong)).sentence
    assert accord("change", "show", "CO-9").code == 4
    assert accord("change", "drop", "CO-9", "--by", "petra").code == 4
