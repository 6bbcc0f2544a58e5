"""Reads the time of the SiP task set: what can be bound, dated and believed is work, the rest a problem by reason.

Nothing is guessed: a task without an end is not dated by its start, hours beyond belief are not cut, a project that
nobody bound is not matched by its name. The rules of belief are in `doubt_of`.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from accord.connect.tables.delimited import delimited_rows
from accord.connect.tables.encoding import Encoding, encoding_of
from accord.connect.tables.failures import ColumnsUnknown
from accord.errors import UsageError
from accord.imports.pipeline_columns import Column
from accord.imports.sip_columns import CANCELLED, FILES, NOT_FINISHED, TEMPLATE
from accord.ledger.bindings import Bindings
from accord.ledger.work_files import ReadRow, place
from accord.model.identity import canonical_id
from accord.model.work import WorkEntry, WorkKind, WorkProblem, WorkStatus

SOURCE = "sip-time"
TASK_FILE, DATE_FILE = "task_info.csv", "task_dates.csv"

# A quarter of full-time work: on one task that is a total or a log, which somebody has to take apart.
HOURS_OF_A_TASK = Decimal(500)
# Eleven hours of rest belong to every day (directive 2003/88/EC, article 3): nobody works more than thirteen for long.
HOURS_OF_A_WORKING_DAY = Decimal(13)
HOURS_OF_A_DAY = Decimal(24)

REASONS: Mapping[str, tuple[str, str]] = {
    "row_unreadable": ("{detail}", "Correct the row in the file and import it again."),
    "task_is_template": (
        "is a template of tasks, no work",
        "If somebody worked, enter the time under a task of its own.",
    ),
    "task_cancelled": (
        "the task was cancelled, {hours} h were worked on it before",
        "Decide whether the customer pays: reopen the task as finished, or write the time off at its source.",
    ),
    "hours_above_limit": (
        "{hours} h on one task are above the limit of {limit} h",
        "Take the total apart into entries with a date each.",
    ),
    "no_dates": ("the task has neither a start nor an end", "Enter at its source when the work was done."),
    "no_end_date": ("the task began on {started} and has no end", "Enter at its source when the work was done."),
    "ends_before_start": (
        "the task ends on {ended}, before it starts on {started}",
        "Correct the dates of the task at their source.",
    ),
    "no_start_date": (
        "the task ended on {ended} and has no start; {hours} h are more than that day allows",
        "Enter at its source when the work began.",
    ),
    "hours_exceed_span": (
        "{hours} h from {started} to {ended} are more than {limit} h, {daily} h for each working day",
        "Correct the hours or the dates at their source.",
    ),
    "day_too_long": (
        "the tasks that this person began and ended on {ended} come to {limit} h",
        "Correct the hours or the dates of these tasks at their source.",
    ),
    "project_not_bound": (
        "nobody has said which engagement project {project} is",
        "Bind it with --bind FILE, or in the reference list time_project.",
    ),
}  # fmt: skip


class TimeFilesMissing(UsageError):
    """The folder must hold task_info.csv and task_dates.csv."""

    title = "Time files missing"


class Dates(NamedTuple):
    """When a task was begun and ended; `wrong` is why its row of dates cannot be read or contradicts another."""

    started: date | None = None
    ended: date | None = None
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class SipTime:
    """The two files of a folder. `encodings` says how each was read; `days` is {(person, day): hours} of tasks that
    were begun and ended on one day and that nothing else is wrong with."""

    directory: Path
    hash: str
    encodings: Mapping[str, Encoding]
    dates: Mapping[str, Dates]
    days: Mapping[tuple[str, date], Decimal] = field(default_factory=dict)

    def rows(self, bindings: Bindings) -> Iterator[ReadRow]:
        """Each row as work or as a problem, one at a time."""
        for line, cells in _lines(self.directory / TASK_FILE, self.encodings[TASK_FILE]):
            yield self._row(line, cells, bindings)

    def _row(self, line: int, cells: Sequence[str], bindings: Bindings) -> ReadRow:
        told, wrong = _values(cells, FILES[TASK_FILE])
        key = _key(cells)
        if wrong:
            return ReadRow(line, key, _problem("row_unreadable", line, cells, detail=wrong))
        dates = self.dates.get(told["TaskNumber"], Dates())
        doubt = doubt_of(told, dates, self.days)
        if doubt is not None:
            reason, about = doubt
            return ReadRow(line, key, _problem(reason, line, cells, **about))
        assert dates.ended is not None
        bound = bindings.of(told["ProjectCode"], dates.ended)
        if bound is None:
            return ReadRow(line, key, _problem("project_not_bound", line, cells, project=told["ProjectCode"]))
        return ReadRow(line, key, _entry(told, dates.ended, bound.engagement_id, bound.legal_entity, line))


def read_sip(directory: Path) -> SipTime:
    """The files of a folder, with the dates of its tasks in memory. Raises TimeFilesMissing, FileNotTaken."""
    paths = {name: directory / name for name in FILES}
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing:
        raise TimeFilesMissing(f"there is no {' and no '.join(missing)} in {directory}")
    digest = hashlib.sha256()
    for path in paths.values():
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    encodings = {name: encoding_of(path) for name, path in paths.items()}
    dates = _dates(paths[DATE_FILE], encodings[DATE_FILE])
    found = SipTime(directory, digest.hexdigest(), encodings, dates)
    return SipTime(directory, found.hash, encodings, dates, _days(found))


def counted(directory: Path, encoding: Encoding) -> tuple[int, Decimal]:
    """Rows and hours of the task file, counted by the plainest means: what the import has to account for."""
    rows, total = 0, Decimal(0)
    with (directory / TASK_FILE).open(encoding=encoding.name, newline="") as file:
        for row in csv.DictReader(file):
            rows += 1
            try:
                total += Decimal(row["DeveloperHoursActual"])
            except (InvalidOperation, TypeError):
                continue
    return rows, total


def doubt_of(
    told: Mapping[str, Any], dates: Dates, days: Mapping[tuple[str, date], Decimal]
) -> tuple[str, dict[str, Any]] | None:
    """Why the time of a row cannot be taken, with what to say about it; the first reason of this order counts."""
    status, hours = told["StatusCode"], told["DeveloperHoursActual"]
    started, ended = dates.started, dates.ended
    about = {"hours": hours, "started": started, "ended": ended}
    if dates.wrong is not None:
        return "row_unreadable", {"detail": dates.wrong}
    if status == TEMPLATE:
        return "task_is_template", about
    if status == CANCELLED:
        return "task_cancelled", about
    if hours > HOURS_OF_A_TASK:
        return "hours_above_limit", {**about, "limit": HOURS_OF_A_TASK}
    if ended is None:
        return ("no_dates" if started is None else "no_end_date"), about
    if started is not None and ended < started:
        return "ends_before_start", about
    limit = HOURS_OF_A_WORKING_DAY * working_days(started or ended, ended)
    if hours > limit:
        reason = "no_start_date" if started is None else "hours_exceed_span"
        return reason, {**about, "limit": limit, "daily": HOURS_OF_A_WORKING_DAY}
    on_the_day = days.get((told["DeveloperID"], ended), Decimal(0)) if started == ended else Decimal(0)
    if on_the_day > HOURS_OF_A_DAY:
        return "day_too_long", {**about, "limit": on_the_day}
    return None


def working_days(first: date, last: date) -> int:
    """Mondays to Fridays from first to last, both included; one at least, for who works on a Saturday."""
    weeks, rest = divmod((last - first).days + 1, 7)
    tail = sum((first + timedelta(days=n)).weekday() < 5 for n in range(rest))
    return max(1, weeks * 5 + tail)


def _days(found: SipTime) -> dict[tuple[str, date], Decimal]:
    days: defaultdict[tuple[str, date], Decimal] = defaultdict(Decimal)
    for _, cells in _lines(found.directory / TASK_FILE, found.encodings[TASK_FILE]):
        told, wrong = _values(cells, FILES[TASK_FILE])
        if wrong:
            continue
        dates = found.dates.get(told["TaskNumber"], Dates())
        if dates.ended is not None and dates.started == dates.ended and doubt_of(told, dates, {}) is None:
            days[told["DeveloperID"], dates.ended] += told["DeveloperHoursActual"]
    return dict(days)


def _dates(path: Path, encoding: Encoding) -> dict[str, Dates]:
    """The dates of each task. The file repeats them for each person; words that differ are no dates at all."""
    found: dict[str, Dates] = {}
    for line, cells in _lines(path, encoding):
        told, wrong = _values(cells, FILES[DATE_FILE])
        if not cells or not cells[0].strip():
            continue
        dates = (
            Dates(wrong=f"{DATE_FILE} line {line}: {wrong}") if wrong else Dates(told["StartedOn"], told["CompletedOn"])
        )
        task = cells[0].strip()
        if found.setdefault(task, dates) != dates:
            found[task] = Dates(wrong=f"{DATE_FILE} line {line} has other dates for task {task} than a line before")
    return found


def _lines(path: Path, encoding: Encoding) -> Iterator[tuple[int, list[str]]]:
    rows = delimited_rows(path, encoding.name, ",")
    wanted = [column.name for column in FILES[path.name]]
    _, header = next(rows, (1, []))
    if header != wanted:
        raise ColumnsUnknown(f"{path.name} has the columns {header}, expected {wanted}.")
    yield from rows


def _values(cells: Sequence[str], columns: Sequence[Column]) -> tuple[dict[str, Any], str]:
    """The typed values of a row, and all its problems in one sentence ("" when there is none)."""
    if len(cells) != len(columns):
        return {}, f"has {len(cells)} fields instead of {len(columns)}"
    values: dict[str, Any] = {}
    problems = []
    for column, cell in zip(columns, cells, strict=True):
        try:
            values[column.name] = column.read(cell)
        except ValueError as problem:
            problems.append(f"{column.name} {problem}")
    return values, "; ".join(problems)


_AT = {column.name: at for at, column in enumerate(FILES[TASK_FILE])}


def _key(cells: Sequence[str]) -> str | None:
    """Task and person: a task that several worked on has a row for each."""
    if len(cells) != len(_AT):
        return None
    task, person = cells[_AT["TaskNumber"]].strip(), cells[_AT["DeveloperID"]].strip()
    return f"{task}/{person}" if task and person else None


def _problem(reason: str, line: int, cells: Sequence[str], **about: Any) -> WorkProblem:
    message, cure = REASONS[reason]
    given = {name: cells[at] for name, at in _AT.items() if at < len(cells)}
    try:
        hours = Decimal(given.get("DeveloperHoursActual", ""))
        hours_told = hours if hours.is_finite() else None
    except InvalidOperation:
        hours_told = None
    return WorkProblem(reason, message.format(**about), place(TASK_FILE, line), cure, hours_told, given)


def _entry(told: Mapping[str, Any], ended: date, engagement: str, entity: str, line: int) -> WorkEntry:
    """The time of one person on one finished task, on the day it ended: the day the firm called it done."""
    key = f"{told['TaskNumber']}/{told['DeveloperID']}"
    finished = told["StatusCode"] not in NOT_FINISHED
    return WorkEntry(
        id=canonical_id("work", SOURCE, key),
        revision=1,
        kind=WorkKind.TIME,
        source=SOURCE,
        source_key=key,
        status=WorkStatus.APPROVED if finished else WorkStatus.SUBMITTED,
        worked_on=ended,
        quantity=told["DeveloperHoursActual"],
        engagement_id=engagement,
        legal_entity=entity,
        worker=told["DeveloperID"],
        worker_entity=entity,
        role=told["Category"],
        task=told["SubCategory"],
        note=told["Summary"],
        approver=told["AuthorisedByID"],
        approved_at=f"{ended.isoformat()}T23:59:59+00:00" if finished else None,
        recorded_as=place(TASK_FILE, line),
    )
