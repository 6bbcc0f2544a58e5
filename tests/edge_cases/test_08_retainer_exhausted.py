"""Edge case 8: retainer exhausted mid-invoice; rollover/expiry."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from accord.db.pool import Pool
from accord.model.terms import Retainer
from accord.model.work import WorkStatus
from tests.ledger.worked import TERMS, agree, bill, entry, lies, proposal, rows, usd, work

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
