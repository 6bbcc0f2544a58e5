"""What is unexplained is kept with its age, in one place at a time, and goes when it is explained again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

from accord.db.pool import Pool, transaction
from accord.reconcile import checking
from accord.worker_process import Cadence, WorkerProcess
from tests.finance_firm import FinanceFirm

LATER = datetime.now(UTC) + timedelta(days=1)


async def test_a_thing_keeps_the_day_it_was_first_seen_and_heals(
    firm_pool: Pool, told_firm: tuple[str, FinanceFirm]
) -> None:
    async with transaction(firm_pool) as db:
        before = await checking.found(db)
        found = await checking.check(db, LATER)
        assert found is not None
        assert [each.subject for each in found] == [told_firm[1].lost]
        after = await checking.found(db)
        last = await checking.last(db)
    assert [each.first_seen for each in after.rows] == [each.first_seen for each in before.rows]
    assert last is not None
    assert (last.started_at, last.found, last.complete) == (LATER, 1, True)
    async with transaction(firm_pool) as db:
        await db.execute("INSERT INTO work_to_rate SELECT id, revision, engagement, legal_entity, worked_on"
            " FROM work_entry WHERE id = %s", [told_firm[1].lost])  # fmt: skip
        assert await checking.check(db, LATER) == []
        assert await checking.sums(db) == []


async def test_two_do_not_look_at_once_and_a_sum_is_by_currency_and_entity(firm_pool: Pool) -> None:
    async with transaction(firm_pool) as db, transaction(firm_pool) as other:
        assert await checking.check(db, LATER) is not None
        assert await checking.check(other, LATER) is None
    async with transaction(firm_pool) as db:
        for n, (currency, amount) in enumerate((("USD", -20), ("JPY", 5), ("XXX", None))):
            await db.execute(
                "INSERT INTO unexplained_item VALUES (%s, 'gone', 'D', 'DE', %s, %s, now(), now())",
                [f"S{n}", currency, amount],
            )
        sums = [(each.currency, each.count, each.amount) for each in await checking.sums(db)]
        assert sums == [("JPY", 1, Decimal(5)), ("USD", 2, Decimal("1700.00")), (None, 1, Decimal(0))]
        german = [(each.currency, each.amount) for each in await checking.sums(db, ["DE"])]
        assert german == [("JPY", Decimal(5)), ("USD", Decimal(20)), (None, Decimal(0))]
        seen: list[str] = []
        cursor = None
        while True:
            page = await checking.found(db, cursor=cursor, limit=1)
            seen += [each.subject for each in page.rows]
            cursor = page.next
            if cursor is None:
                break
    assert seen == ["WRK-900", "S0", "S1", "S2"]


async def test_a_worker_looks_soon_after_it_starts_and_stops_when_told(firm_pool: Pool) -> None:
    house = SimpleNamespace(pool=firm_pool, now=lambda: LATER)
    worker = WorkerProcess(house, cadence=Cadence(unexplained=0.6))
    looking = asyncio.create_task(worker._look_for_the_unexplained())
    async with asyncio.timeout(20):
        while True:
            async with firm_pool.connection() as db:
                last = await checking.last(db)
            if last is not None and last.started_at == LATER:
                break
            await asyncio.sleep(0.05)
        worker.stop()
        await looking
