"""A worker is whole or not at all."""

from __future__ import annotations

import asyncio

import pytest

from accord.worker_process import until_first_ends


async def for_ever() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    """Ends in good order."""


async def breaks() -> None:
    raise ConnectionError("the database closed the connection")


async def end_of(*loops: object) -> None:
    tasks = [asyncio.create_task(loop) for loop in loops]  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(5):
            await until_first_ends(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_worker_does_not_live_on_when_a_part_of_it_broke() -> None:
    with pytest.raises(ConnectionError):
        await end_of(for_ever(), at_once(), breaks())


async def test_a_worker_ends_with_its_stories() -> None:
    await end_of(at_once(), for_ever())


async def test_a_part_that_ends_in_good_order_ends_nothing_else() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await end_of(for_ever(), at_once())
