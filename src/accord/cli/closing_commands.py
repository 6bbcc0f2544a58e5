"""`accord close`: the words of its commands; what they do is in closing.py."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from accord.cli.options import AsJson, LegalEntity, Who

app = typer.Typer(no_args_is_help=True, help="Close periods: calendar, gate, overrides, late work, opening again.")

PeriodCode = Annotated[str, typer.Argument(help="Code of the period, such as 2026-11 or FY26-P02.")]
Why = Annotated[str, typer.Option("--reason", prompt=True, help="Why; it is kept with what is done.")]


@app.command("calendar")
def calendar(
    entity: LegalEntity,
    by: Who,
    starts_on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day of the calendar or year.")],
    months: Annotated[int, typer.Option(min=1, max=600, help="So many calendar months.")] = 12,
    weeks: Annotated[
        str | None, typer.Option(help="Instead of months, a fiscal year of 4-4-5 weeks with this label, such as FY26.")
    ] = None,
    long_year: Annotated[bool, typer.Option("--long-year", help="The fiscal year has a 53rd week.")] = False,
    late_work: Annotated[
        str, typer.Option(help="What late work becomes: next_period, accrue_and_reverse or reopen.")
    ] = "next_period",
) -> None:
    """Declare the periods of a legal entity, and what becomes of work that is approved after they are closed."""
    from accord.cli.closing import run_calendar

    run_calendar(entity, starts_on.date(), months, weeks, late_work, by, long_year=long_year)


@app.command("status")
def status(
    entity: Annotated[str | None, typer.Argument(help="Code of the legal entity; all when not given.")] = None,
    period: Annotated[str | None, typer.Argument(help="Look at the gate of this period now.")] = None,
    as_json: AsJson = False,
) -> None:
    """The periods and their states; with a period, its gate line by line. Exit code 1 when something stops it."""
    from accord.cli.closing import run_status

    run_status(entity, period, as_json=as_json)


@app.command("close")
def close(entity: LegalEntity, period: PeriodCode, by: Who) -> None:
    """Look at the gate and close the period if nothing stops it."""
    from accord.cli.closing import run_close

    run_close(entity, period, by)


@app.command("override")
def override(
    entity: LegalEntity,
    period: PeriodCode,
    line: Annotated[str, typer.Argument(help="The line of the gate, such as breaks.")],
    by: Who,
    reason: Why,
) -> None:
    """Ask to close over a line of the gate; it counts when another person has agreed."""
    from accord.cli.closing import run_override

    run_override(entity, period, line, reason, by)


@app.command("reopen")
def reopen(entity: LegalEntity, period: PeriodCode, by: Who, reason: Why) -> None:
    """Ask to open a closed period again; another person has to agree. One that is closing opens at once."""
    from accord.cli.closing import run_reopen

    run_reopen(entity, period, reason, by)


@app.command("agree")
def agree(
    entity: LegalEntity,
    period: PeriodCode,
    what: Annotated[str, typer.Argument(help="A line of the gate that somebody asked to close over, or reopen.")],
    by: Who,
) -> None:
    """Agree to what another person asked for."""
    from accord.cli.closing import run_agree

    run_agree(entity, period, what, by)


@app.command("late")
def late(
    entity: LegalEntity,
    period: Annotated[str | None, typer.Argument(help="Only work of this period.")] = None,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most items to show.")] = 200,
) -> None:
    """Work that came after its period was closed, and what became of it."""
    from accord.cli.closing import run_late

    run_late(entity, period, limit, as_json=as_json)
