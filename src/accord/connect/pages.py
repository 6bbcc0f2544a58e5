"""Walking a vendor's pages to the end, and never in a circle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import TypeVar

from accord.connect.failures import AnswerUnreadable

P = TypeVar("P")
T = TypeVar("T", bound=Hashable)


class PageRepeated(AnswerUnreadable):
    """The vendor named a page it had named before: reading on would never end, and what came is not the whole."""


async def pages(fetch: Callable[[T | None], Awaitable[tuple[P, T | None]]]) -> AsyncIterator[P]:
    """Every page: `fetch(None)` is the first; it answers the page and the token of the next one, None at the end.

    A token is whatever makes a page: a URL, a cursor, a last id, an offset as the vendor's answer states it.
    Raises PageRepeated for a token met before, and whatever `fetch` raises.
    """
    met: set[T] = set()
    token: T | None = None
    while True:
        page, token = await fetch(token)
        yield page
        if token is None:
            return
        if token in met:
            raise PageRepeated(f"the vendor named the same page twice (after {len(met)} pages)")
        met.add(token)
