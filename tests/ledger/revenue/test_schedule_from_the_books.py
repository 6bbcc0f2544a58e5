"""The worked values of features.md 3.4, from stored work, people, estimates, invoices and closed periods."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from accord.db.pool import Pool, transaction
from accord.errors import Conflict, UsageError
from accord.ledger import people
from accord.ledger.revenue import contracts, keeping
from accord.ledger.revenue.keeping import Recognised
from accord.model.people import Person, Staffing
from accord.reconcile import closing
from accord.reconcile.calendar import LateWork, declare_calendar
from accord.reconcile.late import decide_late
from accord.rules.periods import months
from accord.rules.revenue.contract import Measure, RevenueContract, SetPrice
from accord.rules.revenue.obligations import Criterion, Method, Milestone, Obligation, OverTime
from tests.ledger.worked import TERMS, agree, bill, entry, proposal, rows, usd, work

KEY = ("DEA-1", "US")
NOW = datetime(2026, 4, 20, 9, tzinfo=UTC)
CONSUMED = Criterion(OverTime.CONSUMED_AS_PERFORMED, ("SOW 4.1",))
BUILD = Obligation("BUILD", "Build", "DEA-1", "US", usd("500000"), Method.COST_TO_COST, criterion=CONSUMED)
CONTRACT = RevenueContract("DEA-1", "US", 0, usd("500000"), date(2026, 1, 1), (BUILD,))


@pytest.fixture
async def firm(pool: Pool) -> Pool:
    """Anna costs 100.00 an hour; the calendar has the first five months of 2026."""
    await agree(pool)
    async with transaction(pool) as db:
        anna = Person("anna", "Anna", "US", Decimal(40), date(2025, 1, 1), cost_per_hour=usd("100"))
        await people.declare(db, Staffing(people=(anna,)), by="petra")
        await declare_calendar(db, "US", months(date(2026, 1, 1), 5), LateWork.NEXT_PERIOD, by="fatima")
    return pool


async def declare(pool: Pool, contract: RevenueContract = CONTRACT) -> None:
    async with transaction(pool) as db:
        await contracts.declare_contract(db, contract, by="fatima")


async def worked(pool: Pool, month: int, hours: int, **changes: Any) -> None:
    """So many hours of Anna in a month, approved."""
    at = {"worked_on": date(2026, month, 10), "id": f"WRK-{month}{changes.get('task') or ''}", **changes}
    await work(pool, replace(entry(1, str(hours)), source_key=at["id"], **at))


async def estimate(pool: Pool, month: int, to_complete: str, obligation: str = "BUILD", *, hours: bool = False) -> None:
    amount = Decimal(to_complete) if hours else usd(to_complete)
    async with transaction(pool) as db:
        await contracts.estimate(db, KEY, obligation, f"2026-{month:02}", amount, by="petra")


async def recognised(pool: Pool, now: datetime = NOW) -> Recognised:
    async with transaction(pool) as db:
        [found] = await keeping.recognise(db, [KEY], now.date())
    return found


def figures(found: Recognised, obligation: str = "BUILD") -> list[tuple[str, str, str, str]]:
    return [
        (row.period.code, str(row.cumulative.amount), str(row.recognised.amount), str(row.caught_up.amount))
        for row in found.rows
        if row.obligation_id == obligation
    ]


async def close(pool: Pool, period: str) -> None:
    async with transaction(pool) as db:
        await db.execute(
            "INSERT INTO close_consent (legal_entity, period, what, reason, asked_by, asked_at, agreed_by)"
            " VALUES ('US', %s, 'not_reconciled', 'no other systems', 'a', now(), 'b')",
            [period],
        )
        assert closing.stopped_by(await closing.close(db, "US", period, by="fatima", now=NOW)) is None


async def test_cost_to_cost(firm: Pool) -> None:
    """30 % is 150,000; then 45 % is 225,000 and 75,000 in the period; at the end 500,000."""
    await declare(firm)
    for month, hours, to_complete in ((1, 900, "210000"), (2, 900, "220000"), (3, 2200, "0")):
        await worked(firm, month, hours)
        await estimate(firm, month, to_complete)
    assert figures(await recognised(firm)) == [
        ("2026-01", "150000.00", "150000.00", "0.00"),
        ("2026-02", "225000.00", "75000.00", "-37500.00"),
        ("2026-03", "500000.00", "275000.00", "0.00"),
    ]


async def test_an_onerous_contract_is_provided_for(firm: Pool) -> None:
    """Cost 180,000 of 540,000: 166,666.67 recognised; of the loss of 40,000, 26,666.67 is provided."""
    await declare(firm)
    await worked(firm, 1, 1800)
    await estimate(firm, 1, "360000")
    found = await recognised(firm)
    assert figures(found) == [("2026-01", "166666.67", "166666.67", "0.00")]
    assert found.provision is not None
    assert (found.provision.expected_loss, found.provision.in_margin) == (usd("40000"), usd("13333.33"))
    assert found.provision.provision == usd("26666.67")


async def test_the_price_is_shared_out_by_stand_alone_price(firm: Pool) -> None:
    """SSP 600/250/150 of a 900,000 deal: 540,000/225,000/135,000; each by its own measure."""
    promises = (
        replace(BUILD, id="HOURS", name="Support hours", stand_alone_price=usd("600"), method=Method.HOURS),
        replace(
            BUILD, id="STEPS", name="Roll-out", stand_alone_price=usd("250"), method=Method.MILESTONES,
            milestones=(Milestone("MIL-1", Decimal(1)), Milestone("MIL-2", Decimal(2))),
            depicts_transfer="each site works when it is accepted",
        ),
        replace(
            BUILD, id="TERM", name="Licence", stand_alone_price=usd("150"), method=Method.STRAIGHT_LINE,
            starts_on=date(2026, 1, 1), ends_on=date(2026, 12, 31),
        ),
    )  # fmt: skip
    measures = (Measure("HOURS", tasks=("support",)),)
    await declare(firm, replace(CONTRACT, fixed=usd("900000"), obligations=promises, measures=measures))
    await worked(firm, 1, 10, task="support")
    await worked(firm, 1, 500, task="other")
    await estimate(firm, 1, "30", "HOURS", hours=True)
    async with transaction(firm) as db:
        await contracts.accept(db, KEY, "MIL-1", date(2026, 2, 3), evidence="protocol 7", by="petra")
    found = await recognised(firm, datetime(2026, 2, 28, tzinfo=UTC))
    assert figures(found, "HOURS") == [("2026-01", "135000.00", "135000.00", "0.00")]
    assert figures(found, "STEPS") == [
        ("2026-01", "0.00", "0.00", "0.00"), ("2026-02", "75000.00", "75000.00", "0.00"),
    ]  # fmt: skip
    assert [row[1] for row in figures(found, "TERM")] == ["11465.75", "21821.92"]  # 31 and 59 of 365 days


async def test_time_and_material_is_recognised_as_it_may_be_invoiced(firm: Pool) -> None:
    """What lies over a cap or is not billable is not; what is not invoiced yet is an unbilled receivable."""
    hourly = replace(BUILD, method=Method.AS_INVOICED, stand_alone_price=usd("0"))
    await agree(firm, replace(TERMS, non_billable_tasks=("internal",)))
    await declare(firm, replace(CONTRACT, fixed=usd("0"), obligations=(hourly,)))
    await worked(firm, 1, 10)
    await worked(firm, 1, 3, task="internal")
    await bill(firm, id := await proposal(firm, date(2026, 1, 31)))
    await invoiced(firm, id, "2000.00", "2026-02-05")
    await worked(firm, 2, 4)
    found = await recognised(firm, datetime(2026, 2, 28, tzinfo=UTC))
    assert figures(found) == [("2026-01", "2000.00", "2000.00", "0.00"), ("2026-02", "2800.00", "800.00", "0.00")]
    assert [
        (
            each.period.code,
            str(each.billed.amount),
            str(each.unbilled_receivable.amount),
            str(each.contract_asset.amount),
        )
        for each in found.positions
    ] == [("2026-01", "0.00", "2000.00", "0.00"), ("2026-02", "2000.00", "800.00", "0.00")]


async def invoiced(pool: Pool, id: str, net: str, issued_on: str) -> None:
    body = {
        "legal_entity": "US", "status": "open", "issued_on": issued_on, "engagement_id": "DEA-1", "currency": "USD",
        "net": {"amount": net, "currency": "USD"},
    }  # fmt: skip
    async with transaction(pool) as db:
        await db.execute(
            """
            INSERT INTO record (kind, id, version, body, digest, provenance, connection, source_version, correlation,
                changed_at, observed_at)
            VALUES ('invoice', %s, 1, %s, '', '{}', 'stripe', '1', 'DEA-1', now(), now())
            """,
            [id, Jsonb(body)],
        )


async def test_milestone_billing_is_not_milestone_revenue(firm: Pool) -> None:
    """200,000 is billed ahead, 150,000 earned: a contract liability of 50,000 that is worked off."""
    await declare(firm)
    await invoiced(firm, "INV-1", "200000.00", "2026-01-05")
    await worked(firm, 1, 900)
    await estimate(firm, 1, "210000")
    await worked(firm, 2, 900)
    await estimate(firm, 2, "220000")
    found = await recognised(firm, datetime(2026, 2, 28, tzinfo=UTC))
    january, february = found.positions
    assert (january.closing, january.contract_liability) == (usd("-50000"), usd("50000"))
    assert (february.opening, february.closing, february.contract_asset) == (
        usd("-50000"), usd("25000"), usd("25000"),
    )  # fmt: skip
    assert february.from_opening_liability == usd("50000")


async def test_a_closed_period_stays_and_the_next_one_catches_up(firm: Pool) -> None:
    """January is closed with 150,000. Then it turns out that 100 hours of January were missing."""
    await declare(firm)
    await worked(firm, 1, 900)
    await estimate(firm, 1, "210000")
    await close(firm, "2026-01")
    kept = "SELECT period, version, recognised FROM revenue_row ORDER BY 1, 2"
    assert await rows(firm, kept) == [("2026-01", 1, Decimal("150000.00"))]
    with pytest.raises(Conflict, match="2026-01 of US is closed"):
        await estimate(firm, 1, "1")
    await worked(firm, 1, 100, id="WRK-LATE")
    async with transaction(firm) as db:
        await decide_late(db, NOW)
    await worked(firm, 2, 800)
    await estimate(firm, 2, "220000")
    found = await recognised(firm)
    assert figures(found) == [
        ("2026-01", "150000.00", "150000.00", "0.00"), ("2026-02", "225000.00", "75000.00", "-37500.00"),
    ]  # fmt: skip
    async with transaction(firm) as db:
        # An estimate of January, as if it had slipped past the closing: what was booked there stays all the same.
        await db.execute(
            "INSERT INTO revenue_estimate (engagement, legal_entity, obligation_id, period, unit, to_complete, told_by)"
            " VALUES ('DEA-1', 'US', 'BUILD', '2026-01', 'USD', 0, 'x')"
        )
        assert await keeping.keep(db, NOW) == 1
        assert await keeping.keep(db, NOW) == 0
    await estimate(firm, 2, "120000")
    async with transaction(firm) as db:
        assert await keeping.keep(db, NOW) == 1
    assert await rows(firm, kept) == [
        ("2026-01", 1, Decimal("150000.00")),
        ("2026-02", 1, Decimal("75000.00")),
        ("2026-02", 2, Decimal("150000.00")),
    ]


async def test_a_contract_told_after_the_closing_is_caught_up_in_the_open_period(firm: Pool) -> None:
    await worked(firm, 1, 900)
    await close(firm, "2026-01")
    await declare(firm)
    await worked(firm, 2, 900)
    await estimate(firm, 2, "220000")
    found = await recognised(firm)
    assert figures(found) == [("2026-02", "225000.00", "225000.00", "0.00")]
    await estimate(firm, 2, "400000")
    changed = replace(CONTRACT, fixed=usd("600000"), valid_from=date(2026, 2, 2), why="change order 1")
    await declare(firm, changed)
    async with transaction(firm) as db:
        await keeping.keep(db, NOW)
    assert await rows(firm, "SELECT DISTINCT period FROM revenue_row") == [("2026-02",)]


async def test_a_change_that_is_not_distinct_is_caught_up_in_its_period(firm: Pool) -> None:
    """500,000 at 30 %; 60,000 more of price and cost: 25 % of 560,000 is 10,000 less (IFRS 15.21 b)."""
    await declare(firm)
    await worked(firm, 1, 900)
    await estimate(firm, 1, "210000")
    await close(firm, "2026-01")
    changed = replace(CONTRACT, fixed=usd("560000"), valid_from=date(2026, 2, 1), why="change order 1")
    await declare(firm, changed)
    await estimate(firm, 2, "270000")
    assert figures(await recognised(firm)) == [
        ("2026-01", "150000.00", "150000.00", "0.00"), ("2026-02", "140000.00", "-10000.00", "-10000.00"),
    ]  # fmt: skip


async def test_a_prospective_change_settles_the_old_promise_and_measures_the_rest_from_its_day(firm: Pool) -> None:
    """60 of 120 products at 100 are delivered, 30 more come at 80 (IFRS 15 example 5): 8,400 over the 90 left."""
    products = replace(BUILD, id="P", name="Products", method=Method.HOURS, stand_alone_price=usd("12000"))
    await declare(firm, replace(CONTRACT, fixed=usd("12000"), obligations=(products,)))
    await worked(firm, 1, 60)
    await estimate(firm, 1, "60", "P", hours=True)
    await close(firm, "2026-01")
    rest = replace(products, id="P2", name="Products, rest and more", stand_alone_price=usd("8400"))
    await declare(
        firm,
        replace(
            CONTRACT, fixed=usd("14400"), valid_from=date(2026, 2, 1), obligations=(products, rest), why="30 more",
            set_prices=(SetPrice("P", usd("6000"), settled=True), SetPrice("P2", usd("8400"))),
            measures=(Measure("P2", counts_from=date(2026, 2, 1)),),
        ),
    )  # fmt: skip
    await worked(firm, 2, 30)
    await estimate(firm, 2, "60", "P2", hours=True)
    found = await recognised(firm, datetime(2026, 2, 28, tzinfo=UTC))
    assert [row[1:3] for row in figures(found, "P")] == [("6000.00", "6000.00"), ("6000.00", "0.00")]
    assert figures(found, "P2") == [("2026-02", "2800.00", "2800.00", "0.00")]


async def test_what_is_wrong_is_said(firm: Pool) -> None:
    with pytest.raises(UsageError, match="no criterion is stored"):
        await declare(firm, replace(CONTRACT, obligations=(replace(BUILD, criterion=None),)))
    await declare(firm)
    with pytest.raises(UsageError, match="went from cost to cost to hours"):
        await declare(firm, replace(CONTRACT, obligations=(replace(BUILD, method=Method.HOURS),)))
    await worked(firm, 1, 100)
    await worked(firm, 1, 10, worker="nobody", id="WRK-N")
    await estimate(firm, 1, "1000")
    await worked(firm, 2, 10)
    await worked(firm, 3, 10)
    await estimate(firm, 3, "0")
    found = await recognised(firm)
    assert [each.code for each in found.problems] == ["cost_unknown", "progress_not_measured"]
    assert found.problems[0].message == "10 hours of Build were worked by people whose cost is not known."
