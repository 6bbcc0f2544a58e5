"""`accord import sip-time DIR --json`: each row and hour is in the ledger or behind a reason; again changes nothing."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.imports.conftest import shared_folder
from tests.imports.sip_sample import REASONS, TASKS, dates, task, write_sip

from .commands import Accord, free_port

KEYS = {"rows_in", "rows_accounted", "hours_in", "hours_accounted", "posted", "cases_by_reason", "seconds"}
# Everything that a second import must leave as it is.
STATE = """
SELECT (SELECT count(*) FROM work_entry), (SELECT count(*) FROM work_problem), (SELECT count(*) FROM billable_item),
    (SELECT count(*) FROM transfer), (SELECT count(*) FROM business_case), (SELECT sum(version) FROM record),
    (SELECT count(*) FROM billing_terms), (SELECT count(*) FROM reference), (SELECT count(*) FROM work_file),
    (SELECT count(*) FROM audit_entry), (SELECT max(recorded_at) FROM work_problem)
"""
IN_THE_LEDGER = "SELECT disposition, sum(quantity), sum(amount) FROM item_part GROUP BY 1 ORDER BY 1"
CURRENT = "SELECT source_key, revision, status FROM work_entry WHERE current AND source_key = ANY(%s) ORDER BY 1"
OPEN_CASES = "SELECT reason FROM business_case WHERE state = 'open' ORDER BY 1"


@pytest.fixture
def accord(tmp_path: Path, database_url: str) -> Accord:
    return Accord(tmp_path / "home", {"ACCORD_DATABASE_URL": database_url, "ACCORD_PORT": str(free_port())})


def imported(accord: Accord, folder: Path, *more: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(accord("import", "sip-time", str(folder), *more, "--json").splitlines()[-1])
    assert set(result) == KEYS
    assert result["rows_accounted"] == result["rows_in"] == result["posted"] + sum(result["cases_by_reason"].values())
    assert result["hours_accounted"] == result["hours_in"]
    return result


def rows(database_url: str, query: str, *parameters: Any) -> list[Any]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(query, parameters or None).fetchall()


def test_rows_are_in_the_ledger_or_behind_a_reason_and_again_changes_nothing(
    accord: Accord, tmp_path: Path, database_url: str
) -> None:
    folder = write_sip(tmp_path / "time")
    first = imported(accord, folder)
    assert first["rows_in"] == len(TASKS)
    assert first["posted"] == 5
    assert first["cases_by_reason"] == Counter(REASONS.values())
    # 14, 3.5, 1.75 and 12 hours of development at 95 pounds; the board's meeting is nobody's to pay.
    assert rows(database_url, IN_THE_LEDGER) == [
        ("non_billable", Decimal("2.5"), Decimal("237.50")),
        ("wip", Decimal("31.25"), Decimal("2968.75")),
    ]
    before = rows(database_url, STATE)
    second = imported(accord, folder)
    assert {**second, "seconds": 0} == {**first, "seconds": 0}
    assert rows(database_url, STATE) == before


def test_a_corrected_folder_revises_cures_and_deletes_exactly_its_rows(
    accord: Accord, tmp_path: Path, database_url: str
) -> None:
    first = imported(accord, write_sip(tmp_path / "time", task(90), dates_more=(dates(90, "02-Nov-04", "03-Nov-04"),)))
    corrected = write_sip(tmp_path / "time", dates_more=(dates(90, "", ""),))
    info = corrected / "task_info.csv"
    text = info.read_bytes().decode("windows-1252")
    info.write_bytes(
        text.replace(task(1, "14"), task(1, "12")).replace(task(9, "26.5"), task(9, "25")).encode("cp1252")
    )
    second = imported(accord, corrected)
    assert second["posted"] == first["posted"]  # 90 is gone, 9 is believed now
    assert "hours_exceed_span" not in second["cases_by_reason"]
    assert rows(database_url, CURRENT, ["1/58", "9/58", "90/58"]) == [
        ("1/58", 2, "approved"),
        ("9/58", 1, "approved"),
        ("90/58", 2, "deleted"),
    ]
    assert ("hours_exceed_span",) not in rows(database_url, OPEN_CASES)


def test_projects_are_bound_by_a_file_and_what_it_does_not_bind_is_a_case(
    accord: Accord, tmp_path: Path, database_url: str
) -> None:
    folder, bind = write_sip(tmp_path / "time"), tmp_path / "bind.csv"
    bind.write_text("project,engagement,legal_entity\nPC99,DEA-NINETYNINE,DE\n")
    first = imported(accord, folder, "--bind", str(bind))
    # Bound, but the engagement has no terms: that is a reason, too.
    assert first["posted"] == 0
    assert first["cases_by_reason"]["project_not_bound"] == 5
    assert first["cases_by_reason"]["terms_missing"] == 1
    bind.write_text("project,engagement,legal_entity\nPC2,DEA-TWO,DE\n")
    second = imported(accord, folder, "--bind", str(bind))
    assert "project_not_bound" not in second["cases_by_reason"]
    assert second["cases_by_reason"]["terms_missing"] == 6


def test_the_real_time_is_accounted_for_to_the_hundredth_of_an_hour(accord: Accord, database_url: str) -> None:
    folder = shared_folder("sip-time")
    first = imported(accord, folder)
    assert (first["rows_in"], first["hours_in"]) == (12_299, 95_001.98)
    assert first["posted"] == 9_658
    assert first["cases_by_reason"] == {
        "no_end_date": 2242, "task_cancelled": 190, "no_dates": 162, "no_start_date": 12, "hours_exceed_span": 11,
        "day_too_long": 9, "task_is_template": 7, "hours_above_limit": 6, "ends_before_start": 2,
    }  # fmt: skip
    before = rows(database_url, STATE)
    assert {**imported(accord, folder), "seconds": 0} == {**first, "seconds": 0}
    assert rows(database_url, STATE) == before
    assert sum(row[1] for row in rows(database_url, IN_THE_LEDGER)) == Decimal("53060.14")
