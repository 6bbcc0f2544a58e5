"""The command `accord`. Commands import what they need when they run, so that `accord --help` is quick."""

from __future__ import annotations

import sys

from accord.errors import AccordError


def main() -> None:
    """Run one command. An error Accord can explain is one sentence on stderr and its exit code."""
    from accord.cli.commands import app

    try:
        app()
    except AccordError as error:
        sys.stderr.write(f"accord: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
