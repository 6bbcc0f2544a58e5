"""`accord import`: the words of its commands; what they do is in importing.py and the files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.cli.options import AsJson, Connection

app = typer.Typer(no_args_is_help=True, help="Bring data in from files.")


@app.command("crm-pipeline")
def import_crm_pipeline(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with the four CSV files.")],
    as_json: AsJson = False,
    workers: Annotated[int, typer.Option(min=1, help="Workers to start when none runs.")] = 1,
) -> None:
    """Load a sales pipeline into the CRM through its API and wait until every won deal is a project or a case."""
    from accord.cli.importing import run_crm_pipeline

    run_crm_pipeline(directory, as_json=as_json, workers=workers)


@app.command("sip-time")
def import_sip_time(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with the two CSV files.")],
    as_json: AsJson = False,
    bind: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV of project, engagement, legal_entity, valid_from."),
    ] = None,
) -> None:
    """Take ten years of task time in, give it its price, and account for every row and every hour."""
    from accord.cli.importing_time import run_sip_time

    run_sip_time(directory, bind, as_json=as_json)


@app.command("time-files")
def import_time_files(
    connection: Connection,
    as_json: AsJson = False,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Do not wait whether files without a manifest still grow.")
    ] = False,
    bind: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV of project, engagement, legal_entity, valid_from."),
    ] = None,
) -> None:
    """Look at a drop of time files now: take in what is whole and new, say what became of each file."""
    from accord.cli.importing_files import run_time_files

    run_time_files(connection, bind, at_once=at_once, as_json=as_json)
