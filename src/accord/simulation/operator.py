"""Somebody at the workbench who retries, answers, skips and cancels cases as the chance of the seed has it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import psycopg

from accord.app import House
from accord.db.pool import transaction
from accord.errors import AccordError
from accord.simulation.history import History
from accord.workbench import cases

# Billing has issued this invoice; giving its story up leaves it unexplained, as the pages then say.
STANDS_IN_BILLING = "subscription_unknown"
OPEN_CASES = "SELECT id FROM business_case WHERE state = 'open' ORDER BY id"


class Operator:
    """Works on the open cases of a house; `ask` reads its database."""

    def __init__(self, house: House, chance: Random, ask: Callable[[str], Any], history: History) -> None:
        self._house = house
        self._chance = chance
        self._ask = ask
        self._history = history

    async def work(self, *, calm: bool) -> int:
        """Look at every open case; how many changed. `calm` retries all and gives none up."""
        settled = 0
        for (id,) in self._ask(OPEN_CASES):
            verb = "retry" if calm else self._chance.choice(("retry", "retry", "answer", "skip", "cancel", "leave"))
            settled += await self._settle(id, verb)
        return settled

    async def _settle(self, id: int, verb: str) -> int:
        try:
            async with transaction(self._house.pool) as db:
                found = await cases.one(db, id)
                if found.options and verb in ("answer", "retry"):
                    await cases.answer(db, id, self._chance.choice(found.options), by="operator")
                elif verb == "cancel" and self._chance.random() < 0.3 and found.reason != STANDS_IN_BILLING:
                    await cases.cancel(db, id, "the operator gives it up", by="operator")
                elif verb == "skip" and self._chance.random() < 0.3:
                    await cases.skip(db, id, "the operator does without it", by="operator")
                elif verb == "retry":
                    await cases.retry(db, id, by="operator")
                else:
                    return 0
        except (AccordError, psycopg.errors.DeadlockDetected) as refused:
            self._history.note("operator refused", verb, type(refused).__name__)
            return 0
        self._history.note("operator", verb)
        return 1
