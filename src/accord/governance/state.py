"""What the parts of a server share, made by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from accord.connect.vault import Vault
from accord.db.pool import Pool
from accord.settings import Settings


@dataclass(frozen=True, slots=True)
class State:
    """Database, settings, vault and clock of one server. `now` is aware."""

    pool: Pool
    settings: Settings
    vault: Vault
    now: Callable[[], datetime]
