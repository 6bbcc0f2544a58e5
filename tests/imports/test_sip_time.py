"""Task time becomes work only when it can be bound, dated and believed; every other row keeps its reason."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from accord.connect.tables.encoding import Encoding
from accord.connect.tables.failures import ColumnsUnknown, FileTruncated
from accord.imports.sip_time import TimeFilesMissing, counted, read_sip, working_days
from accord.ledger.bindings import Binding, Bindings, ProjectRow
from accord.ledger.work_files import ReadRow
from accord.model.work import WorkEntry, WorkProblem, WorkStatus

from .sip_sample import REASONS, TASK_HEADER, dates, task, write_sip

BOUND = Bindings.out_of([ProjectRow("PC2", Binding("DEA-1", "GB"))])


def read(folder: Path, bindings: Bindings = BOUND) -> dict[str | None, ReadRow]:
    return {row.key: row for row in read_sip(folder).rows(bindings)}


def problem(row: ReadRow) -> WorkProblem:
    assert isinstance(row.found, WorkProblem)
    return row.found


def test_each_doubt_has_its_reason_and_the_rest_is_work(tmp_path: Path) -> None:
    rows = read(write_sip(tmp_path))
    reasons = {
        row.key.partition("/")[0]: row.found.reason
        for row in rows.values()
        if row.key and isinstance(row.found, WorkProblem)
    }
    assert reasons == REASONS
    assert [key for key, row in rows.items() if isinstance(row.found, WorkEntry)] == [
        "1/58", "2/42", "2/13", "11/42", "15/58",
    ]  # fmt: skip


def test_the_time_of_a_finished_task_is_work_of_the_day_it_ended(tmp_path: Path) -> None:
    row = read(write_sip(tmp_path))["2/42"]
    assert isinstance(row.found, WorkEntry)
    entry = row.found
    assert (entry.worked_on, entry.quantity, entry.worker) == (date(2004, 11, 30), Decimal("3.5"), "42")
    assert (entry.engagement_id, entry.legal_entity, entry.role, entry.task) == ("DEA-1", "GB", "Development", "Bug")
    assert (entry.status, entry.approver) == (WorkStatus.APPROVED, "6")
    assert entry.approved_at == "2004-11-30T23:59:59+00:00"
    assert entry.recorded_as == "task_info.csv line 3"
    assert entry.note == "Büro \u2013 \u2018neu\u2019"
    assert read(tmp_path)["15/58"].found.worked_on == date(1969, 12, 31)  # type: ignore[union-attr]


def test_a_problem_keeps_the_row_its_hours_and_a_sentence(tmp_path: Path) -> None:
    found = problem(read(write_sip(tmp_path))["9/58"])
    assert found.message == "26.5 h from 2004-11-05 to 2004-11-08 are more than 26 h, 13 h for each working day"
    assert (found.where, found.hours, found.given["StatusCode"]) == (
        "task_info.csv line 11",
        Decimal("26.5"),
        "FINISHED",
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (task(90, "1,5"), "has 19 fields instead of 17"),
        (task(90, status="DONE"), "'DONE' is none of"),
        (task(90, "-3"), "no time that was worked"),
        ("90,x", "has 2 fields"),
    ],
)
def test_a_row_that_cannot_be_read_is_one_and_the_next_goes_on(tmp_path: Path, line: str, words: str) -> None:
    folder = write_sip(tmp_path, line, task(91), dates_more=(dates(91, "02-Nov-04", "03-Nov-04"),))
    rows = list(read_sip(folder).rows(BOUND))
    assert problem(rows[-2]).reason == "row_unreadable"
    assert words in problem(rows[-2]).message
    assert isinstance(rows[-1].found, WorkEntry)


def test_dates_that_cannot_be_read_or_contradict_each_other_date_nothing(tmp_path: Path) -> None:
    more = (dates(90, "31-Feb-05", ""), dates(91, "02-Nov-04", "03-Nov-04"), dates(91, "02-Nov-04", "04-Nov-04"))
    rows = read(write_sip(tmp_path, task(90), task(91), dates_more=more))
    assert "31-Feb-05" in problem(rows["90/58"]).message
    assert "other dates for task 91" in problem(rows["91/58"]).message


def test_a_project_is_bound_on_the_day_of_its_work(tmp_path: Path) -> None:
    later = Bindings.out_of([ProjectRow("PC2", Binding("DEA-1", "GB"), date(2004, 11, 20))])
    rows = read(write_sip(tmp_path), later)
    assert problem(rows["1/58"]).reason == "project_not_bound"
    assert isinstance(rows["2/42"].found, WorkEntry)


def test_files_that_are_not_the_declared_ones_are_named(tmp_path: Path) -> None:
    folder = write_sip(tmp_path)
    (folder / "task_info.csv").write_text(TASK_HEADER.replace("StatusCode", "Status") + "\n")
    with pytest.raises(ColumnsUnknown, match="has the columns"):
        list(read_sip(folder).rows(BOUND))
    (folder / "task_info.csv").write_text(TASK_HEADER + '\n1,"cut off')
    with pytest.raises(FileTruncated):
        list(read_sip(folder).rows(BOUND))
    (folder / "task_dates.csv").unlink()
    with pytest.raises(TimeFilesMissing, match=r"no task_dates\.csv"):
        read_sip(folder)


def test_two_files_make_one_hash(tmp_path: Path) -> None:
    first = read_sip(write_sip(tmp_path)).hash
    assert read_sip(write_sip(tmp_path)).hash == first
    assert read_sip(write_sip(tmp_path, dates_more=(dates(99, "", ""),))).hash != first


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [("2026-11-20", "2026-11-20", 1), ("2026-11-20", "2026-11-23", 2), ("2026-11-21", "2026-11-22", 1),
     ("2026-11-02", "2026-11-29", 20), ("2026-11-04", "2026-11-10", 5)],
)  # fmt: skip
def test_working_days_are_mondays_to_fridays(first: str, last: str, count: int) -> None:
    assert working_days(date.fromisoformat(first), date.fromisoformat(last)) == count


def test_the_real_time_is_read_whole(real_time: Path) -> None:
    found = read_sip(real_time)
    everything = Bindings.out_of([ProjectRow(f"PC{n}", Binding("DEA-1", "GB")) for n in range(1, 21)])
    rows, hours = Counter[str](), Counter[str]()
    for row in found.rows(everything):
        reason = row.found.reason if isinstance(row.found, WorkProblem) else row.found.status.value
        rows[reason] += 1
        hours[reason] += row.hours  # type: ignore[assignment,operator]
    assert found.encodings["task_info.csv"] == Encoding("windows-1252", "fallback")
    assert rows == {
        "approved": 9658, "no_end_date": 2242, "task_cancelled": 190, "no_dates": 162, "no_start_date": 12,
        "hours_exceed_span": 11, "day_too_long": 9, "task_is_template": 7, "hours_above_limit": 6,
        "ends_before_start": 2,
    }  # fmt: skip
    assert hours["hours_above_limit"] == Decimal("6728.45")
    assert (rows.total(), hours.total()) == counted(real_time, found.encodings["task_info.csv"])
    assert (rows.total(), hours.total()) == (12_299, Decimal("95001.98"))
