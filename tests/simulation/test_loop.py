"""The virtual loop: time jumps, and what is killed never runs again."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

import pytest

from accord.simulation.loop import INCARNATION, Incarnation, Look, Standstill, VirtualLoop, bury


def test_time_jumps_to_the_next_timer_and_months_cost_nothing() -> None:
    loop = VirtualLoop()
    seen = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, loop.time()))

    async def both() -> None:
        await asyncio.gather(sleeper("late", 90 * 86400.0), sleeper("early", 5.0))

    loop.run_until_complete(both())
    assert seen == [("early", 5.0), ("late", 90 * 86400.0)]
    loop.close()


def test_what_is_killed_runs_no_finally_and_no_callback() -> None:
    loop = VirtualLoop()
    ran = []
    victim = Incarnation("victim")

    async def work() -> None:
        try:
            ran.append("began")
            await asyncio.sleep(10)
            ran.append("woke")
        finally:
            ran.append("cleaned up")

    async def play() -> None:
        context = copy_context()
        context.run(INCARNATION.set, victim)
        context.run(loop.create_task, work())
        context.run(loop.call_later, 3.0, ran.append, "called back")
        await asyncio.sleep(1)
        loop.kill(victim)
        await asyncio.sleep(60)

    loop.run_until_complete(play())
    assert ran == ["began"]
    bury(loop, [victim], lambda _: None)


def test_a_system_that_can_never_go_on_is_seen() -> None:
    loop = VirtualLoop()

    async def for_ever() -> None:
        await loop.create_future()

    with pytest.raises(Standstill):
        loop.run_until_complete(for_ever())
    bury(loop, [], lambda _: None)


def test_the_clock_passes_looks_that_cannot_find_anything_and_no_happening() -> None:
    loop = VirtualLoop()
    looked: list[float] = []
    loop.jump = lambda happening: None if happening is None else happening - 1

    async def look() -> None:
        while True:
            await asyncio.sleep(Look(2))
            looked.append(loop.time())

    async def play() -> None:
        looking = loop.create_task(look())
        await asyncio.sleep(100)
        looking.cancel()

    loop.run_until_complete(play())
    assert loop.time() == 100
    assert looked == [99.0], "it looked once, when something was about to happen"
    loop.close()
