"""Runs the work of one command in an open house."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from accord.app import House, open_house
from accord.settings import Settings


def with_house(work: Callable[[House], Awaitable[Any]]) -> Any:
    """What `work` gives; the house is opened for it and closed after."""

    async def run() -> Any:
        async with open_house(Settings()) as house:
            return await work(house)

    return asyncio.run(run())
