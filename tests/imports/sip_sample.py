"""A made-up firm's task time in the shape of the SiP files, to change at will."""

from __future__ import annotations

from pathlib import Path

TASK_HEADER = (
    "TaskNumber,Summary,Priority,RaisedByID,AssignedToID,AuthorisedByID,StatusCode,ProjectCode,ProjectBreakdownCode,"
    "Category,SubCategory,HoursEstimate,HoursActual,DeveloperID,DeveloperHoursActual,TaskPerformance,DeveloperPerformance"
)
DATE_HEADER = "TaskNumber,EstimateOn,StartedOn,CompletedOn"


def task(
    number: int,
    hours: str = "7",
    *,
    person: str = "58",
    status: str = "FINISHED",
    project: str = "PC2",
    summary: str = "Mend it",
    sub: str = "Bug",
) -> str:
    return (
        f'{number},"{summary}",1,58,42,6,"{status}","{project}","PBC42","Development","{sub}",14,{hours},'
        f"{person},{hours},7,NA"
    )


def dates(number: int, started: str, ended: str) -> str:
    return f"{number},01-Nov-04,{started},{ended}"


TASKS = [
    task(1, "14"),
    task(2, "3.5", person="42", summary="Büro \u2013 \u2018neu\u2019"),
    task(2, "1.75", person="13", summary="Büro \u2013 \u2018neu\u2019"),
    task(3, status="CANCELLED"),
    task(4, "0.5", status="TEMPLATE"),
    task(5, "2100.5", status="CHRONICLE"),
    task(6, status="CHRONICLE"),
    task(7, status="ESTIMATED"),
    task(8),
    task(9, "26.5"),
    task(10, "13.25", person="42", status="COMPLETED"),
    task(11, "12", person="42", status="COMPLETED"),
    task(12, "12.5", person="7"),
    task(13, "11.75", person="7"),
    task(14, project="PC99"),
    task(15, "2.5", sub="Board Meeting", status="RELEASED"),
]
DATES = [
    dates(1, "02-Nov-04", "16-Nov-04"),
    dates(2, "05-Nov-04", "30-Nov-04"),
    dates(2, "05-Nov-04", "30-Nov-04"),
    dates(3, "05-Nov-04", "08-Nov-04"),
    dates(4, "05-Nov-04", ""),
    dates(5, "05-Nov-04", ""),
    dates(6, "05-Nov-04", ""),
    dates(7, "", ""),
    dates(8, "19-Nov-04", "18-Nov-04"),
    dates(9, "05-Nov-04", "08-Nov-04"),
    dates(10, "", "09-Nov-04"),
    dates(11, "", "09-Nov-04"),
    dates(12, "10-Nov-04", "10-Nov-04"),
    dates(13, "10-Nov-04", "10-Nov-04"),
    dates(14, "10-Nov-04", "11-Nov-04"),
    dates(15, "31-Dec-69", "31-Dec-69"),
]
# Reason by task number; the other rows are work.
REASONS = {
    "3": "task_cancelled",
    "4": "task_is_template",
    "5": "hours_above_limit",
    "6": "no_end_date",
    "7": "no_dates",
    "8": "ends_before_start",
    "9": "hours_exceed_span",
    "10": "no_start_date",
    "12": "day_too_long",
    "13": "day_too_long",
    "14": "project_not_bound",
}


def write_sip(folder: Path, *more: str, dates_more: tuple[str, ...] = ()) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "task_info.csv").write_bytes("\n".join([TASK_HEADER, *TASKS, *more, ""]).encode("windows-1252"))
    (folder / "task_dates.csv").write_bytes("\n".join([DATE_HEADER, *DATES, *dates_more, ""]).encode("windows-1252"))
    return folder
