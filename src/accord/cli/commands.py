"""The commands and their words; what they do is in the files beside this one and the rooms below."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.cli import (
    after_invoice_commands,
    billing_commands,
    case_commands,
    change_commands,
    closing_commands,
    connect_commands,
    import_commands,
    rates_commands,
    revenue_commands,
)
from accord.cli.options import AsJson

app = typer.Typer(
    name="accord",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""
    Accord keeps CRM, ERP and billing of a professional-services firm in accord: a won opportunity becomes an active
    project with a billing schedule, approved work becomes invoices, invoices become cash, and everyone sees the same
    truth.

    **Start here:** `accord demo` plays the whole story against simulated vendors and stays up for you to look at.

    **Exit codes:** 0 done · 1 a check failed · 2 wrong use · 4 not found · 5 conflict · 6 not reachable now · 7 not
    permitted. Settings are environment variables that start with `ACCORD_`; `accord doctor` shows which are set.
    """,
)

RUN, SET_UP, LOOK_AND_ACT = "Run", "Set up", "Look and act"  # the panels of `accord --help`


@app.callback()
def settings(
    home: Annotated[
        Path | None, typer.Option(envvar="ACCORD_HOME", help="Folder of the embedded database, keys and local CA.")
    ] = None,
) -> None:
    """Options for every command."""
    import os

    if home is not None:
        os.environ["ACCORD_HOME"] = str(home)


@app.command(rich_help_panel=RUN)
def demo(
    once: Annotated[bool, typer.Option("--once", help="Play the story, check it, and end.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the summary to this file.", dir_okay=False)
    ] = None,
) -> None:
    """Play the story from won opportunity to cash against simulated vendors, check it, and stay up to be looked at."""
    from accord.demo.play import run

    run(once=once, json_file=json_file)


@app.command(rich_help_panel=RUN)
def up(workers: Annotated[int, typer.Option(min=1, help="Worker processes beside the server.")] = 1) -> None:
    """Run server and workers until interrupted."""
    from accord.cli.running import run_up

    run_up(workers)


@app.command(rich_help_panel=RUN)
def serve() -> None:
    """Run the server: pages, API and the door for pushes."""
    from accord.cli.running import run_server

    run_server()


@app.command(rich_help_panel=RUN)
def worker(
    poll_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds between polls of each vendor, where not configured.")
    ] = None,
) -> None:
    """Run one worker. Start as many as you like, on as many machines as you like."""
    from accord.cli.running import run_worker

    run_worker(poll_seconds)


@app.command(rich_help_panel=RUN)
def sandbox(
    as_json: AsJson = False,
    vendor: Annotated[list[str] | None, typer.Option(help="Only these vendors; all when not given.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated ids.")] = 1,
) -> None:
    """Start the simulated vendors alone and stay up; prints what a client needs to log in."""
    from accord.cli.running import run_sandbox

    run_sandbox(as_json=as_json, vendors=vendor, seed=seed)


@app.command(rich_help_panel=SET_UP)
def migrate() -> None:
    """Bring the database's tables up to date; safe while the old version still runs."""
    from accord.cli.looking import run_migrate

    run_migrate()


@app.command(rich_help_panel=LOOK_AND_ACT)
def status(as_json: AsJson = False) -> None:
    """What is going on: stories, waiting effects, connections, open cases, money."""
    from accord.cli.looking import show_status

    show_status(as_json=as_json)


@app.command(rich_help_panel=LOOK_AND_ACT)
def trace(
    engagement: Annotated[str, typer.Argument(help="Id, number, name or project number of the engagement.")],
    as_json: AsJson = False,
) -> None:
    """The timeline of one engagement across all systems."""
    from accord.cli.looking import show_trace

    show_trace(engagement, as_json=as_json)


@app.command(rich_help_panel=LOOK_AND_ACT)
def replay(
    inbox: Annotated[list[int] | None, typer.Option(help="Translate these inbox rows again.")] = None,
    process: Annotated[
        int | None, typer.Option(help="Drive this finished story again from its journal, and compare.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay what was recorded: a push that could not be read, or a story, without touching any vendor."""
    from accord.cli.looking import run_replay

    run_replay(inbox or [], process, as_json=as_json)


@app.command(rich_help_panel=LOOK_AND_ACT)
def check(
    days: Annotated[int | None, typer.Option(help="Only what changed in so many days; everything by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look whether every promise holds here: nothing lost, nothing twice, the ledger balanced."""
    from accord.cli.simulating import run_check

    run_check(days, as_json=as_json)


@app.command(rich_help_panel=RUN)
def simulate(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to play.")] = 20,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    faults: Annotated[
        str | None, typer.Option(help="Only these faults, with commas, or `none`; by default each seed draws its own.")
    ] = None,
    keep: Annotated[str | None, typer.Option(help="Of the faults a seed draws only these, with commas.")] = None,
    deals: Annotated[int, typer.Option(min=1, help="Deals the simulated firm wins.")] = 20,
    days: Annotated[int, typer.Option(min=10, help="Days the simulated firm lives.")] = 90,
    actions: Annotated[int | None, typer.Option(help="Only so many of the first things people do.")] = None,
    plant: Annotated[str | None, typer.Option(help="Put in this bug, to see it found.")] = None,
    planted: Annotated[bool, typer.Option("--planted", help="Look for every planted bug.")] = False,
    within: Annotated[int, typer.Option(min=1, help="With --planted: most seeds for each bug.")] = 500,
    processes: Annotated[int, typer.Option(min=1, help="Processes to play in, each with a PostgreSQL of its own.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Play a simulated firm for months from seeds, with crashes and faults, and check every promise on the way."""
    from accord.cli.simulating import run_planted, run_simulate

    if planted:
        run_planted([] if plant is None else [plant], within, as_json=as_json)
        return
    run_simulate(
        seeds, seed, faults=faults, keep=keep, deals=deals, days=days, actions=actions, plant=plant,
        processes=processes, as_json=as_json,
    )  # fmt: skip


@app.command(rich_help_panel=SET_UP)
def doctor(as_json: AsJson = False) -> None:
    """Check this installation: database, migrations, vault, connections, audit chain, ledger."""
    from accord.cli.looking import run_doctor

    run_doctor(as_json=as_json)


def _add_features() -> None:
    """The commands of each feature, in the order in which the help shows them."""
    for name, group in {
        "connect": connect_commands.app,
        "key": connect_commands.key_app,
        "terms": billing_commands.terms_app,
        "rates": rates_commands.app,
        "people": billing_commands.people_app,
    }.items():
        app.add_typer(group, name=name, rich_help_panel=SET_UP)
    for name, group in {
        "proposals": billing_commands.proposals_app,
        "dispute": after_invoice_commands.dispute_app,
        "cash": after_invoice_commands.cash_app,
        "adjustments": after_invoice_commands.adjustments_app,
        "cases": case_commands.app,
        "close": closing_commands.app,
        "change": change_commands.app,
        "revenue": revenue_commands.app,
    }.items():
        app.add_typer(group, name=name, rich_help_panel=LOOK_AND_ACT)
    app.add_typer(import_commands.app, name="import", rich_help_panel=RUN)
    for command in (
        billing_commands.missing_time,
        after_invoice_commands.credit,
        after_invoice_commands.write_off,
        after_invoice_commands.transfer,
        after_invoice_commands.write_up,
        billing_commands.explain,
        billing_commands.reconcile,
    ):
        app.command(rich_help_panel=LOOK_AND_ACT)(command)


_add_features()
