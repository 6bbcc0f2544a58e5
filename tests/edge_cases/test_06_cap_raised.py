"""Edge case 6: cap hit mid-entry; later cap raised: over-cap becomes billable, in FIFO or PM-chosen order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from accord.db.pool import Pool, transaction
from accord.errors import UsageError
from accord.ledger import fitting
from accord.ledger.explaining import explain_items
from accord.ledger.fitting import fit_waiting
from accord.model.terms import BillingTerms, Cap, CapLevel
from accord.model.work import WorkStatus
from tests.ledger.worked import NOW, TERMS, agree, bill, entry, lies, proposal, rows, usd, work

KEY = ("DEA-1", "US")
PARTS = "SELECT item_id, disposition, amount, quantity FROM item_part ORDER BY item_id, part"
USED = "SELECT used FROM billing_counter"


def capped(limit: str, **changes: object) -> BillingTerms:
    cap = Cap("PO", CapLevel.PURCHASE_ORDER, usd(limit), clause="PO 4711")
    return replace(TERMS, caps=(cap,), **changes)  # type: ignore[arg-type]


@pytest.fixture
async def waiting(pool: Pool) -> Pool:
    """Four hours a day at 200.00 under a cap of 1,000.00: a quarter of the second day fits, two days wait."""
    await agree(pool, capped("1000"))
    await work(pool, entry(2), entry(3), entry(4), entry(5))
    assert await lies(pool) == {"wip": "1000.00", "over_cap": "2200.00"}
    return pool


async def test_a_raised_cap_sets_free_the_oldest_first_and_splits_at_the_cap(waiting: Pool) -> None:
    await agree(waiting, capped("1700.50"))
    assert await fit_waiting(waiting, NOW) == 2
    assert await lies(waiting) == {"wip": "1700.50", "over_cap": "1499.50"}
    assert await rows(waiting, PARTS) == [
        ("BIL-2-1", "wip", Decimal("800.00"), Decimal(4)),
        ("BIL-3-1", "wip", Decimal("200.00"), Decimal("1.000000")),
        ("BIL-3-1", "wip", Decimal("600.00"), Decimal("3.000000")),
        ("BIL-4-1", "over_cap", Decimal("699.50"), Decimal("3.500000")),
        ("BIL-4-1", "wip", Decimal("100.50"), Decimal("0.500000")),
        ("BIL-5-1", "over_cap", Decimal("800.00"), Decimal("4.000000")),
    ]
    assert await rows(waiting, USED) == [(Decimal("1700.50"),)]
    assert await fit_waiting(waiting, NOW) == 0
    id = await proposal(waiting)
    await bill(waiting, id)
    assert await lies(waiting) == {"billed": "1700.50", "over_cap": "1499.50"}
    async with waiting.connection() as db:
        [item] = await explain_items(db, ["BIL-4-1"])
    assert item.counters[-1] == ("cap DEA-1 US PO", Decimal("100.50"), Decimal("1700.50"))
    assert item.agrees


async def test_a_person_chooses_what_is_set_free_first(waiting: Pool) -> None:
    await agree(waiting, capped("2000", released_in="chosen"))
    assert await fit_waiting(waiting, NOW) == 0
    async with transaction(waiting) as db:
        done = await fitting.release(db, KEY, by="petra", now=NOW, chosen=["BIL-5-1"])
    assert (done.parts, done.released) == (2, Decimal("1000.00"))
    assert await lies(waiting) == {"wip": "2000.00", "over_cap": "1200.00"}
    free = "SELECT item_id, sum(amount) FROM item_part WHERE disposition = 'wip' GROUP BY 1 ORDER BY 1"
    assert await rows(waiting, free) == [
        ("BIL-2-1", Decimal("800.00")), ("BIL-3-1", Decimal("400.00")), ("BIL-5-1", Decimal("800.00")),
    ]  # fmt: skip
    [(detail,)] = await rows(waiting, "SELECT detail FROM audit_entry WHERE action = 'over cap released'")
    assert detail["chosen"] == ["BIL-5-1"]
    with pytest.raises(UsageError, match="nothing lies over a cap"):
        async with transaction(waiting) as db:
            await fitting.release(db, KEY, by="petra", now=NOW, chosen=["BIL-2-1"])


async def test_only_what_was_chosen_is_set_free_when_that_is_asked(waiting: Pool) -> None:
    await agree(waiting, capped("9000", released_in="chosen"))
    async with transaction(waiting) as db:
        await fitting.release(db, KEY, by="petra", now=NOW, chosen=["BIL-4-1"], only=True)
    assert await lies(waiting) == {"wip": "1800.00", "over_cap": "1400.00"}


async def test_a_recall_gives_back_what_was_set_free_too(waiting: Pool) -> None:
    """The room that a released part took is given back with it, and to nobody twice."""
    await agree(waiting, capped("2000"))
    await fit_waiting(waiting, NOW)
    assert await rows(waiting, USED) == [(Decimal("2000.00"),)]
    await work(waiting, entry(3, status=WorkStatus.RECALLED))
    assert await rows(waiting, USED) == [(Decimal("1200.00"),)]
    await work(waiting, entry(6))
    assert await lies(waiting) == {"wip": "2000.00", "over_cap": "1200.00"}


async def test_a_lifted_cap_sets_everything_free(waiting: Pool) -> None:
    await agree(waiting, TERMS)
    await fit_waiting(waiting, NOW)
    assert await lies(waiting) == {"wip": "3200.00"}


async def test_a_lowered_cap_takes_the_last_work_above_and_leaves_what_is_invoiced(waiting: Pool) -> None:
    await agree(waiting, capped("2400"))
    await fit_waiting(waiting, NOW)
    await bill(waiting, await proposal(waiting, entry(2).worked_on))
    draft = await proposal(waiting)
    assert await lies(waiting) == {"billed": "800.00", "draft": "1600.00", "over_cap": "800.00"}
    await agree(waiting, capped("1100"))
    async with transaction(waiting) as db:
        done = await fitting.push(db, KEY, by="fatima", now=NOW)
    assert done.pushed == Decimal("1300.00")
    assert await lies(waiting) == {"billed": "800.00", "draft": "300.00", "over_cap": "2100.00"}
    assert await rows(waiting, f"SELECT net FROM proposal WHERE id = '{draft}'") == [(Decimal("300.00"),)]
    assert await rows(waiting, USED) == [(Decimal("1100.00"),)]


async def test_raising_undoes_what_lowering_did(waiting: Pool) -> None:
    await agree(waiting, capped("600"))
    async with transaction(waiting) as db:
        await fitting.push(db, KEY, by="fatima", now=NOW)
    assert await lies(waiting) == {"wip": "600.00", "over_cap": "2600.00"}
    await agree(waiting, capped("1000"))
    await fit_waiting(waiting, NOW)
    assert await lies(waiting) == {"wip": "1000.00", "over_cap": "2200.00"}
    assert await rows(waiting, USED) == [(Decimal("1000.00"),)]


async def test_taking_back_a_correction_takes_above_the_cap_what_had_its_room(pool: Pool) -> None:
    """Four hours fewer made room for another day; once they are taken back, that day is over the cap."""
    await agree(pool, capped("1600"))
    await work(pool, entry(2), entry(3), entry(4, hours="-4"), entry(5))
    assert await lies(pool) == {"wip": "1600.00"}
    await work(pool, replace(entry(4, hours="-4"), revision=2, status=WorkStatus.RECALLED))
    assert (await rows(pool, USED)) == [(Decimal("2400.00"),)]
    assert await fit_waiting(pool, NOW) == 1
    assert await lies(pool) == {"wip": "1600.00", "over_cap": "800.00"}
    assert await rows(pool, USED) == [(Decimal("1600.00"),)]
    over = "SELECT item_id FROM item_part WHERE disposition = 'over_cap'"
    assert await rows(pool, over) == [("BIL-5-1",)]
    assert await fit_waiting(pool, NOW) == 0


async def test_what_a_recall_leaves_goes_to_what_waits_over_the_cap(waiting: Pool) -> None:
    await work(waiting, entry(2, revision=2, status=WorkStatus.RECALLED))
    assert await fit_waiting(waiting, NOW) == 2
    assert await lies(waiting) == {"wip": "1000.00", "over_cap": "1400.00"}
    free = "SELECT item_id, sum(amount) FROM item_part WHERE disposition = 'wip' GROUP BY 1 ORDER BY 1"
    assert await rows(waiting, free) == [("BIL-3-1", Decimal("800.00")), ("BIL-4-1", Decimal("200.00"))]
    assert await fit_waiting(waiting, NOW) == 0


async def test_what_a_recall_leaves_waits_for_a_person_where_one_chooses(pool: Pool) -> None:
    await agree(pool, capped("1000", released_in="chosen"))
    await work(pool, entry(2), entry(3), entry(4))
    await work(pool, entry(2, revision=2, status=WorkStatus.RECALLED))
    assert await fit_waiting(pool, NOW) == 0
    assert await lies(pool) == {"wip": "200.00", "over_cap": "1400.00"}


async def test_a_correction_has_its_own_room_before_others(waiting: Pool) -> None:
    """Four hours become five: they take what four had left, and an hour waits; nothing else moves."""
    await work(waiting, entry(2, "5", revision=2))
    assert await fit_waiting(waiting, NOW) == 0
    free = "SELECT item_id, amount FROM item_part WHERE disposition = 'wip' ORDER BY 1"
    assert await rows(waiting, free) == [("BIL-2-2", Decimal("800.00")), ("BIL-3-1", Decimal("200.00"))]
