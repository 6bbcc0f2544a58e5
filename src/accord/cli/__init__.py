"""The command `accord`. Commands import what they need when they run, so that `accord --help` is quick."""

from __future__ import annotations

import sys
from typing import NoReturn

from accord.errors import AccordError, UsageError


def main() -> None:
    """Run one command. An error Accord can explain is one sentence on stderr and its exit code."""
    from accord.cli.commands import app

    try:
        app()
    except AccordError as error:
        _end(error)
    except ValueError as error:
        wrong = _wrong_settings(error)
        if wrong is None:
            raise
        _end(wrong)
    except KeyboardInterrupt:
        sys.exit(130)


def _end(error: AccordError) -> NoReturn:
    sys.stderr.write(f"accord: {error}\n")
    sys.exit(error.exit_code)


def _wrong_settings(error: ValueError) -> UsageError | None:
    """The variables that are wrong, when it is the settings that could not be read; what they hold is not repeated."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError) or error.title != "Settings":
        return None
    wrong = [f"ACCORD_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()]
    return UsageError(f"these settings are wrong; correct the environment: {'; '.join(wrong)}")
