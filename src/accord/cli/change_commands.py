"""`accord change`: the words of its commands; what they do is in changes.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.cli.options import AsJson, Who

app = typer.Typer(no_args_is_help=True, help="Contract changes: impact in money, one plan, applied by two, taken back.")

File = Annotated[Path, typer.Argument(help="JSON: one change order.", dir_okay=False)]
Change = Annotated[str, typer.Argument(help="Id of the change; `accord change list` shows them.")]


@app.command("impact")
def impact(file: File, as_json: AsJson = False) -> None:
    """Show in money what a change order would do. Nothing is written. Exit code 1 when it cannot be applied."""
    from accord.cli.changes import run_impact

    run_impact(file, as_json=as_json)


@app.command("propose")
def propose(file: File, by: Who, as_json: AsJson = False) -> None:
    """Keep a change order with its impact, so that somebody else can apply it; again, to bring that up to date."""
    from accord.cli.changes import run_propose

    run_propose(file, by, as_json=as_json)


@app.command("list")
def list_changes(
    engagement: Annotated[str | None, typer.Option(help="Only those of this engagement.")] = None,
    as_json: AsJson = False,
) -> None:
    """Changes and what became of them, the last proposed first."""
    from accord.cli.changes import run_list

    run_list(engagement, as_json=as_json)


@app.command("show")
def show(change: Change, as_json: AsJson = False) -> None:
    """One change: its impact as it was shown, and each step that was taken."""
    from accord.cli.changes import run_show

    run_show(change, as_json=as_json)


@app.command("apply")
def apply(change: Change, by: Who) -> None:
    """Apply a proposed change, all of it or nothing. Whoever proposed it cannot."""
    from accord.cli.changes import run_apply

    run_apply(change, by)


@app.command("take-back")
def take_back(change: Change, by: Who) -> None:
    """Take an applied change back, the last step first. Whoever applied it cannot."""
    from accord.cli.changes import run_take_back

    run_take_back(change, by)


@app.command("drop")
def drop(change: Change, by: Who) -> None:
    """Give a proposed change up."""
    from accord.cli.changes import run_drop

    run_drop(change, by)
