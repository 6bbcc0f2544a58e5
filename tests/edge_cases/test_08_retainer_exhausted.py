"""Edge case 8: retainer exhausted mid-invoice; rollover/expiry."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from accord.db.pool import Pool
from accord.ledger.fitting import fit_waiting
from accord.model.terms import Cap, CapLevel, Retainer
from accord.model.work import WorkEntry, WorkStatus
from tests.ledger.worked import NOW, TERMS, agree, bill, entry, lies, proposal, rows, usd, work

# 1,000.00 a month from October for three months; what is left rolls over for one month, then expires.
RETAINER = Retainer("RET", usd("1000"), date(2026, 10, 1), months=3, rollover_months=1)
TERMS_WITH = replace(TERMS, retainer=RETAINER)


async def test_a_retainer_is_exhausted_in_the_middle_of_an_invoice(pool: Pool) -> None:
    """Two days of 800.00 against 1,000.00 rolled over and 1,000.00 of the month, then a third: 400.00 is billed."""
    await agree(pool, TERMS_WITH)
    await work(pool, entry(2), entry(3), entry(4))
    assert await lies(pool) == {"drawn": "2000.00", "wip": "400.00"}
    assert await rows(pool, "SELECT name, used FROM billing_counter ORDER BY 1") == [
        ("retainer DEA-1 US RET 2026-10", Decimal("1000.00")), ("retainer DEA-1 US RET 2026-11", Decimal("1000.00")),
    ]  # fmt: skip
    parts = "SELECT disposition, amount, quantity, cause FROM item_part WHERE item_id = 'BIL-4-1' ORDER BY part"
    assert await rows(pool, parts) == [
        ("drawn", Decimal("400.00"), Decimal("2.000000"), "retainer RET"),
        ("wip", Decimal("400.00"), Decimal("2.000000"), "work.approved"),
    ]
    id = await proposal(pool)
    assert await rows(pool, "SELECT net, quantity FROM proposal_line") == [(Decimal("400.00"), Decimal("2.000000"))]
    await bill(pool, id)
    assert await lies(pool) == {"drawn": "2000.00", "billed": "400.00"}


async def test_what_is_left_rolls_over_for_a_month_and_then_expires(pool: Pool) -> None:
    await agree(pool, TERMS_WITH)
    december = {"worked_on": date(2026, 12, 7)}
    await work(pool, entry(7, "12", **december))
    # October's 1,000.00 has expired in December; November's is drawn before December's.
    assert await lies(pool) == {"drawn": "2000.00", "wip": "400.00"}
    drawn = dict(await rows(pool, "SELECT name, used FROM billing_counter"))
    assert drawn["retainer DEA-1 US RET 2026-11"] == drawn["retainer DEA-1 US RET 2026-12"] == Decimal("1000.00")
    assert drawn.get("retainer DEA-1 US RET 2026-10", Decimal(0)) == 0
    # In January the last month that was paid has rolled over, but it is used up; nothing is left to draw.
    await work(pool, entry(8, "1", worked_on=date(2027, 1, 8)))
    assert await lies(pool) == {"drawn": "2000.00", "wip": "600.00"}


async def test_a_recall_gives_back_to_the_month_it_was_drawn_from(pool: Pool) -> None:
    await agree(pool, TERMS_WITH)
    await work(pool, entry(2), entry(3))
    await work(pool, entry(2, status=WorkStatus.RECALLED))
    assert await rows(pool, "SELECT used FROM billing_counter ORDER BY name") == [
        (Decimal("200.00"),),
        (Decimal("600.00"),),
    ]
    await work(pool, entry(4, "6"))
    assert await lies(pool) == {"drawn": "2000.00"}


# One month of 1,000.00, and nothing rolls over.
ONE_MONTH = replace(TERMS, retainer=Retainer("RET", usd("1000"), date(2026, 11, 1), months=1))
DRAWN = "SELECT item_id, sum(amount) FROM item_part WHERE disposition = 'drawn' GROUP BY 1 ORDER BY 1"
USED = "SELECT used FROM billing_counter WHERE starts_with(name, 'retainer ')"


def recalled(n: int, hours: str = "4") -> WorkEntry:
    return entry(n, hours, revision=2, status=WorkStatus.RECALLED)


async def test_what_a_recall_leaves_is_drawn_by_work_that_would_be_billed(pool: Pool) -> None:
    """Nobody is billed for work that is prepaid: the oldest that waits to be billed has the room, to the cent."""
    await agree(pool, ONE_MONTH)
    await work(pool, entry(2), entry(3), entry(4))
    assert await lies(pool) == {"drawn": "1000.00", "wip": "1400.00"}
    await work(pool, recalled(2))
    assert await fit_waiting(pool, NOW) == 2
    assert await lies(pool) == {"drawn": "1000.00", "wip": "600.00"}
    assert await rows(pool, DRAWN) == [("BIL-3-1", Decimal("800.00")), ("BIL-4-1", Decimal("200.00"))]
    parts = "SELECT disposition, amount, quantity FROM item_part WHERE item_id = 'BIL-4-1' ORDER BY part"
    assert await rows(pool, parts) == [
        ("wip", Decimal("600.00"), Decimal("3.000000")), ("drawn", Decimal("200.00"), Decimal("1.000000")),
    ]  # fmt: skip
    assert await rows(pool, USED) == [(Decimal("1000.00"),)]
    assert await fit_waiting(pool, NOW) == 0


async def test_what_a_recall_leaves_is_taken_out_of_drafts_and_not_off_invoices(pool: Pool) -> None:
    await agree(pool, ONE_MONTH)
    await work(pool, entry(2), entry(3), entry(4))
    await bill(pool, await proposal(pool, entry(3).worked_on))
    draft = await proposal(pool)
    assert await lies(pool) == {"drawn": "1000.00", "billed": "600.00", "draft": "800.00"}
    await work(pool, recalled(2))
    await fit_waiting(pool, NOW)
    assert await lies(pool) == {"drawn": "1000.00", "billed": "600.00"}
    assert await rows(pool, f"SELECT status FROM proposal WHERE id = '{draft}'") == [("withdrawn",)]


async def test_taking_back_a_correction_bills_what_had_drawn_its_room(pool: Pool) -> None:
    """Four hours fewer gave 800.00 back, which other days have drawn: once they are taken back, the last of it is
    billed, and no month is drawn beyond what it has."""
    await agree(pool, ONE_MONTH)
    await work(pool, entry(2), entry(3, "-4"), entry(5), entry(6))
    assert await lies(pool) == {"drawn": "1000.00", "wip": "600.00"}
    await work(pool, recalled(3, "-4"))
    assert await rows(pool, USED) == [(Decimal("1800.00"),)]
    assert await fit_waiting(pool, NOW) == 2
    assert await lies(pool) == {"drawn": "1000.00", "wip": "1400.00"}
    assert await rows(pool, DRAWN) == [("BIL-2-1", Decimal("800.00")), ("BIL-5-1", Decimal("200.00"))]
    assert await rows(pool, USED) == [(Decimal("1000.00"),)]
    assert await fit_waiting(pool, NOW) == 0


async def test_a_correction_whose_work_is_gone_lessens_the_next_invoice(pool: Pool) -> None:
    """What it gave back to the month nobody has drawn any more: the customer's 800.00 do not expire with the month."""
    await agree(pool, ONE_MONTH)
    await work(pool, entry(2), entry(3, "-4"))
    assert await rows(pool, USED) == [(Decimal("0.00"),)]
    await work(pool, recalled(2))
    await fit_waiting(pool, NOW)
    assert await lies(pool) == {"wip": "-800.00"}
    assert await rows(pool, USED) == [(Decimal("0.00"),)]


async def test_what_is_drawn_no_more_lies_over_a_cap_that_has_no_room_for_it(pool: Pool) -> None:
    cap = Cap("PO", CapLevel.PURCHASE_ORDER, usd("300"))
    await agree(pool, replace(ONE_MONTH, caps=(cap,)))
    await work(pool, entry(2), entry(3, "-4"), entry(5))
    assert await lies(pool) == {"drawn": "800.00"}
    await work(pool, entry(6), recalled(3, "-4"))
    await fit_waiting(pool, NOW)
    assert await lies(pool) == {"drawn": "1000.00", "wip": "300.00", "over_cap": "1100.00"}
    await work(pool, recalled(2))
    await fit_waiting(pool, NOW)
    assert await lies(pool) == {"drawn": "1000.00", "wip": "300.00", "over_cap": "300.00"}
