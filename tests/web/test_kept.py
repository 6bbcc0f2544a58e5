"""What is dear to read is read once, for some seconds."""

import asyncio
from collections.abc import Callable

import pytest

from accord.web.kept import MOST, Kept


def reader(times: list[int], result: int = 1) -> Callable[[], asyncio.Future[int]]:
    async def read() -> int:
        times.append(result)
        await asyncio.sleep(0)
        if result < 0:
            raise ValueError("no")
        return result

    return lambda: asyncio.ensure_future(read())


async def test_who_asks_meanwhile_gets_the_same_answer_until_it_is_too_old() -> None:
    now, times = [0.0], list[int]()
    kept = Kept(10, lambda: now[0])
    assert await asyncio.gather(kept.get("a", reader(times)), kept.get("a", reader(times))) == [1, 1]
    now[0] = 10
    await kept.get("a", reader(times))
    assert times == [1]
    await kept.get("b", reader(times, 2))
    now[0] = 10.1
    await kept.get("a", reader(times, 3))
    assert times == [1, 2, 3]


async def test_what_failed_is_asked_again_and_no_more_than_so_many_are_kept() -> None:
    times: list[int] = []
    kept = Kept(10, lambda: 0)
    with pytest.raises(ValueError, match="no"):
        await kept.get("a", reader(times, -1))
    assert await kept.get("a", reader(times, 1)) == 1
    for n in range(MOST):
        await kept.get(n, reader(times))
    await kept.get("a", reader(times, 7))
    assert times[-1] == 7


async def test_who_goes_away_takes_the_answer_from_nobody_else() -> None:
    times: list[int] = []
    kept = Kept(10, lambda: 0)
    first = asyncio.ensure_future(kept.get("a", reader(times)))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(kept.get("a", reader(times)))
    first.cancel()
    assert await second == 1
