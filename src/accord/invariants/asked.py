"""All promises, and the statements that ask for them in one round trip."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

from accord.invariants import (
    ended_stories,
    facts_tell_all,
    failures_have_cases,
    intents_end,
    invoiced_once,
    ledger_balances,
    links_are_kept,
    objects_in_order,
    pushes_are_settled,
    refusals_have_cases,
    subjects_in_order,
    vendors_agree,
    waits_can_end,
    written_once,
)
from accord.invariants.invariant import Invariant, Violation
from accord.invariants.vendors_agree import Holding

INVARIANTS: tuple[Invariant, ...] = tuple(
    each.INVARIANT
    for each in (
        written_once,
        objects_in_order,
        intents_end,
        ended_stories,
        failures_have_cases,
        waits_can_end,
        subjects_in_order,
        ledger_balances,
        invoiced_once,
        links_are_kept,
        facts_tell_all,
        refusals_have_cases,
        pushes_are_settled,
    )
)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
MOST = 20  # violations told of one promise: the first ones show the cause

Ask = Callable[[str, Any], list[tuple[Any, ...]]]


def question(invariants: Iterable[Invariant]) -> str:
    """One statement that asks all of them: rows (invariant, subject, what, amount)."""
    return "\nUNION ALL\n".join(
        f"(SELECT '{each.name}' AS invariant, v.* FROM ({each.query}) AS v (subject, what, amount) LIMIT {MOST})"
        for each in invariants
    )


ALWAYS = question(each for each in INVARIANTS if each.when == "always")
READING = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")
READ_BY = {each.name: frozenset(READING.findall(each.query)) for each in INVARIANTS}


def about(tables: AbstractSet[str]) -> tuple[Invariant, ...]:
    """The promises that must always hold and read one of these tables; of the others nothing has changed."""
    return tuple(each for each in INVARIANTS if each.when == "always" and not READ_BY[each.name].isdisjoint(tables))


SETTLED = question(each for each in INVARIANTS if each.when == "settled")


def check_always(ask: Ask, since: datetime = BEGINNING) -> list[Violation]:
    """What must hold after every commit. `since` leaves out what was looked through before."""
    return [Violation(*row) for row in ask(ALWAYS, {"since": since})]


def check_settled(ask: Ask, held: Sequence[Holding] | None = None, since: datetime = BEGINNING) -> list[Violation]:
    """What must hold once the system has come to rest; with `held`, also that the vendors hold what we recorded."""
    found = [Violation(*row) for row in ask(SETTLED, {"since": since})]
    return found if held is None else [*found, *compare_vendors(ask, held)]


def compare_vendors(ask: Ask, held: Sequence[Holding]) -> list[Violation]:
    """What the vendors hold is what we recorded, both ways, each object once, for the same amount."""
    return [Violation(vendors_agree.NAME, *row) for row in ask(vendors_agree.QUERY, vendors_agree.parameters(held))]
