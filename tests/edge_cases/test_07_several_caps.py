"""Edge case 7: several caps (PO, line, contract, customer) with different currencies."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from accord.db.pool import Pool, transaction
from accord.ledger.exchange import RateIsPublished, declare_policy, load_rates
from accord.ledger.fitting import fit_waiting
from accord.model.money import Money
from accord.model.terms import Cap, CapLevel, ExpenseRule
from accord.model.work import WorkKind, WorkStatus
from accord.rules.fx import Rate, RateDate, RateDatePolicy
from tests.ledger.worked import NOW, TERMS, agree, entry, lies, rows, usd, work

# Four hours a day are 800.00 USD. At 1.0912 that is 733.14 EUR of the customer's cap.
LINE = Cap("design", CapLevel.LINE, usd("500"), applies_to="design")
CONTRACT = Cap("SOW", CapLevel.CONTRACT, usd("2000"))
CUSTOMER = Cap("MSA", CapLevel.CUSTOMER, Money.of("1000.00", "EUR"))
ALL = replace(TERMS, caps=(LINE, CONTRACT, CUSTOMER))
ECB = RateDatePolicy(RateDate.WORKED, "ECB", version=1)
FIRST = Rate("EUR", "USD", Decimal("1.0912"), date(2026, 11, 2), "ECB")


@pytest.fixture
async def rated(pool: Pool) -> Pool:
    async with transaction(pool) as db:
        await declare_policy(db, ECB, by="fatima")
        await load_rates(db, [FIRST], by="fatima")
    return pool


async def test_the_tightest_of_all_levels_decides_and_all_are_used(rated: Pool) -> None:
    await agree(rated, ALL)
    await work(rated, entry(2, task="design"), entry(3))
    # 500.00 by the line; then 1,000.00 EUR less 500.00 USD are 591.20 USD, which is less than 1,500.00 of the contract.
    assert await lies(rated) == {"wip": "1091.20", "over_cap": "508.80"}
    used = dict(await rows(rated, "SELECT name, used FROM billing_counter"))
    assert used["cap DEA-1 US design"] == Decimal("500.00")
    assert used["cap DEA-1 US SOW"] == Decimal("1091.20")
    assert abs(used["cap CUS-1 MSA"] - Decimal("1000.00")) < Decimal("0.00001")
    causes = "SELECT item_id, cause, amount FROM item_part WHERE disposition = 'over_cap' ORDER BY 1"
    assert await rows(rated, causes) == [
        ("BIL-2-1", "cap design", Decimal("300.00")), ("BIL-3-1", "cap MSA", Decimal("208.80")),
    ]  # fmt: skip


async def test_raising_one_level_frees_only_what_the_others_allow(rated: Pool) -> None:
    await agree(rated, ALL)
    await work(rated, entry(2, task="design"), entry(3))
    await agree(rated, replace(ALL, caps=(LINE, CONTRACT, replace(CUSTOMER, limit=Money.of("5000.00", "EUR")))))
    await fit_waiting(rated, NOW)
    assert await lies(rated) == {"wip": "1300.00", "over_cap": "300.00"}
    await agree(rated, replace(ALL, caps=(CONTRACT, replace(CUSTOMER, limit=Money.of("5000.00", "EUR")))))
    await fit_waiting(rated, NOW)
    assert await lies(rated) == {"wip": "1600.00"}


async def test_without_a_rate_of_the_day_nothing_is_said_to_fit(rated: Pool) -> None:
    await agree(rated, ALL)
    await work(rated, entry(20))
    assert await lies(rated) == {"over_cap": "800.00"}
    async with transaction(rated) as db:
        await load_rates(db, [replace(FIRST, effective_on=date(2026, 11, 20))], by="fatima")
    await agree(rated, replace(ALL, clause="SOW 4.2"))
    await fit_waiting(rated, NOW)
    assert await lies(rated) == {"wip": "800.00"}


async def test_a_customers_cap_is_shared_by_its_engagements(rated: Pool) -> None:
    other = replace(TERMS, engagement_id="DEA-2", caps=(CUSTOMER,))
    await agree(rated, replace(TERMS, caps=(CUSTOMER,)), other)
    await work(rated, entry(2), entry(3, engagement_id="DEA-2"))
    assert await lies(rated) == {"wip": "1091.20", "over_cap": "508.80"}


async def test_an_expense_of_another_currency_is_priced_again_by_the_rate_it_was_priced_by(rated: Pool) -> None:
    """A rate that is published later changes no price that was made."""
    await agree(rated, replace(TERMS, expenses=(ExpenseRule("travel"),)))
    hotel = entry(4, "1", kind=WorkKind.EXPENSE, cost=Money.of("100.00", "EUR"), category="travel", unit="item")
    await work(rated, hotel)
    assert await lies(rated) == {"wip": "109.12"}
    async with transaction(rated) as db:
        await load_rates(db, [Rate("EUR", "USD", Decimal("1.2000"), date(2026, 11, 4), "ECB")], by="fatima")
    assert await lies(rated) == {"wip": "109.12"}
    await work(rated, replace(hotel, cost=Money.of("200.00", "EUR")))
    assert await lies(rated) == {"wip": "240.00"}


async def test_a_published_rate_is_never_another_one(rated: Pool) -> None:
    with pytest.raises(RateIsPublished, match=r"ECB EUR in USD on 2026-11-02 is 1\.0912"):
        async with transaction(rated) as db:
            await load_rates(db, [replace(FIRST, rate=Decimal("1.1"))], by="fatima")


async def test_room_that_one_engagement_leaves_goes_to_another_of_the_customer(rated: Pool) -> None:
    shared = replace(TERMS, caps=(Cap("MSA", CapLevel.CUSTOMER, usd("1000")),))
    await agree(rated, shared, replace(shared, engagement_id="DEA-2"))
    await work(rated, entry(2, engagement_id="DEA-2"))
    await work(rated, entry(3))
    over = "SELECT engagement, disposition, sum(amount) FROM item_part WHERE amount > 0 GROUP BY 1, 2 ORDER BY 1, 2"
    assert await rows(rated, over) == [
        ("DEA-1", "over_cap", Decimal("600.00")), ("DEA-1", "wip", Decimal("200.00")),
        ("DEA-2", "wip", Decimal("800.00")),
    ]  # fmt: skip
    await work(rated, entry(2, engagement_id="DEA-2", revision=2, status=WorkStatus.RECALLED))
    assert await fit_waiting(rated, NOW) == 1
    assert await rows(rated, over) == [
        ("DEA-1", "wip", Decimal("800.00")), ("DEA-2", "reversed", Decimal("800.00")),
    ]  # fmt: skip
    await lies(rated)


async def test_a_correction_that_others_have_the_room_of_is_taken_above_the_shared_cap(rated: Pool) -> None:
    """The room was another engagement's: what it has taken goes, although its own work is as it was."""
    shared = replace(TERMS, caps=(Cap("MSA", CapLevel.CUSTOMER, usd("1000")),))
    await agree(rated, shared, replace(shared, engagement_id="DEA-2"))
    less = {"engagement_id": "DEA-2", "hours": "-4"}
    await work(rated, entry(2), entry(3, **less))
    await work(rated, entry(4))
    await work(rated, entry(3, revision=2, status=WorkStatus.RECALLED, **less))
    await fit_waiting(rated, NOW)
    assert await lies(rated) == {"wip": "1000.00", "over_cap": "600.00"}
