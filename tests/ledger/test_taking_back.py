"""What is taken back leaves the rest as if it had never been: meters, and invoices that bear corrections."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from accord.db.pool import Pool, transaction
from accord.ledger.dispositions import Disposition, move_document
from accord.ledger.fitting import fit_waiting
from accord.ledger.postings import write
from accord.model.money import Money
from accord.model.terms import Cap, CapLevel, UsageRate, UsageTier
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from tests.ledger.worked import NOW, TERMS, agree, bill, entry, lies, proposal, rows, usd, work

TIERS = (UsageTier(Decimal(0), usd("1.00")), UsageTier(Decimal(100), usd("0.50")))
COUNTER = "SELECT used FROM billing_counter"


def calls(n: int, units: int, **changes: Any) -> WorkEntry:
    return entry(n, str(units), kind=WorkKind.USAGE, unit="call", **changes)


async def corrected_invoice(pool: Pool) -> str:
    """An invoice of 800.00 and 600.00, less 800.00 that an earlier invoice had in excess."""
    await agree(pool)
    await work(pool, entry(2))
    await bill(pool, await proposal(pool))
    await work(pool, entry(2, "3"), entry(3))
    id = await proposal(pool)
    await bill(pool, id)
    return id


@pytest.mark.parametrize(
    ("graduated", "both", "one"), [(True, "125.00", "50.00"), (False, "75.00", "50.00")]
)  # what 150 and 50 units of a month cost
async def test_metered_work_that_is_recalled_leaves_the_month_at_what_its_units_cost(
    pool: Pool, *, graduated: bool, both: str, one: str
) -> None:
    """Of two records the later one had been priced on top of the first."""
    await agree(pool, replace(TERMS, usage=(UsageRate("U", "call", TIERS, graduated=graduated),)))
    await work(pool, calls(2, 100), calls(3, 50))
    assert await lies(pool) == {"wip": both}
    await work(pool, calls(2, 100, status=WorkStatus.RECALLED))
    assert await lies(pool) == {"wip": one}
    assert await rows(pool, COUNTER) == [(Decimal(50),)]
    await work(pool, calls(2, 100))
    assert await lies(pool) == {"wip": both}


async def test_metered_work_that_is_recalled_after_its_invoice_credits_what_it_really_cost(pool: Pool) -> None:
    await agree(pool, replace(TERMS, usage=(UsageRate("U", "call", TIERS),)))
    await work(pool, calls(2, 100), calls(3, 50))
    await bill(pool, await proposal(pool))
    await work(pool, calls(2, 100, status=WorkStatus.DELETED))
    assert await lies(pool) == {"billed": "125.00", "wip": "-75.00"}


async def test_units_that_are_not_billed_explain_themselves_wherever_the_meter_stood(pool: Pool) -> None:
    await agree(pool, replace(TERMS, usage=(UsageRate("U", "call", TIERS),)))
    await work(pool, calls(2, 100), calls(3, 50, billable=False))
    assert await lies(pool) == {"non_billable": "25.00", "wip": "100.00"}
    assert await rows(pool, COUNTER) == [(Decimal(100),)]


async def test_an_invoice_with_a_correction_on_it_leaves_nothing_in_draft(pool: Pool) -> None:
    id = await corrected_invoice(pool)
    assert await rows(pool, "SELECT count(*) FROM item_part WHERE disposition = 'draft'") == [(0,)]
    assert await rows(pool, f"SELECT sum(amount) FROM item_part WHERE document = '{id}'") == [(Decimal("600.00"),)]


async def test_an_invoice_with_a_correction_on_it_is_paid_in_parts_to_the_cent(pool: Pool) -> None:
    id = await corrected_invoice(pool)
    for n, amount in enumerate(("450.01", "149.99"), start=1):
        post = move_document(
            f"collect PAY-{n}", id, Money.of(amount, "USD"), out_of=(Disposition.BILLED, Disposition.DISPUTED),
            into=Disposition.COLLECTED, cause="t", at=NOW.isoformat(),
        )  # fmt: skip
        async with transaction(pool) as db:
            await write(db, [(post.entry, post.items, post.postings)])
    placed = "SELECT disposition, sum(amount) FROM item_part WHERE document = '%s' GROUP BY 1"
    assert await rows(pool, placed % id) == [("collected", Decimal("600.00"))]


async def test_what_others_cost_more_without_it_counts_against_the_caps(pool: Pool) -> None:
    """100 calls at 1.00, then 100 at 0.50 on top. Without the first the second are worth 100.00: 50.00 more lie in WIP,
    and what exceeds the cap with them lies over it."""
    cap = Cap("PO", CapLevel.PURCHASE_ORDER, usd("170"))
    await agree(pool, replace(TERMS, usage=(UsageRate("U", "call", TIERS),), caps=(cap,)))
    await work(pool, calls(2, 100), calls(3, 100), calls(4, 40))
    assert await lies(pool) == {"wip": "170.00"}
    await work(pool, replace(calls(2, 100), revision=2, status=WorkStatus.RECALLED))
    used = "SELECT used FROM billing_counter WHERE name = 'cap DEA-1 US PO'"
    assert await rows(pool, used) == [(Decimal("120.00"),)]
    assert await lies(pool) == {"wip": "120.00"}
    await work(pool, calls(5, 120))
    await fit_waiting(pool, NOW)
    assert await lies(pool) == {"wip": "170.00", "over_cap": "10.00"}
