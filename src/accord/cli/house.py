"""Runs one piece of work against the house a command opens for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from accord.app import House, open_house
from accord.settings import Settings

T = TypeVar("T")


def with_house(work: Callable[[House], Awaitable[T]]) -> T:
    """What `work` gives; the house is closed again whatever happens."""

    async def run() -> T:
        async with open_house(Settings()) as house:
            return await work(house)

    return asyncio.run(run())
