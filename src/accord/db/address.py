"""Which PostgreSQL this process works with."""

from __future__ import annotations

from accord.db import embedded
from accord.settings import Settings


def url(settings: Settings | None = None) -> str:
    """The database's URL: the one that was set, else that of the embedded PostgreSQL, started if it does not run.

    Blocks for a few seconds the first time on a machine, so call it from a thread when a loop is running.
    Raises EmbeddedDatabaseFailed.
    """
    settings = settings or Settings()
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return embedded.ensure_running(settings.home)
