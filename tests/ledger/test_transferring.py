"""Work of another engagement: asked for by one, approved by another, at the same value and once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accord.db.pool import Pool, transaction
from accord.engine.shell import Kept
from accord.engine.story import Post
from accord.errors import Conflict, NotFound, UsageError
from accord.ledger import adjusting
from accord.ledger.explaining import ItemExplained, disagreements, explain
from accord.ledger.fitting import fit_waiting
from accord.ledger.postings import standing, write
from accord.ledger.proposing import propose
from accord.ledger.rating import rate_waiting
from accord.ledger.terms import declare
from accord.ledger.transferring import ask_transfer
from accord.ledger.work import take
from accord.model.billing import WorkTransfer
from accord.model.events import WORK_TRANSFER_APPROVED, Fact
from accord.model.money import Money
from accord.model.plain import from_plain
from accord.model.terms import BillingTerms, Cap, CapLevel, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.processes.work_transfer import work_transfer
from accord.reconcile.unexplained import unexplained
from accord.records.knowledge import Records

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
TERMS = BillingTerms("DEA-1", "US", 1, "USD", "CUS-1", rates=(RateRow("R", Money.of("200.00", "USD")),))
ENTRY = WorkEntry(
    id="WRK-2", revision=1, kind=WorkKind.TIME, source="time", source_key="2", status=WorkStatus.APPROVED,
    worked_on=date(2026, 11, 2), quantity=Decimal(4), engagement_id="DEA-1", legal_entity="US", worker="anna",
)  # fmt: skip


@pytest.fixture
async def worked(pool: Pool) -> Pool:
    euros = (RateRow("R", Money.of("150.00", "EUR")),)
    async with transaction(pool) as db:
        other = replace(TERMS, engagement_id="DEA-2", customer_id="CUS-2")
        await declare(db, [TERMS, other, replace(other, engagement_id="DEA-3", currency="EUR", rates=euros)], by="t")
        await take(db, [ENTRY], (), source="time")
    await rate_waiting(pool, NOW)
    return pool


async def ask(pool: Pool, to: str = "DEA-2", amount: str | None = None, **given: Any) -> str:
    part = None if amount is None else Decimal(amount)
    async with transaction(pool) as db:
        return await ask_transfer(db, "BIL-2-1", to, part, reason="wrong project", by="paula", at=NOW, **given)


@asynccontextmanager
async def approved(pool: Pool, id: str) -> AsyncIterator[None]:
    """Approved by another, and posted as its story says."""
    async with transaction(pool) as db:
        await adjusting.approve(db, id, by="fatima", at=NOW)
        kept = await (await db.execute("SELECT body FROM record WHERE id = %s", (id,))).fetchone()
        assert kept is not None
        story = work_transfer.story(Fact(WORK_TRANSFER_APPROVED, id, NOW.isoformat(), "fatima", {"about": "BIL-2-1"}))
        story.send(None)
        together = story.send(from_plain(WorkTransfer, kept[0]))
        posts = [each for each in together.commands if isinstance(each, Post)]
        await write(db, [(each.entry, each.items, each.postings) for each in posts])
        await Records(write).keep(db, [Kept(*each, "DEA-1") for each in together.commands[-1].objects], NOW)
        story.close()
    yield


async def lies(pool: Pool, engagement: str) -> dict[str, str]:
    async with pool.connection() as db:
        found = await standing(db, engagement)
    assert all(each.unexplained == 0 for each in found)
    return {name: str(value) for each in found for name, value in each.dispositions.items()}


async def test_a_part_is_invoiced_with_the_other_engagement_and_explains_itself(worked: Pool) -> None:
    async with approved(worked, await ask(worked, amount="300.00")):
        assert await lies(worked, "DEA-1") == {"wip": "500.00", "transferred": "300.00"}
        assert await lies(worked, "DEA-2") == {"wip": "300.00"}
    async with transaction(worked) as db:
        assert (await propose(db, date(2026, 11, 30), at=NOW, engagement="DEA-2")).lines == 1
        assert [each async for each in disagreements(db)] == []
        assert await unexplained(db) == []
        row = await (await db.execute("SELECT id FROM billable_item WHERE kind = 'transfer'")).fetchone()
        assert row is not None
        item = await explain(db, row[0])
    assert isinstance(item, ItemExplained)
    assert (item.amount, item.recomputed, item.source) == (Decimal("300.00"), Decimal("300.00"), "wrong project")


async def test_whoever_asked_does_not_approve_and_no_more_goes_than_is_there(worked: Pool) -> None:
    id = await ask(worked, amount="500.00")
    with pytest.raises(Conflict, match="somebody else"):
        async with transaction(worked) as db:
            await adjusting.approve(db, id, by="paula", at=NOW)
    with pytest.raises(UsageError, match=r"between 0 and 300.00 USD can be transferred; 300.01 USD"):
        await ask(worked, amount="300.01")


async def test_what_goes_leaves_its_room_under_the_caps_to_what_waits(pool: Pool) -> None:
    """Half of a day goes elsewhere: as much of the next day, which lay over the cap, is billed here."""
    capped = replace(TERMS, caps=(Cap("PO", CapLevel.PURCHASE_ORDER, Money.of("900.00", "USD")),))
    async with transaction(pool) as db:
        await declare(db, [capped, replace(TERMS, engagement_id="DEA-2", customer_id="CUS-2")], by="t")
        later = replace(ENTRY, id="WRK-3", source_key="3", worked_on=date(2026, 11, 3))
        await take(db, [ENTRY, later], (), source="time")
    await rate_waiting(pool, NOW)
    assert await lies(pool, "DEA-1") == {"wip": "900.00", "over_cap": "700.00"}
    async with approved(pool, await ask(pool, amount="400.00")):
        assert await fit_waiting(pool, NOW) == 1
        assert await lies(pool, "DEA-1") == {"wip": "900.00", "over_cap": "300.00", "transferred": "400.00"}
        assert await fit_waiting(pool, NOW) == 0
    async with approved(pool, await ask(pool, amount="400.00")):
        await fit_waiting(pool, NOW + timedelta(hours=1))
        assert await lies(pool, "DEA-1") == {"wip": "800.00", "transferred": "800.00"}
    async with pool.connection() as db:
        row = await (await db.execute("SELECT used FROM billing_counter")).fetchone()
        item = await explain(db, "BIL-2-1")
    assert row == (Decimal("800.00"),)
    assert isinstance(item, ItemExplained)
    assert [(added, after) for _, added, after in item.counters] == [
        (Decimal("800.00"), Decimal("800.00")), (Decimal("-400.00"), Decimal("500.00")),
        (Decimal("-400.00"), Decimal("500.00")),
    ]  # fmt: skip


@pytest.mark.parametrize("to", ["DEA-1", "DEA-3", "DEA-9"])
async def test_it_goes_to_another_engagement_of_its_entity_and_currency_alone(worked: Pool, to: str) -> None:
    with pytest.raises(UsageError, match=f"{to} is none"):
        await ask(worked, to)


async def test_items_of_other_legal_entities_are_not_there(worked: Pool) -> None:
    with pytest.raises(NotFound):
        await ask(worked, entities=["DE"])


async def test_what_its_source_changes_afterwards_is_for_a_person(worked: Pool) -> None:
    async with approved(worked, await ask(worked)):
        async with transaction(worked) as db:
            await take(db, [replace(ENTRY, quantity=Decimal(3))], (), source="time")
        await rate_waiting(worked, NOW)
        assert await lies(worked, "DEA-1") == {"transferred": "800.00"}
    async with worked.connection() as db:
        row = await (await db.execute("SELECT reason FROM business_case WHERE state = 'open'")).fetchone()
    assert row == ("transferred_work_changed",)
