"""Work that is held and released: what was set aside goes back, what never met its limit and caps meets them then."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from accord.db.pool import Pool, transaction
from accord.ledger.fitting import fit_waiting
from accord.ledger.holding import release_held
from accord.model.terms import Cap, CapLevel, ExpenseRule
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from tests.ledger.worked import NOW, TERMS, agree, bill, entry, lies, proposal, rows, usd, work

MISSING = "the receipt is missing"
CAPPED = replace(
    TERMS,
    caps=(Cap("PO", CapLevel.PURCHASE_ORDER, usd("1000")),),
    expenses=(ExpenseRule("hotel", "hotel", receipt_above=usd("50.00"), limit=usd("300.00")),),
)
USED = "SELECT used FROM billing_counter"


def spent(n: int, amount: str, **changes: object) -> WorkEntry:
    return entry(n, "1", kind=WorkKind.EXPENSE, unit="item", category="hotel", cost=usd(amount), **changes)


async def release(pool: Pool, reason: str = MISSING) -> int:
    async with transaction(pool) as db:
        return await release_held(db, "DEA-1", "US", "USD", reason, by="fatima", at=NOW)


async def test_a_released_expense_meets_its_limit_and_the_caps(pool: Pool) -> None:
    """800.00 of 1,000.00 are used; of 350.00 held the rule passes 300.00 on, of which 200.00 have room."""
    await agree(pool, CAPPED)
    await work(pool, entry(2), spent(3, "350.00"))
    assert await lies(pool) == {"wip": "800.00", "held": "350.00"}
    assert await release(pool) == 1
    assert await lies(pool) == {"wip": "1000.00", "over_cap": "100.00", "non_billable": "50.00"}
    assert await rows(pool, USED) == [(Decimal("1000.00"),)]
    await bill(pool, await proposal(pool))
    assert await lies(pool) == {"billed": "1000.00", "over_cap": "100.00", "non_billable": "50.00"}


async def test_its_recall_gives_the_room_back(pool: Pool) -> None:
    await agree(pool, CAPPED)
    await work(pool, entry(2), spent(3, "350.00"), entry(4))
    assert await lies(pool) == {"wip": "1000.00", "over_cap": "600.00", "held": "350.00"}
    await work(pool, entry(2, revision=2, status=WorkStatus.RECALLED))
    await release(pool)
    await fit_waiting(pool, NOW)
    assert await lies(pool) == {"wip": "1000.00", "over_cap": "100.00", "non_billable": "50.00"}
    await work(pool, spent(3, "350.00", revision=2, status=WorkStatus.RECALLED))
    await fit_waiting(pool, NOW)
    assert await lies(pool) == {"wip": "800.00"}
    assert await rows(pool, USED) == [(Decimal("800.00"),)]


async def test_what_was_set_aside_has_its_room_already(pool: Pool) -> None:
    await agree(pool, CAPPED)
    await work(pool, entry(2), entry(3))
    async with transaction(pool) as db:
        await db.execute(
            "UPDATE item_part SET disposition = 'held', cause = 'why', entry = 'aside' WHERE item_id = 'BIL-2-1'"
        )
    assert await release(pool, "why") == 1
    assert await lies(pool) == {"wip": "1000.00", "over_cap": "600.00"}
    assert await rows(pool, USED) == [(Decimal("1000.00"),)]
