"""Options and arguments that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
Who = Annotated[str, typer.Option("--by", help="Who does this; it is kept in the audit trail.", envvar="USER")]
Why = Annotated[str, typer.Option(help="Why; it is kept with what was done.")]
LegalEntity = Annotated[str, typer.Argument(help="Code of the legal entity, such as US.")]
Connection = Annotated[str, typer.Argument(help="Name of the connection; `accord connect list` shows them.")]
