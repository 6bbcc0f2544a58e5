"""`accord rates`: published rates of exchange and the policy by which the firm converts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.cli.options import Who

app = typer.Typer(no_args_is_help=True, help="Rates of exchange: load what is published, and say how it is used.")


@app.command("load")
def load(
    file: Annotated[Path, typer.Argument(help="CSV with the columns date, base, quote, rate.", dir_okay=False)],
    source: Annotated[str, typer.Option(help="Who published them, such as ECB.")],
    by: Who,
    averages: Annotated[bool, typer.Option("--averages", help="They are averages of months.")] = False,
) -> None:
    """Load published rates. One that is known is never changed: another one for the same day is refused."""
    from accord.cli.rates import run_load

    run_load(file, source, by, averages=averages)


@app.command("use")
def use(
    source: Annotated[str, typer.Argument(help="Whose rates count.")],
    by: Who,
    date: Annotated[str, typer.Option(help="worked_date or month_average.")] = "worked_date",
    max_age_days: Annotated[int, typer.Option(min=0, max=31, help="So long a daily rate may be carried on.")] = 4,
    pivot: Annotated[
        str | None, typer.Option(help="Currency through which two rates may be crossed, such as EUR.")
    ] = None,
) -> None:
    """Declare by which rates the firm converts from now on; what is priced keeps the rate it was priced by."""
    from accord.cli.rates import run_use

    run_use(source, date, max_age_days, pivot, by)
