"""Terms, people, proposals: the words of their commands; what they do is in billing.py, people.py and rates.py."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from accord.cli.options import AsJson, Who

terms_app = typer.Typer(no_args_is_help=True, help="Billing terms: rates, caps, retainers, by engagement and version.")
people_app = typer.Typer(no_args_is_help=True, help="People: hours, managers, absence.")
proposals_app = typer.Typer(no_args_is_help=True, help="Invoice proposals: approved work on its way to an invoice.")


@terms_app.command("declare")
def terms_declare(
    file: Annotated[Path, typer.Argument(help="JSON: one object of terms, or a list of them.", dir_okay=False)],
    by: Who,
) -> None:
    """Declare billing terms. What says the same as before changes nothing; work without a price is tried again."""
    from accord.cli.billing import run_declare

    run_declare(file, by)


@terms_app.command("release")
def terms_release(
    engagement: Annotated[str, typer.Argument(help="Id of the engagement.")],
    entity: Annotated[str, typer.Argument(help="Code of the legal entity.")],
    by: Who,
    item: Annotated[
        list[str] | None, typer.Option(help="Items that go first, in this order; `accord explain` names them.")
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="Set free those items alone.")] = False,
) -> None:
    """Set free what lies over a cap as far as the newest terms have room: chosen items first, then by day of work."""
    from accord.cli.rates import run_release

    run_release(engagement, entity, item or [], by, only=only)


@people_app.command("declare")
def people_declare(
    file: Annotated[Path, typer.Argument(help="JSON: people, time_off, calendars, holidays.", dir_okay=False)], by: Who
) -> None:
    """Declare people with their hours, manager and cost, their absence and holidays. The same changes nothing."""
    from accord.cli.people import run_declare

    run_declare(file, by)


@proposals_app.command("make")
def proposals_make(
    to: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day of work to be invoiced.")],
    engagement: Annotated[str | None, typer.Option(help="Only this engagement.")] = None,
    as_json: AsJson = False,
) -> None:
    """Propose invoices for the work in WIP up to a day. Asking again proposes what has come since."""
    from accord.cli.billing import run_propose

    run_propose(to.date(), "accord", engagement, as_json=as_json)


@proposals_app.command("list")
def proposals_list(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most proposals to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """What waits for approval or for its invoice, the greatest amounts first."""
    from accord.cli.billing import run_proposals

    run_proposals(limit, as_json=as_json)


@proposals_app.command("approve")
def proposals_approve(
    proposal: Annotated[str, typer.Argument(help="Id of the proposal; `accord proposals list` shows them.")], by: Who
) -> None:
    """Approve a proposal; whoever changed it cannot."""
    from accord.cli.billing import run_approve

    run_approve(proposal, by)


def missing_time(
    weeks: Annotated[int, typer.Option(min=1, max=53, help="So many weeks that are over.")] = 4,
    manager: Annotated[str | None, typer.Option(help="Only people of this manager, one by one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Who has not submitted time or has none approved, by manager, with the value at stake."""
    from accord.cli.people import run_missing_time

    run_missing_time(weeks, manager, as_json=as_json)


def explain(
    name: Annotated[str, typer.Argument(help="An item, or a line as INVOICE/LINE, such as ACC-0001/2.")],
    as_json: AsJson = False,
) -> None:
    """Explain a number: clause, rate, entries, approvals and caps, with the amount made again."""
    from accord.cli.billing import run_explain

    run_explain(name, as_json=as_json)


def reconcile(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most rows to show of each kind.")] = 200,
) -> None:
    """What is unexplained, and where two systems differ. Exit code 1 when there is anything."""
    from accord.cli.billing import run_reconcile

    run_reconcile(as_json=as_json, limit=limit)
