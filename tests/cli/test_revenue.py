"""`accord revenue` from the declaration to the comparison with the ERP."""

from __future__ import annotations

import json
from pathlib import Path

from tests.docs.test_reference import FENCE, REFERENCE

from .conftest import Accord


def test_revenue_by_the_command_line(accord: Accord, tmp_path: Path) -> None:
    """The contract of the reference page, with a straight line beside it, is declared, kept and compared."""
    [told] = [block for language, block in FENCE.findall((REFERENCE / "revenue.md").read_text()) if language == "json"]
    contract = json.loads(told)
    term = {
        **contract["obligations"][0], "id": "TERM", "name": "Term", "method": "straight_line",
        "starts_on": "2026-01-01", "ends_on": "2026-12-31",
    }  # fmt: skip
    contract["obligations"].append(term)
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(contract))
    declare = ("revenue", "declare", str(file), "--by", "fatima")
    assert "DEA-ABC" in accord(*declare).out
    assert "as before" in accord(*declare).out
    accord("close", "calendar", "US", "--starts-on", "2026-01-01", "--months", "2", "--by", "fatima")
    engagement = ("DEA-ABC", "US")
    estimate = ("revenue", "estimate", *engagement, "BUILD", "2026-01", "--by", "petra")
    assert accord(*estimate, "--cost", "1000").code == 0
    assert accord(*estimate).code == 2
    assert accord(*estimate, "--cost", "dear").code == 2
    assert accord("revenue", "accept", *engagement, "NOTHING", "--on", "2026-01-05", "--evidence", "x").code != 0
    shown = accord("revenue", "show", *engagement, "--json").json
    assert [(row["obligation_id"], row["progress"], row["recognised"]["amount"]) for row in shown["rows"]] == [
        ("BUILD", "0", "0.00"), ("TERM", "31/365", "21232.88"), ("TERM", "59/365", "19178.08"),
    ]  # fmt: skip
    assert "TERM" in accord("revenue", "show", *engagement).out
    assert [accord("revenue", "keep").out, accord("revenue", "keep").out] == ["3 rows are new\n", "0 rows are new\n"]

    booked = tmp_path / "booked.csv"
    lines = ["obligation,period,amount,currency,reference", "TERM,2026-01,21232.88,USD,JE1"]
    booked.write_text("\n".join([*lines, "TERM,2026-02,19000.00,USD,JE2"]))
    load = ("revenue", "load-booked", "US", str(booked), "--by", "fatima")
    assert accord(*load).out == "2 of 2 entries are kept\n"
    differ = accord("revenue", "compare", "US", "--json")
    assert differ.code == 1
    assert [(each["kind"], each["by"]["amount"]) for each in json.loads(differ.out)] == [("amount", "-178.08")]
    assert accord("revenue", "compare", "US", "--tolerance", "200").code == 0
    booked.write_text("\n".join([*lines, "TERM,2026-02,19178.08,USD,JE3"]))
    accord(*load)
    assert accord("revenue", "compare", "US").code == 0


def test_an_engagement_without_a_contract_has_no_revenue(accord: Accord) -> None:
    assert accord("revenue", "show", "DEA-9", "US").code == 4
