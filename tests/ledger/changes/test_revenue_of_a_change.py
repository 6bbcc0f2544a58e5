"""The golden cases of features.md 3.4 and of the standards' own examples from the books: shown, applied, undone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from accord.db.pool import Pool, transaction
from accord.ledger.changes import planning
from accord.ledger.changes.reading import Looked, look
from accord.rules.change_impact.change import Area
from accord.rules.change_impact.order import ChangeOrder, Remaining
from accord.rules.revenue.contract import Measure
from accord.rules.revenue.modifications import Added, Modification, Treatment
from accord.rules.revenue.obligations import Method
from tests.ledger.revenue.test_schedule_from_the_books import (
    BUILD,
    CONTRACT,
    close,
    declare,
    estimate,
    figures,
    firm,
    recognised,
    worked,
)
from tests.ledger.worked import usd

FEBRUARY = date(2026, 2, 1)
FEBRUARY_END = datetime(2026, 2, 28, tzinfo=UTC)

__all__ = ["firm"]


def order(revenue: Modification, *remaining: Remaining, **changes: object) -> ChangeOrder:
    found = ChangeOrder(
        revenue.id, "DEA-1", "US", FEBRUARY, "change order 1", revenue=revenue, remaining=tuple(remaining)
    )
    return replace(found, **changes)  # type: ignore[arg-type]


async def shown(pool: Pool, about: ChangeOrder) -> Looked:
    async with transaction(pool) as db:
        return await look(db, about, FEBRUARY_END.date())


async def apply(pool: Pool, about: ChangeOrder) -> None:
    async with transaction(pool) as db:
        await planning.propose(db, about, by="petra", now=FEBRUARY_END)
    async with transaction(pool) as db:
        await planning.apply(db, about.id, by="fatima", now=FEBRUARY_END)


def effects(found: Looked, area: Area) -> list[tuple[str, str, str]]:
    return [(each.subject, str(each.by.amount), each.told) for each in found.impact.of(area)]


@pytest.fixture
async def building(firm: Pool) -> Pool:
    """500,000 at 30 %: 90,000 of cost, 210,000 to come, January closed with 150,000."""
    await declare(firm)
    await worked(firm, 1, 900)
    await estimate(firm, 1, "210000")
    await close(firm, "2026-01")
    return firm


async def test_an_extension_that_is_not_distinct_is_caught_up_and_taken_back(building: Pool) -> None:
    """60,000 more of price and of cost: 25 % of 560,000 is 10,000 less than was recognised."""
    extension = Modification("CO-1", usd("60000"), (Added("extra", usd("60000"), extends="BUILD"),))
    about = order(extension, Remaining("BUILD", Decimal(270000)))
    found = await shown(building, about)
    assert found.impact.revenue is not None
    assert found.impact.revenue.treatment is Treatment.CATCH_UP
    assert effects(found, Area.REVENUE_NOW) == [("BUILD", "-10000.00", "cumulative catch up")]
    assert effects(found, Area.REVENUE_LATER) == [("BUILD", "70000.00", "cumulative catch up")]
    assert effects(found, Area.MARGIN) == [("at completion", "0.00", "40.00 %, then 35.71 %")]
    await apply(building, about)
    january = ("2026-01", "150000.00", "150000.00", "0.00")
    assert figures(await recognised(building, FEBRUARY_END)) == [
        january, ("2026-02", "140000.00", "-10000.00", "-10000.00"),
    ]  # fmt: skip
    async with transaction(building) as db:
        back = await planning.take_back(db, "CO-1", by="carla", now=FEBRUARY_END)
    assert back.steps[-1].outcome == "nothing to do"  # no billing terms were changed
    await estimate(building, 2, "210000")
    assert figures(await recognised(building, FEBRUARY_END)) == [january, ("2026-02", "150000.00", "0.00", "0.00")]


async def test_a_distinct_promise_below_its_own_price_is_prospective(firm: Pool) -> None:
    """60 of 120 products at 100 are delivered, 30 more come at 80 (IFRS 15 example 5): 8,400 over the rest."""
    products = replace(BUILD, id="P", name="Products", method=Method.HOURS, stand_alone_price=usd("11400"))
    measures = (Measure("P", remaining_is_distinct=True),)
    await declare(firm, replace(CONTRACT, fixed=usd("12000"), obligations=(products,), measures=measures))
    await worked(firm, 1, 60)
    await estimate(firm, 1, "60", "P", hours=True)
    await close(firm, "2026-01")
    more = replace(products, id="MORE", name="30 more", stand_alone_price=usd("2850"))
    change = Modification("CO-2", usd("2400"), (Added("MORE", usd("2850")),))
    about = order(change, Remaining("P", Decimal(60)), obligations=(more,))
    found = await shown(firm, about)
    assert found.impact.revenue is not None
    assert found.impact.revenue.treatment is Treatment.PROSPECTIVE
    assert found.impact.of(Area.REVENUE_NOW) == ()
    assert [each[:2] for each in effects(found, Area.REVENUE_LATER)] == [("P", "-400.00"), ("MORE", "2800.00")]
    await apply(firm, about)
    await worked(firm, 2, 30)
    await estimate(firm, 2, "30", "P/CO-2", hours=True)
    by_now = await recognised(firm, FEBRUARY_END)
    assert [row[1:3] for row in figures(by_now, "P")] == [("6000.00", "6000.00"), ("6000.00", "0.00")]
    assert [row[2] for row in figures(by_now, "P/CO-2")] == ["2800.00"]  # half of the 5,600 that its rest has


async def test_a_distinct_promise_at_its_own_price_touches_nothing_old(building: Pool) -> None:
    more = replace(BUILD, id="MORE", name="More", stand_alone_price=usd("2850"))
    about = order(Modification("CO-3", usd("2850"), (Added("MORE", usd("2850")),)), obligations=(more,))
    found = await shown(building, about)
    assert found.impact.revenue is not None
    assert found.impact.revenue.treatment is Treatment.SEPARATE_CONTRACT
    before = figures(await recognised(building, FEBRUARY_END))
    await apply(building, about)
    assert figures(await recognised(building, FEBRUARY_END)) == before


async def test_a_change_of_scope_without_a_price_makes_the_contract_onerous(building: Pool) -> None:
    """45 % recognised; 140,000 more to do: 166,666.67 by 1/3, 26,666.67 to provide."""
    await worked(building, 2, 900)
    await estimate(building, 2, "220000")
    about = order(Modification("CO-4", usd("0"), changes_scope=True), Remaining("BUILD", Decimal(360000)))
    found = await shown(building, about)
    assert [each[1] for each in effects(found, Area.REVENUE_NOW)] == ["-58333.33"]
    assert [each[1] for each in effects(found, Area.LOSS_PROVISION)] == ["26666.67"]
    assert effects(found, Area.MARGIN) == [("at completion", "-140000.00", "20.00 %, then -8.00 %")]
    await apply(building, about)
    by_now = await recognised(building, FEBRUARY_END)
    assert figures(by_now)[-1][:3] == ("2026-02", "166666.67", "16666.67")
    assert by_now.provision is not None
    assert by_now.provision.provision == usd("26666.67")
