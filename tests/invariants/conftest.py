from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.engine.scripted import Workshop, workshop


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Workshop]:
    """A workshop without workers, as the engine's tests have it."""
    async with workshop(database_url) as made:
        yield made
