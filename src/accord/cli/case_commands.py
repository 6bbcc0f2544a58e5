"""`accord cases`: the words of its commands; what they do is in casework.py."""

from __future__ import annotations

from typing import Annotated

import typer

from accord.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="Cases: what a person has to look at, and how to cure it.")

CaseNumber = Annotated[int, typer.Argument(help="Number of the case; `accord cases list` shows them.")]


@app.command("list")
def cases_list(
    as_json: AsJson = False,
    owner: Annotated[str | None, typer.Option(help="Only cases of this owner, such as finance.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only cases of this reason, such as activation_gate.")] = None,
    engagement: Annotated[str | None, typer.Option(help="Only cases of the engagement with this id.")] = None,
    clusters: Annotated[bool, typer.Option("--clusters", help="One line per cause.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most cases to print.")] = 50,
) -> None:
    """Open cases, the most money times age first."""
    from accord.cli.casework import show_list

    show_list(as_json=as_json, owner=owner, reason=reason, engagement=engagement, clusters=clusters, limit=limit)


@app.command("show")
def cases_show(case: CaseNumber, as_json: AsJson = False) -> None:
    """One case with all its problems, attempts and what waits behind it."""
    from accord.cli.casework import show_one

    show_one(case, as_json=as_json)


@app.command("correct")
def cases_correct(
    list_name: Annotated[str, typer.Option("--list", help="country, product, distinct_customers or time_project.")],
    given: Annotated[str, typer.Option(help="The text as the source has it.")],
    meaning: Annotated[str, typer.Option(help="What it means.")],
) -> None:
    """Declare what a source's text means, and retry every case that this cures."""
    from accord.cli.casework import correct

    correct(list_name, given, meaning)


@app.command("retry")
def cases_retry(
    case: Annotated[list[int] | None, typer.Argument(help="Cases; with --signature all of one cause.")] = None,
    signature: Annotated[
        str | None, typer.Option(help="All cases of this cause; `accord cases list --clusters` shows causes.")
    ] = None,
) -> None:
    """Try again: what was read is read anew, and the story goes on where it stopped."""
    from accord.cli.casework import retry

    retry(case or [], signature)


@app.command("resolve")
def cases_resolve(
    case: CaseNumber,
    answer: Annotated[str | None, typer.Option(help="Choose this option of a decision.")] = None,
    skip: Annotated[str | None, typer.Option(help="Go on without it, for this reason.")] = None,
    supply: Annotated[str | None, typer.Option(help="The vendor's id of the object made by hand.")] = None,
    cancel: Annotated[
        str | None, typer.Option(help="Cancel the story and take back what it did, for this reason.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Close a case that has no story behind it.")] = None,
) -> None:
    """Settle a case: answer, skip, supply the result, cancel, or close with a note."""
    from accord.cli.casework import resolve

    resolve(case, answer=answer, skip=skip, supply=supply, cancel=cancel, note=note)
