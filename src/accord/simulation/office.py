"""People at work in the platform itself: what one of them does is one transaction, and may be refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from accord.app import House
from accord.db.pool import transaction
from accord.errors import AccordError
from accord.simulation.history import History


async def attempt(house: House, history: History, what: str, act: Callable[[Any], Awaitable[None]]) -> str:
    """`act` in a transaction of its own, noted in the history; what is refused is not done."""
    try:
        async with transaction(house.pool) as db:
            await act(db)
    except (AccordError, psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected) as refused:
        history.note("refused", what, type(refused).__name__)
        return "refused"
    history.note("work:", what)
    return what
