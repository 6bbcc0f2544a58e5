"""Two databases for all histories of a test process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.histories.ground import Ground
from tests.histories.machine import Histories
from tests.histories.mortal import Life


@pytest.fixture(scope="module")
def grounds(create_database: Callable[[str], tuple[str, str]], database_server: str) -> Iterator[None]:
    """The two on which the machine plays."""
    with asyncio.Runner() as runner:
        Histories.runner = runner
        for name in ("smooth", "mortal"):
            _, url = create_database("accord_template")
            setattr(Histories, name, Ground(runner.run(Life.begin(url))))
        yield
        for ground in (Histories.smooth, Histories.mortal):
            runner.run(ground.life.close())
