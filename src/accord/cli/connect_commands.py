"""`accord connect` and `accord key`: the words of their commands; what they do is in connecting.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.cli.options import AsJson, Connection

app = typer.Typer(no_args_is_help=True, help="Connect systems: credentials go sealed into the vault.")
key_app = typer.Typer(no_args_is_help=True, help="API keys.")


@app.command("add")
def connect_add(
    name: Annotated[str, typer.Argument(help="Name of the connection, such as salesforce.")],
    vendor: Annotated[str, typer.Argument(help="salesforce, netsuite, stripe or timefiles.")],
    setting: Annotated[list[str] | None, typer.Option(help="name=value; asked for when needed and not given.")] = None,
    credentials_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON file with settings and credentials.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role to bind it to: crm, erp, billing, time.")] = None,
) -> None:
    """Store a connection; secrets are asked for without echo and sealed in the vault."""
    from accord.cli.connecting import add

    add(name, vendor, setting or [], credentials_file, role or [])


@app.command("list")
def connect_list(as_json: AsJson = False) -> None:
    """The connections, their state and roles."""
    from accord.cli.connecting import show

    show(as_json=as_json)


@app.command("bind")
def connect_bind(
    role: Annotated[str, typer.Argument(help="crm, erp, billing or time.")],
    connection: Connection,
    legal_entity: Annotated[str, typer.Option(help="Only for this legal entity.")] = "",
    valid_from: Annotated[str, typer.Option(help="First day, YYYY-MM-DD.")] = "0001-01-01",
) -> None:
    """Say which connection plays a role, per legal entity and from a day on."""
    from accord.cli.connecting import bind

    bind(role, connection, legal_entity, valid_from)


@app.command("pause")
def connect_pause(name: Connection, reason: Annotated[str, typer.Option(prompt=True, help="Why.")]) -> None:
    """Stop sending to a connection; its effects wait."""
    from accord.cli.connecting import pause

    pause(name, reason)


@app.command("resume")
def connect_resume(name: Connection) -> None:
    """Send to a connection again and close its case."""
    from accord.cli.connecting import resume

    resume(name)


@app.command("check")
def connect_check(name: Connection) -> None:
    """Log in to a system and say who we are there."""
    from accord.cli.connecting import check

    check(name)


@app.command("vendors")
def connect_vendors(as_json: AsJson = False) -> None:
    """The vendors there are, what they need, and what makes their writes safe."""
    from accord.cli.connecting import vendors

    vendors(as_json=as_json)


@key_app.command("create")
def key_create(
    name: Annotated[str, typer.Argument(help="Who will use it, for the audit trail.")],
    role: Annotated[list[str] | None, typer.Option(help="read, operate or admin; costs beside one of them.")] = None,
    legal_entity: Annotated[list[str] | None, typer.Option(help="Only these legal entities.")] = None,
) -> None:
    """Make an API key; it is shown once."""
    from accord.cli.connecting import create_api_key

    create_api_key(name, role or ["read"], legal_entity or [])
