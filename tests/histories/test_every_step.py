"""Ten thousand random entries with corrections, with death at each step; and one entry dropped on purpose.

features.md G1: "Test: kill the worker at each step of 10,000 random entries with corrections; unexplained = 0.00
always; drop one entry on purpose; it is reported within one cycle with its amount."
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from accord.db.pool import transaction
from accord.ledger.rating import rate_some
from accord.ledger.work import take
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.reconcile.unexplained import by_currency, unexplained
from tests.histories.campaign import ASKED
from tests.histories.firm import TERMS, worth
from tests.histories.ground import NOW, WORTH, Ground
from tests.histories.machine import Histories
from tests.histories.mortal import Life, everywhere

# The whole of it takes a minute of two cores; every change is tested with a tenth.
ENTRIES = 10_000 if ASKED in os.environ else 1_000


def some_work(dice: random.Random, n: int) -> WorkEntry:
    engagement, entity = dice.choice(sorted(TERMS))
    kind = WorkKind.USAGE if TERMS[engagement, entity].usage and dice.random() < 0.2 else WorkKind.TIME
    return WorkEntry(
        id=f"WRK-{n}", revision=1, kind=kind, source="time", source_key=str(n), status=WorkStatus.APPROVED,
        worked_on=date(2026, 10, 1) + timedelta(days=dice.randrange(60)),
        quantity=Decimal(dice.randrange(-8, 64)) / 8 if kind is WorkKind.TIME else Decimal(dice.randrange(200)),
        unit="h" if kind is WorkKind.TIME else "call", engagement_id=engagement, legal_entity=entity,
        worker=dice.choice(["anna", "ben"]), worker_entity=dice.choice([None, "DE"]), approver="paul",
    )  # fmt: skip


def corrected(dice: random.Random, entry: WorkEntry) -> WorkEntry:
    return dice.choice(
        [
            replace(entry, status=WorkStatus.RECALLED),
            replace(entry, status=WorkStatus.DELETED),
            replace(entry, quantity=entry.quantity + 1),
            replace(some_work(dice, 0), id=entry.id, source_key=entry.source_key),
        ]
    )


async def told_and_priced(life: Life, entries: Sequence[WorkEntry]) -> None:
    """Every transaction of it dies at each of its statements in turn before one gets through."""

    async def told(pool: Any) -> None:
        async with transaction(pool) as db:
            await take(db, entries, (), source="time")

    await life.live(told, everywhere())
    for key in sorted(TERMS):

        async def priced(pool: Any, key: tuple[str, str] = key) -> None:
            async with transaction(pool) as db:
                assert await rate_some(db, key, NOW) is not None

        await life.live(priced, everywhere())


async def unexplained_by_currency(life: Life) -> dict[str, Decimal]:
    async with life.connection() as db:
        return by_currency(await unexplained(db))


def test_death_at_each_step_of_ten_thousand_entries_leaves_nothing_unexplained(grounds: None) -> None:
    dice = random.Random(4)
    ground: Ground = Histories.mortal
    run = Histories.runner.run
    run(ground.clear())
    entries = {each.id: each for each in (some_work(dice, n) for n in range(ENTRIES))}
    run(told_and_priced(ground.life, list(entries.values())))
    assert run(unexplained_by_currency(ground.life)) == {}
    changed = [corrected(dice, entries[id]) for id in dice.sample(sorted(entries), ENTRIES // 5)]
    entries.update({each.id: each for each in changed})
    run(told_and_priced(ground.life, changed))
    assert run(unexplained_by_currency(ground.life)) == {}
    assert {(row[0], row[1]): row[2] for row in run(ground.rows(WORTH))} == worth(entries.values())
    assert ground.life.deaths > 100
    dropped = _dropped(ground, entries)
    assert run(unexplained_by_currency(ground.life)) == dropped


def _dropped(ground: Ground, entries: dict[str, WorkEntry]) -> dict[str, Decimal]:
    """One entry's item is lost, past every guard of the database: what it was worth."""
    ((id, source, currency, amount),) = Histories.runner.run(
        ground.rows(
            "SELECT i.id, i.source_id, i.currency, i.amount FROM billable_item i WHERE i.kind = 'time' AND i.amount > 0"
            " AND i.reverses IS NULL AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)"
            " AND i.engagement = 'DEA-3' ORDER BY i.id LIMIT 1"
        )
    )
    assert entries[source].status is WorkStatus.APPROVED

    async def drop(pool: Any) -> None:
        async with transaction(pool) as db:
            await db.execute("SET LOCAL session_replication_role = replica")
            await db.execute("DELETE FROM billable_item WHERE id = %s", [id])
            await db.execute("DELETE FROM item_part WHERE item_id = %s", [id])

    Histories.runner.run(ground.life.live(drop))
    return {currency: amount}
