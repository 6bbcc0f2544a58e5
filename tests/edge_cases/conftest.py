"""The stage of the edge cases that need whole vendors: one PostgreSQL for all scenes of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accord.simulation.campaign import own_database
from accord.simulation.database import Database


@pytest.fixture(scope="session")
def place() -> Iterator[Database]:
    """A PostgreSQL that is emptied before each scene."""
    with own_database() as found:
        yield found
