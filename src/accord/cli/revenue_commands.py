"""`accord revenue`: the words of its commands; what they do is in revenue.py."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from accord.cli.options import AsJson, LegalEntity, Who

app = typer.Typer(no_args_is_help=True, help="Revenue: contracts, estimates, schedules, and the ERP's beside ours.")

Engagement = Annotated[str, typer.Argument(help="Id of the engagement.")]


@app.command("declare")
def declare(
    file: Annotated[Path, typer.Argument(help="JSON: one revenue contract, or a list of them.", dir_okay=False)],
    by: Who,
) -> None:
    """Declare obligations and prices of engagements. What says the same as before changes nothing."""
    from accord.cli.revenue import run_declare

    run_declare(file, by)


@app.command("estimate")
def estimate(
    engagement: Engagement,
    entity: LegalEntity,
    obligation: Annotated[str, typer.Argument(help="Id of the obligation.")],
    period: Annotated[str, typer.Argument(help="Code of the period at whose end it is estimated.")],
    by: Who,
    cost: Annotated[str | None, typer.Option(help="Cost to complete, such as 210000.00.")] = None,
    hours: Annotated[str | None, typer.Option(help="Hours to complete.")] = None,
) -> None:
    """Say what is still to come of an obligation, in cost or in hours. The last word counts."""
    from accord.cli.revenue import run_estimate

    run_estimate(engagement, entity, obligation, period, cost, hours, by)


@app.command("accept")
def accept(
    engagement: Engagement,
    entity: LegalEntity,
    about: Annotated[str, typer.Argument(help="Id of a milestone, or of an obligation satisfied at a point in time.")],
    on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day of the acceptance.")],
    evidence: Annotated[str, typer.Option(help="Where it can be read.")],
    by: Who,
) -> None:
    """Say that a milestone or an obligation was accepted by the customer."""
    from accord.cli.revenue import run_accept

    run_accept(engagement, entity, about, on.date(), evidence, by)


@app.command("show")
def show(engagement: Engagement, entity: LegalEntity, as_json: AsJson = False) -> None:
    """The schedule of an engagement as it is by now, its balances, a provision, and what is wrong."""
    from accord.cli.revenue import run_show

    run_show(engagement, entity, as_json=as_json)


@app.command("keep")
def keep(
    entity: Annotated[str | None, typer.Option(help="Only this legal entity.")] = None,
) -> None:
    """Keep the schedules as they are by now: what says something new becomes a new version. Closing does it too."""
    from accord.cli.revenue import run_keep

    run_keep(entity)


@app.command("load-booked")
def load_booked(
    entity: LegalEntity,
    file: Annotated[
        Path,
        typer.Argument(help="CSV with the columns obligation, period, amount, currency, reference.", dir_okay=False),
    ],
    by: Who,
) -> None:
    """Load the ERP's schedule as it told it, to compare with; nothing of ours is changed."""
    from accord.cli.revenue import run_load_booked

    run_load_booked(entity, file, by)


@app.command("compare")
def compare(
    entity: LegalEntity,
    tolerance: Annotated[str, typer.Option(help="Differences up to this amount are none.")] = "0",
    as_json: AsJson = False,
) -> None:
    """Where our schedule and the ERP's differ, and how. Exit code 1 when they do."""
    from accord.cli.revenue import run_compare

    run_compare(entity, tolerance, as_json=as_json)
