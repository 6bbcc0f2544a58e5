"""What each column of the SiP task files means, how its text is read, and samples that prove it. Pure.

The files are those of the public SiP effort set (Jones and Cullum, arXiv 1901.01621): comma-separated windows-1252 with
a header, a decimal point, days as 02-Nov-04. One row of `task_info.csv` is the time of one person on one task; the
dates of the task are in `task_dates.csv`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from accord.connect.tables.cells import Days, Numbers
from accord.imports.pipeline_columns import Column, one_of, optional, text, whole

# The first task is of 2004 and the last of 2014: 68 and below are of this century, as POSIX reads two digits.
DAYS = Days(("DD-MMM-YY",), pivot=68)
NUMBERS = Numbers()

# What a status says of the time under it. A chronicle is a log that goes on beside the tasks; dated, it counts.
FINISHED = ("FINISHED", "COMPLETED", "RELEASED", "CHRONICLE")
NOT_FINISHED = ("ESTIMATED", "AUTHORISE")
CANCELLED, TEMPLATE = "CANCELLED", "TEMPLATE"


def number(value: str) -> Decimal | None:
    """A decimal number, or None for nothing."""
    return NUMBERS.read(value)


def hours(value: str) -> Decimal:
    """Hours that were worked: more than none."""
    found = NUMBERS.read(value)
    if found is None or found <= 0:
        raise ValueError(f"{value!r} is no time that was worked")
    return found


def day(value: str) -> date | None:
    return DAYS.read(value)


def known(value: str) -> str | None:
    """A person, where `NA` is nobody."""
    return None if value in ("NA", "") else text(value)


TASKS = (
    Column("TaskNumber", "number of the task; with the developer the key of the row", text, (("2548", "2548"),), ("",)),
    Column("Summary", "what the task was", optional(text), (("Write self-tests", "Write self-tests"), ("", None))),
    Column("Priority", "not taken over", optional(whole), (("1", 1),), ("high",)),
    Column("RaisedByID", "not taken over", optional(text), (("58", "58"),)),
    Column("AssignedToID", "not taken over", optional(text), (("58", "58"),)),
    Column("AuthorisedByID", "who approved the task", known, (("6", "6"), ("NA", None))),
    Column("StatusCode", "whether the time counts", one_of(*FINISHED, *NOT_FINISHED, CANCELLED, TEMPLATE),
           (("FINISHED", "FINISHED"), ("TEMPLATE", "TEMPLATE")), ("", "finished", "DONE")),
    Column("ProjectCode", "project, bound to an engagement by reference", text, (("PC2", "PC2"),), ("",)),
    Column("ProjectBreakdownCode", "part of the project; not taken over", optional(text), (("PBC42", "PBC42"),)),
    Column("Category", "the kind of work: the role it is billed by", text, (("Development", "Development"),), ("",)),
    Column("SubCategory", "the kind of task", text, (("Bug", "Bug"), ("Board Meeting", "Board Meeting")), ("",)),
    Column("HoursEstimate", "not taken over", number, (("14", Decimal(14)), ("", None)), ("1,5",)),
    Column("HoursActual", "hours of all persons on the task; not taken over", number, (("1.75", Decimal("1.75")),)),
    Column("DeveloperID", "the person", text, (("58", "58"),), ("",)),
    Column("DeveloperHoursActual", "hours of this person on the task", hours,
           (("1.75", Decimal("1.75")), ("2100.5", Decimal("2100.5"))), ("", "0", "-1", "NA", "1,75")),
    Column("TaskPerformance", "not taken over", optional(text), (("12.25", "12.25"),)),
    Column("DeveloperPerformance", "not taken over", optional(text), (("NA", "NA"),)),
)  # fmt: skip
DATES = (
    Column("TaskNumber", "number of the task", text, (("2610", "2610"),), ("",)),
    Column("EstimateOn", "day it was estimated; not taken over", day, (("02-Nov-04", date(2004, 11, 2)), ("", None))),
    Column("StartedOn", "first day of the work", day, (("09-Nov-04", date(2004, 11, 9)), ("", None)), ("31-Feb-05",)),
    Column("CompletedOn", "last day of the work: the day the time counts for", day,
           (("06-Jan-05", date(2005, 1, 6)), ("", None)), ("2005-01-06", "6-1-05")),
)  # fmt: skip

FILES: Mapping[str, Sequence[Column]] = {"task_info.csv": TASKS, "task_dates.csv": DATES}
